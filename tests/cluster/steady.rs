//! Nothing is wrong: then WeChat is asked once per period, however many nodes there are, and all
//! of them have the new token at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinSet;
use wxsign::account::AppId;
use wxsign::clock::{Clock, Timestamp};
use wxsign::credential::Secret;

use crate::engines::postgres::Postgres;
use crate::engines::redis::Redis;
use crate::judge::generation;
use crate::node::{Node, get, token};
use crate::wechat::{Temper, WeChat};

const NODES: usize = 5;
const ACCOUNTS: usize = 20;

/// A node that is not told of news looks this often, and needs a moment.
const BY_LOOKING: Duration = Duration::from_secs(6);

/// With a hint it takes milliseconds; this much on a machine that is busy. A few may be held up
/// for longer there, never for longer than by looking.
const BY_HINT: Duration = Duration::from_secs(1);

fn seconds() -> u64 {
    let given = std::env::var("WXSIGN_STEADY_SECONDS");
    given.map_or(100, |seconds| seconds.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn steady_nodes_fetch_once_a_period_and_agree_at_once() {
    let (redis, other, postgres) = tokio::join!(Redis::start(), Redis::start(), Postgres::start());
    let quiet = may_not_listen(&other).await;
    tokio::join!(
        steady("Redis, with hints", redis.url(), BY_HINT),
        steady("Redis, without hints", quiet, BY_LOOKING),
        steady("PostgreSQL, with hints", postgres.url(), BY_HINT),
    );
}

/// The URL for a user who may neither publish nor listen, so that nodes have to look.
async fn may_not_listen(redis: &Redis) -> String {
    let user = ["ACL", "SETUSER", "quiet", "on", ">pw", "~*", "+@all"];
    let may_not = ["-hello", "-subscribe", "-publish"];
    redis.cli(&[&user[..], &may_not].concat()).await;
    format!("redis://quiet:pw@{}", redis.address())
}

/// When a node had a token first.
type Arrivals = Arc<Mutex<HashMap<String, Vec<Timestamp>>>>;

async fn steady(name: &str, store: String, soon: Duration) {
    let wechat = WeChat::start([Temper::Minute; ACCOUNTS]).await;
    let mut nodes: Vec<Node> = (0..NODES)
        .map(|number| Node::new(number, &wechat, &store))
        .collect();
    for node in &mut nodes {
        node.start().await;
    }
    let arrivals = Arrivals::default();
    let mut readers = JoinSet::new();
    for node in &nodes {
        for (appid, _) in &wechat.accounts {
            let (address, appid) = (node.address().unwrap(), appid.clone());
            let arrivals = Arc::clone(&arrivals);
            readers.spawn(async move {
                let mut known = 0;
                loop {
                    let target = format!("{}?wait=30&generation={known}", token(&appid));
                    let Some(answer) = get(address, &target, BY_LOOKING * 10).await else {
                        return;
                    };
                    if answer.status != 200 || generation(&answer.json()) == known {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                        continue;
                    }
                    let body = answer.json();
                    known = generation(&body);
                    let value = Secret::new(body["access_token"].as_str().unwrap());
                    let now = Clock::system().now();
                    let name = value.fingerprint().to_string();
                    arrivals.lock().unwrap().entry(name).or_default().push(now);
                }
            });
        }
    }
    tokio::time::sleep(Duration::from_secs(seconds())).await;
    readers.shutdown().await;
    let arrivals = arrivals.lock().unwrap();
    let mut delays = Vec::new();
    let mut fetches = 0;
    for (appid, _) in &wechat.accounts {
        fetches += judge(&wechat, appid, &arrivals, &mut delays);
    }
    delays.sort();
    let at = |part: usize| delays[(delays.len() - 1) * part / 100].as_millis();
    println!(
        "{name}: {} s, {fetches} periods, as many fetches; a node had a new token after {} ms \
         (median), {} ms (99 %), {} ms (last)",
        seconds(),
        at(50),
        at(99),
        at(100)
    );
    let most = delays[(delays.len() - 1) * 9 / 10];
    assert!(most <= soon, "a tenth had a new token after {most:?}");
    let last = delays.last().unwrap();
    assert!(*last <= BY_LOOKING, "a node had a new token after {last:?}");
}

/// Adds how long each node waited for each token of the account. Returns how many there were.
fn judge(
    wechat: &WeChat,
    appid: &AppId,
    arrivals: &HashMap<String, Vec<Timestamp>>,
    delays: &mut Vec<Duration>,
) -> usize {
    let fetches = wechat.fetches(appid);
    for pair in fetches.windows(2) {
        let age = pair[1].0.since(pair[0].0);
        // Two thirds of its life, a twenty-fourth for the spread, and what nodes wait for each
        // other.
        let period = Duration::from_secs(39)..=Duration::from_secs(50);
        assert!(
            period.contains(&age),
            "{appid}: fetched again after {age:?}"
        );
    }
    let now = Clock::system().now();
    // At the first one, some nodes were not there yet.
    for (at, name) in &fetches[1..] {
        // The last one may be on its way.
        if now.since(*at) > Duration::from_secs(10) {
            let arrived = arrivals.get(&name.to_string());
            let arrived = arrived.unwrap_or_else(|| panic!("{appid}: nobody has {name}"));
            assert_eq!(arrived.len(), NODES, "{appid}: not all have {name}");
            delays.extend(arrived.iter().map(|arrival| arrival.since(*at)));
        }
    }
    fetches.len()
}
