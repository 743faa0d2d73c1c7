//! The rules, one story each. The record stands for the store; a `Node` is one process.

use super::super::reconcile::{DISTRUSTED_LIFE, reconcile};
use super::*;
use crate::credential::Secret;
use crate::upstream::{Api, Failure};

const T0: Timestamp = Timestamp::from_secs(1_700_000_000);
const CLASSIC: Policy = Policy::ClassicToken;

fn at(seconds: u64) -> Moment {
    let since = Duration::from_secs(seconds);
    Moment {
        wall: T0 + since,
        boot: Duration::from_secs(5_000) + since,
    }
}

fn appid() -> AppId {
    "wx0123456789abcdef".parse().unwrap()
}

fn secret() -> Fingerprint {
    Secret::new("appsecret").fingerprint()
}

fn issued(value: &str) -> Issued {
    Issued {
        value: Secret::new(value),
        lifetime: Duration::from_secs(7200),
    }
}

fn refused(errcode: i64) -> UpstreamError {
    UpstreamError {
        api: Api::Token,
        failure: Failure::Refused {
            errcode,
            errmsg: String::new(),
        },
    }
}

/// One process, working on a record that it shares.
struct Node {
    policy: Policy,
    local: Local,
}

impl Node {
    fn new(policy: Policy) -> Self {
        Self {
            policy,
            local: Local::default(),
        }
    }

    /// Loads the record, sets right what must be, and says what comes next.
    fn look(&mut self, store: &mut Record, now: Moment) -> Plan {
        match reconcile(self.policy, store, &self.local, now) {
            Some(mended) => {
                *store = mended.record.clone();
                mended.written(&mut self.local, now);
            }
            None => self.local.saw(store.clone(), now),
        }
        plan(self.policy, &appid(), secret(), &self.local, now)
    }

    /// Takes the lease; the plan must have been to fetch.
    fn lease(&mut self, store: &mut Record, now: Moment) -> Attempt {
        let Plan::Fetch(purpose) = self.look(store, now) else {
            panic!("nothing to fetch");
        };
        let attempt = Attempt::random();
        *store = take_lease(self.policy, &self.local, purpose, attempt, "node", now.wall);
        self.local.saw(store.clone(), now);
        attempt
    }

    /// Fetches `value` and commits it in no time.
    fn renew(&mut self, store: &mut Record, now: Moment, value: &str) {
        let attempt = self.lease(store, now);
        *store = commit(self.policy, store, attempt, now.wall, &issued(value)).unwrap();
        self.local.saw(store.clone(), now);
    }

    fn value(&self) -> &str {
        self.local
            .record
            .credential
            .as_ref()
            .unwrap()
            .value
            .expose()
    }
}

fn wait_of(plan: Plan, now: Moment) -> u64 {
    match plan {
        Plan::Wait(until) => until.since(now.wall).as_secs(),
        Plan::Fetch(purpose) => panic!("fetches: {purpose:?}"),
    }
}

#[test]
fn an_empty_record_is_filled_and_then_left_alone_until_it_is_due() {
    let (mut node, mut store) = (Node::new(CLASSIC), Record::default());
    node.renew(&mut store, at(0), "one");
    let wait = wait_of(node.look(&mut store, at(0)), at(0));
    assert!((4800..=5100).contains(&wait), "{wait}");
    assert_eq!(store.lease, None);
    assert_eq!(store.calls.total, 1);
    node.renew(&mut store, at(5200), "two");
    let credential = store.credential.unwrap();
    assert_eq!(
        (credential.value.expose(), credential.generation),
        ("two", 2)
    );
}

#[test]
fn a_second_node_waits_for_the_lease_of_the_first() {
    let mut store = Record::default();
    let (mut first, mut second) = (Node::new(CLASSIC), Node::new(CLASSIC));
    let attempt = first.lease(&mut store, at(0));
    assert_eq!(wait_of(second.look(&mut store, at(1)), at(1)), 2);
    store = commit(CLASSIC, &store, attempt, at(0).wall, &issued("one")).unwrap();
    assert!(wait_of(second.look(&mut store, at(2)), at(2)) > 4000);
    assert_eq!(second.value(), "one");
}

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
        secret(),
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
fn a_ticket_that_names_its_end_is_asked_for_again_at_that_end() {
    let (mut node, mut store) = (Node::new(Policy::Ticket), Record::default());
    let attempt = node.lease(&mut store, at(0));
    let short = Issued {
        lifetime: Duration::from_secs(20),
        ..issued("one")
    };
    store = commit(Policy::Ticket, &store, attempt, at(0).wall, &short).unwrap();
    assert_eq!(wait_of(node.look(&mut store, at(19)), at(19)), 30 - 19);
    let last_seconds = at(20).wall.before(Duration::from_millis(10));
    let now = Moment {
        wall: last_seconds,
        ..at(19)
    };
    let Plan::Wait(until) = node.look(&mut store, now) else {
        panic!("asked before the end");
    };
    assert_eq!(until, at(20).wall);
}

#[test]
fn a_ticket_that_comes_again_is_confirmed_and_keeps_its_age() {
    let mut store = Record::default();
    let mut node = Node::new(Policy::Ticket);
    node.renew(&mut store, at(0), "ticket");
    node.renew(&mut store, at(400), "ticket");
    let credential = store.credential.as_ref().unwrap();
    assert_eq!(credential.generation, 1);
    assert_eq!(
        (credential.first_seen, credential.confirmed_at),
        (T0, at(400).wall)
    );
    assert_eq!(credential.expires_at, at(7200).wall);
    assert_eq!(credential.claimed_until, at(7600).wall);
    node.renew(&mut store, at(800), "another");
    let credential = store.credential.as_ref().unwrap();
    assert_eq!(
        (credential.generation, credential.first_seen),
        (2, at(800).wall)
    );
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
