use super::*;
use crate::clock::Timestamp;
use crate::store::{Backend, EncodedChanges, Entries, EventRange, Memory, StoredEvent, Version};
use crate::store::{Stored, Write};
use futures_core::future::BoxFuture;
use std::sync::atomic::AtomicBool;

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

fn history(retention: Retention, store: &Store) -> History {
    let clock = Clock::following_tokio(NOW);
    History::new(retention, store.clone(), clock, "host/1")
}

fn appid(number: u8) -> AppId {
    format!("wx{number:016x}").parse().unwrap()
}

async fn names(store: &Store, query: Query) -> Vec<&'static str> {
    let found = query.find(store, |_| true).await.unwrap();
    found.events.iter().map(|event| event.what.name()).collect()
}

fn login() -> What {
    let address = "192.0.2.7".to_owned();
    What::LoggedIn { address }
}

fn refused() -> What {
    let address = "192.0.2.7".to_owned();
    What::LoginRefused { address }
}

#[tokio::test(start_paused = true)]
async fn what_is_recorded_is_heard_at_once_and_found_in_the_store_a_second_later() {
    let store = Store::memory();
    let history = history(Retention::default(), &store);
    let mut live = history.subscribe();
    let stop = CancellationToken::new();
    let (writer, end) = (history.clone(), stop.clone());
    let writing = tokio::spawn(async move { writer.keep_writing(end).await });
    history.record(What::AccountAdded, Some(&appid(1)), Some("shop"));
    history.record(What::AccountAdded, Some(&appid(2)), Some(CLI));
    history.record(login(), None, Some(CONSOLE));
    assert_eq!(live.recv().await.unwrap().what, What::AccountAdded);
    assert_eq!(names(&store, Query::default()).await, [""; 0]);
    tokio::time::sleep(2 * GATHERING).await;
    let all = ["console.login", "account.added", "account.added"];
    assert_eq!(names(&store, Query::default()).await, all);

    let query = |change: fn(&mut Query)| {
        let mut query = Query::default();
        change(&mut query);
        query
    };
    let of_one = query(|query| query.appid = Some(appid(1)));
    assert_eq!(names(&store, of_one).await, ["account.added"]);
    let logins = query(|query| query.what = Some("console".to_owned()));
    assert_eq!(names(&store, logins).await, ["console.login"]);
    let by_shop = query(|query| query.text = Some("BY SHOP".to_owned()));
    assert_eq!(names(&store, by_shop).await, ["account.added"]);
    let newest = query(|query| query.limit = 1).find(&store, |_| true).await;
    let newest = newest.unwrap();
    assert_eq!(newest.events.len(), 1);
    let mut rest = query(|_| {});
    rest.before = newest.next;
    assert_eq!(names(&store, rest).await, ["account.added"; 2]);
    let all = Query::default();
    let seen = all.find(&store, |event| event.appid.is_some()).await;
    assert_eq!(seen.unwrap().events.len(), 2);

    stop.cancel();
    writing.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_other_nodes_write_late_is_found_once() {
    let store = Store::memory();
    let (here, there) = (
        history(Retention::default(), &store),
        history(Retention::default(), &store),
    );
    let mut following = Following::new(Query::default(), NOW);
    there.record(What::ForeignNoticed, Some(&appid(1)), None);
    tokio::time::advance(Duration::from_secs(1)).await;
    here.record(What::ForeignOver, Some(&appid(1)), None);
    here.flush().await.unwrap();
    let mut next = async || {
        let new = following.next(&store, NOW, |_| true).await.unwrap();
        new.iter()
            .map(|event| event.what.name())
            .collect::<Vec<_>>()
    };
    assert_eq!(next().await, ["foreign.over"]);
    there.flush().await.unwrap();
    assert_eq!(next().await, ["foreign.noticed"]);
    assert_eq!(next().await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_node_whose_clock_is_ahead_hides_nothing_from_who_follows() {
    let store = Store::memory();
    let clock = Clock::following_tokio(NOW + Duration::from_secs(300));
    let ahead = History::new(Retention::default(), store.clone(), clock, "host/2");
    let here = history(Retention::default(), &store);
    let mut following = Following::new(Query::default(), NOW);
    let mut next = async |what: What, on: &History, seconds: u64| {
        on.record(what, None, None);
        on.flush().await.unwrap();
        let now = NOW + Duration::from_secs(seconds);
        let new = following.next(&store, now, |_| true).await.unwrap();
        new.iter()
            .map(|event| event.what.name())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        next(What::PasswordSet, &ahead, 0).await,
        ["console.password"]
    );
    for seconds in 0..60 {
        assert_eq!(next(login(), &here, seconds).await, ["console.login"]);
        tokio::time::advance(Duration::from_secs(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_too_old_or_too_much_is_forgotten() {
    let store = Store::memory();
    let retention = Retention {
        days: 2,
        max_events: 3,
        ..Retention::default()
    };
    let history = history(retention, &store);
    let (writer, stop) = (history.clone(), CancellationToken::new());
    tokio::spawn(async move { writer.keep_writing(stop).await });
    for _ in 0..5 {
        history.record(refused(), None, None);
    }
    history.record(login(), None, None);
    tokio::time::sleep(PRUNING + GATHERING).await;
    let kept = [
        "console.login",
        "console.refused",
        "console.refused",
        "console.refused",
    ];
    assert_eq!(names(&store, Query::default()).await, kept);
    // Nothing happens meanwhile.
    tokio::time::sleep(Duration::from_secs(2 * 24 * 3600) + PRUNING).await;
    assert_eq!(names(&store, Query::default()).await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn no_flood_pushes_out_who_changed_what() {
    let store = Store::memory();
    let history = history(Retention::default(), &store);
    history.record(What::AccountAdded, Some(&appid(1)), Some(CLI));
    for _ in 0..WAITING + 7 {
        history.record(refused(), None, None);
    }
    history.record(What::PasswordSet, None, Some(CLI));
    assert_eq!(history.lost(), 7);
    history.flush().await.unwrap();
    let changes = async |what: &str| {
        let what = Some(what.to_owned());
        let query = Query {
            what,
            ..Query::default()
        };
        names(&store, query).await
    };
    assert_eq!(changes("account").await, ["account.added"]);
    assert_eq!(changes("console.password").await, ["console.password"]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_makes_errcodes_up_is_told_of_once_a_minute() {
    let store = Store::memory();
    let history = history(Retention::default(), &store);
    for errcode in 0..1000 {
        history.record_report(&appid(1), "shop", errcode, "not_about_the_token");
    }
    history.record_report(&appid(1), "shop", 40001, "renewed");
    history.record_report(&appid(1), "other", 1, "not_about_the_token");
    history.flush().await.unwrap();
    assert_eq!(names(&store, Query::default()).await, ["token.reported"; 3]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_recorded_where_it_is_turned_off() {
    let store = Store::memory();
    let off = Retention {
        days: 0,
        ..Retention::default()
    };
    let off = history(off, &store);
    off.record(login(), None, None);
    off.flush().await.unwrap();
    assert!(!off.is_on());
    let seldom = Retention {
        skip_renewals: true,
        ..Retention::default()
    };
    let seldom = history(seldom, &store);
    let renewed = What::Renewed {
        kind: crate::credential::Kind::AccessToken,
        generation: 1,
        fingerprint: crate::credential::Fingerprint::from_sha256(&[1; 32]),
        expires_at: NOW,
    };
    seldom.record(renewed, Some(&appid(1)), None);
    seldom.record(login(), None, None);
    seldom.flush().await.unwrap();
    assert_eq!(names(&store, Query::default()).await, ["console.login"]);
}

/// A store that can be taken away.
#[derive(Default)]
struct Away {
    memory: Memory,
    is_away: AtomicBool,
}

impl Backend for Arc<Away> {
    fn load<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Stored>, StoreError>> {
        self.memory.load(key)
    }

    fn swap<'a>(&'a self, key: &'a Key, write: Write) -> BoxFuture<'a, Result<bool, StoreError>> {
        self.memory.swap(key, write)
    }

    fn directory(
        &self,
        known: Option<Version>,
    ) -> BoxFuture<'_, Result<Option<Entries>, StoreError>> {
        self.memory.directory(known)
    }

    fn swap_directory(
        &self,
        from: Version,
        to: Version,
        changes: EncodedChanges,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.memory.swap_directory(from, to, changes)
    }

    fn is_embedded(&self) -> bool {
        true
    }

    fn append_events(
        &self,
        stream: EventStream,
        events: Vec<StoredEvent>,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        if self.is_away.load(Ordering::Relaxed) {
            return Box::pin(async { Err(StoreError::unreachable()) });
        }
        self.memory.append_events(stream, events)
    }

    fn events(
        &self,
        stream: EventStream,
        range: EventRange,
    ) -> BoxFuture<'_, Result<Vec<StoredEvent>, StoreError>> {
        self.memory.events(stream, range)
    }
}

#[tokio::test(start_paused = true)]
async fn what_happens_while_the_store_is_away_waits_and_what_is_too_much_is_counted_as_lost() {
    let away = Arc::<Away>::default();
    let store = Store::new(Arc::clone(&away));
    let history = history(Retention::default(), &store);
    let (writer, stop) = (history.clone(), CancellationToken::new());
    tokio::spawn(async move { writer.keep_writing(stop).await });
    away.is_away.store(true, Ordering::Relaxed);
    for _ in 0..WAITING + 7 {
        history.record(login(), None, None);
    }
    tokio::time::sleep(5 * GATHERING).await;
    assert_eq!(history.lost(), 7);
    assert_eq!(names(&store, Query::default()).await, [""; 0]);
    assert!(
        store.tally().failing().is_none(),
        "credentials do not depend on it"
    );
    away.is_away.store(false, Ordering::Relaxed);
    tokio::time::sleep(2 * GATHERING).await;
    let everything = EventRange {
        limit: u32::MAX,
        ..EventRange::default()
    };
    assert_eq!(store.events(everything).await.unwrap().len(), WAITING);
}
