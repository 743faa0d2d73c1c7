//! What bad neighbours cost the others: `cargo bench --bench neighbours`.
//!
//! One server on the first core; wrk asks it from the second, in turn while all is quiet and
//! while somebody misbehaves. Compared are medians of what the others see.
//!
//! To misbehave takes time on wrk's core, too. Where that goes on while wrk asks, it does so as
//! well while all is quiet, but to a socket that nobody reads from: what is left is the server's.

#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails fails the benchmark"
)]

#[path = "../engines/harness.rs"]
#[expect(dead_code, reason = "tests need the rest")]
mod engines;
#[path = "http/server.rs"]
#[expect(dead_code, reason = "the other benchmark needs the rest")]
mod server;
#[path = "../cluster/wechat.rs"]
#[expect(dead_code, reason = "tests need the rest")]
mod wechat;
#[path = "http/wrk.rs"]
#[expect(dead_code, reason = "the other benchmark needs the rest")]
mod wrk;

use std::fs;
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use wechat::{Temper, WeChat};

use server::Server;
use wrk::{Load, Sample, median};

const ROUNDS: usize = 7;

/// The others: 32 connections of one client, behind the proxy.
const OTHERS: Load = Load {
    headers: &["X-Forwarded-For: 203.0.113.9"],
    ..Load::keep_alive(32)
};

/// The most that p99 of the others may grow.
const BOUND: f64 = 1.5;

/// Who misbehaves.
#[derive(Clone, Copy, Debug)]
enum Neighbour {
    /// Sends the head of a request byte by byte, one a second, on so many connections.
    SlowHeads(usize),
    /// The same with the body of one.
    SlowBodies(usize),
    /// Asks once on so many connections, and then keeps them.
    Idle(usize),
    /// Asks from so many addresses, each another one, in each round.
    Addresses(u64),
}

impl Neighbour {
    const ALL: [Self; 4] = [
        Self::SlowHeads(2_000),
        Self::SlowBodies(2_000),
        Self::Idle(10_000),
        Self::Addresses(150_000),
    ];

    const fn what(self) -> &'static str {
        match self {
            Self::SlowHeads(_) => "2 000 slow heads",
            Self::SlowBodies(_) => "2 000 slow bodies",
            Self::Idle(_) => "10 000 idle connections",
            Self::Addresses(_) => "1 000 000 client addresses",
        }
    }

    /// Whether it keeps its own core busy all the time.
    const fn drips(self) -> bool {
        matches!(self, Self::SlowHeads(_) | Self::SlowBodies(_))
    }

    /// How long it takes until it goes on as it will: who sends a head too slowly is cut off for
    /// the first time, and comes again.
    const fn settles(self) -> Duration {
        match self {
            Self::SlowHeads(_) => Duration::from_secs(16),
            _ => SECOND,
        }
    }

    /// Does it for as long as what is returned lives.
    async fn misbehave(
        self,
        address: SocketAddr,
        target: &str,
        counter: &Arc<AtomicU64>,
    ) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        let head = format!("GET {target} HTTP/1.1\r\nHost: bench\r\n\r\n");
        let post = "POST /jsapi/signature HTTP/1.1\r\nHost: bench\r\nContent-Length: 4000\r\n\r\n";
        match self {
            Self::SlowHeads(count) => {
                for number in 0..count {
                    let phase = SECOND.mul_f64(number as f64 / count as f64);
                    tasks.spawn(drip(address, phase, "", head.clone()));
                }
            }
            Self::SlowBodies(count) => {
                for number in 0..count {
                    let phase = SECOND.mul_f64(number as f64 / count as f64);
                    tasks.spawn(drip(address, phase, post, " ".repeat(4000)));
                }
            }
            Self::Idle(count) => {
                for _ in 0..count {
                    let mut stream = TcpStream::connect(address).await.unwrap();
                    stream.write_all(head.as_bytes()).await.unwrap();
                    assert!(stream.read(&mut [0; 2048]).await.unwrap() > 0);
                    tasks.spawn(async move {
                        // Until the server has had enough.
                        let _ = stream.read(&mut [0; 2048]).await;
                    });
                }
            }
            Self::Addresses(count) => {
                let mut stream = TcpStream::connect(address).await.unwrap();
                ask_as_others(&mut stream, target, counter, count).await;
                let (target, counter) = (target.to_owned(), Arc::clone(counter));
                tasks.spawn(async move {
                    loop {
                        ask_as_others(&mut stream, &target, &counter, 100).await;
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                });
            }
        }
        tasks
    }
}

const SECOND: Duration = Duration::from_secs(1);

/// Sends `slowly` byte by byte, for ever: who is cut off begins anew. Not all do it at the same
/// moment.
async fn drip(address: SocketAddr, phase: Duration, first: &'static str, slowly: String) {
    tokio::time::sleep(phase).await;
    loop {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let mut sent = stream.write_all(first.as_bytes()).await;
        for byte in slowly.bytes() {
            if sent.is_err() {
                break;
            }
            sent = stream.write_all(&[byte]).await;
            tokio::time::sleep(SECOND).await;
        }
    }
}

/// Asks `count` times, each time as another client, and sees that none is refused.
async fn ask_as_others(stream: &mut TcpStream, target: &str, counter: &AtomicU64, count: u64) {
    const AT_ONCE: u64 = 50;
    let mut left = count;
    while left > 0 {
        let asked = left.min(AT_ONCE);
        left -= asked;
        let mut requests = String::new();
        for _ in 0..asked {
            let number = u128::from(counter.fetch_add(1, Ordering::Relaxed));
            let client = Ipv6Addr::from_bits(0x2001_0db8 << 96 | number << 64 | 1);
            requests += &format!(
                "GET {target} HTTP/1.1\r\nHost: bench\r\nX-Forwarded-For: {client}\r\n\r\n"
            );
        }
        stream.write_all(requests.as_bytes()).await.unwrap();
        let mut said = Vec::new();
        let answers = |said: &[u8]| said.windows(2).filter(|pair| pair == b"\"}").count();
        while answers(&said) < usize::try_from(asked).unwrap() {
            assert!(stream.read_buf(&mut said).await.unwrap() > 0);
        }
        let refused = String::from_utf8_lossy(&said)
            .matches("rate_limited")
            .count();
        assert_eq!(refused, 0, "a new client was taken for another one");
    }
}

fn main() {
    let is_bench = std::env::args().any(|arg| arg == "--bench");
    // `cargo test --benches` asks whether it works at all.
    let (rounds, neighbours) = match is_bench {
        true => (ROUNDS, &Neighbour::ALL[..]),
        false => (1, &[Neighbour::SlowHeads(10)][..]),
    };
    let files = getrlimit(Resource::Nofile);
    let all = Rlimit {
        current: files.maximum,
        ..files
    };
    setrlimit(Resource::Nofile, all).unwrap();
    wrk::keep_on(wrk::CLIENTS);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let wechat = runtime.block_on(WeChat::start([Temper::Quiet]));
    let (mut server, address, target) = start(&wechat);
    server.start();
    let counter = Arc::default();
    println!(
        "{:<28} {:>12} {:>7} {:>9} {:>7}  memory",
        "the others", "requests/s", "ratio", "p99", "ratio"
    );
    for neighbour in neighbours {
        let (mut quiet, mut beside, mut memory) = (Vec::new(), Vec::new(), 0.0_f64);
        for _ in 0..rounds {
            let deaf = runtime.block_on(async { deaf() });
            let mut elsewhere = JoinSet::new();
            if neighbour.drips() {
                let deaf = deaf.local_addr().unwrap();
                elsewhere = runtime.block_on(neighbour.misbehave(deaf, &target, &counter));
                std::thread::sleep(2 * SECOND);
            }
            quiet.push(server.load(&OTHERS).sample);
            runtime.block_on(elsewhere.shutdown());
            let misbehaving = neighbour.misbehave(address, &target, &counter);
            let mut misbehaving = runtime.block_on(misbehaving);
            let settles = if is_bench {
                neighbour.settles()
            } else {
                SECOND
            };
            std::thread::sleep(SECOND + settles);
            beside.push(server.load(&OTHERS).sample);
            memory = memory.max(server.memory());
            runtime.block_on(misbehaving.shutdown());
            // The server has connections to close.
            std::thread::sleep(SECOND);
        }
        report(neighbour.what(), &quiet, &beside, memory);
    }
}

/// A socket to which all can connect, and that nobody reads from.
fn deaf() -> std::net::TcpListener {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    socket.listen(4096).unwrap().into_std().unwrap()
}

/// A server behind a proxy that is trusted, with the usual limits for all but the others' address.
fn start(wechat: &WeChat) -> (Server, SocketAddr, String) {
    let (appid, _) = &wechat.accounts[0];
    let target = format!("/jsapi/signature?appid={appid}&url=https%3A%2F%2Fh5.example.com%2Fpage");
    let configuration = format!(
        "upstream = \"{}\"\nstore = \"sqlite:wxsign.db\"\ntrusted_proxies = [\"127.0.0.1/32\"]\n\
         [limits]\nsignatures_per_address = 1000000\n{}",
        wechat.url,
        wechat.configuration()
    );
    let mut listens = None;
    let program = env!("CARGO_BIN_EXE_wxsign");
    let server = Server::new("none", program, &target, |command, directory, address| {
        fs::write(directory.join("wxsign.toml"), configuration).unwrap();
        command
            .args(["serve", "--listen", &address.to_string()])
            .env_clear()
            .env("WXSIGN_LOG", "warn");
        listens = Some(address);
    });
    (server, listens.unwrap(), target)
}

fn report(what: &str, quiet: &[Sample], beside: &[Sample], memory: f64) {
    let rate = |samples: &[Sample]| median(samples.iter().map(|one| one.per_second)).unwrap();
    let p99 = |samples: &[Sample]| median(samples.iter().map(|one| one.p99.as_secs_f64())).unwrap();
    let errors: f64 = quiet.iter().chain(beside).map(|one| one.errors).sum();
    let ratio = p99(beside) / p99(quiet);
    println!(
        "{:<28} {:>12.0} {:>7.3} {:>6.2} ms {:>7.3}  {:.1} MiB, {errors} errors, {}",
        format!("beside {what}"),
        rate(beside),
        rate(beside) / rate(quiet),
        p99(beside) * 1e3,
        ratio,
        memory / f64::from(1 << 20),
        if ratio <= BOUND { "ok" } else { "MISSED" }
    );
}
