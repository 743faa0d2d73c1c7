//! wxsign with a hundred thousand accounts beside wxsign with one.
//!
//! The others are accounts that were added at run time. Its database is filled with what WeChat gave
//! the one account, under all their names: so nothing is due for four minutes, and WeChat is not
//! asked.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, Transaction};
use tokio::runtime::Runtime;
use wxsign::account::{AppId, TokenApi};
use wxsign::clock::Clock;
use wxsign::credential::Secret;
use wxsign::store::{AccountRow, Changes, Sqlite, Store, StoreError};
use wxsign::vault::{MasterKey, Vault};

use crate::server::{Reading, Server};
use crate::situation::USUAL;
use crate::subjects::wxsign;
use crate::wechat::{APP_SECRET, Temper, WeChat};
use crate::wrk::median;

/// What was found.
pub(crate) struct Scale {
    pub(crate) accounts: usize,
    /// From the start to the first signature.
    pub(crate) start: Duration,
    /// From there until it has read what is stored.
    pub(crate) settled: Duration,
    pub(crate) bytes_each: f64,
    /// Requests a second over those with one account.
    pub(crate) per_second_over_one: f64,
    /// The part of a core that is used while nobody asks.
    pub(crate) idle_cpu: f64,
}

/// What their AppSecrets are sealed with.
const MASTER_KEY: &str = "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a";

/// How long nobody asks, to see what it does by itself.
const IDLE: Duration = Duration::from_secs(2);

/// Compares the two.
pub(crate) fn scale(runtime: &Runtime, accounts: usize, rounds: usize) -> Scale {
    let wechat = runtime.block_on(WeChat::start([Temper::Quiet]));
    let store = "store = \"sqlite:wxsign.db\"\n";
    let with_key = format!("{store}master_key = \"{MASTER_KEY}\"\n");
    let mut one = wxsign(&wechat.url, store, &wechat.configuration());
    let mut many = wxsign(&wechat.url, &with_key, &wechat.configuration());
    one.start();
    one.stop();
    let added: Vec<AppId> = (1..accounts)
        .map(|number| format!("wx{number:016x}").parse().unwrap())
        .collect();
    copy(one.directory(), many.directory(), &added);
    runtime.block_on(add(many.directory(), &added));
    one.start();
    let start = many.start();
    let settled = settle(&many);
    let memory = many.memory() - one.memory();
    let idle_cpu = many.cpu_during(IDLE);
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
        settled,
        bytes_each: memory / (accounts - 1) as f64,
        per_second_over_one: of_many / of_one,
        idle_cpu,
    }
}

/// Waits until it does little by itself, and says how long that took.
fn settle(server: &Server) -> Duration {
    const LITTLE: f64 = 0.1;
    let look = Duration::from_millis(500);
    let looks = (0..120).find(|_| server.cpu_during(look) < LITTLE);
    look * looks.unwrap_or(120)
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

/// Adds `accounts` to the database in `directory`, as is done at run time.
async fn add(directory: &Path, accounts: &[AppId]) {
    let key: MasterKey = MASTER_KEY.parse().unwrap();
    let vault = Vault::new(&key);
    let row = |appid: &AppId| AccountRow {
        name: None,
        token_api: TokenApi::Classic,
        page_hosts: vec!["h5.example.com".to_owned()],
        secret: vault.seal(appid, &Secret::new(APP_SECRET)),
        changed_at: Clock::system().now(),
        wx_card: false,
    };
    let rows = accounts
        .iter()
        .map(|appid| (appid.clone(), Some(row(appid))));
    let changes = Changes {
        accounts: rows.collect(),
        ..Changes::default()
    };
    let store = Store::new(Sqlite::open(&directory.join("wxsign.db")).unwrap());
    let changed = store.change_directory(|_| Ok::<_, StoreError>((changes, ())));
    changed.await.unwrap().expect("nobody else changes it");
}
