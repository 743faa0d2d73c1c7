//! Fetches whose tokens nobody may hold.

use super::*;

#[test]
fn a_crash_between_lease_and_commit_costs_one_fetch_that_settles_it() {
    let mut store = Record::default();
    let mut dead = Node::new(CLASSIC);
    dead.renew(&mut store, at(0), "one");
    dead.lease(&mut store, at(5200));

    let mut next = Node::new(CLASSIC);
    assert!(matches!(next.look(&mut store, at(5210)), Plan::Wait(_)));
    // What the dead node may have sent may have superseded "one": counted when its lease ends.
    next.renew(&mut store, at(5231), "two");
    assert_eq!((store.strays, store.settled), (1, 1));
    assert!(wait_of(next.look(&mut store, at(5231)), at(5231)) > 4000);
}

#[test]
fn a_lost_lease_is_a_stray_and_a_fetch_that_began_before_it_does_not_settle_it() {
    let mut store = Record::default();
    let (mut slow, mut quick) = (Node::new(CLASSIC), Node::new(CLASSIC));
    // The slow node sends and is paused past its lease …
    let late = slow.lease(&mut store, at(0));
    // … the quick one takes over, and sends.
    let attempt = quick.lease(&mut store, at(31));
    // The slow one wakes up with an answer and finds its lease gone.
    assert_eq!(
        commit(CLASSIC, &store, late, at(29).wall, &issued("late")),
        None
    );
    store = count_stray(&store, late, at(29).wall);
    slow.local.saw(store.clone(), at(32));
    slow.local.counted(at(29).wall);
    assert_eq!((store.strays, store.settled), (2, 0));
    // The quick one's lease stands, but its fetch began before the second stray was counted.
    store = commit(CLASSIC, &store, attempt, at(31).wall, &issued("quick")).unwrap();
    assert_eq!((store.strays, store.settled), (2, 1));
    // So what it brought is served for a while only, and one more fetch confirms.
    assert!(CLASSIC.served_until(&store).unwrap() < at(31 + 300).wall);
    let plan = quick.look(&mut store, at(62));
    assert_eq!(plan, Plan::Fetch(Purpose::Confirmation));
    quick.renew(&mut store, at(62), "sure");
    assert_eq!((store.strays, store.settled), (2, 2));
    assert!(CLASSIC.served_until(&store).unwrap() > at(7000).wall);
    assert!(matches!(slow.look(&mut store, at(63)), Plan::Wait(_)));
    assert_eq!(slow.value(), "sure");
    // Its stray is settled with the second one: nothing is left to be raised again.
    assert_eq!(slow.local.raised, None);
}

#[test]
fn with_a_stable_token_strays_do_not_matter() {
    let mut store = Record::default();
    let mut dead = Node::new(Policy::StableToken);
    dead.renew(&mut store, at(0), "one");
    dead.lease(&mut store, at(6950));
    let mut next = Node::new(Policy::StableToken);
    next.renew(&mut store, at(6981), "two");
    assert_eq!(store.strays, 0);
}

#[test]
fn a_timeout_after_sending_is_a_stray_that_is_followed_up_at_once() {
    let mut store = Record::default();
    let mut node = Node::new(CLASSIC);
    node.renew(&mut store, at(0), "one");
    let attempt = node.lease(&mut store, at(5200));
    let now = at(5210);
    store = fail(
        &store,
        attempt,
        &UpstreamError::timed_out(Api::Token),
        caller(),
        now.wall,
        0.5,
    );
    store = count_stray(&store, attempt, at(5200).wall);
    node.local.saw(store.clone(), now);
    node.local.counted(at(5200).wall);
    assert_eq!(store.lease, None);
    assert_eq!(wait_of(node.look(&mut store, now), now), 2);
    assert_eq!(node.value(), "one");
    let served = node.local.served_until(CLASSIC).unwrap();
    assert_eq!(served.wall, at(5200 + 280).wall);
    node.renew(&mut store, at(5213), "two");
    assert_eq!((store.strays, store.settled), (1, 1));
}

#[test]
fn a_stray_that_a_failover_forgot_is_raised_again_until_it_is_settled() {
    let mut store = Record::default();
    let (mut late, mut other) = (Node::new(CLASSIC), Node::new(CLASSIC));
    other.renew(&mut store, at(0), "one");
    let attempt = late.lease(&mut store, at(5200));
    let before = store.clone();
    store = count_stray(&store, attempt, at(5200).wall);
    late.local.saw(store.clone(), at(5200));
    late.local.counted(at(5200).wall);
    // The failover forgets the stray but not the lease.
    store = before;
    late.look(&mut store, at(5201));
    assert_eq!((store.strays, store.settled), (1, 0));
    other.renew(&mut store, at(5231), "two");
    assert!(store.settled >= 1);
    late.look(&mut store, at(5232));
    assert!(late.local.raised.is_none());
}

#[test]
fn a_lease_under_which_nothing_was_sent_is_no_stray() {
    let mut store = Record::default();
    let mut node = Node::new(CLASSIC);
    let attempt = node.lease(&mut store, at(0));
    node.local.gave_up(attempt);
    // The store could not be told; the lease stands there, and is taken over.
    node.renew(&mut store, at(1), "one");
    assert_eq!(store.strays, 0);
    assert_eq!(release(&store, attempt), store);
}

#[test]
fn strays_of_a_classic_token_do_not_matter_once_the_account_uses_stable_ones() {
    let mut store = Record::default();
    Node::new(CLASSIC).renew(&mut store, at(0), "one");
    store.count_stray(at(10).wall);
    let mut node = Node::new(Policy::StableToken);
    assert!(wait_of(node.look(&mut store, at(60)), at(60)) > 6000);
}

#[test]
fn a_lost_answer_gives_its_own_lease_back_and_no_other() {
    let mut store = Record::default();
    let mut node = Node::new(CLASSIC);
    let attempt = node.lease(&mut store, at(0));
    assert_eq!(count_stray(&store, attempt, at(0).wall).lease, None);
    let other = count_stray(&store, Attempt::number(7), at(0).wall);
    assert_eq!(other.lease, store.lease);
}

#[test]
fn who_gives_up_gives_its_own_lease_back_and_no_other() {
    let mut store = Record::default();
    let mut node = Node::new(CLASSIC);
    let attempt = node.lease(&mut store, at(0));
    assert_eq!(release(&store, Attempt::number(7)), store);
    assert_eq!(release(&store, attempt).lease, None);
}

#[test]
fn a_stray_that_is_still_counted_is_not_raised_again() {
    let mut store = Record::default();
    let (mut slow, mut quick) = (Node::new(CLASSIC), Node::new(CLASSIC));
    let late = slow.lease(&mut store, at(0));
    let attempt = quick.lease(&mut store, at(31));
    store = count_stray(&store, late, at(0).wall);
    slow.local.saw(store.clone(), at(32));
    slow.local.counted(at(0).wall);
    store = commit(CLASSIC, &store, attempt, at(31).wall, &issued("quick")).unwrap();
    let before = store.clone();
    // Raised again, it would date from its own sending, and cut what is newer than that.
    slow.look(&mut store, at(40));
    assert_eq!(store, before);
    let served = slow.local.served_until(CLASSIC).unwrap();
    assert_eq!(served.wall, at(31 + 280).wall);
}

#[test]
fn two_strays_that_a_failover_forgot_are_both_raised_from_the_first_on() {
    let mut store = Record::default();
    let mut late = Node::new(CLASSIC);
    late.renew(&mut store, at(0), "one");
    let before = store.clone();
    for sent in [5200, 5205] {
        store.count_stray(at(sent).wall);
        late.local.saw(store.clone(), at(5210));
        late.local.counted(at(sent).wall);
    }
    store = before;
    late.look(&mut store, at(5220));
    assert_eq!((store.strays, store.settled), (2, 0));
    assert_eq!(store.strayed_at, Some(at(5200).wall));
}

#[test]
fn strays_that_the_store_was_not_told_of_are_counted_once_it_is_back() {
    let mut store = Record::default();
    let mut node = Node::new(CLASSIC);
    node.renew(&mut store, at(0), "one");
    let before = store.clone();
    node.local.owes(CLASSIC, at(100));
    node.local.owes(CLASSIC, at(200));
    let served = node.local.served_until(CLASSIC).unwrap();
    assert_eq!(served.wall, at(100 + 280).wall);

    node.look(&mut store, at(210));
    assert_eq!((store.strays, store.strayed_at), (1, Some(at(100).wall)));
    node.look(&mut store, at(211));
    assert_eq!(store.strays, 1);
    // A failover forgets it; the node does not.
    store = before;
    node.look(&mut store, at(212));
    assert_eq!((store.strays, store.strayed_at), (1, Some(at(100).wall)));
}

#[test]
fn with_a_stable_token_nothing_is_owed() {
    let mut store = Record::default();
    let mut node = Node::new(Policy::StableToken);
    node.renew(&mut store, at(0), "one");
    node.local.owes(Policy::StableToken, at(100));
    assert_eq!(node.local.owed, None);
    assert_eq!(node.local.record, store);
}

#[test]
fn who_holds_a_lease_may_have_superseded_the_token_since_it_was_taken() {
    let mut store = Record::default();
    let mut node = Node::new(CLASSIC);
    node.renew(&mut store, at(0), "one");
    let served = |node: &Node| node.local.served_until(CLASSIC).unwrap().wall;
    node.lease(&mut store, at(5200));
    assert_eq!(served(&node), at(5200 + 280).wall);
    // Of a stray and a lease the earlier one counts.
    store.count_stray(at(5100).wall);
    node.look(&mut store, at(5210));
    assert_eq!(served(&node), at(5100 + 280).wall);
}
