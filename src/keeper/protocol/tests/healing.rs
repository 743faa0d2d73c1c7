//! A store that was away, or that went back in time.

use super::*;

#[test]
fn a_store_that_went_back_in_time_is_healed_and_the_token_confirmed() {
    let mut store = Record::default();
    let (mut one, mut two) = (Node::new(CLASSIC), Node::new(CLASSIC));
    one.renew(&mut store, at(0), "one");
    two.look(&mut store, at(1));
    let before = store.clone();
    one.renew(&mut store, at(5200), "two");

    // A failover forgets the last write.
    store = before;
    let plan = one.look(&mut store, at(5240));
    assert_eq!(plan, Plan::Fetch(Purpose::Confirmation));
    assert_eq!((store.strays, store.settled), (1, 0));
    two.look(&mut store, at(5241));
    assert_eq!(two.value(), "two");
    two.renew(&mut store, at(5241), "three");
    assert_eq!((store.strays, store.settled), (1, 1));
    one.look(&mut store, at(5242));
    assert_eq!(one.value(), "three");
}

#[test]
fn who_renewed_a_token_last_stays_with_it_also_in_a_store_that_went_back_in_time() {
    let (mut node, mut store) = (Node::new(CLASSIC), Record::default());
    node.renew(&mut store, at(0), "one");
    store.renewed_by = Some("another".to_owned());
    let before = store.clone();
    node.look(&mut store, at(1));
    assert_eq!(node.local.record.renewed_by.as_deref(), Some("another"));
    node.renew(&mut store, at(5200), "two");
    assert_eq!(store.renewed_by.as_deref(), Some("node"));

    store = before;
    node.look(&mut store, at(5240));
    assert_eq!(store.credential.unwrap().value.expose(), "two");
    assert_eq!(store.renewed_by.as_deref(), Some("node"));
}

#[test]
fn two_nodes_with_one_generation_and_two_values_agree_on_the_stored_one() {
    let mut store = Record::default();
    let mut one = Node::new(CLASSIC);
    one.renew(&mut store, at(0), "mine");
    let mut theirs = store.clone();
    theirs.credential.as_mut().unwrap().value = Secret::new("theirs");
    let plan = one.look(&mut theirs, at(40));
    assert_eq!(one.value(), "theirs");
    assert_eq!(plan, Plan::Fetch(Purpose::Confirmation));
}

#[test]
fn what_was_fetched_while_the_store_was_away_is_stored_when_it_is_back() {
    let mut store = Record::default();
    let mut node = Node::new(CLASSIC);
    node.renew(&mut store, at(0), "one");
    let attempt = node.lease(&mut store, at(5200));
    let record = commit(
        CLASSIC,
        &node.local.record,
        attempt,
        at(5200).wall,
        &issued("two"),
    );
    node.local.hold(record.unwrap(), attempt, at(5200));
    assert_eq!(node.value(), "two");

    let plan = node.look(&mut store, at(5220));
    // Nobody came in between: the lease is still there, so this is the newest token for sure.
    assert!(wait_of(plan, at(5220)) > 4000);
    let stored = store.credential.unwrap();
    assert_eq!(
        (stored.value.expose(), store.strays, store.lease),
        ("two", 0, None)
    );
}

#[test]
fn who_fetched_a_known_value_without_the_store_does_not_turn_its_generation_back() {
    let (mut node, mut store) = (Node::new(Policy::StableToken), Record::default());
    node.renew(&mut store, at(0), "one");
    store.credential.as_mut().unwrap().generation = 25;
    let mut cut_off = Node::new(Policy::StableToken);
    let mut nothing = Record::default();
    cut_off.renew(&mut nothing, at(100), "one");
    cut_off.look(&mut store, at(101));
    let stored = store.credential.as_ref().unwrap();
    assert_eq!((stored.generation, stored.confirmed_at), (25, at(100).wall));
    assert_eq!(cut_off.local.generation(), Some(25));
}

#[test]
fn a_stable_token_that_a_failover_forgot_is_stored_again_and_is_no_stray() {
    let mut store = Record::default();
    let mut node = Node::new(Policy::StableToken);
    node.renew(&mut store, at(0), "one");
    let before = store.clone();
    node.renew(&mut store, at(6950), "two");
    store = before;
    assert!(wait_of(node.look(&mut store, at(6990)), at(6990)) > 6000);
    assert_eq!(store.strays, 0);
    assert_eq!(store.credential.unwrap().value.expose(), "two");
}

#[test]
fn what_was_fetched_while_the_store_was_away_settles_only_the_strays_before_it() {
    let mut store = Record::default();
    let mut node = Node::new(CLASSIC);
    node.renew(&mut store, at(0), "one");
    store.count_stray(at(100).wall);
    let attempt = node.lease(&mut store, at(130));
    // The store hears of another stray, but not of what this node has fetched.
    store = count_stray(&store, Attempt::number(7), at(120).wall);
    node.fetch_unheard(attempt, at(135), "two");

    node.look(&mut store, at(140));
    assert_eq!(node.value(), "two");
    assert_eq!((store.strays, store.settled), (2, 1));
    assert_eq!(store.strayed_at, Some(at(135).wall));
    let plan = node.look(&mut store, at(165));
    assert_eq!(plan, Plan::Fetch(Purpose::Confirmation));
}

#[test]
fn what_was_fetched_while_the_store_was_away_ends_a_backoff_that_began_before() {
    for value in ["one", "two"] {
        for (failed_at, is_over) in [(6955, true), (6960, true), (6965, false)] {
            let mut store = Record::default();
            let mut node = Node::new(Policy::StableToken);
            node.renew(&mut store, at(0), "one");
            let attempt = node.lease(&mut store, at(6950));
            let failed_at = at(failed_at).wall;
            let error = refused(40125);
            store.backoff = Some(backoff::after(None, &error, caller(), failed_at, 0.5));
            node.fetch_unheard(attempt, at(6960), value);
            node.look(&mut store, at(6970));
            assert_eq!(store.credential.unwrap().confirmed_at, at(6960).wall);
            assert_eq!(store.backoff.is_none(), is_over, "{value} {failed_at:?}");
        }
    }
}

#[test]
fn a_success_that_is_stored_already_ends_no_backoff_beside_it() {
    let mut store = Record::default();
    let mut node = Node::new(CLASSIC);
    node.renew(&mut store, at(0), "one");
    // A node whose clock is behind has failed since.
    store.backoff = Some(backoff::after(
        None,
        &refused(40125),
        caller(),
        at(0).wall,
        0.5,
    ));
    let before = store.clone();
    node.look(&mut store, at(5));
    assert_eq!(store, before);
}

/// The credential of another node, stored as `generation` and confirmed at `time`.
fn store_theirs(store: &mut Record, generation: u64, time: u64) {
    let theirs = store.credential.as_mut().unwrap();
    theirs.value = Secret::new("theirs");
    theirs.generation = generation;
    theirs.confirmed_at = at(time).wall;
    theirs.expires_at = at(time + 7200).wall;
    store.lease = None;
}

#[test]
fn what_was_fetched_last_and_alone_comes_after_all_that_others_stored_meanwhile() {
    let mut store = Record::default();
    let mut node = Node::new(Policy::StableToken);
    node.renew(&mut store, at(0), "one");
    let attempt = node.lease(&mut store, at(6950));
    node.fetch_unheard(attempt, at(6960), "alone");
    assert_eq!(node.local.generation(), Some(2));
    store_theirs(&mut store, 5, 6955);
    node.look(&mut store, at(7000));
    let stored = store.credential.as_ref().unwrap();
    assert_eq!((stored.value.expose(), stored.generation), ("alone", 6));
    assert_eq!(node.local.generation(), Some(6));
}

#[test]
fn what_was_fetched_alone_gives_way_to_what_others_fetched_later() {
    let mut store = Record::default();
    let mut node = Node::new(Policy::StableToken);
    node.renew(&mut store, at(0), "one");
    let attempt = node.lease(&mut store, at(6950));
    node.fetch_unheard(attempt, at(6960), "alone");
    store_theirs(&mut store, 5, 6965);
    node.look(&mut store, at(7000));
    assert_eq!(node.value(), "theirs");
    assert_eq!(node.local.generation(), Some(5));
}

#[test]
fn once_it_is_stored_what_was_fetched_alone_gives_way_to_the_next_generation() {
    let mut store = Record::default();
    let mut node = Node::new(Policy::StableToken);
    node.renew(&mut store, at(0), "one");
    let attempt = node.lease(&mut store, at(6950));
    node.fetch_unheard(attempt, at(6960), "alone");
    node.look(&mut store, at(7000));
    // The clock of the other node is behind; the generation says which one is newer.
    store_theirs(&mut store, 3, 6900);
    node.look(&mut store, at(7010));
    assert_eq!(node.value(), "theirs");
    assert_eq!(node.local.generation(), Some(3));
}
