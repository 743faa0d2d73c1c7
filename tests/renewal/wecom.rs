//! WeCom gives out the same token until its end, and does not say whether what it names for one
//! that it has named before is true.

use std::time::Duration;

use wxsign::account::{Account, AppId, TokenApi};
use wxsign::credential::{Kind, Secret};
use wxsign::keeper::Reported;
use wxsign::simulator::{Action, App, Fault, FaultRule};
use wxsign::upstream::Upstream;

use super::world::{World, account, kept};
use super::{DAY, HOUR};

/// So long after the end of one the next one is there: WeCom does not give it before, and one of
/// two nodes is a little later than it could be.
const GAP: u64 = 6;

#[tokio::test(start_paused = true)]
async fn a_day_of_wecom_costs_few_calls_and_leaves_short_gaps() {
    for remaining in [false, true] {
        let world = World::of_nodes(2, TokenApi::WeCom);
        world.turn(|knobs| knobs.wecom_remaining = remaining);
        world.pass(2).await;
        let (mut unserved, mut unsigned) = (0, 0);
        for second in 3..=DAY {
            world.pass_until(second).await;
            // A dead token is never served: that is looked at in there.
            unserved += u64::from(!world.serves_a_token());
            match world.signature_is_accepted() {
                Some(accepted) => assert!(accepted, "{second} s, {remaining}"),
                None => unsigned += 1,
            }
        }
        let ends = DAY / (2 * HOUR);
        assert!(
            (1..=GAP * ends).contains(&unserved),
            "{unserved} {remaining}"
        );
        assert!(
            (1..=GAP * ends).contains(&unsigned),
            "{unsigned} {remaining}"
        );
        let calls = [world.token_calls(), world.ticket_calls()];
        for calls in calls {
            assert!((100..=150).contains(&calls), "{calls} {remaining}");
        }
        assert_eq!(world.snapshot().trouble(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_others_had_fetched_before_is_replaced_when_the_ticket_call_fails() {
    let world = World::new(TokenApi::WeCom);
    // Somebody fetches it an hour before, and WeCom names two hours all the same.
    let others = world.simulator.fetch_token(&account(TokenApi::WeCom)).await;
    let others = others.unwrap().value;
    world.simulator.inject(FaultRule::new(Fault::Unreachable));
    world.pass_until(HOUR).await;
    world.simulator.clear_faults();
    world.pass_until(2 * HOUR - 10).await;
    assert!(world.serves_a_token());
    assert_eq!(token(&world), others.expose());
    // Nobody knows that it is as old as that: the next look tells, five minutes later at most.
    let mut dead = 0;
    for second in 2 * HOUR - 9..2 * HOUR + 1000 {
        world.pass_until(second).await;
        if token(&world) == others.expose() {
            dead += u64::from(second > 2 * HOUR);
        } else {
            assert!(world.serves_a_token(), "{second} s");
            assert_eq!(world.signature_is_accepted(), Some(true), "{second} s");
        }
    }
    assert!((1..=331).contains(&dead), "{dead} s");
}

#[tokio::test(start_paused = true)]
async fn all_apps_of_a_corporation_together_keep_to_its_limit_whatever_pages_complain() {
    let world = World::new(TokenApi::WeCom);
    let accounts: Vec<Account> = (1..=60)
        .map(|agent| {
            let appid: AppId = format!("ww0123456789abcdef-{agent}").parse().unwrap();
            world.simulator.add_app(App::new(
                appid.clone(),
                Secret::new(format!("secret-{agent}")),
            ));
            Account {
                appid,
                secret: Secret::new(format!("secret-{agent}")),
                ..account(TokenApi::WeCom)
            }
        })
        .collect();
    world.keeper().set_accounts(accounts.clone());
    for minute in 1..=6 * 60 {
        world.pass_until(60 * minute).await;
        let kept = world.keeper().accounts();
        for kept in kept.iter() {
            world.keeper().report_ticket(kept);
            // A refusal for the quota would be told of.
            assert_eq!(kept.snapshot().trouble(), None, "{kept:?}, minute {minute}");
        }
    }
    for account in accounts {
        for path in ["/cgi-bin/get_jsapi_ticket", "/cgi-bin/ticket/get"] {
            let calls = world.simulator.counter(&account.appid, path).requests;
            assert!((15..=6 * 4).contains(&calls), "{calls} {path}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn pages_that_complain_have_the_tickets_of_an_app_asked_for_every_five_minutes() {
    let world = World::new(TokenApi::WeCom);
    world.pass(10).await;
    let (known, keeper) = (world.ticket_calls(), world.keeper());
    for second in 11..HOUR {
        world.pass_until(second).await;
        keeper.report_ticket(&kept(keeper));
    }
    let calls = world.ticket_calls() - known;
    assert!((11..=12).contains(&calls), "{calls}");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_wecom_ended_early_is_replaced_by_a_report() {
    let world = World::new(TokenApi::WeCom);
    // Nobody asks about the second one by himself for a while.
    world.pass(2 * HOUR + 60).await;
    let known = world.token_calls();
    let (keeper, kept) = (world.keeper(), kept(world.keeper()));
    let report = async || {
        let snapshot = world.snapshot();
        let token = snapshot.token(world.clock.moment()).unwrap();
        let (fingerprint, patience) =
            (token.credential.value.fingerprint(), Duration::from_secs(9));
        keeper
            .report_token(&kept, fingerprint, 42001, patience)
            .await
    };
    assert_eq!(report().await, Reported::StillValid);
    assert_eq!(world.token_calls(), known);
    world
        .simulator
        .act(&world.appid(), Action::RevokeTokens)
        .unwrap();
    world.pass(100).await;
    assert_eq!(report().await, Reported::Renewed);
    assert_eq!(world.token_calls(), known + 1);
    assert!(world.serves_a_token());
    assert!(
        !world.snapshot().is_robbed(),
        "nobody can take a token at WeCom"
    );
}

#[tokio::test(start_paused = true)]
async fn a_token_that_outlives_its_end_is_served_and_asked_about_ever_less_often() {
    let world = World::new(TokenApi::WeCom);
    world.turn(|knobs| {
        knobs.life_stable = Duration::from_secs(4 * HOUR);
        knobs.expires_in_reported = Some("7200".to_owned());
    });
    world.pass_until(7190).await;
    let known = world.token_calls();
    for second in 7210..4 * HOUR {
        world.pass_until(second).await;
        assert!(world.serves_a_token(), "{second} s");
    }
    let calls = world.token_calls() - known;
    assert!((20..=36).contains(&calls), "{calls}");
    world.pass_until(4 * HOUR + 310).await;
    assert!(world.serves_a_token());
}

#[tokio::test(start_paused = true)]
async fn an_outage_at_the_end_of_the_token_ends_with_a_fetch_and_no_storm() {
    let world = World::new(TokenApi::WeCom);
    world.pass_until(6800).await;
    let known = world.token_calls();
    world.simulator.inject(FaultRule::new(Fault::Unreachable));
    world.pass_until(7300).await;
    assert!(!world.serves_some_token());
    assert!(
        world.token_calls() - known < 40,
        "{}",
        world.token_calls() - known
    );
    world.simulator.clear_faults();
    world.pass_until(7430).await;
    assert!(world.serves_a_token());
    assert_eq!(world.signature_is_accepted(), Some(true));
}

#[tokio::test(start_paused = true)]
async fn an_address_that_is_not_listed_is_told_of_in_the_words_of_wecom() {
    let world = World::new(TokenApi::WeCom);
    world.turn(|knobs| knobs.ip_list = Some(Vec::new()));
    world.pass(10).await;
    assert!(world.serves_a_token());
    let snapshot = world.snapshot();
    let trouble = snapshot.trouble().unwrap();
    assert_eq!(trouble.errcode, Some(60020));
    let remedy = trouble.remedy();
    assert!(
        remedy.en.contains("add 127.0.0.1 to 企业可信IP"),
        "{remedy:?}"
    );
}

fn token(world: &World) -> String {
    let snapshot = world.snapshot();
    let token = snapshot.token(world.clock.moment());
    token.map_or_else(String::new, |token| {
        token.credential.value.expose().to_owned()
    })
}

#[tokio::test(start_paused = true)]
async fn the_ticket_of_the_app_is_kept_beside_that_of_the_corporation() {
    let world = World::new(TokenApi::WeCom);
    let mut unserved = 0;
    for second in 3..=DAY {
        world.pass_until(second).await;
        match agent_ticket(&world) {
            Some(ticket) => {
                let newest = world.simulator.newest_agent_ticket(&world.appid());
                assert_eq!(Some(ticket), newest, "{second} s");
            }
            None => unserved += 1,
        }
    }
    assert!(unserved <= GAP * DAY / (2 * HOUR), "{unserved}");
    let calls = world
        .simulator
        .counter(&world.appid(), "/cgi-bin/ticket/get");
    assert!((100..=150).contains(&calls.requests), "{calls:?}");
}

#[tokio::test(start_paused = true)]
async fn an_app_without_a_ticket_of_its_own_signs_for_its_corporation_all_the_same() {
    let world = World::new(TokenApi::WeCom);
    let rule = FaultRule::new(Fault::Errcode(48002)).on("/cgi-bin/ticket/get");
    world.simulator.inject(rule);
    world.pass(HOUR).await;
    assert_eq!(world.signature_is_accepted(), Some(true));
    assert_eq!(agent_ticket(&world), None);
    let snapshot = world.snapshot();
    let trouble = snapshot.trouble().unwrap();
    assert_eq!(trouble.errcode, Some(48002));
    assert!(trouble.remedy().en.contains("自建应用"));
}

fn agent_ticket(world: &World) -> Option<Secret> {
    let snapshot = world.snapshot();
    let ticket = snapshot.served(Kind::AgentTicket, world.clock.moment())?;
    Some(ticket.credential.value.clone())
}
