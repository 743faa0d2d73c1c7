//! What becomes of renewal when the accounts change while it runs.

use std::sync::Arc;
use std::time::Duration;

use wxsign::account::{Account, AppId, TokenApi};
use wxsign::credential::{Kind, Secret};
use wxsign::keeper::Reported;
use wxsign::simulator::{App, Fault, FaultRule};

use super::world::{SECRET, T0, TICKET_PATH, World, account, appid, kept};
use super::{DAY, HOUR};

const TOKEN_PATH: &str = "/cgi-bin/token";

/// A second account that WeChat knows.
fn second(world: &World) -> Account {
    let appid: AppId = "wxfedcba9876543210".parse().unwrap();
    let mut app = App::new(appid.clone(), Secret::new(SECRET));
    app.domains = vec!["h5.example.com".to_owned()];
    world.simulator.add_app(app);
    Account {
        appid,
        ..account(TokenApi::Classic)
    }
}

fn calls(world: &World, appid: &AppId) -> (u64, u64) {
    let calls = |path| world.simulator.counter(appid, path).requests;
    (calls(TOKEN_PATH), calls(TICKET_PATH))
}

#[tokio::test(start_paused = true)]
async fn an_account_that_is_added_is_fetched_for_once_and_the_others_go_on_undisturbed() {
    let world = World::new(TokenApi::Classic);
    world.pass(10).await;
    let first = kept(world.keeper());
    let second = second(&world);
    let both = vec![account(TokenApi::Classic), second.clone()];
    for _ in 0..3 {
        world.keeper().set_accounts(both.clone());
        world.pass(1).await;
        assert_eq!(calls(&world, &second.appid), (1, 1));
        assert_eq!(calls(&world, &appid()), (1, 1));
    }
    let accounts = world.keeper().accounts();
    assert!(Arc::ptr_eq(&first, accounts.get(appid().as_str()).unwrap()));
    let added = accounts.get(second.appid.as_str()).unwrap();
    assert!(added.snapshot().signer(world.clock.moment()).is_some());
    drop(accounts);
    world.pass_until(DAY).await;
    let (tokens, tickets) = calls(&world, &second.appid);
    assert!((17..=18).contains(&tokens), "{tokens}");
    assert!((275..=300).contains(&tickets), "{tickets}");
}

#[tokio::test(start_paused = true)]
async fn an_account_that_is_changed_is_never_unserved() {
    let world = World::new(TokenApi::Classic);
    world.pass(10).await;
    let newer = Secret::new("fedcba9876543210fedcba9876543210");
    let changes = [
        Account {
            name: Some("shop".to_owned()),
            ..account(TokenApi::Classic)
        },
        Account {
            secret: newer.clone(),
            ..account(TokenApi::Classic)
        },
        Account {
            secret: newer.clone(),
            ..account(TokenApi::Stable)
        },
    ];
    for change in changes {
        world.change(|app| app.secret = change.secret.clone());
        world.keeper().set_accounts(vec![change.clone()]);
        assert_eq!(world.signature_is_accepted(), Some(true));
        assert_eq!(kept(world.keeper()).account, change);
        for _ in 0..HOUR / 60 {
            world.pass(60).await;
            assert_eq!(world.signature_is_accepted(), Some(true));
            assert!(world.serves_a_token());
        }
    }
    for _ in 0..DAY / 60 {
        world.pass(60).await;
        assert_eq!(world.signature_is_accepted(), Some(true));
    }
}

#[tokio::test(start_paused = true)]
async fn a_right_secret_ends_the_wait_that_a_wrong_one_asked_for() {
    let world = World::new(TokenApi::Classic);
    world.change(|app| app.secret = Secret::new("fedcba9876543210fedcba9876543210"));
    world.pass(10).await;
    assert_eq!(world.signature_is_accepted(), None);
    let right = Account {
        secret: Secret::new("fedcba9876543210fedcba9876543210"),
        ..account(TokenApi::Classic)
    };
    world.keeper().set_accounts(vec![right]);
    world.pass(1).await;
    assert_eq!(world.signature_is_accepted(), Some(true));
}

#[tokio::test(start_paused = true)]
async fn an_account_that_is_removed_is_not_asked_for_again() {
    let world = World::new(TokenApi::Classic);
    world.pass(10).await;
    let before = calls(&world, &appid());
    world.keeper().set_accounts(Vec::new());
    assert!(world.keeper().accounts().get(appid().as_str()).is_none());
    world.pass(DAY).await;
    assert_eq!(calls(&world, &appid()), before);

    // It comes back, with a token that is long dead, and is renewed as after a restart.
    let back = vec![account(TokenApi::Classic)];
    world.keeper().set_accounts(back);
    world.pass(1).await;
    assert_eq!(world.signature_is_accepted(), Some(true));
    let (tokens, _) = calls(&world, &appid());
    assert_eq!(tokens, before.0 + 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_kept_of_an_account_as_it_was() {
    let world = World::new(TokenApi::Classic);
    world.pass(10).await;
    let named = Account {
        name: Some("shop".to_owned()),
        ..account(TokenApi::Classic)
    };
    let was = Arc::downgrade(&kept(world.keeper()));
    world.keeper().set_accounts(vec![named.clone()]);
    world.pass(1).await;
    assert!(was.upgrade().is_none(), "it was changed");

    // It is put back before anybody saw that it was gone.
    let was = Arc::downgrade(&kept(world.keeper()));
    world.keeper().set_accounts(Vec::new());
    world.keeper().set_accounts(vec![named]);
    world.pass(1).await;
    assert!(was.upgrade().is_none(), "it was put back");
    assert_eq!(world.signature_is_accepted(), Some(true));

    // The same in the middle of a step.
    world.turn(|knobs| knobs.latency = Duration::from_secs(5));
    world.pass(200).await;
    let (tokens, tickets) = calls(&world, &appid());
    world.keeper().report_ticket(&kept(world.keeper()));
    world.pass(2).await;
    let before = (tokens, tickets + 1);
    assert_eq!(calls(&world, &appid()), before);
    let was = Arc::downgrade(&kept(world.keeper()));
    world.keeper().set_accounts(Vec::new());
    world
        .keeper()
        .set_accounts(vec![account(TokenApi::Classic)]);
    world.pass(60).await;
    assert!(was.upgrade().is_none(), "it was put back while a step ran");
    assert_eq!(world.signature_is_accepted(), Some(true));
    assert_eq!(calls(&world, &appid()), before);

    let was = Arc::downgrade(&kept(world.keeper()));
    world.keeper().set_accounts(Vec::new());
    world.pass(1).await;
    assert!(was.upgrade().is_none(), "it was removed");
}

#[tokio::test(start_paused = true)]
async fn a_step_that_runs_for_a_removed_account_ends_and_leaves_no_lease_behind() {
    let world = World::new(TokenApi::Classic);
    world.turn(|knobs| knobs.latency = Duration::from_secs(5));
    world.pass(2).await;
    assert_eq!(calls(&world, &appid()), (1, 0));
    world.keeper().set_accounts(Vec::new());
    world.pass(60).await;
    assert_eq!(calls(&world, &appid()), (1, 1));
    // What it brought was stored: whoever takes the account up again needs no fetch.
    world
        .keeper()
        .set_accounts(vec![account(TokenApi::Classic)]);
    world.pass(1).await;
    assert_eq!(world.signature_is_accepted(), Some(true));
    assert_eq!(calls(&world, &appid()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_removed_account_is_told_at_once() {
    let world = World::new(TokenApi::Classic);
    let patience = Duration::from_secs(3600);
    world.simulator.inject(FaultRule::new(Fault::Hang));
    world.pass(1).await;
    let (keeper, account) = (world.keeper(), kept(world.keeper()));
    let removing = async {
        world.pass(1).await;
        keeper.set_accounts(Vec::new());
    };
    let (waited, ()) = tokio::join!(
        keeper.available(&account, Kind::JsapiTicket, patience),
        removing
    );
    assert!(waited.unwrap_err().removed);
    assert_eq!(world.clock.now(), T0 + Duration::from_secs(2));

    // The same for one whose token is being doubted.
    let world = World::new(TokenApi::Classic);
    world.pass(10).await;
    world.simulator.inject(FaultRule::new(Fault::Hang));
    let (keeper, account) = (world.keeper(), kept(world.keeper()));
    let snapshot = world.snapshot();
    let token = snapshot.token(world.clock.moment()).unwrap();
    let fingerprint = token.credential.value.fingerprint();
    let removing = async {
        world.pass(1).await;
        keeper.set_accounts(Vec::new());
    };
    let reporting = keeper.report_token(&account, fingerprint, 40001, patience);
    let (reported, ()) = tokio::join!(reporting, removing);
    assert_eq!(reported, Reported::Unverified);
    assert_eq!(world.clock.now(), T0 + Duration::from_secs(11));
}
