//! What a failure asks for, and until when.

use super::*;

#[test]
fn a_failure_is_remembered_over_a_restart_but_not_over_a_new_secret() {
    let mut store = Record::default();
    let mut node = Node::new(CLASSIC);
    let attempt = node.lease(&mut store, at(0));
    store = fail(&store, attempt, &refused(40125), caller(), at(0).wall, 0.5);
    assert_eq!(store.lease, None);

    let mut restarted = Node::new(CLASSIC);
    assert_eq!(wait_of(restarted.look(&mut store, at(1)), at(1)), 9);
    let other = Secret::new("the right one").fingerprint();
    let plan = plan(CLASSIC, &appid(), with(other), &restarted.local, at(1));
    assert_eq!(plan, Plan::Fetch(Purpose::Renewal));
}

#[test]
fn a_failure_takes_nothing_away() {
    let mut store = Record::default();
    let mut node = Node::new(CLASSIC);
    node.renew(&mut store, at(0), "one");
    for _ in 0..50 {
        let now = at(6000);
        store.backoff = None;
        let attempt = node.lease(&mut store, now);
        store = fail(&store, attempt, &refused(-1), caller(), now.wall, 0.5);
    }
    node.look(&mut store, at(7000));
    assert_eq!(node.value(), "one");
    let served = node.local.served_until(CLASSIC).unwrap();
    assert_eq!(served.wall, at(7195).wall);
    assert_eq!(served.boot, at(7195).boot);
}

#[test]
fn a_success_ends_what_failures_asked_for() {
    let mut store = Record::default();
    let mut node = Node::new(CLASSIC);
    let attempt = node.lease(&mut store, at(0));
    store = fail(&store, attempt, &refused(-1), caller(), at(0).wall, 0.5);
    assert!(store.backoff.is_some());
    node.renew(&mut store, at(1), "one");
    assert_eq!(store.backoff, None);
}

#[test]
fn a_failure_under_a_lost_lease_does_not_hold_up_who_took_it_over() {
    let mut store = Record::default();
    let (mut slow, mut quick) = (Node::new(CLASSIC), Node::new(CLASSIC));
    let late = slow.lease(&mut store, at(0));
    quick.lease(&mut store, at(31));
    let failed = fail(&store, late, &refused(40125), caller(), at(32).wall, 0.5);
    assert_eq!(failed, store);
}

#[test]
fn a_failure_that_the_store_was_not_told_of_counts_all_the_same() {
    let mut store = Record::default();
    let mut node = Node::new(Policy::StableToken);
    let attempt = node.lease(&mut store, at(0));
    node.fails_unheard(attempt, at(0), secret());
    // The store is back and knows of nothing but the lease.
    assert_eq!(wait_of(node.look(&mut store, at(1)), at(1)), 9);
    let attempt = node.lease(&mut store, at(31));
    store = fail(&store, attempt, &refused(40125), caller(), at(31).wall, 0.5);
    assert_eq!(store.backoff.unwrap().tries, 2);
}

#[test]
fn a_failure_that_the_store_was_not_told_of_outweighs_an_older_one_that_it_knows() {
    let mut store = Record::default();
    let mut node = Node::new(Policy::StableToken);
    let attempt = node.lease(&mut store, at(0));
    store = fail(&store, attempt, &refused(40125), caller(), at(0).wall, 0.5);
    node.look(&mut store, at(10));
    let attempt = node.lease(&mut store, at(10));
    node.fails_unheard(attempt, at(10), secret());
    // Its lease is over by then, its wait is not.
    assert_eq!(wait_of(node.look(&mut store, at(41)), at(41)), 29);
}

#[test]
fn a_failure_that_the_store_was_not_told_of_ends_with_a_success() {
    let mut store = Record::default();
    let mut node = Node::new(Policy::StableToken);
    let attempt = node.lease(&mut store, at(0));
    let wrong = Secret::new("the wrong one").fingerprint();
    node.fails_unheard(attempt, at(0), wrong);
    node.renew(&mut store, at(31), "one");
    assert_eq!(node.local.backoff(), None);
}

#[test]
fn a_failure_that_the_store_was_not_told_of_ends_with_the_success_of_another_node() {
    let mut store = Record::default();
    let (mut node, mut other) = (
        Node::new(Policy::StableToken),
        Node::new(Policy::StableToken),
    );
    let attempt = node.lease(&mut store, at(0));
    node.fails_unheard(attempt, at(0), secret());
    other.renew(&mut store, at(31), "one");
    node.look(&mut store, at(32));
    assert_eq!(node.value(), "one");
    assert_eq!(node.local.backoff(), None);
}

#[test]
fn what_a_human_may_have_mended_is_tried_again_and_a_quota_is_waited_for() {
    for (errcode, is_waited_for) in [(40125, false), (40164, false), (45009, true)] {
        let mut store = Record::default();
        let mut node = Node::new(CLASSIC);
        let attempt = node.lease(&mut store, at(0));
        store = fail(
            &store,
            attempt,
            &refused(errcode),
            caller(),
            at(0).wall,
            0.5,
        );
        assert!(matches!(node.look(&mut store, at(1)), Plan::Wait(_)));
        node.local.pardon();
        let plan = node.look(&mut store, at(1));
        assert_eq!(matches!(plan, Plan::Wait(_)), is_waited_for, "{errcode}");
    }
}
