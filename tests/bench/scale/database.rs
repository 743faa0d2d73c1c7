//! A database with accounts that were added at run time, whose credentials live.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use wxsign::account::{AppId, TokenApi};
use wxsign::client::KeyHash;
use wxsign::clock::Clock;
use wxsign::credential::{Credential, Kind, Secret};
use wxsign::store::{AccountRow, Changes, Key, Record, Sqlite, Store, StoreError, Tell, Version};
use wxsign::vault::Vault;

const MASTER_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// The key of the operator.
pub(crate) const KEY: &str = "wxk_0123456789abcdefghijklmnop";

/// As long as WeChat's are: those of 2022 have 157 characters.
const TOKEN: usize = 157;
const TICKET: usize = 86;

/// The AppID of the account of this number.
pub(crate) const APPID_OF: fn(usize) -> String = |number| format!("wx{number:016x}");

/// A page of that account.
pub(crate) fn page(number: usize) -> String {
    format!("h{number}.example.com")
}

pub(crate) struct Database {
    directory: TempDir,
}

impl Database {
    /// One with so many accounts. It lies in memory where it can: what is measured is not the disk.
    pub(crate) async fn of(accounts: usize) -> Self {
        let in_memory = tempfile::tempdir_in("/dev/shm");
        let directory = in_memory.unwrap_or_else(|_| tempfile::tempdir().unwrap());
        let database = Self { directory };
        let vault = || Vault::new(&MASTER_KEY.parse().unwrap());
        let sqlite = Sqlite::open(&database.path()).unwrap();
        let store = Store::sealed(sqlite, Some(vault()));
        database.add(&store, &vault(), accounts).await;
        for number in 0..accounts {
            for (kind, length) in [(Kind::AccessToken, TOKEN), (Kind::JsapiTicket, TICKET)] {
                let appid = APPID_OF(number).parse().unwrap();
                let record = record(number, length);
                let key = Key { appid, kind };
                let swapped = store
                    .swap(&key, Version::ABSENT, &record, Tell::Nobody)
                    .await;
                assert!(swapped.unwrap().is_some());
            }
        }
        database
    }

    async fn add(&self, store: &Store, vault: &Vault, accounts: usize) {
        let rows = (0..accounts).map(|number| {
            let appid: AppId = APPID_OF(number).parse().unwrap();
            let row = AccountRow {
                name: None,
                token_api: TokenApi::Classic,
                page_hosts: vec![page(number)],
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

    fn path(&self) -> PathBuf {
        self.directory.path().join("wxsign.db")
    }

    pub(crate) fn bytes(&self) -> u64 {
        let files = std::fs::read_dir(self.directory.path()).unwrap();
        files
            .map(|file| file.unwrap().metadata().unwrap().len())
            .sum()
    }

    /// Has `command` run on it.
    pub(crate) fn configure<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let configuration = format!(
            "upstream = \"http://127.0.0.1:9\"\n[limits]\nsignatures_per_address = 0\n\
             signatures_per_account = 0\n\
             [[client]]\nname = \"operator\"\nkey_sha256 = \"{}\"\naccounts = [\"*\"]\n\
             scopes = [\"status\", \"admin\"]\n",
            KeyHash::of(KEY)
        );
        std::fs::write(self.directory.path().join("wxsign.toml"), configuration).unwrap();
        command
            .env_clear()
            .env("WXSIGN_MASTER_KEY", MASTER_KEY)
            .env("WXSIGN_LOG", "warn")
            .current_dir(self.directory.path())
    }
}

fn record(number: usize, length: usize) -> Record {
    let now = Clock::system().now();
    let end = now + Duration::from_secs(7200);
    Record {
        credential: Some(Credential {
            value: Secret::new(format!("{number:0length$}")),
            generation: 1,
            first_seen: now,
            confirmed_at: now,
            expires_at: end,
            claimed_until: end,
        }),
        renewed_by: Some("host.example.com/4711".to_owned()),
        ..Record::default()
    }
}
