//! A database with accounts that were added at run time, whose credentials live.

use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;
use wxsign::account::{AppId, TokenApi};
use wxsign::client::KeyHash;
use wxsign::clock::Clock;
use wxsign::credential::{Credential, Kind, Secret};
use wxsign::store::{AccountRow, Changes, Key, Record, Sqlite, Store, StoreError, Tell, Version};
use wxsign::vault::Vault;

use crate::server::Server;

const MASTER_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// The key of the operator.
pub(super) const KEY: &str = "wxk_0123456789abcdefghijklmnop";

/// As long as WeChat's are: those of 2022 have 157 characters.
const TOKEN: usize = 157;
const TICKET: usize = 86;

/// The page of the account of a number, which stands there twice.
pub(super) const PAGES: &str =
    "/jsapi/signature?appid=wx%016x&url=https%%3A%%2F%%2Fh%d.example.com%%2Fpage";

pub(super) fn appid_of(number: usize) -> AppId {
    format!("wx{number:016x}").parse().unwrap()
}

pub(super) struct Database {
    pub(super) accounts: usize,
    directory: TempDir,
}

impl Database {
    /// One with so many accounts. It lies in memory where it can: what is measured is not the disk.
    pub(super) async fn of(accounts: usize) -> Self {
        let in_memory = tempfile::tempdir_in("/dev/shm");
        let directory = in_memory.unwrap_or_else(|_| tempfile::tempdir().unwrap());
        let database = Self {
            accounts,
            directory,
        };
        let vault = || Vault::new(&MASTER_KEY.parse().unwrap());
        let sqlite = Sqlite::open(&database.path()).unwrap();
        let store = Store::sealed(sqlite, Some(vault()));
        add(&store, &vault(), accounts).await;
        for number in 0..accounts {
            for (kind, length) in [(Kind::AccessToken, TOKEN), (Kind::JsapiTicket, TICKET)] {
                let appid = appid_of(number);
                let (key, record) = (Key { appid, kind }, record(number, length));
                let swapped = store.swap(&key, Version::ABSENT, &record, Tell::Nobody);
                assert!(swapped.await.unwrap().is_some());
            }
        }
        database
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("wxsign.db")
    }

    /// A server on it that asks nobody. It is asked for the page of the first account.
    pub(super) fn server(&self) -> Server {
        let configuration = format!(
            "upstream = \"http://127.0.0.1:9\"\nstore = \"sqlite:{}\"\n\
             master_key = \"{MASTER_KEY}\"\n[limits]\nsignatures_per_address = 0\n\
             signatures_per_account = 0\n[[client]]\nname = \"operator\"\n\
             key_sha256 = \"{}\"\naccounts = [\"*\"]\nscopes = [\"status\", \"admin\"]\n",
            self.path().display(),
            KeyHash::of(KEY)
        );
        let page = format!(
            "/jsapi/signature?appid={}&url=https%3A%2F%2Fh0.example.com%2Fpage",
            appid_of(0)
        );
        let program = env!("CARGO_BIN_EXE_wxsign");
        Server::new("none", program, &page, |command, directory, address| {
            std::fs::write(directory.join("wxsign.toml"), configuration).unwrap();
            let listen = address.to_string();
            command.args(["serve", "--listen", &listen]).env_clear();
        })
    }
}

async fn add(store: &Store, vault: &Vault, accounts: usize) {
    let rows = (0..accounts).map(|number| {
        let appid = appid_of(number);
        let row = AccountRow {
            name: None,
            token_api: TokenApi::Classic,
            page_hosts: vec![format!("h{number}.example.com")],
            secret: vault.seal(&appid, &Secret::new("0123456789abcdef0123456789abcdef")),
            changed_at: Clock::system().now(),
            wx_card: false,
        };
        (appid, Some(row))
    });
    let changes = Changes {
        accounts: rows.collect(),
        ..Changes::default()
    };
    let changed = store.change_directory(|_| Ok::<_, StoreError>((changes, ())));
    assert_eq!(changed.await, Ok(Some(())));
}

fn record(number: usize, length: usize) -> Record {
    let now = Clock::system().now();
    let end = now + Duration::from_secs(7200);
    Record {
        credential: Some(Credential {
            value: Secret::new(format!("{number:0length$}")),
            generation: 9,
            first_seen: now,
            confirmed_at: now,
            expires_at: end,
            claimed_until: end,
        }),
        // As of one that was renewed for a day.
        former: (0..8)
            .map(|former| Secret::new(format!("{former} {number}")).fingerprint())
            .collect(),
        renewed_by: Some("host.example.com/4711".to_owned()),
        ..Record::default()
    }
}
