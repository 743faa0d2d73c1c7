//! Clocks that are wrong, or were set.

use super::*;

#[test]
fn a_wall_clock_that_is_set_back_makes_nothing_younger() {
    let mut store = Record::default();
    let mut node = Node::new(CLASSIC);
    node.renew(&mut store, at(0), "one");
    let set_back = |seconds| Moment {
        wall: at(seconds - 200).wall,
        boot: at(seconds).boot,
    };
    assert!(matches!(
        node.look(&mut store, set_back(5200)),
        Plan::Fetch(_)
    ));
    assert_eq!(node.local.latest(set_back(5200)), at(5200).wall);
}

#[test]
fn a_record_from_another_clock_is_used_for_a_short_while_and_replaced() {
    let mut store = Record::default();
    Node::new(CLASSIC).renew(&mut store, at(100_000), "future");
    let mut node = Node::new(CLASSIC);
    assert_eq!(node.look(&mut store, at(0)), Plan::Fetch(Purpose::Renewal));
    assert_eq!(node.value(), "future");
    let served = node.local.served_until(CLASSIC).unwrap();
    assert!(served.wall.since(at(0).wall) <= DISTRUSTED_LIFE);
}

#[test]
fn a_lease_from_another_clock_ends_when_one_of_this_clock_would() {
    for ahead in [20, 200, 3600] {
        let mut store = Record::default();
        Node::new(CLASSIC).lease(&mut store, at(ahead));
        store.calls = Calls::default();
        let mut node = Node::new(CLASSIC);
        assert!(matches!(node.look(&mut store, at(0)), Plan::Wait(_)));
        assert!(matches!(node.look(&mut store, at(29)), Plan::Wait(_)));
        assert!(matches!(node.look(&mut store, at(30)), Plan::Fetch(_)));
    }
}

#[test]
fn a_backoff_from_another_clock_does_not_block() {
    let mut node = Node::new(CLASSIC);

    let mut store = Record::default();
    let attempt = node.lease(&mut store, at(100_000));
    store = fail(
        &store,
        attempt,
        &refused(89506),
        caller(),
        at(100_000).wall,
        0.5,
    );
    let mut node = Node::new(CLASSIC);
    assert!(matches!(node.look(&mut store, at(0)), Plan::Fetch(_)));
}

/// A reading of both clocks after the wall clock was set back by an hour.
fn an_hour_behind(seconds: u64) -> Moment {
    Moment {
        wall: at(seconds - 3600).wall,
        boot: at(seconds).boot,
    }
}

#[test]
fn a_node_trusts_its_own_token_though_the_wall_clock_was_set_back() {
    let mut store = Record::default();
    let mut node = Node::new(CLASSIC);
    node.renew(&mut store, at(10_000), "one");
    let before = store.clone();
    node.look(&mut store, an_hour_behind(10_100));
    assert_eq!(store, before);
}

#[test]
fn what_is_fetched_after_the_wall_clock_was_set_back_is_measured_anew() {
    let mut store = Record::default();
    let mut node = Node::new(CLASSIC);
    node.renew(&mut store, at(10_000), "one");
    node.renew(&mut store, an_hour_behind(15_200), "two");
    let now = an_hour_behind(15_300);
    assert_eq!(node.local.latest(now), now.wall);
    assert!(wait_of(node.look(&mut store, now), now) > 4000);
}

#[test]
fn a_life_that_is_too_long_to_be_true_is_cut() {
    let mut store = Record::default();
    Node::new(CLASSIC).renew(&mut store, at(0), "one");
    store.credential.as_mut().unwrap().expires_at = at(100_000).wall;
    let mut node = Node::new(CLASSIC);
    assert_eq!(node.look(&mut store, at(60)), Plan::Fetch(Purpose::Renewal));
    let served = node.local.served_until(CLASSIC).unwrap();
    assert!(served.wall.since(at(60).wall) <= DISTRUSTED_LIFE);
}

#[test]
fn a_ticket_from_another_clock_ends_as_an_old_one_does() {
    let mut store = Record::default();
    Node::new(Policy::Ticket).renew(&mut store, at(100_000), "future");
    let mut node = Node::new(Policy::Ticket);
    node.look(&mut store, at(0));
    let served = node.local.served_until(Policy::Ticket).unwrap();
    assert_eq!(served.wall, at(600 - 30).wall);
}

#[test]
fn a_lease_of_a_node_whose_clock_is_a_little_ahead_is_respected() {
    let mut store = Record::default();
    Node::new(CLASSIC).lease(&mut store, at(200));
    let mut node = Node::new(CLASSIC);
    assert_eq!(wait_of(node.look(&mut store, at(0)), at(0)), 2);
}
