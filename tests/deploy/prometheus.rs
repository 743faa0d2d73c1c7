//! The alert rules and the dashboard, against the metrics that there are.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::harness::{Place, WeChat};
use crate::{output, printed};

/// The metrics that a text names. Those of a histogram count as one.
fn named_in(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_lowercase() || c == '_';
    let names = text.match_indices("wxsign_").map(|(at, _)| {
        let rest = &text[at..];
        &rest[..rest.find(|c| !is_part(c)).unwrap_or(rest.len())]
    });
    let names = names.map(|name| {
        let parts = ["_bucket", "_count", "_sum"].into_iter();
        let histogram = parts.filter_map(|part| name.strip_suffix(part)).next();
        histogram.unwrap_or(name).to_owned()
    });
    names.collect()
}

/// The metrics of a server that signs.
async fn metrics() -> BTreeSet<String> {
    let wechat = WeChat::start().await;
    let place = Place::new(&wechat.url);
    let wxsign = place.serve().await;
    wxsign.signs().await;
    let [alive, metrics] =
        ["livez", "metrics"].map(|path| format!("http://{}/{path}", wxsign.address()));
    let mut curl = Command::new("curl");
    // A signature that is made at once passes no route: something is to.
    curl.args(["-sS", "--noproxy", "*", "-o", "/dev/null", &alive, &metrics]);
    let asked = tokio::task::spawn_blocking(move || output(&mut curl, "curl"));
    let text = String::from_utf8(asked.await.unwrap().stdout).unwrap();
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    // A lease is there only while a credential is fetched.
    let lease = "wxsign_lease_until_timestamp_seconds".to_owned();
    let mut names = named_in(&samples.collect::<Vec<_>>().join("\n"));
    names.insert(lease);
    names
}

#[tokio::test]
async fn the_dashboard_and_the_rules_ask_for_metrics_that_there_are() {
    let there = metrics().await;
    let dashboard: Value = serde_json::from_str(&printed("grafana")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().unwrap());
    let asked: String = targets
        .map(|target| target["expr"].as_str().unwrap().to_owned() + "\n")
        .collect();
    let rules = printed("alerts");
    let rules: String = rules
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    for (what, text) in [("dashboard", asked), ("alerts", rules)] {
        let named = named_in(&text);
        assert!(named.len() > 5, "{what}: {named:?}");
        let missing: Vec<_> = named.difference(&there).collect();
        assert!(missing.is_empty(), "{what}: {missing:?}");
    }
}

#[test]
fn the_rules_are_valid_and_tell_of_what_they_should() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
    write("alerts.yaml", &printed("alerts"));
    write("alerts_test.yaml", include_str!("alerts_test.yaml"));
    for args in [
        ["check", "rules", "alerts.yaml"],
        ["test", "rules", "alerts_test.yaml"],
    ] {
        let mut promtool = Command::new("promtool");
        promtool.args(args).current_dir(directory.path());
        let checked = output(&mut promtool, "prometheus");
        assert!(checked.status.success(), "{checked:?}");
    }
}

#[test]
fn the_queries_of_the_dashboard_are_valid() {
    let dashboard: Value = serde_json::from_str(&printed("grafana")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut rules = "groups: [{ name: queries, rules: [".to_owned();
    let targets = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().unwrap());
    for (number, target) in targets.enumerate() {
        // As Grafana fills them in.
        let query = target["expr"].as_str().unwrap();
        let query = query
            .replace("$appid", ".*")
            .replace("$__rate_interval", "1m");
        let query = serde_json::to_string(&query).unwrap();
        rules += &format!("{{ record: \"query_{number}\", expr: {query} }},");
    }
    rules += "] }]";
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("queries.yaml"), rules).unwrap();
    let mut promtool = Command::new("promtool");
    promtool
        .args(["check", "rules", "queries.yaml"])
        .current_dir(directory.path());
    let checked = output(&mut promtool, "prometheus");
    assert!(checked.status.success(), "{checked:?}");
}
