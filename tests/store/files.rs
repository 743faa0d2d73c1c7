//! Memory and SQLite: the stores of one process.

use std::sync::Arc;

use futures_core::future::BoxFuture;
use wxsign::account::AppId;
use wxsign::credential::Kind;
use wxsign::store::{
    Backend, Changes, EncodedChanges, Entries, EventId, EventRange, EventStream, Key, Memory,
    Record, Sqlite, Store, StoreError, Stored, StoredEvent, Tell, Version, Write,
};
use wxsign::vault::Vault;

use super::suite::{key, record, row, suite};

/// Shares one memory between the handles that the suite opens.
struct Shared(Arc<Memory>);

impl Backend for Shared {
    fn load<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Stored>, StoreError>> {
        self.0.load(key)
    }

    fn swap<'a>(&'a self, key: &'a Key, write: Write) -> BoxFuture<'a, Result<bool, StoreError>> {
        self.0.swap(key, write)
    }

    fn directory(
        &self,
        known: Option<Version>,
    ) -> BoxFuture<'_, Result<Option<Entries>, StoreError>> {
        self.0.directory(known)
    }

    fn swap_directory(
        &self,
        from: Version,
        to: Version,
        changes: EncodedChanges,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.0.swap_directory(from, to, changes)
    }

    fn is_embedded(&self) -> bool {
        true
    }

    fn append_events(
        &self,
        stream: EventStream,
        events: Vec<StoredEvent>,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        self.0.append_events(stream, events)
    }

    fn events(
        &self,
        stream: EventStream,
        range: EventRange,
    ) -> BoxFuture<'_, Result<Vec<StoredEvent>, StoreError>> {
        self.0.events(stream, range)
    }

    fn prune_events(
        &self,
        stream: EventStream,
        before: EventId,
        most: u32,
    ) -> BoxFuture<'_, Result<u32, StoreError>> {
        self.0.prune_events(stream, before, most)
    }
}

#[tokio::test]
async fn memory_conforms() {
    let memory = Arc::<Memory>::default();
    suite(|| Shared(Arc::clone(&memory))).await;
}

#[tokio::test]
async fn sqlite_conforms() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("wxsign.db");
    suite(|| Sqlite::open(&path).unwrap()).await;
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
            writers.spawn(async move {
                let swapped = store
                    .swap(&token, version, &record(node), Tell::Nobody)
                    .await;
                swapped.unwrap()
            });
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
    let swapped = store
        .swap(&token, Version::ABSENT, &record(1), Tell::Nobody)
        .await;
    swapped.unwrap().unwrap();
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.execute("UPDATE record SET record = x'ff00'", [])
        .unwrap();

    let (loaded, version) = store.load(&token).await.unwrap();
    assert_eq!(loaded, Record::default());
    let bytes: Vec<u8> = raw
        .query_row("SELECT record FROM record", [], |row| row.get(0))
        .unwrap();
    assert_eq!(bytes, [0xff, 0]);

    let swapped = store.swap(&token, version, &record(2), Tell::Nobody).await;
    assert!(swapped.unwrap().is_some());
    let (loaded, _) = store.load(&token).await.unwrap();
    assert_eq!(loaded.credential.unwrap().generation, 2);
}

#[tokio::test]
async fn an_account_that_cannot_be_read_hides_no_other() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("wxsign.db");
    let store = Store::new(Sqlite::open(&path).unwrap());
    let appids: [AppId; 2] = [1, 2].map(|number| format!("wx{number:016x}").parse().unwrap());
    let put = async |appid: &AppId, name: &str| {
        let accounts = [(appid.clone(), Some(row(name)))].into();
        let changed = store.change_directory(|_| {
            Ok::<_, StoreError>((
                Changes {
                    accounts,
                    ..Changes::default()
                },
                (),
            ))
        });
        assert_eq!(changed.await, Ok(Some(())));
    };
    for appid in &appids {
        put(appid, "a").await;
    }
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.execute_batch(
        "UPDATE entry SET content = x'7b7d' WHERE name LIKE '%1';
         INSERT INTO entry VALUES ('account/spoilt', x'7b7d'), ('', x'');
         UPDATE directory SET version = randomblob(16)",
    )
    .unwrap();
    let rows = store.directory().await.unwrap();
    let rows = rows.accounts();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[&appids[0]], None);
    assert_eq!(rows[&appids[1]], Some(row("a")));

    // Nor is it touched when another is changed.
    put(&appids[1], "b").await;
    let bytes: Vec<u8> = raw
        .query_row(
            "SELECT content FROM entry WHERE name LIKE '%1'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(bytes, b"{}");
}

/// A file with a directory, and two processes, the first of which knows two accounts.
struct Lossy {
    path: std::path::PathBuf,
    raw: rusqlite::Connection,
    knows: Store,
    _directory: tempfile::TempDir,
}

impl Lossy {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("wxsign.db");
        let knows = Store::new(Sqlite::open(&path).unwrap());
        for number in [1, 2] {
            put(&knows, number, Some("a")).await;
        }
        Self {
            raw: rusqlite::Connection::open(&path).unwrap(),
            path,
            knows,
            _directory: directory,
        }
    }

    fn other(&self) -> Store {
        Store::new(Sqlite::open(&self.path).unwrap())
    }

    fn empty(&self) {
        let emptied = self
            .raw
            .execute_batch("DELETE FROM entry; DELETE FROM directory");
        emptied.unwrap();
    }
}

fn appid(number: u8) -> AppId {
    format!("wx{number:016x}").parse().unwrap()
}

async fn put(store: &Store, number: u8, name: Option<&str>) {
    let accounts = [(appid(number), name.map(row))].into();
    let changes = Changes {
        accounts,
        ..Changes::default()
    };
    let changed = store.change_directory(|_| Ok::<_, StoreError>((changes, ())));
    assert_eq!(changed.await, Ok(Some(())));
}

async fn numbers(store: &Store) -> Vec<u8> {
    let directory = store.directory().await.unwrap();
    let accounts = directory.accounts();
    (0..=9)
        .filter(|number| accounts.contains_key(&appid(*number)))
        .collect()
}

#[tokio::test]
async fn a_store_that_has_lost_the_directory_gets_it_back() {
    let lossy = Lossy::new().await;
    let other = lossy.other();
    lossy.empty();
    assert!(numbers(&other).await.is_empty());
    assert_eq!(numbers(&lossy.knows).await, [1, 2]);
    assert_eq!(numbers(&other).await, [1, 2]);
}

#[tokio::test]
async fn what_somebody_began_anew_in_an_emptied_store_is_added_to_what_is_known() {
    let lossy = Lossy::new().await;
    lossy.empty();
    // A process that knows nothing is the first to write.
    let stranger = lossy.other();
    put(&stranger, 3, Some("c")).await;
    assert_eq!(numbers(&lossy.knows).await, [1, 2, 3]);
    assert_eq!(numbers(&stranger).await, [1, 2, 3]);
    // From then on it is one directory: what is taken away is gone.
    put(&stranger, 1, None).await;
    assert_eq!(numbers(&lossy.knows).await, [2, 3]);
}

#[tokio::test]
async fn a_store_that_went_back_in_time_gets_the_last_change_back() {
    let lossy = Lossy::new().await;
    let entries = "CREATE TABLE kept AS SELECT * FROM entry;
        CREATE TABLE kept_version AS SELECT * FROM directory";
    lossy.raw.execute_batch(entries).unwrap();
    put(&lossy.knows, 1, None).await;
    put(&lossy.knows, 4, Some("d")).await;
    let back = "DELETE FROM entry; DELETE FROM directory;
        INSERT INTO entry SELECT * FROM kept; INSERT INTO directory SELECT * FROM kept_version";
    lossy.raw.execute_batch(back).unwrap();
    let other = lossy.other();
    assert_eq!(numbers(&other).await, [1, 2]);
    assert_eq!(numbers(&lossy.knows).await, [2, 4]);
    assert_eq!(numbers(&other).await, [2, 4]);
}

#[tokio::test]
async fn what_is_taken_from_a_directory_without_a_history_is_not_put_back() {
    let lossy = Lossy::new().await;
    let as_before = "DELETE FROM entry WHERE name = 'history';
        UPDATE directory SET version = randomblob(16)";
    lossy.raw.execute_batch(as_before).unwrap();
    let (server, other) = (lossy.other(), lossy.other());
    assert_eq!(numbers(&server).await, [1, 2]);
    put(&other, 1, None).await;
    assert_eq!(numbers(&server).await, [2]);
    assert_eq!(numbers(&other).await, [2]);
}

#[tokio::test]
async fn a_change_in_an_emptied_store_takes_nobody_away() {
    let lossy = Lossy::new().await;
    lossy.empty();
    put(&lossy.knows, 5, Some("e")).await;
    assert_eq!(numbers(&lossy.other()).await, [1, 2, 5]);
}

#[tokio::test]
async fn with_a_master_key_a_record_is_sealed_and_without_it_nobody_takes_it_for_empty() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("wxsign.db");
    let vault = |digit: &str| Some(Vault::new(&digit.repeat(64).parse().unwrap()));
    let open = |vault| Store::sealed(Sqlite::open(&path).unwrap(), vault);
    let (token, ticket) = (key(Kind::AccessToken), key(Kind::JsapiTicket));

    // What was stored before there was a key is read with it, and sealed when it is written.
    let plain = open(None);
    let swapped = plain
        .swap(&token, Version::ABSENT, &record(1), Tell::Nobody)
        .await;
    let version = swapped.unwrap().unwrap();
    let sealed = open(vault("1"));
    let (loaded, _) = sealed.load(&token).await.unwrap();
    assert_eq!(loaded.credential, record(1).credential);
    let swapped = sealed.swap(&token, version, &record(2), Tell::Nobody).await;
    let version = swapped.unwrap().unwrap();
    let (loaded, found) = sealed.load(&token).await.unwrap();
    assert_eq!((loaded.credential, found), (record(2).credential, version));
    let raw = rusqlite::Connection::open(&path).unwrap();
    let bytes: Vec<u8> = raw
        .query_row("SELECT record FROM record", [], |row| row.get(0))
        .unwrap();
    assert!(!bytes.windows(8).any(|window| window == b"tttttttt"));

    for (vault, why) in [(None, "is not set"), (vault("2"), "another master key")] {
        let error = open(vault).load(&token).await.unwrap_err();
        assert!(error.0.contains(why), "{error}");
    }

    // Nor is it one that belongs elsewhere.
    raw.execute(
        "INSERT INTO record SELECT appid, 'jsapi_ticket', version, record FROM record",
        [],
    )
    .unwrap();
    sealed.load(&ticket).await.unwrap_err();
}
