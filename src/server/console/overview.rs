//! The overview: a card for each account, the worst first.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use askama::Template;
use axum::body::Bytes;
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;

use super::health::{Card, Health};
use super::visit::{Form, Operator, Visit};
use super::{Shell, show};
use crate::account::AppId;
use crate::app::App;
use crate::credential::Kind;
use crate::keeper::Keeper;
use crate::simulator::{Fault, FaultRule};
use crate::upstream::Api;

/// How many cards a page has.
const PAGE: usize = 50;

/// How all accounts fare.
pub(super) struct Summary {
    /// The worst first, and of those that fare alike in the order of their AppIDs.
    accounts: Vec<(Health, AppId)>,
    /// Another one when something has changed that a page shows.
    pub(super) digest: u64,
}

impl Summary {
    fn of(keeper: &Keeper) -> Self {
        let (accounts, now) = (keeper.accounts(), keeper.clock().moment());
        let mut digest = 0_u64;
        let ranked = accounts.iter().map(|kept| {
            let snapshot = kept.snapshot();
            let health = Health::of(&snapshot, now);
            let mut hasher = DefaultHasher::new();
            let generation = |kind| {
                snapshot
                    .served(kind, now)
                    .map(|of| of.credential.generation)
            };
            let trouble = snapshot.trouble();
            let trouble = trouble.map(|trouble| (trouble.failed_at, trouble.next_at));
            (&kept.account.appid, &kept.account.name, health, trouble).hash(&mut hasher);
            Kind::ALL.map(generation).hash(&mut hasher);
            // Accounts come in no order.
            digest = digest.wrapping_add(hasher.finish());
            (health, kept.account.appid.clone())
        });
        let mut accounts: Vec<_> = ranked.collect();
        accounts.sort();
        Self { accounts, digest }
    }
}

/// How all accounts fare now, or fared a moment ago if there are many.
pub(super) async fn summary(visit: &Visit) -> Arc<Summary> {
    let app = Arc::clone(&visit.gate.app);
    let clock = app.keeper.clock().clone();
    let keeper = app.keeper.clone();
    let found = (visit.gate.desk.summary).get(&clock, move || Arc::new(Summary::of(&keeper)));
    match found.await {
        Ok(found) => found,
        Err(_) => Arc::new(Summary::of(&app.keeper)),
    }
}

#[derive(Template)]
#[template(path = "console/overview.html")]
struct Overview {
    shell: Shell,
    counts: Vec<Count>,
    total: usize,
    cards: Vec<Card>,
    search: String,
    found: usize,
    page: usize,
    pages: usize,
    /// The addresses of the pages before and after, if there are such.
    before: Option<String>,
    after: Option<String>,
    /// Whether the simulated WeChat refuses this machine's address.
    refuses: bool,
    locked: Option<String>,
}

struct Count {
    number: usize,
    state: &'static str,
    tone: &'static str,
}

/// `GET /console`
pub(super) async fn page(Operator(visit): Operator) -> Response {
    let summary = summary(&visit).await;
    let search = visit.argument("q").trim().to_owned();
    let app = Arc::clone(&visit.gate.app);
    let (listed, wanted) = (Arc::clone(&summary), search.to_lowercase());
    let found = tokio::task::spawn_blocking(move || find(&app, &listed, &wanted));
    let found = found.await.unwrap_or_default();
    let pages = found.len().div_ceil(PAGE).max(1);
    let page = visit.argument("page").parse().unwrap_or(1);
    let page = usize::clamp(page, 1, pages);
    let (app, lang) = (&visit.gate.app, visit.lang);
    let accounts = app.keeper.accounts();
    let shown = found.iter().skip((page - 1) * PAGE).take(PAGE);
    let kept = shown.filter_map(|appid| accounts.get(appid.as_str()));
    let address = |page: usize| {
        let mut arguments = form_urlencoded::Serializer::new(String::new());
        if !search.is_empty() {
            arguments.append_pair("q", &search);
        }
        arguments.append_pair("page", &page.to_string());
        format!("/console?{}", arguments.finish())
    };
    let counts = Health::ALL.map(|health| Count {
        number: summary.accounts.iter().filter(|of| of.0 == health).count(),
        state: health.words(lang),
        tone: health.tone(),
    });
    show(
        StatusCode::OK,
        &Overview {
            shell: Shell::new(&visit, "overview"),
            counts: counts
                .into_iter()
                .filter(|count| count.number > 0)
                .collect(),
            total: summary.accounts.len(),
            cards: kept.map(|kept| Card::of(app, kept, lang)).collect(),
            found: found.len(),
            before: (page > 1).then(|| address(page - 1)),
            after: (page < pages).then(|| address(page + 1)),
            page,
            pages,
            refuses: refuses(&visit.gate.app),
            locked: visit.gate.app.roster.locked().map(|why| why.to_string()),
            search,
        },
    )
}

/// The accounts whose AppID or name holds `wanted`, which is in lower case.
fn find(app: &App, summary: &Summary, wanted: &str) -> Vec<AppId> {
    let accounts = app.keeper.accounts();
    let fits = |appid: &AppId| {
        let name = accounts
            .get(appid.as_str())
            .and_then(|kept| kept.account.name.as_ref());
        appid.as_str().contains(wanted)
            || name.is_some_and(|name| name.to_lowercase().contains(wanted))
    };
    let all = summary.accounts.iter().map(|(_, appid)| appid);
    let found = all.filter(|appid| wanted.is_empty() || fits(appid));
    found.cloned().collect()
}

/// What the demo has its WeChat answer.
const REFUSAL: Fault = Fault::Errcode(40164);

/// Where WeChat looks at the address of whoever asks.
const LOOKED_AT: [Api; 3] = [Api::Token, Api::StableToken, Api::GetTicket];

fn refuses(app: &App) -> bool {
    let faults = app.simulator.as_ref().map(|simulator| simulator.faults());
    faults.is_some_and(|faults| faults.iter().any(|rule| rule.fault == REFUSAL))
}

/// `POST /console/demo`: has the simulated WeChat refuse this machine's address, or no more.
pub(super) async fn demo(Operator(visit): Operator, body: Bytes) -> Response {
    let app = &visit.gate.app;
    let Some(simulator) = &app.simulator else {
        return super::not_found(&visit);
    };
    simulator.clear_faults();
    let refuse = Form::parse(&body).get("refuse") == "yes";
    if refuse {
        for api in LOOKED_AT {
            simulator.inject(FaultRule::new(REFUSAL).on(api.path()));
        }
    }
    for kept in app.keeper.accounts().iter() {
        if refuse {
            app.keeper.report_ticket(kept);
        } else {
            app.keeper.try_again(kept);
        }
    }
    Redirect::to("/console").into_response()
}
