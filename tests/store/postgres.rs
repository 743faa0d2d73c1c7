//! PostgreSQL.

use wxsign::clock::{Clock, Timestamp};
use wxsign::credential::Kind;
use wxsign::store::{EventId, EventStream, Postgres, ServerUrl, Store, StoredEvent};

use super::engines;
use super::engines::eventually;
use super::engines::postgres::Options;
use super::engines::proxy::{Mood, Proxy};
use super::suite::{key, shared_suite, suite, write};

fn backend(url: &str) -> Postgres {
    Postgres::new(&ServerUrl::parse(url).unwrap().unwrap()).unwrap()
}

fn open(url: &str) -> Store {
    Store::new(backend(url))
}

#[tokio::test]
async fn postgresql_conforms() {
    let postgres = engines::postgres::Postgres::start().await;
    suite(|| backend(&postgres.url())).await;
    let other = format!("{}?prefix=other", postgres.url());
    shared_suite(|| backend(&other)).await;
}

#[tokio::test]
async fn postgresql_with_tls_and_a_password_conforms() {
    let options = Options {
        password: Some("p@ss"),
        tls: true,
        ..Options::default()
    };
    let postgres = engines::postgres::Postgres::with(options).await;
    let address = postgres.address();
    let ca_file = postgres.ca_file().display();
    let url = |password: &str| {
        format!(
            "postgres://wxsign:{password}@{address}/postgres?sslmode=verify-full&ca_file={ca_file}"
        )
    };
    suite(|| backend(&url("p%40ss"))).await;
    let error = open(&url("hunter2")).load(&key(Kind::AccessToken)).await;
    let error = error.unwrap_err();
    assert!(
        error.0.contains("password authentication failed"),
        "{error}"
    );
    assert!(!error.0.contains("hunter2"), "{error}");
}

#[tokio::test]
async fn many_that_make_the_tables_at_once_do_not_trip_over_each_other() {
    let postgres = engines::postgres::Postgres::start().await;
    let mut nodes = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let store = open(&postgres.url());
        nodes.spawn(async move { store.load(&key(Kind::AccessToken)).await.map(drop) });
    }
    for opened in nodes.join_all().await {
        opened.unwrap();
    }
}

#[tokio::test]
async fn a_postgresql_that_comes_back_or_was_silent_is_used_again() {
    let mut postgres = engines::postgres::Postgres::start().await;
    let proxy = Proxy::to(postgres.address()).await;
    let url = postgres.url();
    let store = open(&url.replace(
        &postgres.address().to_string(),
        &proxy.address().to_string(),
    ));
    write(&store, 1).await.unwrap();
    proxy.set(Mood::Silent);
    write(&store, 2).await.unwrap_err();
    proxy.set(Mood::Pass);
    eventually("it is used again", async || write(&store, 3).await.ok()).await;
    postgres.kill();
    write(&store, 4).await.unwrap_err();
    postgres.restart().await;
    let (clock, restarted) = (Clock::system(), Clock::system().moment().boot);
    eventually("it is used again", async || write(&store, 5).await.ok()).await;
    let took = (clock.moment().boot - restarted).as_secs_f64();
    println!("a PostgreSQL that is back: written to again after {took:.2} s");
}

#[tokio::test]
async fn calls_that_were_given_up_leave_no_sessions_behind() {
    let postgres = engines::postgres::Postgres::start().await;
    let store = open(&postgres.url());
    write(&store, 1).await.unwrap();
    // Somebody else holds the table for as long as this takes.
    let lock = "BEGIN; LOCK TABLE wxsign_record; SELECT pg_sleep(6); COMMIT";
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'wxsign'";
    let calling = async {
        eventually("it is locked", async || write(&store, 2).await.err()).await;
        for _ in 0..8 {
            let _ = write(&store, 2).await;
        }
        let count: u64 = postgres.sql(sessions).await.trim().parse().unwrap();
        assert!(count <= 2, "{count} sessions");
    };
    tokio::join!(postgres.sql(lock), calling);
    eventually("it is free", async || write(&store, 3).await.ok()).await;
}

#[tokio::test]
async fn news_is_told_once_however_long_another_transaction_goes_on() {
    let postgres = engines::postgres::Postgres::start().await;
    let (store, other) = (open(&postgres.url()), open(&postgres.url()));
    let start = store.changes(None).await.unwrap().position;
    let long = "BEGIN; SELECT pg_current_xact_id(); SELECT pg_sleep(5); COMMIT";
    let looking = async {
        let running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%'
            AND backend_xid IS NOT NULL AND pid <> pg_backend_pid()";
        eventually("it goes on", async || {
            (postgres.sql(running).await.trim() == "1").then_some(())
        })
        .await;
        write(&other, 1).await.unwrap();
        let first = store.changes(Some(start)).await.unwrap();
        assert_eq!(first.accounts, Some(vec![key(Kind::AccessToken).appid]));
        let again = store.changes(Some(first.position)).await.unwrap();
        assert_eq!(again.accounts, Some(Vec::new()));
        write(&other, 2).await.unwrap();
        let next = store.changes(Some(again.position)).await.unwrap();
        assert_eq!(next.accounts.map(|accounts| accounts.len()), Some(1));
    };
    tokio::join!(postgres.sql(long), looking);
}

#[tokio::test]
async fn without_the_right_to_make_a_table_credentials_are_kept_and_the_history_says_why_not() {
    let postgres = engines::postgres::Postgres::start().await;
    write(&open(&postgres.url()), 1).await.unwrap();
    postgres
        .sql(
            "DROP TABLE wxsign_event, wxsign_audit;
             CREATE ROLE plain LOGIN;
             REVOKE CREATE ON SCHEMA public FROM PUBLIC;
             GRANT ALL ON wxsign_record, wxsign_entry, wxsign_directory TO plain;",
        )
        .await;
    let plain = open(&format!("postgres://plain@{}/postgres", postgres.address()));
    write(&plain, 2).await.unwrap();
    for (stream, table) in [
        (EventStream::Course, "no table wxsign_event"),
        (EventStream::Audit, "no table wxsign_audit"),
    ] {
        let event = StoredEvent {
            id: EventId::first_of(Timestamp::from_secs(1_700_000_000)),
            appid: None,
            bytes: b"{}".to_vec(),
        };
        let error = plain.append_events(stream, vec![event]).await.unwrap_err();
        assert!(error.0.contains(table), "{error}");
        assert!(error.0.contains("GRANT CREATE"), "{error}");
    }
    write(&plain, 3).await.unwrap();
}
