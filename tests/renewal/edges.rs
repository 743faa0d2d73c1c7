//! What happens between two things that are each all right.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use wxsign::account::TokenApi;
use wxsign::credential::Fingerprint;
use wxsign::keeper::Reported;
use wxsign::simulator::{Action, Fault, FaultRule};

use super::HOUR;
use super::world::{World, appid, kept};

const PATIENCE: Duration = Duration::from_secs(30);

fn token_of(world: &World) -> Fingerprint {
    let snapshot = world.snapshot();
    let token = snapshot.token(world.clock.moment()).unwrap();
    token.credential.value.fingerprint()
}

async fn report(world: &World, token: Fingerprint) -> Reported {
    let (keeper, kept) = (world.keeper(), kept(world.keeper()));
    keeper.report_token(&kept, token, 40001, PATIENCE).await
}

#[tokio::test(start_paused = true)]
async fn who_reports_again_while_wechat_cannot_be_asked_is_answered_at_once() {
    let world = World::new(TokenApi::Classic);
    world.pass(HOUR).await;
    let rule = FaultRule::new(Fault::Unreachable).on("/cgi-bin/get_api_domain_ip");
    world.simulator.inject(rule);
    for _ in 0..3 {
        let start = world.clock.now();
        let reported = report(&world, token_of(&world)).await;
        assert_eq!(reported, Reported::Unverified);
        assert!(world.clock.now().since(start) < Duration::from_secs(2));
        world.pass(1).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_wechat_knows_a_moment_later_is_neither_replaced_nor_called_stolen() {
    for seconds in [1, 5, 20] {
        let world = World::new(TokenApi::Classic);
        world.turn(|knobs| knobs.token_visible_after = Duration::from_secs(seconds));
        world.pass(HOUR).await;
        assert_eq!(world.token_calls(), 1, "known after {seconds} s");
        assert_eq!(world.signature_is_accepted(), Some(true));
        world.pass(24 * HOUR).await;
        assert!(!world.snapshot().is_robbed());
        assert!(world.token_calls() <= 19, "{}", world.token_calls());
    }
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_a_dead_process_left_open_is_followed_up_at_once() {
    let mut world = World::new(TokenApi::Classic);
    world.store.embedded.store(true, Relaxed);
    world.pass(1000).await;
    world.turn(|knobs| knobs.latency = Duration::from_secs(5));
    world.simulator.act(&appid(), Action::RevokeTokens).unwrap();
    let (keeper, known) = (world.keeper().clone(), kept(world.keeper()));
    let token = token_of(&world);
    tokio::spawn(async move { keeper.report_token(&known, token, 40001, PATIENCE).await });
    let before = world.token_calls();
    while world.token_calls() == before {
        world.pass(1).await;
    }
    world.kill_node();
    world.add_node();
    // The lease of the dead one has to end first.
    world.pass(45).await;
    assert_eq!(world.token_calls(), before + 2);
    assert!(world.serves_the_newest_token());
}

#[tokio::test(start_paused = true)]
async fn what_was_replaced_while_the_store_was_away_is_known_when_it_is_back() {
    let world = World::new(TokenApi::Classic);
    world.store.embedded.store(true, Relaxed);
    world.pass(4700).await;
    let old = token_of(&world);
    world.store.unwritable.store(true, Relaxed);
    world.pass(450).await;
    assert_ne!(token_of(&world), old);
    world.store.unwritable.store(false, Relaxed);
    world.pass(60).await;
    assert_eq!(report(&world, old).await, Reported::Outdated);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_pages_that_complain_do_not_drive_the_store() {
    let world = World::new(TokenApi::Classic);
    world.pass(HOUR).await;
    let before = (world.store.loads.load(Relaxed), world.ticket_calls());
    for _ in 0..1000 {
        world.keeper().report_ticket(&kept(world.keeper()));
        world.clock.sleep(Duration::from_millis(10)).await;
    }
    assert!(world.store.loads.load(Relaxed) - before.0 <= 10);
    assert!(world.ticket_calls() - before.1 <= 1);
}

#[tokio::test(start_paused = true)]
async fn what_wechat_said_of_a_token_is_not_good_for_longer_when_the_clock_is_set_back() {
    let world = World::new(TokenApi::Classic);
    world.pass(HOUR).await;
    let token = token_of(&world);
    assert_eq!(report(&world, token).await, Reported::StillValid);
    world.clock.skew_wall(-3_600_000);
    world.pass(70).await;
    world.simulator.act(&appid(), Action::RevokeTokens).unwrap();
    assert_ne!(report(&world, token).await, Reported::StillValid);
}
