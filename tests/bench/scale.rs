//! What a hundred thousand accounts cost that were added at run time: `cargo bench --bench scale`.
//!
//! The release binary runs on a database that holds them all with credentials that live. What it
//! takes is compared with the same binary on a database with one account, and with the goals.
//! `WXSIGN_SCALE=10000` takes so many accounts.

#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails fails the benchmark"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "what is measured is how long things take"
)]

#[path = "scale/database.rs"]
mod database;
#[path = "scale/server.rs"]
mod server;

use std::io::Write;
use std::process::Command;
use std::time::{Duration, Instant};

use database::{APPID_OF, Database};
use server::Server;

const ACCOUNTS: usize = 100_000;

/// How often both servers are put under load, in turn.
const ROUNDS: usize = 9;

/// How long nothing is done with the servers to see what they do by themselves.
const IDLE: Duration = Duration::from_secs(30);

fn main() {
    // `cargo test --benches` asks whether it works at all.
    let measures = std::env::args().any(|arg| arg == "--bench");
    let asked = std::env::var("WXSIGN_SCALE").ok();
    let accounts = asked.map_or(if measures { ACCOUNTS } else { 100 }, |asked| {
        asked.parse().unwrap()
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let one = runtime.block_on(Database::of(1));
    let many = runtime.block_on(Database::of(accounts));
    println!(
        "{accounts} accounts, a database of {} MiB",
        many.bytes() >> 20
    );
    let lone = Server::start(&one);
    lone.is_ready();
    let crowded = Server::start(&many);
    starts(&crowded, accounts);
    let idle = if measures {
        IDLE
    } else {
        Duration::from_secs(1)
    };
    rests(&lone, &crowded, accounts, idle);
    watched(&crowded, accounts);
    loaded(&lone, &crowded, accounts, if measures { ROUNDS } else { 1 });
    changed(&crowded, &many, accounts);
}

/// Writes one line of the table.
fn line(what: &str, figure: &str, goal: &str) {
    println!("{what:<58} {figure:>16}   {goal}");
    std::io::stdout().flush().unwrap();
}

fn millis(of: Duration) -> String {
    format!("{:.1} ms", of.as_secs_f64() * 1e3)
}

fn starts(server: &Server, accounts: usize) {
    let signed = server.signs(&APPID_OF(accounts - 1));
    line("exec to the first signature", &millis(signed), "");
    let ready = server.is_ready();
    line("exec to all accounts signing", &millis(ready), "<= 5000 ms");
    line(
        "most memory so far",
        &format!("{:.1} MiB", server.most_memory() / 1048576.0),
        "",
    );
}

fn rests(lone: &Server, crowded: &Server, accounts: usize, idle: Duration) {
    let (cpu, since) = (crowded.cpu(), Instant::now());
    std::thread::sleep(idle);
    let share = (crowded.cpu() - cpu).as_secs_f64() / since.elapsed().as_secs_f64();
    line(
        "processor while idle",
        &format!("{:.2} %", share * 100.0),
        "<= 2 %",
    );
    let (alone, all) = (lone.memory(), crowded.memory());
    line(
        "memory with one account",
        &format!("{:.1} MiB", alone / 1048576.0),
        "<= 10 MiB",
    );
    let each = (all - alone) / accounts as f64;
    line(
        "memory an account, values included",
        &format!("{each:.0} bytes"),
        "<= 1536, aim 1024",
    );
}

/// What those see who watch over it, and what that costs pages.
fn watched(server: &Server, accounts: usize) {
    let since = Instant::now();
    let calm = server.slowest(&APPID_OF(0), || std::thread::sleep(Duration::from_secs(1)));
    line("slowest signature of a calm second", &millis(calm), "");
    let mut figures = (Duration::ZERO, 0);
    for (path, goal) in [
        ("/readyz", "<= 5 ms"),
        ("/metrics", ""),
        ("/v1/accounts", ""),
    ] {
        let slowest = server.slowest(&APPID_OF(0), || {
            let since = Instant::now();
            let answer = server.get(path);
            assert_eq!(answer.status, 200, "{}", answer.body);
            figures = (since.elapsed(), answer.body.len());
        });
        line(
            &format!("{path}, of {} KiB", figures.1 >> 10),
            &millis(figures.0),
            goal,
        );
        line("  slowest signature meanwhile", &millis(slowest), "");
    }
    assert!(
        server
            .get("/metrics")
            .body
            .contains(&format!("wxsign_accounts {accounts}"))
    );
    line("  all of that", &millis(since.elapsed()), "");
    line(
        "memory after that",
        &format!("{:.1} MiB", server.memory() / 1048576.0),
        "",
    );
}

/// Signatures a second for any of many accounts over those for the only one.
fn loaded(lone: &Server, crowded: &Server, accounts: usize, rounds: usize) {
    let (mut alone, mut same, mut all, mut any) = (vec![], vec![], vec![], vec![]);
    for _ in 0..rounds {
        alone.push(lone.load(1));
        all.push(crowded.load(1));
        any.push(crowded.load(accounts));
        same.push(lone.load(1));
    }
    let [alone, same, all, any] = [alone, same, all, any].map(|mut rates| {
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    });
    line(
        "signatures a second with one account",
        &format!("{alone:.0}"),
        "",
    );
    line("  the same once more", &format!("{:.3}", same / alone), "");
    line(
        "  one of many accounts",
        &format!("{:.3}", all / alone),
        ">= 0.95, aim 0.98",
    );
    line(
        "  any of many accounts",
        &format!("{:.3}", any / alone),
        ">= 0.95, aim 0.98",
    );
}

/// Accounts that are added, changed and removed while all others are there.
fn changed(server: &Server, database: &Database, accounts: usize) {
    const CHANGES: usize = 20;
    let since = Instant::now();
    let cpu = server.cpu();
    for number in 0..CHANGES {
        let path = format!("/v1/accounts/{}", APPID_OF(accounts + number));
        let body = r#"{"secret":"0123456789abcdef0123456789abcdef","page_hosts":["a.example.com"],"unchecked":true}"#;
        let answer = server.ask("PUT", &path, body);
        assert_eq!(answer.status, 201, "{}", answer.body);
    }
    let each = |of: Duration| millis(of / CHANGES as u32);
    line(
        "PUT /v1/accounts/{appid}, one after the other",
        &each(since.elapsed()),
        "",
    );
    line("  processor for each", &each(server.cpu() - cpu), "");
    for verb in [
        &[
            "account",
            "add",
            &APPID_OF(accounts + CHANGES),
            "--page-host",
            "a.example.com",
            "--unchecked",
        ][..],
        &["account", "list"],
        &["account", "remove", &APPID_OF(accounts + CHANGES)],
    ] {
        let since = Instant::now();
        let mut command = Command::new(env!("CARGO_BIN_EXE_wxsign"));
        let said = server::with_input(
            database.configure(&mut command).args(verb),
            "0123456789abcdef0123456789abcdef",
        );
        assert!(
            said.status.success(),
            "{}",
            String::from_utf8_lossy(&said.stderr)
        );
        line(
            &format!("wxsign {}", verb[..2].join(" ")),
            &millis(since.elapsed()),
            "",
        );
    }
    let cpu = server.cpu();
    std::thread::sleep(Duration::from_secs(5));
    line(
        "processor to take both changes up",
        &millis(server.cpu() - cpu),
        "",
    );
}
