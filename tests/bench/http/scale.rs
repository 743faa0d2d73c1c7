//! wxsign with a hundred thousand accounts beside wxsign with one.
//!
//! Its configuration is written, and its database is filled with what WeChat gave the one account,
//! under all their names. So nothing is due for four minutes, and WeChat is not asked.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, Transaction};
use tokio::runtime::Runtime;
use wxsign::account::AppId;

use crate::server::Reading;
use crate::situation::USUAL;
use crate::subjects::wxsign;
use crate::wechat::{APP_SECRET, Temper, WeChat};
use crate::wrk::median;

/// What was found.
pub(crate) struct Scale {
    pub(crate) accounts: usize,
    /// From the start to the first signature.
    pub(crate) start: Duration,
    pub(crate) bytes_each: f64,
    /// Requests a second over those with one account.
    pub(crate) per_second_over_one: f64,
    /// The part of a core that is used while nobody asks.
    pub(crate) idle_cpu: f64,
}

const IDLE: Duration = Duration::from_secs(2);

/// Compares the two.
pub(crate) fn scale(runtime: &Runtime, accounts: usize, rounds: usize) -> Scale {
    let wechat = runtime.block_on(WeChat::start([Temper::Quiet]));
    let store = "sqlite:wxsign.db";
    let mut one = wxsign(&wechat.url, store, &wechat.configuration());
    one.start();
    one.stop();
    let more = accounts_but_first(accounts);
    let mut many = wxsign(
        &wechat.url,
        store,
        &(wechat.configuration() + &configuration(&more)),
    );
    copy(one.directory(), many.directory(), &more);
    one.start();
    let start = many.start();
    std::thread::sleep(Duration::from_secs(1));
    let memory = many.memory() - one.memory();
    let before = many.cpu();
    std::thread::sleep(IDLE);
    let idle_cpu = (many.cpu() - before).as_secs_f64() / IDLE.as_secs_f64();
    let mut rates = [Vec::new(), Vec::new()];
    for _ in 0..rounds {
        for (server, rates) in [&one, &many].into_iter().zip(&mut rates) {
            let Reading { sample, .. } = server.load(&USUAL.load());
            rates.push(sample.per_second);
        }
    }
    let [of_one, of_many] = rates.map(|rates| median(rates).unwrap());
    Scale {
        accounts,
        start,
        bytes_each: memory / (accounts - 1) as f64,
        per_second_over_one: of_many / of_one,
        idle_cpu,
    }
}

fn accounts_but_first(accounts: usize) -> Vec<AppId> {
    let appid = |number: usize| format!("wx{number:016x}").parse().unwrap();
    (1..accounts).map(appid).collect()
}

/// The accounts as they stand in a configuration.
fn configuration(accounts: &[AppId]) -> String {
    let mut text = String::new();
    for appid in accounts {
        writeln!(
            text,
            "[[account]]\nappid = \"{appid}\"\nsecret = \"{APP_SECRET}\"\n\
             page_hosts = [\"h5.example.com\"]"
        )
        .unwrap();
    }
    text
}

/// Gives `accounts` in the database of `into` what the first account has in that of `from`.
fn copy(from: &Path, into: &Path, accounts: &[AppId]) {
    let (from, into) = (from.join("wxsign.db"), into.join("wxsign.db"));
    let source = Connection::open(from).unwrap();
    let path = into.to_str().unwrap();
    source.execute("VACUUM INTO ?1", [path]).unwrap();
    let mut copy = Connection::open(into).unwrap();
    let transaction = copy.transaction().unwrap();
    fill(&transaction, accounts);
    transaction.commit().unwrap();
}

fn fill(transaction: &Transaction<'_>, accounts: &[AppId]) {
    let insert = "INSERT INTO record SELECT ?1, kind, version, record FROM record WHERE appid = ?2";
    let first = AppId::to_string(&"wx0000000000000000".parse().unwrap());
    let mut statement = transaction.prepare(insert).unwrap();
    for appid in accounts {
        let copied = statement.execute([&appid.to_string(), &first]).unwrap();
        assert_eq!(copied, 2, "a token and a ticket");
    }
}
