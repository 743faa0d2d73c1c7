//! How often WeChat is called at most.

use super::*;

/// The first midnight in China, in seconds after [`T0`].
const MIDNIGHT: u64 = 64_000;

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

#[test]
fn ten_fetches_a_day_make_sure_that_no_stray_took_the_token() {
    let mut store = Record::default();
    let mut node = Node::new(CLASSIC);
    node.renew(&mut store, at(63_000), "one");
    for time in (63_060..).step_by(60).take(10) {
        store.count_stray(at(time).wall);
        let plan = node.look(&mut store, at(time));
        assert_eq!(plan, Plan::Fetch(Purpose::Confirmation));
        node.renew(&mut store, at(time), &format!("value {time}"));
    }
    // The eleventh stray of the day must wait: for the end of the token that it may have taken …
    store.count_stray(at(63_900).wall);
    assert_eq!(
        wait_of(node.look(&mut store, at(63_999)), at(63_999)),
        63_900 + 280 - 63_999
    );
    // … or for the next day, which begins at midnight in China.
    let plan = node.look(&mut store, at(MIDNIGHT));
    assert_eq!(plan, Plan::Fetch(Purpose::Confirmation));
}

#[test]
fn the_calls_of_one_day_are_not_counted_on_another() {
    let mut store = Record::default();
    let mut node = Node::new(CLASSIC);
    node.renew(&mut store, at(MIDNIGHT - 6000), "one");
    let day = store.calls.day;
    store.calls = Calls {
        total: 400,
        confirming: 10,
        rejected: 50,
        ..store.calls
    };
    node.renew(&mut store, at(MIDNIGHT), "two");
    let calls = Calls {
        day: day + 1,
        total: 1,
        ..Calls::default()
    };
    assert_eq!(store.calls, calls);
    // Nor are those of a day that has not come yet, which a wrong clock has named.
    store = Record::default();
    store.calls = Calls {
        day: day + 2,
        total: 1000,
        ..Calls::default()
    };
    let plan = Node::new(CLASSIC).look(&mut store, at(MIDNIGHT));
    assert_eq!(plan, Plan::Fetch(Purpose::Renewal));
}

#[test]
fn a_lease_left_open_on_a_day_of_many_confirmations_is_left_until_the_token_ends() {
    let mut store = Record::default();
    Node::new(CLASSIC).renew(&mut store, at(0), "one");
    Node::new(CLASSIC).lease(&mut store, at(5100));
    store.calls.confirming = CONFIRMING_A_DAY;
    store.credential.as_mut().unwrap().confirmed_at = at(5000).wall;
    let mut node = Node::new(CLASSIC);
    assert_eq!(wait_of(node.look(&mut store, at(5110)), at(5110)), 20);
    // 280 s after the lease was taken, what it may have brought supersedes the token.
    assert_eq!(wait_of(node.look(&mut store, at(5140)), at(5140)), 240);
}
