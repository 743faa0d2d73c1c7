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
