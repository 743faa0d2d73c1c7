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
fn a_lease_or_a_backoff_from_another_clock_does_not_block() {
    let mut store = Record::default();
    Node::new(CLASSIC).lease(&mut store, at(100_000));
    store.calls = Calls::default();
    let mut node = Node::new(CLASSIC);
    assert!(matches!(node.look(&mut store, at(0)), Plan::Fetch(_)));

    let mut store = Record::default();
    let attempt = node.lease(&mut store, at(100_000));
    store = fail(
        &store,
        attempt,
        &refused(89506),
        secret(),
        at(100_000).wall,
        0.5,
    );
    let mut node = Node::new(CLASSIC);
    assert!(matches!(node.look(&mut store, at(0)), Plan::Fetch(_)));
}
