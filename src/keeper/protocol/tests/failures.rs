//! What a failure asks for, and until when.

use super::*;

#[test]
fn a_failure_is_remembered_over_a_restart_but_not_over_a_new_secret() {
    let mut store = Record::default();
    let mut node = Node::new(CLASSIC);
    let attempt = node.lease(&mut store, at(0));
    store = fail(&store, attempt, &refused(40125), secret(), at(0).wall, 0.5);
    assert_eq!(store.lease, None);

    let mut restarted = Node::new(CLASSIC);
    assert_eq!(wait_of(restarted.look(&mut store, at(1)), at(1)), 9);
    let other = Secret::new("the right one").fingerprint();
    let plan = plan(CLASSIC, &appid(), other, &restarted.local, at(1));
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
        store = fail(&store, attempt, &refused(-1), secret(), now.wall, 0.5);
    }
    node.look(&mut store, at(7000));
    assert_eq!(node.value(), "one");
    let served = node.local.served_until(CLASSIC).unwrap();
    assert_eq!(served.wall, at(7195).wall);
    assert_eq!(served.boot, at(7195).boot);
}
