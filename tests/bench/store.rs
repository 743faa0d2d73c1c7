//! What a signature costs while the store is well, slow and gone: `cargo bench --bench store`.
//!
//! Four servers stand side by side, pinned to one core; wrk asks them in turn from the other. Two
//! of them have a Redis that is well: how far they differ is how far any figure can be trusted.

#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails fails the benchmark"
)]

#[path = "../engines/harness.rs"]
#[expect(dead_code, reason = "tests need the rest")]
mod engines;
#[path = "../cluster/node.rs"]
#[expect(dead_code, reason = "tests need the rest")]
mod node;
#[path = "../cluster/wechat.rs"]
#[expect(dead_code, reason = "tests need the rest")]
mod wechat;

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use engines::eventually;
use engines::proxy::{Mood, Proxy};
use engines::redis::Redis;
use node::{Node, get, signature};
use wechat::{Temper, WeChat};

const ROUNDS: usize = 11;
const CONNECTIONS: &str = "32";
const PATIENCE: Duration = Duration::from_secs(5);

fn main() {
    // `cargo test --benches` asks whether it works at all.
    let rounds = if std::env::args().any(|arg| arg == "--bench") {
        ROUNDS
    } else {
        1
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    runtime.unwrap().block_on(bench(rounds));
}

/// A server, and what becomes of its store.
struct Subject {
    name: &'static str,
    node: Node,
    redis: Redis,
    proxy: Proxy,
    samples: Vec<Sample>,
}

/// One second of load.
struct Sample {
    per_second: f64,
    p99: Duration,
}

async fn bench(rounds: usize) {
    let wechat = WeChat::start([Temper::Quiet]).await;
    let (appid, _) = wechat.accounts[0].clone();
    let mut subjects = Vec::new();
    for name in ["well", "well, once more", "slow, 500 ms", "gone"] {
        let redis = Redis::start().await;
        let proxy = Proxy::to(redis.address()).await;
        let store = format!("redis://{}", proxy.address());
        let mut node = Node::new(subjects.len(), &wechat, &store);
        node.start().await;
        pin(&node);
        let address = node.address().unwrap();
        eventually("it signs", async || {
            let answer = get(address, &signature(&appid), PATIENCE).await?;
            (answer.status == 200).then_some(())
        })
        .await;
        subjects.push(Subject {
            name,
            node,
            redis,
            proxy,
            samples: Vec::new(),
        });
    }
    subjects[2]
        .proxy
        .set_to_client(Mood::Delay(Duration::from_millis(500)));
    subjects[3].redis.kill();
    for _ in 0..rounds {
        for subject in &mut subjects {
            let address = subject.node.address().unwrap();
            let target = signature(&appid);
            let sample = tokio::task::spawn_blocking(move || load(address, &target)).await;
            subject.samples.push(sample.unwrap());
        }
    }
    report(&mut subjects);
}

/// Keeps the server on the first core.
fn pin(node: &Node) {
    let pid = node.pid().to_string();
    let pinned = Command::new("taskset")
        .args(["-a", "-p", "-c", "0", &pid])
        .output();
    assert!(pinned.unwrap().status.success());
}

fn load(address: SocketAddr, target: &str) -> Sample {
    let output = Command::new("taskset")
        .args([
            "-c",
            "1",
            "wrk",
            "-t1",
            "-d1s",
            "--latency",
            "-c",
            CONNECTIONS,
        ])
        .arg(format!("http://{address}{target}"))
        .output();
    let output = output.unwrap_or_else(|why| panic!("{why}: apt-get install wrk util-linux"));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(!said.contains("Non-2xx"), "{said}");
    let field = |name: &str| {
        let line = said
            .lines()
            .find(|line| line.trim_start().starts_with(name));
        line.unwrap().split_whitespace().last().unwrap().to_owned()
    };
    Sample {
        per_second: field("Requests/sec:").parse().unwrap(),
        p99: duration(&field("99%")),
    }
}

/// A duration as wrk writes it.
fn duration(text: &str) -> Duration {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let number: f64 = text[..text.len() - unit.len()].parse().unwrap();
    Duration::from_secs_f64(match unit {
        "us" => number / 1e6,
        "ms" => number / 1e3,
        _ => number,
    })
}

fn report(subjects: &mut [Subject]) {
    let median = |samples: &mut Vec<f64>| {
        samples.sort_by(f64::total_cmp);
        samples[samples.len() / 2]
    };
    let figures: Vec<(f64, f64)> = (subjects.iter_mut())
        .map(|subject| {
            let samples = &subject.samples;
            let mut rates: Vec<f64> = samples.iter().map(|sample| sample.per_second).collect();
            let mut p99s: Vec<f64> = (samples.iter())
                .map(|sample| sample.p99.as_secs_f64() * 1e6)
                .collect();
            (median(&mut rates), median(&mut p99s))
        })
        .collect();
    let (rate, p99) = figures[0];
    println!("store            signatures/s   ratio   p99 us   ratio");
    for (subject, figure) in subjects.iter().zip(&figures) {
        println!(
            "{:<16} {:>12.0} {:>7.3} {:>8.0} {:>7.3}",
            subject.name,
            figure.0,
            figure.0 / rate,
            figure.1,
            figure.1 / p99
        );
    }
}
