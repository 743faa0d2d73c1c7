//! How often WeChat is called at most.

use super::*;

#[test]
fn a_rejected_token_is_replaced_at_once_but_not_in_a_loop() {
    let mut store = Record::default();
    let mut node = Node::new(CLASSIC);
    node.renew(&mut store, at(0), "one");
    node.local.reject(1);
    assert_eq!(wait_of(node.look(&mut store, at(10)), at(10)), 50);
    let plan = node.look(&mut store, at(60));
    assert_eq!(plan, Plan::Fetch(Purpose::Rejection));
    node.renew(&mut store, at(60), "two");
    assert!(wait_of(node.look(&mut store, at(200)), at(200)) > 4000);

    // A day on which WeChat rejects everything ends after fifty renewals.
    let mut now = 60;
    while store.calls.rejected < REJECTED_A_DAY {
        now += 60;
        let generation = store.credential.as_ref().unwrap().generation;
        node.local.reject(generation);
        node.renew(&mut store, at(now), &format!("value {now}"));
    }
    let generation = store.credential.as_ref().unwrap().generation;
    node.local.reject(generation);
    assert!(wait_of(node.look(&mut store, at(now + 60)), at(now + 60)) > 4000);
}

#[test]
fn a_quarter_of_the_quota_is_for_what_can_wait_and_half_of_it_for_all() {
    let mut store = Record::default();
    let mut node = Node::new(CLASSIC);
    node.renew(&mut store, at(0), "one");
    store.calls.total = 500;
    assert_eq!(wait_of(node.look(&mut store, at(5200)), at(5200)), 600);
    assert_eq!(
        node.look(&mut store, at(6700)),
        Plan::Fetch(Purpose::Renewal)
    );
    store.calls.total = 1000;
    assert_eq!(wait_of(node.look(&mut store, at(6700)), at(6700)), 600);
    // A new day is a new quota.
    let tomorrow = at(86_400);
    assert_eq!(
        node.look(&mut store, tomorrow),
        Plan::Fetch(Purpose::Renewal)
    );
}
