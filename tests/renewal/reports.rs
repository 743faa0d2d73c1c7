//! What becomes of reports that a token or a ticket was refused.

use std::time::Duration;

use tokio::task::JoinSet;
use wxsign::account::TokenApi;
use wxsign::credential::{Fingerprint, Secret};
use wxsign::keeper::Reported;
use wxsign::simulator::{Action, Fault, FaultRule, TicketMode};

use super::world::{World, appid, kept};
use super::{DAY, HOUR};

const PROBE_PATH: &str = "/cgi-bin/get_api_domain_ip";
const APIS: [TokenApi; 2] = [TokenApi::Classic, TokenApi::Stable];

/// The longest that a reporter waits.
const PATIENCE: Duration = Duration::from_secs(30);

fn served(world: &World) -> Fingerprint {
    let snapshot = world.snapshot();
    let token = snapshot.token(world.clock.moment()).unwrap();
    token.credential.value.fingerprint()
}

/// Reports the token that is served, `count` times at once.
async fn report(world: &World, count: usize) -> Vec<Reported> {
    let fingerprint = served(world);
    let mut reports = JoinSet::new();
    for _ in 0..count {
        let keeper = world.keeper().clone();
        reports.spawn(async move {
            let kept = kept(&keeper);
            keeper
                .report_token(&kept, fingerprint, 40001, PATIENCE)
                .await
        });
    }
    reports.join_all().await
}

fn probes(world: &World) -> u64 {
    world.simulator.counter(&appid(), PROBE_PATH).requests
}

fn all(reported: &[Reported], expected: Reported) -> bool {
    reported.iter().all(|reported| *reported == expected)
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_reports_of_a_good_token_cost_one_question_and_no_token() {
    for token_api in APIS {
        let world = World::new(token_api);
        world.pass(HOUR).await;
        let before = world.token_calls();
        let reported = report(&world, 10_000).await;
        assert!(all(&reported, Reported::StillValid), "{:?}", &reported[..3]);
        world.pass(30).await;
        assert!(all(&report(&world, 100).await, Reported::StillValid));
        assert_eq!((probes(&world), world.token_calls()), (1, before));
    }
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_reports_of_a_dead_token_cost_one_question_and_one_token() {
    for token_api in APIS {
        let world = World::new(token_api);
        world.pass(HOUR).await;
        let (before, dead) = (world.token_calls(), served(&world));
        world.simulator.act(&appid(), Action::RevokeTokens).unwrap();
        let reported = report(&world, 10_000).await;
        assert!(all(&reported, Reported::Renewed), "{:?}", &reported[..3]);
        assert_eq!((probes(&world), world.token_calls()), (1, before + 1));
        assert!(world.serves_the_newest_token());

        // Who is late hears that there is a newer one, without a call.
        let keeper = world.keeper();
        let late = keeper
            .report_token(&kept(keeper), dead, 42001, PATIENCE)
            .await;
        assert_eq!(late, Reported::Outdated);
        assert_eq!((probes(&world), world.token_calls()), (1, before + 1));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_report_about_the_token_costs_nothing() {
    let world = World::new(TokenApi::Classic);
    world.pass(HOUR).await;
    let keeper = world.keeper();
    let stranger = Secret::new("never given out").fingerprint();
    for (fingerprint, errcode, expected) in [
        (stranger, 40001, Reported::UnknownToken),
        (served(&world), 48001, Reported::OtherErrcode),
        (served(&world), 0, Reported::OtherErrcode),
        (served(&world), 45009, Reported::OtherErrcode),
    ] {
        let reported = keeper
            .report_token(&kept(keeper), fingerprint, errcode, PATIENCE)
            .await;
        assert_eq!(reported, expected);
    }
    assert_eq!(probes(&world), 0);
}

#[tokio::test(start_paused = true)]
async fn while_wechat_is_silent_a_reporter_is_told_that_nothing_is_known() {
    let world = World::new(TokenApi::Classic);
    world.pass(HOUR).await;
    world.simulator.inject(FaultRule::new(Fault::Hang));
    let before = world.token_calls();
    assert!(all(&report(&world, 50).await, Reported::Unverified));
    assert!(
        world.serves_a_token(),
        "the one at hand goes on being served"
    );
    assert_eq!(world.token_calls(), before);
}

#[tokio::test(start_paused = true)]
async fn renewals_by_report_are_a_minute_apart_and_fifty_a_day() {
    let world = World::new(TokenApi::Classic);
    world.pass(HOUR).await;
    let before = world.token_calls();
    let end = world.age() + DAY;
    while world.age() < end {
        if world.serves_some_token() {
            world.simulator.act(&appid(), Action::RevokeTokens).unwrap();
            report(&world, 1).await;
        }
        world.pass(30).await;
    }
    // Fifty for the reports of each of two days in China, and those that were due.
    let calls = world.token_calls() - before;
    assert!((50..=120).contains(&calls), "{calls}");
}

#[tokio::test(start_paused = true)]
async fn a_stolen_token_is_healed_in_one_fetch_and_the_second_time_the_thief_is_named() {
    let world = World::new(TokenApi::Classic);
    world.pass(600).await;
    for (theft, named) in [(1, false), (2, true)] {
        let before = world.token_calls();
        world.simulator.act(&appid(), Action::StealToken).unwrap();
        // WeChat gives the token before it five minutes more.
        world.pass(310).await;
        let newest = world.simulator.newest_token(&appid()).unwrap();
        // If the ticket was asked for meanwhile, that has shown it already.
        if served(&world) != newest.fingerprint() {
            report(&world, 50).await;
        }
        assert!(world.serves_the_newest_token());
        assert_eq!(world.token_calls() - before, 1, "theft {theft}");
        assert_eq!(world.snapshot().is_robbed(), named, "theft {theft}");
        let evidence = world.snapshot().died_young().len();
        assert_eq!(evidence, if named { theft } else { 0 }, "theft {theft}");
        world.pass(600).await;
    }
    // A day without a theft, and the alarm is over.
    world.pass(2 * DAY).await;
    assert!(!world.snapshot().is_robbed());
}

#[tokio::test(start_paused = true)]
async fn a_page_that_complains_has_the_ticket_asked_for_once_a_minute_at_most() {
    let world = World::new(TokenApi::Classic);
    world.turn(|knobs| knobs.ticket_mode = TicketMode::Hostile);
    world.pass(HOUR).await;
    world.simulator.act(&appid(), Action::ExpireTicket).unwrap();
    assert_eq!(world.signature_is_accepted(), Some(false));
    let before = world.ticket_calls();
    for _ in 0..60 {
        let keeper = world.keeper();
        keeper.report_ticket(&kept(keeper));
        world.pass(1).await;
    }
    assert_eq!(world.signature_is_accepted(), Some(true));
    let calls = world.ticket_calls() - before;
    assert!((1..=2).contains(&calls), "{calls}");
}

#[tokio::test(start_paused = true)]
async fn a_page_that_complains_while_a_server_starts_is_heard() {
    let mut world = World::new(TokenApi::Classic);
    world.turn(|knobs| knobs.ticket_mode = TicketMode::Hostile);
    // Long since the ticket came, and long before it is looked at again.
    world.pass(200).await;
    world.simulator.act(&appid(), Action::ExpireTicket).unwrap();
    world.kill_node();
    world.add_node();
    // Nothing was awaited: its queue does not turn yet.
    let keeper = world.keeper();
    assert!(keeper.report_ticket(&kept(keeper)));
    world.pass(1).await;
    assert_eq!(world.signature_is_accepted(), Some(true));
}
