//! What every backend must do, as one suite that each of them runs.

use futures_core::future::BoxFuture;

use super::{
    AccountRow, AccountRows, Attempt, Changes, EncodedRows, Key, Lease, Memory, Record, Sqlite,
    Store, StoreError, Version,
};
use crate::account::{AppId, TokenApi};
use crate::clock::Timestamp;
use crate::credential::{Credential, Kind, Secret};

fn key(kind: Kind) -> Key {
    Key {
        appid: "wx0123456789abcdef".parse().unwrap(),
        kind,
    }
}

fn record(generation: u64) -> Record {
    let now = Timestamp::from_secs(1_700_000_000);
    Record {
        credential: Some(Credential {
            value: Secret::new("t".repeat(1024)),
            generation,
            first_seen: now,
            confirmed_at: now,
            expires_at: now,
            claimed_until: now,
        }),
        lease: Some(Lease {
            attempt: Attempt::random(),
            holder: "node \"微\"".to_owned(),
            acquired_at: now,
            until: now,
            strays_seen: u64::MAX,
        }),
        ..Record::default()
    }
}

/// Runs the suite; `open` opens the same store again, as another process would.
async fn suite(open: impl Fn() -> Store) {
    let (one, two) = (open(), open());
    let token = key(Kind::AccessToken);

    // Nothing is there at first.
    assert_eq!(
        one.load(&token).await.unwrap(),
        (Record::default(), Version::ABSENT)
    );

    // What is put there is what is read, by everyone.
    let first = one
        .swap(&token, Version::ABSENT, &record(1))
        .await
        .unwrap()
        .unwrap();
    let (loaded, version) = two.load(&token).await.unwrap();
    assert_eq!((loaded.credential, version), (record(1).credential, first));

    // A second first write, and a write from a version that is gone, change nothing.
    assert_eq!(
        two.swap(&token, Version::ABSENT, &record(9)).await.unwrap(),
        None
    );
    let second = two.swap(&token, first, &record(2)).await.unwrap().unwrap();
    assert_ne!(first, second);
    assert_eq!(one.swap(&token, first, &record(9)).await.unwrap(), None);
    let (loaded, version) = one.load(&token).await.unwrap();
    assert_eq!(loaded.credential.unwrap().generation, 2);
    assert_eq!(version, second);

    // A write to a version that never was changes nothing, also where nothing is.
    let ticket = key(Kind::JsapiTicket);
    assert_eq!(one.swap(&ticket, first, &record(9)).await.unwrap(), None);
    assert_eq!(one.load(&ticket).await.unwrap().1, Version::ABSENT);

    // The same content written again is a new version.
    let third = one.swap(&token, second, &record(2)).await.unwrap().unwrap();
    assert_ne!(second, third);

    // Of many swaps from one version exactly one takes effect.
    let stores: Vec<Store> = (0..8).map(|_| open()).collect();
    let mut version = third;
    for round in 0..10_u64 {
        let swaps = stores.iter().enumerate().map(|(node, store)| {
            let record = record(100 * (round + 1) + node as u64);
            let token = token.clone();
            async move { store.swap(&token, version, &record).await.unwrap() }
        });
        let mut winners = Vec::new();
        for swap in swaps {
            winners.extend(swap.await);
        }
        assert_eq!(winners.len(), 1, "round {round}");
        version = winners[0];
        assert_eq!(one.load(&token).await.unwrap().1, version);
    }
    accounts_suite(&one, &two).await;
}

async fn accounts_suite(one: &Store, two: &Store) {
    let appid = |number: u8| format!("wx{number:016x}").parse::<AppId>().unwrap();
    let found = async |store: &Store| {
        let rows = store.accounts().await.unwrap();
        let rows = rows.into_iter().map(|(appid, row)| (appid, row.unwrap()));
        rows.collect::<Vec<_>>()
    };

    // Nobody was added at first.
    assert_eq!(found(one).await, []);

    // Who is put there is found by everyone, in the order of AppIDs, and replaced by the next.
    put(one, &appid(2), "b").await;
    put(two, &appid(1), "first").await;
    put(one, &appid(1), "a").await;
    let both = [(appid(1), row("a")), (appid(2), row("b"))];
    assert_eq!(found(one).await, both);
    assert_eq!(found(two).await, both);

    // Several are changed at once or not at all.
    let changed = one.change_accounts(|rows: &AccountRows| {
        let names = rows.keys().cloned().zip(["c", "d"]);
        let changes = names.map(|(appid, name)| (appid, Some(row(name))));
        Ok::<_, StoreError>((changes.collect(), rows.len()))
    });
    assert_eq!(changed.await, Ok(Some(2)));
    let both = [(appid(1), row("c")), (appid(2), row("d"))];
    assert_eq!(found(two).await, both);
    let refused = |_: &AccountRows| Err::<(Changes, ()), _>(StoreError("refused".to_owned()));
    one.change_accounts(refused).await.unwrap_err();
    assert_eq!(found(two).await, both);

    // Of two swaps from the same accounts one takes effect.
    let rows = two.backend.accounts().await.unwrap();
    put(two, &appid(2), "e").await;
    let swapped = one.backend.swap_accounts(rows, EncodedRows::new()).await;
    assert_eq!(swapped, Ok(false));
    assert_eq!(found(two).await[1].1, row("e"));

    // Who is taken away is gone, and nobody else.
    change(two, &appid(1), None).await;
    assert_eq!(found(one).await, [(appid(2), row("e"))]);
}

async fn put(store: &Store, appid: &AppId, name: &str) {
    change(store, appid, Some(row(name))).await;
}

async fn change(store: &Store, appid: &AppId, row: Option<AccountRow>) {
    let changes = Changes::from([(appid.clone(), row)]);
    let changed = store.change_accounts(|_| Ok::<_, StoreError>((changes, ())));
    assert_eq!(changed.await, Ok(Some(())));
}

fn row(name: &str) -> AccountRow {
    AccountRow {
        name: Some(name.to_owned()),
        token_api: TokenApi::Stable,
        page_hosts: vec!["*.example.com".to_owned(), "[::1]:8080".to_owned()],
        secret: serde_json::from_str("\"c2VhbGVk\"").unwrap(),
        changed_at: Timestamp::from_millis(i64::MAX),
    }
}

/// Shares one memory between the handles that the suite opens.
struct Shared(std::sync::Arc<Memory>);

impl super::Backend for Shared {
    fn load<'a>(
        &'a self,
        key: &'a Key,
    ) -> BoxFuture<'a, Result<Option<super::Stored>, StoreError>> {
        self.0.load(key)
    }

    fn swap<'a>(
        &'a self,
        key: &'a Key,
        from: Version,
        to: Version,
        bytes: Vec<u8>,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        self.0.swap(key, from, to, bytes)
    }

    fn is_embedded(&self) -> bool {
        false
    }

    fn accounts(&self) -> BoxFuture<'_, Result<EncodedRows, StoreError>> {
        self.0.accounts()
    }

    fn swap_accounts(
        &self,
        from: EncodedRows,
        to: EncodedRows,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.0.swap_accounts(from, to)
    }
}

#[tokio::test]
async fn memory_conforms() {
    let memory = std::sync::Arc::<Memory>::default();
    suite(|| Store::new(Shared(memory.clone()))).await;
}

#[tokio::test]
async fn sqlite_conforms() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("wxsign.db");
    suite(|| Store::new(Sqlite::open(&path).unwrap())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_processes_that_write_to_one_file_at_once_one_wins() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("wxsign.db");
    let token = key(Kind::AccessToken);
    drop(Sqlite::open(&path).unwrap());
    let mut version = Version::ABSENT;
    for _ in 0..20 {
        let mut writers = tokio::task::JoinSet::new();
        for node in 0..8 {
            let (store, token) = (Store::new(Sqlite::open(&path).unwrap()), token.clone());
            writers.spawn(async move { store.swap(&token, version, &record(node)).await.unwrap() });
        }
        let winners: Vec<Version> = writers.join_all().await.into_iter().flatten().collect();
        assert_eq!(winners.len(), 1);
        version = winners[0];
    }
}

#[tokio::test]
async fn a_record_that_cannot_be_read_counts_as_empty_and_stays_until_it_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("wxsign.db");
    let token = key(Kind::AccessToken);
    let store = Store::new(Sqlite::open(&path).unwrap());
    store
        .swap(&token, Version::ABSENT, &record(1))
        .await
        .unwrap()
        .unwrap();
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.execute("UPDATE record SET record = x'ff00'", [])
        .unwrap();

    let (loaded, version) = store.load(&token).await.unwrap();
    assert_eq!(loaded, Record::default());
    let bytes: Vec<u8> = raw
        .query_row("SELECT record FROM record", [], |row| row.get(0))
        .unwrap();
    assert_eq!(bytes, [0xff, 0]);

    assert!(
        store
            .swap(&token, version, &record(2))
            .await
            .unwrap()
            .is_some()
    );
    assert_eq!(
        store
            .load(&token)
            .await
            .unwrap()
            .0
            .credential
            .unwrap()
            .generation,
        2
    );
}

#[tokio::test]
async fn an_account_that_cannot_be_read_hides_no_other() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("wxsign.db");
    let store = Store::new(Sqlite::open(&path).unwrap());
    let appids: [AppId; 2] = [1, 2].map(|number| format!("wx{number:016x}").parse().unwrap());
    for appid in &appids {
        put(&store, appid, "a").await;
    }
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.execute(
        "UPDATE account SET account = x'7b7d' WHERE appid LIKE '%1'",
        [],
    )
    .unwrap();
    let rows = store.accounts().await.unwrap();
    assert_eq!(rows[&appids[0]], None);
    assert_eq!(rows[&appids[1]], Some(row("a")));

    // Nor is it touched when another is changed.
    put(&store, &appids[1], "b").await;
    let bytes: Vec<u8> = raw
        .query_row("SELECT account FROM account LIMIT 1", [], |row| row.get(0))
        .unwrap();
    assert_eq!(bytes, b"{}");
}
