//! Renewal over hours and days: what WeChat is asked, and what readers may use meanwhile.
//!
//! Nothing here waits: time is paused, and there are no sockets ([`world`]).

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

#[path = "renewal/accounts.rs"]
mod accounts;
#[path = "renewal/cards.rs"]
mod cards;
#[path = "renewal/edges.rs"]
mod edges;
#[path = "renewal/failures.rs"]
mod failures;
#[path = "renewal/history.rs"]
mod history;
#[path = "renewal/reports.rs"]
mod reports;
#[path = "renewal/scale.rs"]
mod scale;
#[path = "renewal/solo.rs"]
mod solo;
#[path = "renewal/stores.rs"]
mod stores;
#[path = "renewal/storm.rs"]
mod storm;
#[path = "renewal/wecom.rs"]
mod wecom;
#[path = "renewal/world.rs"]
mod world;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use wxsign::account::{Account, TokenApi};
use wxsign::clock::Clock;
use wxsign::credential::Kind;
use wxsign::keeper::Keeper;
use wxsign::simulator::{Action, Fault, FaultRule, Simulator, TicketMode};
use wxsign::store::Store;
use wxsign::upstream::Class;

use world::{T0, TICKET_PATH, World, account, appid, kept};

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

/// The longest time between two looks at the ticket.
const TICKET_POLL: u64 = 330;

#[tokio::test(start_paused = true)]
async fn a_day_without_faults_costs_18_classic_tokens_and_288_tickets() {
    let world = World::new(TokenApi::Classic);
    world.pass(DAY).await;
    let (tokens, tickets) = (world.token_calls(), world.ticket_calls());
    assert!((17..=18).contains(&tokens), "{tokens}");
    assert!((275..=300).contains(&tickets), "{tickets}");
}

#[tokio::test(start_paused = true)]
async fn a_day_without_faults_costs_13_stable_tokens_and_288_tickets() {
    let world = World::new(TokenApi::Stable);
    world.pass(DAY).await;
    let (tokens, tickets) = (world.token_calls(), world.ticket_calls());
    assert!((12..=13).contains(&tokens), "{tokens}");
    assert!((275..=300).contains(&tickets), "{tickets}");
}

#[tokio::test(start_paused = true)]
async fn two_nodes_on_one_store_fetch_once_between_them() {
    for token_api in [TokenApi::Classic, TokenApi::Stable] {
        let world = World::of_nodes(2, token_api);
        for minute in 1..=DAY / 60 {
            world.pass_until(60 * minute).await;
            for node in world.nodes() {
                assert_eq!(world.signature_of(node), Some(true), "minute {minute}");
            }
        }
        let (tokens, tickets) = (world.token_calls(), world.ticket_calls());
        let expected = match token_api {
            TokenApi::Classic => 17..=18,
            TokenApi::Stable | TokenApi::WeCom => 12..=13,
        };
        assert!(expected.contains(&tokens), "{token_api:?}: {tokens}");
        assert!((270..=300).contains(&tickets), "{token_api:?}: {tickets}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_signature_of_two_days_is_accepted_while_tickets_rotate() {
    let world = World::new(TokenApi::Classic);
    for minute in 1..=2 * DAY / 60 {
        world.pass_until(60 * minute).await;
        assert_eq!(world.signature_is_accepted(), Some(true), "minute {minute}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hostile_rotation_is_noticed_at_the_next_look_at_the_ticket() {
    let world = World::new(TokenApi::Classic);
    world.turn(|knobs| knobs.ticket_mode = TicketMode::Hostile);
    let mut refused = 0;
    for minute in 1..=2 * DAY / 60 {
        world.pass_until(60 * minute).await;
        let since_rotation = world.clock.now().as_secs() % 7200;
        match world.signature_is_accepted() {
            Some(true) => {}
            Some(false) if since_rotation <= TICKET_POLL.cast_signed() => refused += 1,
            other => panic!("minute {minute}, {since_rotation} s after a rotation: {other:?}"),
        }
    }
    assert!(refused > 0, "the simulator was not hostile");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_another_program_superseded_is_replaced_when_the_ticket_call_fails() {
    let world = World::new(TokenApi::Classic);
    world.pass(600).await;
    world.simulator.act(&appid(), Action::StealToken).unwrap();
    // The stolen token lives on for 300 s; then the ticket is asked for and refused.
    for _ in 0..(300 + TICKET_POLL) / 10 {
        world.pass(10).await;
        assert_eq!(world.signature_is_accepted(), Some(true));
    }
    world.pass(10).await;
    assert!(world.serves_a_token());
    assert_eq!(world.token_calls(), 2);
    assert_eq!(world.snapshot().trouble(), None);
}

#[tokio::test(start_paused = true)]
async fn a_ticket_call_that_rejects_every_token_costs_fifty_tokens_a_day_and_no_more() {
    let world = World::new(TokenApi::Classic);
    world.pass(600).await;
    let rejected = FaultRule::new(Fault::Errcode(40001)).on(TICKET_PATH);
    world.simulator.inject(rejected);
    let before = world.token_calls();
    world.pass(DAY).await;
    // The day in China begins anew within these 24 hours.
    let calls = world.token_calls() - before;
    assert!((20..=2 * 50 + 18).contains(&calls), "{calls}");
    let trouble = world.snapshot().trouble().cloned().unwrap();
    assert_eq!(trouble.class, Class::TokenRejected);
    world.mend();
    world.pass(400).await;
    assert_eq!(world.signature_is_accepted(), Some(true));
    assert_eq!(world.snapshot().trouble(), None);
}

#[tokio::test(start_paused = true)]
async fn while_wechat_is_down_pages_are_signed_to_the_end_of_the_ticket_and_again_after_it() {
    let world = World::new(TokenApi::Classic);
    world.pass_until(4000).await;
    world.simulator.inject(FaultRule::new(Fault::Unreachable));
    let snapshot = world.snapshot();
    let ticket = snapshot.ticket(world.clock.moment()).unwrap();
    let end = ticket.credential.first_seen + Duration::from_secs(7170);
    while world.clock.now() < end {
        assert_eq!(
            world.signature_is_accepted(),
            Some(true),
            "{} s after the start",
            world.age()
        );
        world.pass(10).await;
    }

    // Nothing is signed with what may be dead; the reason and the time to ask again are told.
    world.pass(700).await;
    assert_eq!(world.signature_is_accepted(), None);
    let account = kept(world.keeper());
    let unavailable = world
        .keeper()
        .available(&account, Kind::JsapiTicket, Duration::from_secs(8))
        .await
        .unwrap_err();
    assert_eq!(unavailable.trouble.unwrap().class, Class::Transient);
    let retry_after = unavailable.retry_after.as_secs();
    assert!((1..=330).contains(&retry_after), "{retry_after}");

    world.mend();
    world.pass(331).await;
    assert_eq!(world.signature_is_accepted(), Some(true));
    assert_eq!(world.snapshot().trouble(), None);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_dies_while_it_fetches_costs_one_token_more() {
    for token_api in [TokenApi::Classic, TokenApi::Stable] {
        let mut world = World::new(token_api);
        world.turn(|knobs| knobs.latency = Duration::from_secs(5));
        world.pass(2).await;
        assert_eq!(world.token_calls(), 1);
        world.kill_node();
        world.add_node();
        // The dead node's lease must end first.
        world.pass(20).await;
        assert_eq!(world.token_calls(), 1, "{token_api:?}");
        world.pass(40).await;
        assert_eq!(world.signature_is_accepted(), Some(true), "{token_api:?}");
        world.pass(HOUR).await;
        assert_eq!(world.token_calls(), 2, "{token_api:?}");
        assert!(world.serves_a_token());
    }
}

#[tokio::test(start_paused = true)]
async fn every_node_knows_who_fetches_and_afterwards_who_has_fetched() {
    let world = World::of_nodes(2, TokenApi::Classic);
    world.turn(|knobs| knobs.latency = Duration::from_secs(5));
    let kind = Kind::AccessToken;
    let leases = || {
        let now = world.clock.moment();
        let nodes = world.nodes().iter();
        nodes
            .map(|node| kept(node).snapshot().lease(kind, now).cloned())
            .collect::<Vec<_>>()
    };
    world.pass(4).await;
    let [Some(one), Some(other)] = &leases()[..] else {
        panic!("a node does not know of the lease");
    };
    assert_eq!(one.holder, other.holder);
    assert!(world.nodes().iter().any(|node| node.node() == one.holder));

    world.pass(20).await;
    assert_eq!(leases(), [None, None]);
    for node in world.nodes() {
        let snapshot = Arc::clone(&kept(node).snapshot());
        let token = snapshot.token(world.clock.moment()).unwrap();
        assert_eq!(token.renewed_by.as_deref(), Some(&one.holder));
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_does_not_wait_for_accounts_that_wait_for_their_turn() {
    let clock = Clock::following_tokio(T0);
    let simulator = Arc::new(Simulator::new(clock.clone(), 7));
    let accounts = (0..500).map(|number| Account {
        appid: format!("wx{number:016x}").parse().unwrap(),
        ..account(TokenApi::Classic)
    });
    let (store, node) = (Store::memory(), "node".to_owned());
    let (_keeper, queue) = Keeper::new(clock.clone(), store, simulator, node, accounts.collect());
    let stop = CancellationToken::new();
    let running = tokio::spawn(queue.run(stop.clone()));
    clock.sleep(Duration::from_secs(5)).await;
    stop.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(10), running).await;
    assert!(ended.is_ok_and(|ended| ended.is_ok()));
}

#[test]
fn a_year_passes_without_a_signature_that_is_refused() {
    // Without what watches sockets: there are none, and it takes a third of the time.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let world = World::new(TokenApi::Classic);
        for hour in 1..=365 * 24 {
            world.pass(HOUR).await;
            assert_eq!(world.signature_is_accepted(), Some(true), "hour {hour}");
        }
        let (tokens, tickets) = (world.token_calls(), world.ticket_calls());
        assert!((17 * 365..=18 * 365).contains(&tokens), "{tokens}");
        assert!((275 * 365..=300 * 365).contains(&tickets), "{tickets}");
    });
}
