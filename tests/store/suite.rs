//! What every backend must do, as one suite that each of them runs.

use std::time::Duration;

use tokio::task::JoinSet;
use wxsign::account::{AppId, TokenApi};
use wxsign::client::{Accounts, KeyHash, Scope};
use wxsign::clock::Timestamp;
use wxsign::credential::{Credential, Kind, Secret};
use wxsign::store::{
    AccountRow, Attempt, Backend, Changes, ClientRow, Directory, EventId, EventRange, EventStream,
    Hint, Key, Lease, PRUNED_AT_ONCE, Record, Store, StoreError, StoredEvent, Tell, Version,
};

pub(crate) fn key(kind: Kind) -> Key {
    Key {
        appid: "wx0123456789abcdef".parse().unwrap(),
        kind,
    }
}

pub(crate) fn record(generation: u64) -> Record {
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
pub(crate) async fn suite<B: Backend>(open: impl Fn() -> B) {
    let open_store = || Store::new(open());
    let (one, two) = (open_store(), open_store());
    let token = key(Kind::AccessToken);

    // Nothing is there at first.
    assert_eq!(
        one.load(&token).await.unwrap(),
        (Record::default(), Version::ABSENT)
    );

    // What is put there is what is read, by everyone.
    let first = one
        .swap(&token, Version::ABSENT, &record(1), Tell::Nobody)
        .await
        .unwrap()
        .unwrap();
    let (loaded, version) = two.load(&token).await.unwrap();
    assert_eq!((loaded.credential, version), (record(1).credential, first));

    // A second first write, and a write from a version that is gone, change nothing.
    assert_eq!(
        two.swap(&token, Version::ABSENT, &record(9), Tell::Nobody)
            .await
            .unwrap(),
        None
    );
    let second = two
        .swap(&token, first, &record(2), Tell::Nobody)
        .await
        .unwrap()
        .unwrap();
    assert_ne!(first, second);
    assert_eq!(
        one.swap(&token, first, &record(9), Tell::Nobody)
            .await
            .unwrap(),
        None
    );
    let (loaded, version) = one.load(&token).await.unwrap();
    assert_eq!(loaded.credential.unwrap().generation, 2);
    assert_eq!(version, second);

    // A write to a version that never was changes nothing, also where nothing is.
    let ticket = key(Kind::JsapiTicket);
    assert_eq!(
        one.swap(&ticket, first, &record(9), Tell::Nobody)
            .await
            .unwrap(),
        None
    );
    assert_eq!(one.load(&ticket).await.unwrap().1, Version::ABSENT);

    // Of many that are read together each is what it is alone, in the order of the keys.
    let together = two
        .load_many(&[ticket.clone(), token.clone()])
        .await
        .unwrap();
    let together: Vec<_> = together
        .into_iter()
        .map(|found| {
            found.map(|found| {
                (
                    found.record.and_then(|record| record.credential),
                    found.version,
                )
            })
        })
        .collect();
    let alone = [(None, Version::ABSENT), (record(2).credential, second)];
    assert_eq!(together, alone.map(Some));
    assert_eq!(two.load_many(&[]).await, Ok(Vec::new()));

    // The same content written again is a new version.
    let third = one
        .swap(&token, second, &record(2), Tell::Nobody)
        .await
        .unwrap()
        .unwrap();
    assert_ne!(second, third);

    // Of many swaps at once from one version exactly one takes effect.
    let stores: Vec<Store> = (0..8).map(|_| open_store()).collect();
    let mut version = third;
    for round in 0..10_u64 {
        let mut swaps = JoinSet::new();
        for (node, store) in stores.iter().cloned().enumerate() {
            let record = record(100 * (round + 1) + node as u64);
            let token = token.clone();
            swaps.spawn(async move {
                let swapped = store.swap(&token, version, &record, Tell::Nobody).await;
                swapped.unwrap()
            });
        }
        let winners: Vec<Version> = swaps.join_all().await.into_iter().flatten().collect();
        assert_eq!(winners.len(), 1, "round {round}");
        version = winners[0];
        assert_eq!(one.load(&token).await.unwrap().1, version);
    }
    directory_suite(&one, &two, &open()).await;
    event_suite(&one, &two).await;
}

async fn event_suite(one: &Store, two: &Store) {
    let appid = |number: u8| format!("wx{number:016x}").parse::<AppId>().unwrap();
    let event = |number: u8, of: Option<u8>| StoredEvent {
        id: EventId::first_of(Timestamp::from_millis(
            1_700_000_000_000 + i64::from(number),
        )),
        appid: of.map(appid),
        bytes: format!("{{\"what\":\"a b \u{5fae} {number}\"}}").into_bytes(),
    };
    let all: Vec<_> = (0..10)
        .map(|number| event(number, (number % 3 > 0).then_some(number % 3)))
        .collect();
    let found = async |store: &Store, range: EventRange| store.events(range).await.unwrap();
    let everything = EventRange {
        limit: 100,
        ..EventRange::default()
    };

    // Nothing has happened at first.
    assert_eq!(found(one, everything.clone()).await, []);
    two.prune_events(EventStream::Course, all[0].id, 5)
        .await
        .unwrap();

    // What is put there by anyone is found by everyone, the newest first, and but once.
    one.append_events(EventStream::Course, all[5..].to_vec())
        .await
        .unwrap();
    two.append_events(EventStream::Course, all[..7].to_vec())
        .await
        .unwrap();
    let mut newest_first = all.clone();
    newest_first.reverse();
    assert_eq!(found(one, everything.clone()).await, newest_first);
    assert_eq!(found(two, everything.clone()).await, newest_first);
    one.append_events(EventStream::Course, Vec::new())
        .await
        .unwrap();

    // Only what is asked for is found.
    let between = EventRange {
        before: Some(all[8].id),
        after: Some(all[2].id),
        ..everything.clone()
    };
    assert_eq!(found(two, between.clone()).await, newest_first[2..7]);
    let few = EventRange {
        limit: 2,
        ..between.clone()
    };
    assert_eq!(found(two, few).await, newest_first[2..4]);
    let of_one = EventRange {
        appid: Some(appid(1)),
        limit: 2,
        ..between
    };
    let expected = [all[7].clone(), all[4].clone()];
    assert_eq!(found(one, of_one.clone()).await, expected);
    let of_nobody = EventRange {
        appid: Some(appid(9)),
        ..of_one.clone()
    };
    assert_eq!(found(one, of_nobody).await, []);
    let nothing = EventRange {
        before: Some(all[2].id),
        after: Some(all[8].id),
        ..everything.clone()
    };
    assert_eq!(found(one, nothing).await, []);

    // What is too old is forgotten, and what is too much.
    one.prune_events(EventStream::Course, all[3].id, 100)
        .await
        .unwrap();
    assert_eq!(found(two, everything.clone()).await, newest_first[..7]);
    one.prune_events(EventStream::Course, all[0].id, 3)
        .await
        .unwrap();
    assert_eq!(found(two, everything.clone()).await, newest_first[..3]);
    assert_eq!(found(two, of_one).await, [all[7].clone()]);
    one.prune_events(EventStream::Course, all[0].id, 3)
        .await
        .unwrap();
    assert_eq!(found(two, everything.clone()).await, newest_first[..3]);

    // Who changed what stands among them, is kept apart, and is as well forgotten.
    let changes = [
        event(20, Some(1)),
        event(6, Some(1)),
        event(5, None),
        event(1, None),
    ];
    two.append_events(EventStream::Audit, changes.to_vec())
        .await
        .unwrap();
    assert_eq!(found(one, everything.clone()).await.len(), 7);
    one.prune_events(EventStream::Course, all[0].id, 1)
        .await
        .unwrap();
    let kept = [&changes[..1], &newest_first[..1], &changes[1..]].concat();
    assert_eq!(found(two, everything.clone()).await, kept);
    let newest = EventRange {
        limit: 2,
        ..everything.clone()
    };
    assert_eq!(found(two, newest).await, kept[..2]);
    let of_one = EventRange {
        appid: Some(appid(1)),
        ..everything.clone()
    };
    assert_eq!(found(two, of_one.clone()).await, changes[..2]);
    one.prune_events(EventStream::Audit, all[5].id, 2)
        .await
        .unwrap();
    let kept = [&changes[..1], &newest_first[..1], &changes[1..2]].concat();
    assert_eq!(found(two, everything.clone()).await, kept);
    assert_eq!(found(two, of_one).await, changes[..2]);

    // However much there is to be forgotten, it is.
    let flood = (0..2 * PRUNED_AT_ONCE + 5).map(|number| StoredEvent {
        id: EventId::first_of(Timestamp::from_millis(
            1_600_000_000_000 + i64::from(number),
        )),
        appid: None,
        bytes: b"{}".to_vec(),
    });
    let flood: Vec<_> = flood.collect();
    for some in flood.chunks(1000) {
        one.append_events(EventStream::Course, some.to_vec())
            .await
            .unwrap();
    }
    one.prune_events(EventStream::Course, all[0].id, 100)
        .await
        .unwrap();
    assert_eq!(found(two, everything).await, kept);
}

async fn directory_suite(one: &Store, two: &Store, raw: &impl Backend) {
    let appid = |number: u8| format!("wx{number:016x}").parse::<AppId>().unwrap();
    let found = async |store: &Store| {
        let rows = store.directory().await.unwrap().accounts();
        let rows = rows.into_iter().map(|(appid, row)| (appid, row.unwrap()));
        rows.collect::<Vec<_>>()
    };

    // Nobody was added at first.
    assert_eq!(found(one).await, []);
    let version = one.directory().await.unwrap().version;
    assert_eq!(version, Version::ABSENT);
    assert!(raw.directory(Some(version)).await.unwrap().is_none());

    // Who is put there is found by everyone, in the order of AppIDs, and replaced by the next.
    put(one, &appid(2), "b").await;
    put(two, &appid(1), "first").await;
    put(one, &appid(1), "a").await;
    let both = [(appid(1), row("a")), (appid(2), row("b"))];
    assert_eq!(found(one).await, both);
    assert_eq!(found(two).await, both);

    // Several are changed at once or not at all.
    let changed = one.change_directory(|directory: &Directory| {
        let names = directory.accounts().into_keys().zip(["c", "d"]);
        let accounts = names.map(|(appid, name)| (appid, Some(row(name))));
        let changes = Changes {
            accounts: accounts.collect(),
            clients: [("shop".to_owned(), Some(client()))].into(),
            ..Changes::default()
        };
        Ok::<_, StoreError>((changes, directory.accounts().len()))
    });
    assert_eq!(changed.await, Ok(Some(2)));
    let both = [(appid(1), row("c")), (appid(2), row("d"))];
    assert_eq!(found(two).await, both);
    let clients = [("shop".to_owned(), Some(client()))];
    assert_eq!(two.directory().await.unwrap().clients, clients.into());
    let refused = |_: &Directory| Err::<(Changes, ()), _>(StoreError("refused".to_owned()));
    one.change_directory(refused).await.unwrap_err();
    assert_eq!(found(two).await, both);

    // Of two swaps from the same version one takes effect, and what is known is not read again.
    let version = two.directory().await.unwrap().version;
    put(two, &appid(2), "e").await;
    let gone = [(format!("account/{}", appid(1)), None)];
    let swapped = raw.swap_directory(version, version, gone.clone().into());
    assert_eq!(swapped.await, Ok(false));
    let swapped = raw.swap_directory(Version::ABSENT, version, gone.into());
    assert_eq!(swapped.await, Ok(false));
    assert_eq!(found(two).await[1].1, row("e"));
    let version = two.directory().await.unwrap().version;
    assert!(raw.directory(Some(version)).await.unwrap().is_none());

    // Who is taken away is gone, and nobody else; an empty directory is not one that never was.
    change(two, &appid(1), None).await;
    assert_eq!(found(one).await, [(appid(2), row("e"))]);
    change(two, &appid(2), None).await;
    assert_eq!(found(one).await, []);
    assert_ne!(one.directory().await.unwrap().version, Version::ABSENT);
}

async fn put(store: &Store, appid: &AppId, name: &str) {
    change(store, appid, Some(row(name))).await;
}

async fn change(store: &Store, appid: &AppId, row: Option<AccountRow>) {
    let changes = Changes {
        accounts: [(appid.clone(), row)].into(),
        ..Changes::default()
    };
    let changed = store.change_directory(|_| Ok::<_, StoreError>((changes, ())));
    assert_eq!(changed.await, Ok(Some(())));
}

pub(crate) fn row(name: &str) -> AccountRow {
    AccountRow {
        name: Some(name.to_owned()),
        token_api: TokenApi::Stable,
        page_hosts: vec!["*.example.com".to_owned(), "[::1]:8080".to_owned()],
        secret: serde_json::from_str("\"c2VhbGVk\"").unwrap(),
        changed_at: Timestamp::from_millis(i64::MAX),
        wx_card: false,
    }
}

fn client() -> ClientRow {
    ClientRow {
        key_sha256: vec![KeyHash::of("new"), KeyHash::of("old")],
        not_after: Some(Timestamp::from_millis(i64::MAX)),
        accounts: Accounts::All,
        unread_accounts: [].into(),
        scopes: Scope::ALL.into(),
        changed_at: Timestamp::from_millis(i64::MAX),
    }
}

/// What backends do besides that are shared by machines.
pub(crate) async fn shared_suite<B: Backend>(open: impl Fn() -> B) {
    let (one, two) = (Store::new(open()), Store::new(open()));
    assert!(!one.is_embedded());
    let (token, ticket) = (key(Kind::AccessToken), key(Kind::JsapiTicket));
    let mut hints = two.hints().expect("hints");
    assert!(two.hints().is_none(), "they are for one");
    // The first question connects, and with that begins to listen.
    let start = two.changes(None).await.unwrap();
    assert_eq!(start.accounts, Some(Vec::new()));

    // What is no news is told to nobody; what is comes as a hint, and is found by who asks.
    let quiet = one
        .swap(&token, Version::ABSENT, &record(1), Tell::Nobody)
        .await;
    let version = quiet.unwrap().unwrap();
    let news = two.changes(Some(start.position)).await.unwrap();
    assert_eq!(news.accounts, Some(Vec::new()));
    let swapped = one.swap(&token, version, &record(2), Tell::Others).await;
    assert!(swapped.unwrap().is_some());
    assert_eq!(hint(&mut hints).await, Hint::Account(token.appid.clone()));
    let later = two.changes(Some(news.position)).await.unwrap();
    assert_eq!(later.accounts, Some(vec![token.appid.clone()]));
    let nothing = two.changes(Some(later.position)).await.unwrap();
    assert_eq!(nothing.accounts, Some(Vec::new()));

    // A write that does not take effect is told to nobody.
    let refused = one.swap(&token, version, &record(3), Tell::Others).await;
    assert_eq!(refused, Ok(None));
    let swapped = one
        .swap(&ticket, Version::ABSENT, &record(1), Tell::Others)
        .await;
    assert!(swapped.unwrap().is_some());
    let since = Some(nothing.position);
    let news = two.changes(since).await.unwrap().accounts;
    assert_eq!(news, Some(vec![ticket.appid.clone()]));
    assert_eq!(hint(&mut hints).await, Hint::Account(ticket.appid));

    let appid = "wx00000000000000ff".parse().unwrap();
    put(&one, &appid, "a").await;
    assert_eq!(hint(&mut hints).await, Hint::Directory);

    // A position that lies ahead is that of a store which has forgotten something.
    let news = two.changes(Some(u64::MAX / 2)).await.unwrap();
    assert_eq!(news.accounts, None);
}

async fn hint(hints: &mut tokio::sync::mpsc::UnboundedReceiver<Hint>) -> Hint {
    let hint = tokio::time::timeout(Duration::from_secs(10), hints.recv()).await;
    hint.expect("a hint in time").expect("a store that hints")
}

/// Writes the record of the token anew.
pub(crate) async fn write(store: &Store, generation: u64) -> Result<(), StoreError> {
    let token = key(Kind::AccessToken);
    let (_, version) = store.load(&token).await?;
    let record = record(generation);
    let swapped = store.swap(&token, version, &record, Tell::Others).await;
    assert!(swapped?.is_some());
    Ok(())
}
