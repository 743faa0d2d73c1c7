//! Servers and stores are killed, stopped, emptied and cut off, for as long as one likes: no page
//! gets a signature that WeChat refuses, or none, and no back end a token that is dead.

use std::sync::atomic::Ordering;
use std::time::Duration;

use wxsign::account::AppId;
use wxsign::clock::Clock;
use wxsign::credential::Secret;

use crate::engines::proxy::Proxy;
use crate::engines::redis::Redis;
use crate::engines::sentinel::Sentinel;
use crate::faults::{Cluster, Engine};
use crate::node::{get, signature, token};
use crate::wechat::{Temper, WeChat};

const NODES: usize = 5;

/// By then all is well after the last trouble. A lease that was left open ends after 30 s.
const RECOVERY: Duration = Duration::from_secs(60);

fn accounts() -> impl Iterator<Item = Temper> {
    [
        Temper::Short,
        Temper::Full,
        Temper::Full,
        Temper::Short,
        Temper::Stable,
    ]
    .into_iter()
    .cycle()
    .take(20)
}

fn seconds() -> u64 {
    let given = std::env::var("WXSIGN_CHAOS_SECONDS");
    given.map_or(120, |seconds| seconds.parse().unwrap())
}

/// A short story is always the same one, as far as there is chance in it and not in the machine; a
/// long one is another each time, unless it is asked for.
fn seed() -> u64 {
    match std::env::var("WXSIGN_CHAOS_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) if std::env::var("WXSIGN_CHAOS_SECONDS").is_err() => 5,
        Err(_) => rand::random(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chaos_costs_no_page_its_signature() {
    tokio::join!(with_one_redis(), with_sentinels());
}

async fn with_one_redis() {
    chaos("one Redis", one_redis().await).await;
}

async fn one_redis() -> Engine {
    let redis = Redis::with(&[("appendonly", "yes")]).await;
    let mut lines = Vec::new();
    for _ in 0..NODES {
        lines.push(Proxy::to(redis.address()).await);
    }
    Engine::Alone(Box::new(redis), lines)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_redis_is_back_after_all_tokens_have_ended_all_is_well_within_a_minute() {
    let wechat = WeChat::start([Temper::Minute; 20]).await;
    let engine = one_redis().await;
    let mut cluster = Cluster::start(wechat, engine, NODES, 1, Duration::ZERO).await;
    all_sign(&cluster).await;
    cluster.lose_store();
    let ending = async {
        while serves_a_token(&cluster).await {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(90), ending).await;
    ended.expect("a classic token ends while nobody may fetch another one");
    cluster.find_store().await;
    let (clock, back) = (Clock::system(), Clock::system().moment().boot);
    recovers(&cluster).await;
    let recovery = clock.moment().boot - back;
    let seen = cluster.judge.close().await;
    println!(
        "Redis is back after all tokens have ended: all well after {:.1} s, {} signatures meanwhile",
        recovery.as_secs_f64(),
        seen.signatures.load(Ordering::Relaxed)
    );
}

/// Whether any node has a token for any account.
async fn serves_a_token(cluster: &Cluster) -> bool {
    for node in &cluster.nodes {
        for (appid, _) in &cluster.wechat.accounts {
            let answer = get(node.address().unwrap(), &token(appid), RECOVERY).await;
            if answer.unwrap().status == 200 {
                return true;
            }
        }
    }
    false
}

async fn with_sentinels() {
    chaos("Sentinels", Engine::Pair(Box::new(Sentinel::start().await))).await;
}

async fn chaos(name: &str, engine: Engine) {
    let (seconds, seed, clock) = (seconds(), seed(), Clock::system());
    eprintln!("{name}: {seconds} s of chaos, seed {seed}");
    // A short story has no time for long troubles.
    let longest = Duration::from_secs(if seconds < 300 { 10 } else { 40 });
    let wechat = WeChat::start(accounts()).await;
    let mut cluster = Cluster::start(wechat, engine, NODES, seed, longest).await;
    all_sign(&cluster).await;
    let start = clock.moment().boot;
    let ends = start + Duration::from_secs(seconds);
    while clock.moment().boot < ends {
        cluster.suffer().await;
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    let calm = clock.moment().boot;
    recovers(&cluster).await;
    let recovery = clock.moment().boot - calm;
    let bill = std::mem::take(&mut cluster.bill);
    let (fetches, periods) = settle(&cluster, seconds);
    let seen = cluster.judge.close().await;
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    println!(
        "{name}: {seconds} s, {} troubles ({bill:?}), {periods} periods, {fetches} fetches, {} \
         signatures, {} tokens, {} times no token, 0 violations, all well after {:.1} s",
        bill.troubles(),
        count(&seen.signatures),
        count(&seen.tokens),
        count(&seen.without_token),
        recovery.as_secs_f64(),
    );
}

/// Waits until every node signs for every account.
async fn all_sign(cluster: &Cluster) {
    crate::engines::eventually("every node signs", async || {
        for node in &cluster.nodes {
            for (appid, _) in &cluster.wechat.accounts {
                let answer = get(node.address()?, &signature(appid), RECOVERY).await?;
                (answer.status == 200).then_some(())?;
            }
        }
        Some(())
    })
    .await;
}

/// Waits until every node serves the newest token of every account.
async fn recovers(cluster: &Cluster) {
    let looking = async {
        while behind(cluster).await.is_some() {
            tokio::time::sleep(Duration::from_millis(200)).await;
            cluster
                .nodes
                .iter()
                .for_each(|node| assert!(node.is_running()));
        }
    };
    if tokio::time::timeout(RECOVERY, looking).await.is_err() {
        panic!("not well after {RECOVERY:?}: {:?}", behind(cluster).await);
    }
}

/// A node and an account that are not as they should be, if there are such.
async fn behind(cluster: &Cluster) -> Option<(usize, AppId)> {
    for node in &cluster.nodes {
        for (appid, temper) in &cluster.wechat.accounts {
            let answer = get(node.address()?, &token(appid), RECOVERY).await;
            let value = answer
                .filter(|answer| answer.status == 200)
                .map(|answer| answer.json()["access_token"].as_str().unwrap().to_owned());
            let simulator = &cluster.wechat.simulator;
            let newest = simulator.newest_token(appid);
            let well = value.is_some_and(|value| match temper {
                Temper::Stable => simulator.token_is_accepted(appid, &value),
                _ => newest == Some(Secret::new(value)),
            });
            if !well {
                return Some((node.number, appid.clone()));
            }
        }
    }
    None
}

/// A token that nobody ever served was fetched for nothing, because of some trouble; that is not to
/// happen to an account more often than each two minutes. Returns all fetches, and all tokens that
/// were in use.
fn settle(cluster: &Cluster, seconds: u64) -> (usize, usize) {
    let allowed = usize::try_from(seconds).unwrap() / 120 + 2;
    let (mut all, mut used) = (0, 0);
    for (appid, _) in &cluster.wechat.accounts {
        let fetches = cluster.wechat.fetches(appid);
        let served = cluster.judge.served(appid);
        let wasted = fetches
            .iter()
            .filter(|(_, name)| !served.contains(&name.to_string()))
            .count();
        assert!(
            wasted <= allowed,
            "{appid}: {wasted} of {} fetches were for nothing, {allowed} allowed",
            fetches.len()
        );
        all += fetches.len();
        used += fetches.len() - wasted;
    }
    (all, used)
}
