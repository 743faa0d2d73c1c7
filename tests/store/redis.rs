//! Redis, alone, with Sentinels and as a Cluster.

use std::time::Duration;

use wxsign::clock::Clock;
use wxsign::credential::Kind;
use wxsign::store::{Redis, ServerUrl, Store, Version};

use super::engines;
use super::engines::cluster::Cluster;
use super::engines::eventually;
use super::engines::proxy::{Mood, Proxy};
use super::engines::sentinel::Sentinel;
use super::suite::{key, shared_suite, suite, write};

fn backend(url: &str) -> Redis {
    Redis::new(&ServerUrl::parse(url).unwrap().unwrap()).unwrap()
}

fn open(url: &str) -> Store {
    Store::new(backend(url))
}

/// Waits until the store cannot be written to, and then until it can, and prints how long that was.
async fn takes(what: &str, store: &Store) {
    let clock = Clock::system();
    eventually("it is away", async || write(store, 1).await.err()).await;
    let away = clock.moment().boot;
    eventually("it is back", async || write(store, 1).await.ok()).await;
    let took = clock.moment().boot - away;
    println!("{what}: written to again after {:.2} s", took.as_secs_f64());
}

/// The ids of the clients that CLIENT LIST names, without the one that asked.
fn client_numbers(list: &str) -> impl Iterator<Item = &str> {
    let others = list.lines().filter(|line| !line.contains("cmd=client"));
    others.filter_map(|line| line.split(' ').find(|field| field.starts_with("id=")))
}

async fn generation(store: &Store) -> Option<u64> {
    let (record, _) = store.load(&key(Kind::AccessToken)).await.ok()?;
    record.credential.map(|credential| credential.generation)
}

#[tokio::test]
async fn redis_conforms() {
    let redis = engines::redis::Redis::start().await;
    suite(|| backend(&redis.url())).await;
    let other_database = format!("{}/1", redis.url());
    shared_suite(|| backend(&other_database)).await;
    let other_prefix = format!("{}?prefix=other", redis.url());
    suite(|| backend(&other_prefix)).await;
}

#[tokio::test]
async fn redis_with_tls_and_a_password_conforms() {
    let redis = engines::redis::Redis::with_tls(&[("requirepass", "p@ss:word/")]).await;
    let (_, address) = redis
        .tls_url()
        .split_once("://")
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    let address = address.rsplit('@').next().unwrap().to_owned();
    let ca_file = redis.ca_file().display();
    let url = format!("rediss://:p%40ss%3Aword%2F@{address}?ca_file={ca_file}");
    suite(|| backend(&url)).await;

    let stranger = format!("rediss://:p%40ss%3Aword%2F@{address}");
    let error = open(&stranger)
        .load(&key(Kind::AccessToken))
        .await
        .unwrap_err();
    assert!(error.0.contains("certificate"), "{error}");
    for (url, why) in [
        (
            format!("rediss://{address}?ca_file={ca_file}"),
            "wants a password",
        ),
        (
            format!("rediss://:hunter2@{address}?ca_file={ca_file}"),
            "does not accept",
        ),
    ] {
        let error = open(&url).load(&key(Kind::AccessToken)).await.unwrap_err();
        assert!(!error.0.contains("hunter2"), "{error}");
        assert!(error.0.contains(why), "{error}");
    }
}

#[tokio::test]
async fn redis_on_a_socket_conforms() {
    let redis = engines::redis::Redis::start().await;
    let url = format!("redis+unix://{}", redis.socket().display());
    suite(|| backend(&url)).await;
}

#[tokio::test]
async fn a_user_who_may_neither_listen_nor_publish_can_still_keep_records() {
    let redis = engines::redis::Redis::start().await;
    let rules = ["~*", "+@all", "-hello", "-subscribe", "-publish"];
    let mut user = vec!["ACL", "SETUSER", "quiet", "on", ">pw"];
    user.extend(rules);
    redis.cli(&user).await;
    let url = format!("redis://quiet:pw@{}", redis.address());
    suite(|| backend(&url)).await;
    let store = open(&url);
    let start = store.changes(None).await.unwrap().position;
    write(&store, 7).await.unwrap();
    let news = store.changes(Some(start)).await.unwrap().accounts;
    assert_eq!(news.unwrap().len(), 1);
}

#[tokio::test]
async fn a_redis_that_comes_back_is_used_again_with_what_it_kept() {
    let mut redis = engines::redis::Redis::with(&[("appendonly", "yes")]).await;
    let store = open(&redis.url());
    write(&store, 1).await.unwrap();
    let back = takes("a Redis that is killed and started again", &store);
    let restart = async {
        redis.kill();
        // Long enough for somebody to notice.
        eventually("it is missed", async || store.changes(None).await.err()).await;
        redis.restart().await;
    };
    tokio::join!(back, restart);
    write(&store, 3).await.unwrap();
    assert_eq!(generation(&store).await, Some(3));
}

#[tokio::test]
async fn no_call_waits_longer_than_half_a_second() {
    let redis = engines::redis::Redis::start().await;
    let proxy = Proxy::to(redis.address()).await;
    let store = open(&format!("redis://{}", proxy.address()));
    write(&store, 1).await.unwrap();
    for mood in [Mood::Silent, Mood::Delay(Duration::from_secs(2))] {
        proxy.set(mood);
        for _ in 0..3 {
            let call = tokio::time::timeout(Duration::from_secs(2), write(&store, 2));
            let called = call.await.expect("an end long before that");
            assert!(called.is_err());
        }
        proxy.set(Mood::Pass);
        eventually("it answers", async || generation(&store).await).await;
    }
    proxy.reset().await;
    eventually("it is connected to anew", async || generation(&store).await).await;
    proxy.refuse();
    proxy.reset().await;
    eventually("it refuses", async || {
        store.load(&key(Kind::AccessToken)).await.err()
    })
    .await;
    proxy.accept();
    eventually("it lets in again", async || generation(&store).await).await;
    // The hints come on the new connection too.
    let mut hints = store.hints().unwrap();
    while hints.try_recv().is_ok() {}
    write(&open(&redis.url()), 4).await.unwrap();
    let hint = tokio::time::timeout(engines::PATIENCE, hints.recv()).await;
    assert!(hint.unwrap().is_some());
}

#[tokio::test]
async fn an_emptied_redis_says_that_anything_may_have_changed() {
    let redis = engines::redis::Redis::start().await;
    let store = open(&redis.url());
    write(&store, 1).await.unwrap();
    let position = store.changes(None).await.unwrap().position;
    redis.cli(&["FLUSHALL"]).await;
    let news = store.changes(Some(position)).await.unwrap();
    assert_eq!((news.position, news.accounts), (0, None));
    assert_eq!(
        store.load(&key(Kind::AccessToken)).await.unwrap().1,
        Version::ABSENT
    );
}

#[tokio::test]
async fn a_master_that_has_become_a_replica_is_left() {
    let (old, new) = tokio::join!(
        engines::redis::Redis::start(),
        engines::redis::Redis::start()
    );
    // One name for whoever is the master, as an address that moves.
    let store = open(&format!("redis://{}", old.address()));
    write(&store, 1).await.unwrap();
    let port = new.address().port().to_string();
    old.cli(&["REPLICAOF", "127.0.0.1", &port]).await;
    let refused = eventually("it is a replica", async || write(&store, 2).await.err()).await;
    assert!(
        refused.0.contains("READONLY") || refused.0.contains("MASTERDOWN"),
        "{refused}"
    );
    let connected = old.cli(&["CLIENT", "LIST", "TYPE", "NORMAL"]).await;
    old.cli(&["REPLICAOF", "NO", "ONE"]).await;
    eventually("it is a master again", async || write(&store, 3).await.ok()).await;
    let now = old.cli(&["CLIENT", "LIST", "TYPE", "NORMAL"]).await;
    for number in client_numbers(&now) {
        let kept = client_numbers(&connected).any(|known| known == number);
        assert!(!kept, "the connection is the old one: {now}");
    }
}

#[tokio::test]
async fn a_redis_cluster_conforms_and_is_followed_when_a_slot_moves() {
    let cluster = Cluster::start().await;
    suite(|| backend(&cluster.url())).await;
    let other = format!("{}?prefix=other", cluster.url());
    shared_suite(|| backend(&other)).await;

    let store = open(&cluster.url());
    write(&store, 100).await.unwrap();
    let slot = cluster.slot("{wxsign}:position").await;
    let from = cluster.owner(0, slot).await;
    let to = (from + 1) % 3;
    cluster.move_slot(slot, from, to).await;
    eventually("it is found where it is now", async || {
        write(&store, 101).await.ok()
    })
    .await;
    assert_eq!(generation(&store).await, Some(101));
}

#[tokio::test]
async fn a_cluster_without_one_member_is_reached_by_way_of_the_others() {
    let mut cluster = Cluster::start().await;
    let slot = cluster.slot("{wxsign}:position").await;
    let owner = cluster.owner(0, slot).await;
    let away = (0..3).find(|index| *index != owner).unwrap();
    // Otherwise the others would refuse everything.
    for index in 0..3 {
        let config = ["CONFIG", "SET", "cluster-require-full-coverage", "no"];
        cluster.cli(index, &config).await;
    }
    cluster.kill(away);
    let store = open(&cluster.url());
    eventually("the others answer", async || write(&store, 1).await.ok()).await;
}

#[tokio::test]
async fn redis_with_sentinels_conforms_and_is_followed_in_a_failover() {
    let mut sentinel = Sentinel::start().await;
    suite(|| backend(&sentinel.url())).await;
    let url = format!("{}?prefix=other", sentinel.url());
    shared_suite(|| backend(&url)).await;

    let store = open(&sentinel.url());
    write(&store, 100).await.unwrap();
    let back = takes("a failover with Sentinels", &store);
    tokio::join!(back, sentinel.failover());
    write(&store, 101).await.unwrap();
    assert_eq!(generation(&store).await, Some(101));
    let unknown = sentinel.url().replace("/wxsign", "/other");
    let error = open(&unknown)
        .load(&key(Kind::AccessToken))
        .await
        .unwrap_err();
    assert!(error.0.contains("no master named other"), "{error}");
}

#[tokio::test]
async fn a_failover_that_loses_a_write_goes_back_in_time() {
    let mut sentinel = Sentinel::start().await;
    let store = open(&sentinel.url());
    write(&store, 1).await.unwrap();
    let position = store.changes(None).await.unwrap().position;
    sentinel
        .lossy_failover(async |_| {
            write(&store, 2).await.unwrap();
            write(&store, 3).await.unwrap();
        })
        .await;
    eventually("the new master is found", async || generation(&store).await).await;
    assert_eq!(generation(&store).await, Some(1));
    assert!(store.changes(None).await.unwrap().position <= position);
}

#[tokio::test]
async fn a_member_or_a_sentinel_that_is_silent_is_not_waited_for() {
    let (cluster, sentinel) = tokio::join!(Cluster::start(), Sentinel::start());
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = silent.local_addr().unwrap().to_string() + ",";
    for url in [cluster.url(), sentinel.url()] {
        let url = url.replacen("://", &format!("://{silent}"), 1);
        let store = open(&url);
        eventually("another one is asked", async || write(&store, 1).await.ok()).await;
    }
}

#[tokio::test]
async fn a_slot_that_is_on_its_way_is_waited_for() {
    let cluster = Cluster::start().await;
    let store = open(&cluster.url());
    write(&store, 1).await.unwrap();
    let slot = cluster.slot("{wxsign}:position").await;
    let from = cluster.owner(0, slot).await;
    let to = (from + 1) % 3;
    cluster.begin_move(slot, from, to).await;
    // Whatever a call meets now, it does not hang.
    let call = tokio::time::timeout(Duration::from_secs(2), write(&store, 2));
    assert!(call.await.is_ok());
    cluster.finish_move(slot, from, to).await;
    eventually("it has arrived", async || write(&store, 2).await.ok()).await;
    assert_eq!(generation(&store).await, Some(2));
}

#[tokio::test]
async fn a_redis_that_refuses_every_call_is_not_connected_to_again_and_again() {
    let redis = engines::redis::Redis::with(&[("requirepass", "x")]).await;
    let store = open(&redis.url());
    for _ in 0..100 {
        let error = store.changes(None).await.unwrap_err();
        assert!(error.0.contains("wants a password"), "{error}");
    }
    let info = redis.cli(&["INFO", "stats"]).await;
    let connections = engines::resp::field(&info, "total_connections_received");
    let connections: u64 = connections.unwrap().trim().parse().unwrap();
    assert!(connections < 20, "{connections} connections for 100 calls");
}
