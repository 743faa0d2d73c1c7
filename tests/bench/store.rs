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
#[path = "http/wrk.rs"]
#[expect(dead_code, reason = "the other benchmark needs the rest")]
mod wrk;

use std::time::Duration;

use engines::eventually;
use engines::proxy::{Mood, Proxy};
use engines::redis::Redis;
use node::{Node, get, signature};
use wechat::{Temper, WeChat};
use wrk::{Load, Sample, median};

const ROUNDS: usize = 11;
const CONNECTIONS: usize = 32;
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

async fn bench(rounds: usize) {
    let wechat = WeChat::start([Temper::Quiet]).await;
    let (appid, _) = wechat.accounts[0].clone();
    let mut subjects = Vec::new();
    for name in ["well", "well, once more", "slow, 500 ms", "gone"] {
        let redis = Redis::start().await;
        let proxy = Proxy::to(redis.address()).await;
        let store = format!("redis://{}", proxy.address());
        let mut node = Node::new(subjects.len(), &wechat, &store);
        wrk::on_core(wrk::SERVERS, || node.launch());
        node.listens().await;
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
            let url = format!("http://{address}{}", signature(&appid));
            let load = move || wrk::load(&url, &Load::keep_alive(CONNECTIONS));
            let sample = tokio::task::spawn_blocking(load).await.unwrap();
            assert!(sample.errors == 0.0, "{sample:?}");
            subject.samples.push(sample);
        }
    }
    report(&subjects);
}

fn report(subjects: &[Subject]) {
    let figures = subjects.iter().map(|subject| {
        let samples = &subject.samples;
        let rate = median(samples.iter().map(|sample| sample.per_second));
        let p99 = median(samples.iter().map(|sample| sample.p99.as_secs_f64() * 1e6));
        (rate.unwrap(), p99.unwrap())
    });
    let figures: Vec<(f64, f64)> = figures.collect();
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
