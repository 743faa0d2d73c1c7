//! What operators see: who renews, who holds a lease, whether the store answers.

use std::collections::BTreeSet;
use std::time::Duration;

use rusqlite::Connection;
use serde_json::{Value, json};
use wxsign::client::Scope;
use wxsign::config::StoreUrl;
use wxsign::credential::Kind;
use wxsign::simulator::{Fault, FaultRule};
use wxsign::store::{Attempt, Key, Lease, Sqlite, Store, Tell};

use crate::harness::{APPID, Server, Setup, until};
use crate::wire::Request;

/// A node that shares the store with the server.
const OTHER: &str = "other/1";

/// A server whose token another node has renewed and is about to renew again.
async fn beside_another() -> Server {
    let mut setup = Setup::new();
    setup.add_client("chief", &[Scope::Status]);
    setup.has_tokens().await;
    let StoreUrl::Sqlite(path) = &setup.config.store else {
        panic!("the tokens are in a file");
    };
    let store = Store::new(Sqlite::open(path).unwrap());
    let key = Key {
        appid: APPID.parse().unwrap(),
        kind: Kind::AccessToken,
    };
    let (mut record, version) = store.load(&key).await.unwrap();
    let now = setup.simulator.now();
    record.renewed_by = Some(OTHER.to_owned());
    record.lease = Some(Lease {
        attempt: Attempt::random(),
        holder: OTHER.to_owned(),
        acquired_at: now,
        until: now + Duration::from_secs(30),
        strays_seen: 0,
    });
    let stored = store.swap(&key, version, &record, Tell::Nobody).await;
    assert!(stored.unwrap().is_some());
    setup.start_ready().await
}

impl Server {
    async fn metrics(&self) -> String {
        let answer = self.get("/metrics").await;
        assert_eq!(answer.status, 200);
        assert_eq!(
            answer.header("content-type"),
            "application/openmetrics-text; version=1.0.0; charset=utf-8"
        );
        assert_eq!(answer.header("cache-control"), "no-store");
        answer.text().to_owned()
    }

    async fn accounts(&self) -> Value {
        let answer = self.ask(&Request::get("/v1/accounts").of("chief")).await;
        assert_eq!(answer.status, 200);
        answer.json()
    }
}

/// The value of `sample`, a name with its labels.
fn value(metrics: &str, sample: &str) -> Option<i64> {
    let line = metrics.lines().find_map(|line| line.strip_prefix(sample))?;
    Some(line.strip_prefix(' ')?.parse().unwrap())
}

/// The value of the family `name` for one credential.
fn of(metrics: &str, name: &str, kind: Kind) -> Option<i64> {
    value(
        metrics,
        &format!("{name}{{appid=\"{APPID}\",kind=\"{kind}\"}}"),
    )
}

/// The names of all samples.
fn names(metrics: &str) -> BTreeSet<&str> {
    let samples = metrics.lines().filter(|line| !line.starts_with('#'));
    let names = samples.map(|line| line.split(['{', ' ']).next().unwrap());
    names
        .map(|name| {
            let parts = ["_bucket", "_count", "_sum"].into_iter();
            let histogram = parts.filter_map(|part| name.strip_suffix(part)).next();
            histogram.unwrap_or(name)
        })
        .collect()
}

#[tokio::test]
async fn the_metrics_are_those_that_were_read() {
    let server = beside_another().await;
    let metrics = server.metrics().await;
    assert!(metrics.ends_with("\n# EOF\n"));
    assert!(!metrics.contains("SIMULATED"));
    // How often it was asked until it was ready is chance.
    let lines = metrics.lines().filter(|line| !line.contains("/readyz"));
    let without_values = lines.map(|line| {
        let (sample, _) = line.rsplit_once(' ').unwrap();
        if line.starts_with('#') { line } else { sample }
    });
    let text = without_values.collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(text.replace(env!("CARGO_PKG_VERSION"), "…"));
    server.end().await;
}

#[tokio::test]
async fn the_readme_tells_of_all_metrics_and_of_no_others() {
    let server = beside_another().await;
    let metrics = server.metrics().await;
    let readme = include_str!("../../README.md");
    let told = readme.split('`').skip(1).step_by(2);
    let told = told.filter(|code| code.starts_with("wxsign_"));
    let told: BTreeSet<_> = told
        .map(|code| code.split(['{', ' ']).next().unwrap())
        .collect();
    assert_eq!(told, names(&metrics));
    server.end().await;
}

#[tokio::test]
async fn a_lease_and_a_renewal_of_another_node_are_told_as_its_own() {
    let server = beside_another().await;
    let list = server.accounts().await;
    let (mine, account) = (&list["node"], &list["accounts"][0]);
    let (token, ticket) = (&account["access_token"], &account["jsapi_ticket"]);
    assert_eq!(token["renewed_by"], OTHER);
    assert!(mine.is_string(), "{list}");
    assert_eq!(ticket["renewed_by"], *mine);
    let leases = &account["leases"];
    assert_eq!(leases["access_token"]["holder"], OTHER);
    assert_eq!(leases["jsapi_ticket"], Value::Null);
    let one = Request::get(format!("/v1/accounts/{APPID}")).of("chief");
    let one = server.ask(&one).await.json();
    assert_eq!(one["access_token"]["renewed_by"], OTHER);
    assert_eq!(one["leases"]["access_token"]["holder"], OTHER);

    let metrics = server.metrics().await;
    let sample = format!(
        "wxsign_lease_until_timestamp_seconds{{appid=\"{APPID}\",kind=\"access_token\",\
         holder=\"{OTHER}\"}}"
    );
    let ends = value(&metrics, &sample).unwrap();
    let told = leases["access_token"]["until"].as_i64().unwrap();
    // Each is rounded down, and seen from the clock that says less.
    assert!((told - ends).abs() <= 1, "{told} {ends}");
    for (name, of_token, of_ticket) in [
        ("wxsign_lease_held", 0, 0),
        ("wxsign_renewed_by_this_node", 0, 1),
        ("wxsign_credential_usable", 1, 1),
        ("wxsign_credential_generation", 1, 1),
    ] {
        let values = [Kind::AccessToken, Kind::JsapiTicket].map(|kind| of(&metrics, name, kind));
        assert_eq!(values, [Some(of_token), Some(of_ticket)], "{name}");
    }
    for kind in [Kind::AccessToken, Kind::JsapiTicket] {
        let name = "wxsign_credential_expiry_timestamp_seconds";
        let ends = of(&metrics, name, kind).unwrap();
        let told = account[kind.as_str()]["expires_at"].as_i64().unwrap();
        assert!((told - ends).abs() <= 1, "{told} {ends}");
    }
    server.end().await;
}

#[tokio::test]
async fn before_the_first_token_there_is_a_lease_and_nothing_else() {
    let mut setup = Setup::new();
    setup.add_client("chief", &[Scope::Status]);
    let slow = Fault::Delay(Duration::from_secs(1));
    setup.simulator.inject(FaultRule::new(slow));
    let server = setup.start().await;
    let held = "wxsign_lease_held";
    let metrics = until("a lease", async || {
        let metrics = server.metrics().await;
        (of(&metrics, held, Kind::AccessToken) == Some(1)).then_some(metrics)
    })
    .await;
    assert_eq!(of(&metrics, held, Kind::JsapiTicket), Some(0));
    assert_eq!(value(&metrics, "wxsign_accounts"), Some(1));
    assert_eq!(value(&metrics, "wxsign_ready_accounts"), Some(0));
    for (name, expected) in [
        ("wxsign_credential_usable", Some(0)),
        ("wxsign_credential_generation", None),
        ("wxsign_credential_expiry_timestamp_seconds", None),
    ] {
        assert_eq!(of(&metrics, name, Kind::AccessToken), expected, "{name}");
    }
    let list = server.accounts().await;
    let account = &list["accounts"][0];
    assert_eq!(account["access_token"], Value::Null);
    assert_eq!(account["leases"]["access_token"]["holder"], list["node"]);

    server.becomes_ready().await;
    let metrics = server.metrics().await;
    assert_eq!(value(&metrics, "wxsign_ready_accounts"), Some(1));
    let leases = server.accounts().await["accounts"][0]["leases"].clone();
    let none = json!({ "access_token": null, "jsapi_ticket": null });
    assert_eq!(leases, none);
    server.end().await;
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_told_of_and_takes_no_readiness_away() {
    let mut setup = Setup::new();
    setup.has_tokens().await;
    let StoreUrl::Sqlite(path) = setup.config.store.clone() else {
        panic!("the tokens are in a file");
    };
    let server = setup.start_ready().await;
    let fine = server.metrics().await;
    assert_eq!(value(&fine, "wxsign_store_up"), Some(1));
    assert_eq!(
        value(&fine, "wxsign_store_errors_total{op=\"directory\"}"),
        Some(0)
    );

    // The server looks at the directory every four seconds.
    let database = Connection::open(path).unwrap();
    let rename = |from: &str, to: &str| {
        let change = format!("ALTER TABLE {from} RENAME TO {to}");
        database.execute_batch(&change).unwrap();
    };
    rename("directory", "hidden");
    let reasons = until("a reason", async || {
        let ready = server.get("/readyz").await;
        assert_eq!(ready.status, 200);
        ready.json().get("reasons").cloned()
    })
    .await;
    let reason = reasons[0].as_str().unwrap();
    for part in [
        "the store does not answer or cannot be read",
        "going on with what is known here",
    ] {
        assert!(reason.contains(part), "{reason}");
    }
    server.signs().await;
    let failing = server.metrics().await;
    assert_eq!(value(&failing, "wxsign_store_up"), Some(0));
    let errors = value(&failing, "wxsign_store_errors_total{op=\"directory\"}");
    let calls = value(&failing, "wxsign_store_calls_total{op=\"directory\"}");
    assert!(errors >= Some(1) && errors < calls, "{errors:?} {calls:?}");

    rename("hidden", "directory");
    until("an answer of the store", async || {
        let ready = server.get("/readyz").await;
        (ready.text() == r#"{"status":"ready"}"#).then_some(())
    })
    .await;
    assert_eq!(value(&server.metrics().await, "wxsign_store_up"), Some(1));
    server.end().await;
}
