//! What becomes of renewal while the store fails.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use wxsign::account::TokenApi;
use wxsign::credential::Kind;
use wxsign::simulator::{Fault, FaultRule};

use super::world::{World, kept};
use super::{DAY, HOUR};

const APIS: [TokenApi; 2] = [TokenApi::Classic, TokenApi::Stable];

/// One node with a store of its own, past its first renewal.
async fn embedded(token_api: TokenApi) -> World {
    let world = World::new(token_api);
    world.store.embedded.store(true, Relaxed);
    world.pass(10).await;
    world
}

#[tokio::test(start_paused = true)]
async fn a_day_without_an_own_store_costs_what_a_day_with_it_costs() {
    for token_api in APIS {
        for (unreadable, unwritable) in [(true, true), (false, true), (true, false)] {
            let world = embedded(token_api).await;
            world.store.unreadable.store(unreadable, Relaxed);
            world.store.unwritable.store(unwritable, Relaxed);
            for minute in 1..=DAY / 60 {
                world.pass(60).await;
                assert_eq!(world.signature_is_accepted(), Some(true), "minute {minute}");
                assert!(world.serves_the_newest_token(), "minute {minute}");
            }
            let (tokens, tickets) = (world.token_calls(), world.ticket_calls());
            assert!(
                tokens <= 18,
                "{token_api:?} {unreadable} {unwritable}: {tokens}"
            );
            assert!(
                tickets <= 300,
                "{token_api:?} {unreadable} {unwritable}: {tickets}"
            );

            // The store is back, and holds what is served: a new process needs no fetch.
            world.store.unreadable.store(false, Relaxed);
            world.store.unwritable.store(false, Relaxed);
            world.pass(HOUR).await;
            assert!(world.serves_the_newest_token());
            let mut world = world;
            let before = world.token_calls();
            world.kill_node();
            world.add_node();
            world.pass(1).await;
            assert!(world.serves_the_newest_token());
            assert_eq!(world.token_calls(), before);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn failures_without_a_store_are_no_flood() {
    for token_api in APIS {
        for unreadable in [false, true] {
            let world = embedded(token_api).await;
            world.store.unreadable.store(unreadable, Relaxed);
            world.store.unwritable.store(true, Relaxed);
            world.simulator.inject(FaultRule::new(Fault::Errcode(-1)));
            let before = world.token_calls();
            world.pass(DAY).await;
            let calls = world.token_calls() - before;
            assert!(calls <= 430, "{token_api:?} {unreadable}: {calls}");
            world.mend();
            world.store.unreadable.store(false, Relaxed);
            world.store.unwritable.store(false, Relaxed);
            world.pass(400).await;
            assert_eq!(world.signature_is_accepted(), Some(true));
            let snapshot = world.snapshot();
            assert_eq!(snapshot.trouble(), None, "what is over is not told");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_classic_token_is_fetched_without_the_store_that_others_share() {
    let world = World::of_nodes(2, TokenApi::Classic);
    world.pass(10).await;
    world.store.unreadable.store(true, Relaxed);
    let before = world.token_calls();
    world.pass(2 * HOUR).await;
    assert_eq!(world.token_calls(), before);
    assert!(!world.serves_a_token());
    world.store.unreadable.store(false, Relaxed);
    world.pass(60).await;
    assert!(world.serves_the_newest_token());
}

#[tokio::test(start_paused = true)]
async fn a_token_that_was_fetched_while_the_store_could_not_be_read_is_not_given_up() {
    let mut world = World::new(TokenApi::Classic);
    world.store.embedded.store(true, Relaxed);
    world.pass(5 * HOUR).await;
    world.kill_node();
    world.store.unreadable.store(true, Relaxed);
    world.add_node();
    world.pass(10).await;
    assert!(world.serves_the_newest_token());
    world.store.unreadable.store(false, Relaxed);
    for _ in 0..60 {
        world.pass(10).await;
        assert!(world.serves_the_newest_token());
    }
}

#[tokio::test(start_paused = true)]
async fn a_stored_ticket_signs_at_once_though_no_token_can_be_had() {
    for token_api in APIS {
        let mut world = World::new(token_api);
        world.pass(6000).await;
        assert_eq!(world.signature_is_accepted(), Some(true));
        world.simulator.inject(FaultRule::new(Fault::Hang));
        world.kill_node();
        world.pass(1000).await;
        world.add_node();
        world.pass(1).await;
        assert_eq!(world.signature_is_accepted(), Some(true), "{token_api:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn requests_that_find_no_ticket_do_not_drive_the_store() {
    let world = World::new(TokenApi::Classic);
    world
        .simulator
        .inject(FaultRule::new(Fault::Errcode(40125)));
    world.pass(1).await;
    let before = world.store.loads.load(Relaxed);
    for _ in 0..1000 {
        let keeper = world.keeper();
        let patience = Duration::from_secs(8);
        let found = keeper
            .available(&kept(keeper), Kind::JsapiTicket, patience)
            .await;
        assert!(found.is_err());
        tokio::task::yield_now().await;
    }
    assert_eq!(world.store.loads.load(Relaxed), before);
}
