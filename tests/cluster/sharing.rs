//! What nodes share, and what a page does not need.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use wxsign::clock::Clock;

use crate::engines::eventually;
use crate::engines::postgres::Postgres;
use crate::engines::redis::Redis;
use crate::node::{KEY, Node, ask, ask_with, get, signature, token};
use crate::wechat::{APP_SECRET, Temper, WeChat};

const PATIENCE: Duration = Duration::from_secs(10);

/// What is changed on one node is so on all of them after this.
const EVERYWHERE: Duration = Duration::from_secs(5);

const MASTER_KEY: &str = "c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4";

async fn status(node: &Node, target: &str) -> u16 {
    let answer = get(node.address().unwrap(), target, PATIENCE).await;
    answer.expect("an answer").status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_start_at_once_on_an_empty_store_fetch_one_token_and_one_ticket() {
    let (redis, postgres) = tokio::join!(Redis::start(), Postgres::start());
    for store in [redis.url(), postgres.url()] {
        let wechat = WeChat::start([Temper::Full]).await;
        let mut nodes: Vec<Node> = (0..8)
            .map(|number| Node::new(number, &wechat, &store))
            .collect();
        nodes.iter_mut().for_each(Node::launch);
        for node in &mut nodes {
            node.listens().await;
        }
        let (appid, _) = &wechat.accounts[0];
        for node in &nodes {
            eventually("it signs", async || {
                (status(node, &signature(appid)).await == 200).then_some(())
            })
            .await;
        }
        let calls = |path| wechat.simulator.counter(appid, path).requests;
        let fetches = (calls("/cgi-bin/token"), calls("/cgi-bin/ticket/getticket"));
        assert_eq!(fetches, (1, 1), "{store}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_is_added_on_one_node_is_served_by_all_even_if_the_store_is_emptied() {
    let redis = Redis::start().await;
    let wechat = WeChat::start([Temper::Full, Temper::Full]).await;
    let (appid, _) = wechat.accounts[1].clone();
    // The nodes know the first account alone, and reach the WeChat that knows both.
    let known = WeChat::start([Temper::Full]).await.reached_at(&wechat.url);
    let mut nodes: Vec<Node> = (0..3)
        .map(|number| Node::new(number, &known, &redis.url()))
        .map(|node| node.with("WXSIGN_MASTER_KEY", MASTER_KEY))
        .collect();
    for node in &mut nodes {
        node.start().await;
    }
    let address = nodes[0].address().unwrap();
    let target = format!("/v1/accounts/{appid}");
    let body = format!("{{\"secret\":\"{APP_SECRET}\",\"page_hosts\":[\"h5.example.com\"]}}");
    let put = ask(address, "PUT", &target, &body, PATIENCE).await.unwrap();
    assert_eq!(put.status, 201, "{}", put.body);
    everywhere(&nodes, &signature(&appid), 200).await;

    // So is a client, and its key can be used.
    let client = "/v1/clients/till";
    let body = "{\"scopes\":[\"token\"],\"accounts\":[\"*\"]}";
    let put = ask(address, "PUT", client, body, PATIENCE).await.unwrap();
    assert_eq!(put.status, 201, "{}", put.body);
    let key = put.json()["key"].as_str().unwrap().to_owned();
    keys_everywhere(&nodes, &token(&appid), &key, 200).await;

    // The records are sealed.
    let name = format!("{{wxsign}}:record:{appid}/access_token");
    let stored = redis.cli(&["GET", &name]).await;
    assert!(stored.len() > 100 && !stored.contains("SIMULATED"));

    // A store that is emptied gets the account back from those who know it.
    redis.cli(&["FLUSHALL"]).await;
    eventually("it is in the store again", async || {
        let names = redis.cli(&["HKEYS", "{wxsign}:directory"]).await;
        names.contains(appid.as_str()).then_some(())
    })
    .await;
    nodes[2].stop().await;
    nodes[2].start().await;
    everywhere(&nodes, &signature(&appid), 200).await;

    let gone = ask(address, "DELETE", &target, "", PATIENCE).await.unwrap();
    assert_eq!(gone.status, 204, "{}", gone.body);
    everywhere(&nodes, &signature(&appid), 404).await;
    let (first, _) = &known.accounts[0];
    keys_everywhere(&nodes, &token(first), &key, 200).await;
    let gone = ask(address, "DELETE", client, "", PATIENCE).await.unwrap();
    assert_eq!(gone.status, 204, "{}", gone.body);
    keys_everywhere(&nodes, &token(first), &key, 401).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_has_not_reached_the_store_does_not_say_that_an_account_is_unknown() {
    let wechat = WeChat::start([Temper::Full]).await;
    let mut redis = Redis::start().await;
    redis.kill();
    let mut node = Node::new(0, &wechat, &redis.url());
    node.start().await;
    let unknown = "wx00000000000000ff".parse().unwrap();
    assert_eq!(status(&node, &signature(&unknown)).await, 503);
    assert_eq!(status(&node, &token(&unknown)).await, 503);
    redis.restart().await;
    let nodes = [node];
    everywhere(&nodes, &signature(&unknown), 404).await;
    everywhere(&nodes, &token(&unknown), 404).await;
    everywhere(&nodes, &signature(&wechat.accounts[0].0), 200).await;
}

/// Waits until every node answers `target` with `wanted`.
async fn everywhere(nodes: &[Node], target: &str, wanted: u16) {
    keys_everywhere(nodes, target, KEY, wanted).await;
}

/// The same for who asks with `key`.
async fn keys_everywhere(nodes: &[Node], target: &str, key: &str, wanted: u16) {
    let looking = async {
        for node in nodes {
            let address = node.address().unwrap();
            loop {
                let answer = ask_with(address, "GET", target, key, "", PATIENCE).await;
                if answer.expect("an answer").status == wanted {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    };
    let in_time = tokio::time::timeout(EVERYWHERE, looking).await;
    in_time.unwrap_or_else(|_| panic!("{target} is not {wanted} everywhere after 5 s"));
}

/// The calls to the store since the node was started, by what they were for.
async fn store_calls(node: &Node) -> Vec<(String, u64)> {
    let metrics = get(node.address().unwrap(), "/metrics", PATIENCE).await;
    let metrics = metrics.unwrap().body;
    let lines = metrics.lines().filter_map(|line| {
        let labelled = line.strip_prefix("wxsign_store_calls_total{op=\"")?;
        let (op, count) = labelled.split_once("\"} ")?;
        Some((op.to_owned(), count.parse().unwrap()))
    });
    lines.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_signatures_do_not_touch_the_store() {
    const CONNECTIONS: usize = 4;
    const EACH: usize = 25_000;
    let redis = Redis::start().await;
    let wechat = WeChat::start([Temper::Full]).await;
    let mut node = Node::new(0, &wechat, &redis.url());
    node.start().await;
    let (appid, _) = wechat.accounts[0].clone();
    eventually("it signs", async || {
        (status(&node, &signature(&appid)).await == 200).then_some(())
    })
    .await;
    // What it has just written itself is news to it too, until it has looked.
    let looks = async || -> u64 {
        let calls = store_calls(&node).await;
        calls
            .iter()
            .filter(|(op, _)| op == "changes")
            .map(|(_, count)| count)
            .sum()
    };
    let at_first = looks().await;
    eventually("it has looked twice", async || {
        (looks().await >= at_first + 2).then_some(())
    })
    .await;
    let (before, clock) = (store_calls(&node).await, Clock::system());
    let start = clock.moment().boot;
    let mut clients = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (address, target) = (node.address().unwrap(), signature(&appid));
        clients.spawn(sign_again_and_again(address, target, EACH));
    }
    let signed: usize = clients.join_all().await.iter().sum();
    assert_eq!(signed, CONNECTIONS * EACH);
    let took = clock.moment().boot - start;
    let after = store_calls(&node).await;
    assert!(
        !before.is_empty() && before.len() == after.len(),
        "{before:?}"
    );
    // One look every four seconds, whatever pages ask for; and what was begun just before.
    let looks = took.as_secs() / 4 + 2;
    for ((op, before), (_, after)) in before.iter().zip(&after) {
        let by_the_clock = matches!(op.as_str(), "changes" | "directory");
        let (more, allowed) = (after - before, if by_the_clock { looks } else { 0 });
        assert!(more <= allowed, "{op}: {more} calls in {took:?}");
    }
    println!("{signed} signatures in {took:?}; calls to the store: {before:?}, then {after:?}");

    // Nor do they need it to be there.
    drop(redis);
    let again = sign_again_and_again(node.address().unwrap(), signature(&appid), 1_000).await;
    assert_eq!(again, 1_000);
}

/// Asks for so many signatures on one connection. Returns how many came.
async fn sign_again_and_again(address: SocketAddr, target: String, count: usize) -> usize {
    let stream = TcpStream::connect(address).await.unwrap();
    let mut stream = BufReader::new(stream);
    let request = format!("GET {target} HTTP/1.1\r\nHost: wxsign\r\n\r\n");
    let mut signed = 0;
    for _ in 0..count {
        let asked = stream.get_mut().write_all(request.as_bytes()).await;
        asked.unwrap();
        let (mut length, mut ok) = (0, false);
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await.unwrap();
            let line = line.trim_end().to_lowercase();
            ok |= line == "http/1.1 200 ok";
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.parse().unwrap();
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        signed += usize::from(ok);
    }
    signed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_node_asks_the_store_four_times_a_second_for_a_hundred_accounts_at_most() {
    const WATCHED: Duration = Duration::from_secs(60);
    let redis = Redis::start().await;
    let wechat = WeChat::start([Temper::Quiet; 100]).await;
    let mut nodes: Vec<Node> = (0..2)
        .map(|number| Node::new(number, &wechat, &redis.url()))
        .collect();
    for node in &mut nodes {
        node.start().await;
    }
    eventually("all accounts are signed for", async || {
        for node in &nodes {
            for (appid, _) in &wechat.accounts {
                (status(node, &signature(appid)).await == 200).then_some(())?;
            }
        }
        Some(())
    })
    .await;
    let total = |calls: &[(String, u64)]| -> u64 { calls.iter().map(|(_, count)| count).sum() };
    let before = store_calls(&nodes[1]).await;
    tokio::time::sleep(WATCHED).await;
    let after = store_calls(&nodes[1]).await;
    let a_second = (total(&after) - total(&before)) as f64 / WATCHED.as_secs_f64();
    println!(
        "an idle node with 100 accounts calls the store {a_second:.1} times a second: {before:?}, \
         a minute later {after:?}"
    );
    assert!(a_second <= 4.0, "{a_second:.1} calls a second");
}
