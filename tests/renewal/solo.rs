//! The one node that renews a classic token while a shared store is lost.

use std::sync::atomic::Ordering::Relaxed;

use wxsign::account::TokenApi;
use wxsign::keeper::Keeper;

use super::HOUR;
use super::world::{World, kept};

/// Nodes that share a store, the last of which is solo.
fn cluster(others: usize) -> World {
    let mut world = World::of_nodes(others, TokenApi::Classic);
    world.add_solo_node();
    world
}

fn serves(world: &World, node: &Keeper) -> bool {
    kept(node).snapshot().token(world.clock.moment()).is_some()
}

fn lose_store(world: &World, lost: bool) {
    world.store.unreadable.store(lost, Relaxed);
    world.store.unwritable.store(lost, Relaxed);
}

#[tokio::test(start_paused = true)]
async fn it_alone_renews_what_is_about_to_end_and_the_others_get_it_when_the_store_is_back() {
    let world = cluster(2);
    world.pass(60).await;
    assert_eq!(world.token_calls(), 1);
    lose_store(&world, true);
    // Two thirds of the life have passed, and everybody waits for the store.
    world.pass_until(6_500).await;
    assert_eq!(world.token_calls(), 1);
    // Ten minutes before the end it waits no longer.
    world.pass_until(6_700).await;
    assert_eq!(world.token_calls(), 2);
    // The others serve the old token to its end.
    world.pass_until(7_300).await;
    let [one, two, solo] = world.nodes() else {
        panic!("three nodes");
    };
    assert!(serves(&world, solo) && !serves(&world, one) && !serves(&world, two));
    world.pass_until(6_700 + 3 * HOUR).await;
    assert!(
        (3..=5).contains(&world.token_calls()),
        "{}",
        world.token_calls()
    );
    for node in world.nodes() {
        assert_ne!(world.signature_of(node), Some(false));
    }
    lose_store(&world, false);
    world.pass(90).await;
    for node in world.nodes() {
        let snapshot = kept(node).snapshot().token(world.clock.moment()).cloned();
        let token = snapshot.expect("a token").credential.value;
        assert_eq!(
            Some(token),
            world.simulator.newest_token(&super::world::appid())
        );
    }
}

#[tokio::test(start_paused = true)]
async fn without_one_nobody_fetches_a_classic_token_while_the_store_is_lost() {
    let world = World::of_nodes(3, TokenApi::Classic);
    world.pass(60).await;
    lose_store(&world, true);
    world.pass(4 * HOUR).await;
    assert_eq!(world.token_calls(), 1);
    lose_store(&world, false);
    world.pass(90).await;
    assert_eq!(world.token_calls(), 2);
    assert!(world.serves_the_newest_token());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_can_be_read_but_not_written_is_as_good_as_lost() {
    let world = cluster(1);
    world.pass(60).await;
    world.store.unwritable.store(true, Relaxed);
    world.pass_until(6_500).await;
    assert_eq!(world.token_calls(), 1);
    world.pass_until(6_700).await;
    assert_eq!(world.token_calls(), 2);
    lose_store(&world, false);
    world.pass(90).await;
    assert!(world.serves_the_newest_token());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_for_a_moment_is_waited_for() {
    let world = cluster(0);
    world.pass(60).await;
    // The token is due, and it is lost for less than a minute again and again.
    for _ in 0..3 {
        let now = world.age();
        lose_store(&world, true);
        world.pass_until(now.max(4_780) + 50).await;
        assert_eq!(world.token_calls(), 1);
        lose_store(&world, false);
        world.pass(40).await;
        if world.token_calls() == 2 {
            return;
        }
    }
    panic!("it is renewed when the store is back");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_never_knew_a_token_fetches_none_without_the_store() {
    let world = cluster(0);
    lose_store(&world, true);
    world.pass(HOUR).await;
    assert_eq!(world.token_calls(), 0);
    lose_store(&world, false);
    world.pass(30).await;
    assert!(world.serves_the_newest_token());
}
