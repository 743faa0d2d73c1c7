//! What every backend must do, as one suite that each of them runs.

use super::{Attempt, Key, Lease, Memory, Record, Sqlite, Store, Version};
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
}

/// Shares one memory between the handles that the suite opens.
struct Shared(std::sync::Arc<Memory>);

impl super::Backend for Shared {
    fn load<'a>(
        &'a self,
        key: &'a Key,
    ) -> futures_core::future::BoxFuture<'a, Result<Option<super::Stored>, super::StoreError>> {
        self.0.load(key)
    }

    fn swap<'a>(
        &'a self,
        key: &'a Key,
        from: Version,
        to: Version,
        bytes: Vec<u8>,
    ) -> futures_core::future::BoxFuture<'a, Result<bool, super::StoreError>> {
        self.0.swap(key, from, to, bytes)
    }

    fn is_embedded(&self) -> bool {
        false
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
