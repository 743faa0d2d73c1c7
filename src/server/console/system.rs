//! The process itself: version, configuration, store, sessions.

use std::collections::BTreeMap;

use askama::Template;
use axum::response::Response;
use http::StatusCode;
use serde_json::Value;

use super::health::troubles;
use super::visit::{Operator, Visit};
use super::words::in_china;
use super::{Shell, show};
use crate::clock::Moment;
use crate::credential::Kind;

#[derive(Template)]
#[template(path = "console/system.html")]
struct System {
    shell: Shell,
    started: String,
    uptime: String,
    accounts: usize,
    clients: usize,
    store: String,
    store_is_failing: bool,
    troubles: Vec<String>,
    /// Which nodes fetched the tokens at hand, and how many.
    nodes: Vec<(String, usize)>,
    leases: Vec<Lease>,
    sessions: Vec<Session>,
    settings: Vec<Row>,
    /// How many settings are not shown.
    more_settings: usize,
}

struct Lease {
    node: String,
    appid: String,
    kind: &'static str,
    until: String,
}

struct Session {
    began: String,
    seen: String,
    user_agent: String,
}

struct Row {
    key: String,
    value: String,
    source: String,
}

/// Each account and client has some; of very many only the first are listed.
const SETTINGS: usize = 300;

/// So many leases and nodes are listed.
const LEASES: usize = 20;
const NODES: usize = 20;

/// `GET /console/system`
pub(super) async fn page(Operator(visit): Operator) -> Response {
    let (app, lang) = (&visit.gate.app, visit.lang);
    let now = app.keeper.clock().moment();
    let settings = app.settings.get().map_or(&[][..], Vec::as_slice);
    let mut sessions = visit.console().sessions().await;
    sessions.sort_by_key(|session| std::cmp::Reverse(session.seen_at));
    let page = System {
        shell: Shell::new(&visit, "system"),
        started: in_china(app.started_at),
        uptime: lang.lasting(now.wall.since(app.started_at)),
        accounts: app.keeper.accounts().len(),
        clients: app.roster.clients().iter().count(),
        store: lang
            .t(
                if app.store.is_embedded() {
                    "本进程独用"
                } else {
                    "多个节点共用"
                },
                if app.store.is_embedded() {
                    "for this process alone"
                } else {
                    "shared by several nodes"
                },
            )
            .to_owned(),
        store_is_failing: app.store.tally().failing().is_some(),
        troubles: troubles(app, lang),
        nodes: nodes(&visit),
        leases: leases(&visit, now),
        sessions: sessions
            .into_iter()
            .map(|session| Session {
                began: lang.ago(session.created_at, now.wall),
                seen: lang.ago(session.seen_at, now.wall),
                user_agent: session.user_agent,
            })
            .collect(),
        settings: settings
            .iter()
            .take(SETTINGS)
            .map(|setting| Row {
                key: setting.key.clone(),
                value: plain(&setting.value),
                source: setting.source.to_string(),
            })
            .collect(),
        more_settings: settings.len().saturating_sub(SETTINGS),
    };
    show(StatusCode::OK, &page)
}

/// The nodes that fetched the tokens at hand, those with the most first.
fn nodes(visit: &Visit) -> Vec<(String, usize)> {
    let mut tokens = BTreeMap::<String, usize>::new();
    for kept in visit.gate.app.keeper.accounts().iter() {
        let snapshot = kept.snapshot();
        let token = snapshot.last(Kind::AccessToken);
        if let Some(node) = token.and_then(|token| token.renewed_by.as_deref()) {
            *tokens.entry(node.to_owned()).or_default() += 1;
        }
    }
    let mut nodes: Vec<_> = tokens.into_iter().collect();
    nodes.sort_by_key(|(_, tokens)| std::cmp::Reverse(*tokens));
    nodes.truncate(NODES);
    nodes
}

/// Who fetches at the moment, as far as this node knows.
fn leases(visit: &Visit, now: Moment) -> Vec<Lease> {
    let accounts = visit.gate.app.keeper.accounts();
    let all = accounts.iter().flat_map(|kept| {
        let snapshot = kept.snapshot();
        let leases = kept.account.kinds().filter_map(|kind| {
            let lease = snapshot.lease(kind, now)?;
            Some(Lease {
                node: lease.holder.clone(),
                appid: kept.account.appid.to_string(),
                kind: kind.as_str(),
                until: visit
                    .lang
                    .in_time(now.wall + lease.until.left(now), now.wall),
            })
        });
        leases.collect::<Vec<_>>()
    });
    all.take(LEASES).collect()
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "–".to_owned(),
        Value::Array(items) if items.is_empty() => "–".to_owned(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}
