//! The rules, one story each. The record stands for the store; a `Node` is one process.

mod clocks;
mod failures;
mod healing;
mod limits;
mod robbery;
mod strays;
mod tickets;

use super::super::reconcile::{DISTRUSTED_LIFE, reconcile};
use super::*;
use crate::credential::{Fingerprint, Secret};
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

fn caller() -> Caller<'static> {
    with(secret())
}

const fn with(secret: Fingerprint) -> Caller<'static> {
    Caller {
        secret,
        host: "host",
    }
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
        plan(self.policy, &appid(), caller(), &self.local, now)
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
        self.local.told();
    }

    /// Fetches `value` under `attempt`, and cannot tell the store.
    fn fetch_unheard(&mut self, attempt: Attempt, now: Moment, value: &str) {
        let (stored, issued) = (&self.local.record, issued(value));
        let record = commit(self.policy, stored, attempt, now.wall, &issued).unwrap();
        self.local.hold(record, attempt, now);
    }

    /// WeChat refuses the AppSecret `tried` under `attempt`, and the store cannot be told.
    fn fails_unheard(&mut self, attempt: Attempt, now: Moment, tried: Fingerprint) {
        let (stored, error) = (&self.local.record, refused(40125));
        let record = fail(stored, attempt, &error, with(tried), now.wall, 0.5);
        self.local.failed_alone(record, now);
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
fn a_lease_is_free_at_its_end() {
    let mut store = Record::default();
    let (mut first, mut second) = (Node::new(CLASSIC), Node::new(CLASSIC));
    first.lease(&mut store, at(0));
    assert_eq!(wait_of(second.look(&mut store, at(29)), at(29)), 1);
    let plan = second.look(&mut store, at(30));
    assert_eq!(plan, Plan::Fetch(Purpose::Renewal));
}

#[test]
fn three_former_values_are_remembered_the_latest_first() {
    let (mut node, mut store) = (Node::new(CLASSIC), Record::default());
    for number in 0..11 {
        node.renew(&mut store, at(5200 * number), &number.to_string());
    }
    let former = [9, 8, 7].map(|number: u64| Secret::new(number.to_string()).fingerprint());
    assert_eq!(store.former, former);
}

#[test]
fn a_stable_token_that_comes_again_lives_as_long_as_wechat_says_and_is_no_former_one() {
    let (mut node, mut store) = (Node::new(Policy::StableToken), Record::default());
    node.renew(&mut store, at(0), "one");
    node.renew(&mut store, at(6950), "one");
    let credential = store.credential.unwrap();
    assert_eq!(credential.generation, 1);
    assert_eq!(credential.expires_at, at(6950 + 7200).wall);
    assert_eq!(store.former, []);
}
