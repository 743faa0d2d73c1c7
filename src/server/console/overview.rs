//! The overview: a card for each account, the worst first.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use askama::Template;
use axum::body::Bytes;
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;

use super::editing::words;
use super::health::{Card, Health, troubles};
use super::visit::{Form, Operator, Visit};
use super::{Shell, show};
use crate::account::AppId;
use crate::app::App;
use crate::keeper::Keeper;
use crate::simulator::{Fault, FaultRule};
use crate::upstream::Api;

/// How many cards a page has.
const PAGE: usize = 50;

/// How all accounts fare.
pub(super) struct Summary {
    /// The worst first, and of those that fare alike in the order of their AppIDs.
    accounts: Vec<(Health, AppId)>,
    /// How many fare so, in the order of [`Health::ALL`].
    counts: [usize; Health::ALL.len()],
}

impl Summary {
    fn of(keeper: &Keeper) -> Self {
        let (accounts, now) = (keeper.accounts(), keeper.clock().moment());
        let ranked = accounts.iter().map(|kept| {
            let health = Health::of(&kept.snapshot(), now);
            (health, kept.account.appid.clone())
        });
        let mut accounts: Vec<_> = ranked.collect();
        accounts.sort();
        let mut counts = [0; Health::ALL.len()];
        for (health, _) in &accounts {
            counts[*health as usize] += 1;
        }
        Self { accounts, counts }
    }
}

/// The cards of one page.
pub(super) struct Cards {
    appids: Vec<AppId>,
    /// How many accounts fit what is searched for.
    found: usize,
    /// From 1.
    page: usize,
    pages: usize,
}

impl Cards {
    fn new(app: &App, summary: &Summary, wanted: &str, page: usize) -> Self {
        let wanted = wanted.to_lowercase();
        let accounts = app.keeper.accounts();
        let fits = |appid: &AppId| {
            let name = accounts
                .get(appid.as_str())
                .and_then(|kept| kept.account.name.as_ref());
            appid.as_str().contains(&wanted)
                || name.is_some_and(|name| name.to_lowercase().contains(&wanted))
        };
        let all = summary.accounts.iter().map(|(_, appid)| appid);
        let fitting: Vec<_> = all
            .filter(|appid| wanted.is_empty() || fits(appid))
            .collect();
        let pages = fitting.len().div_ceil(PAGE).max(1);
        let page = page.clamp(1, pages);
        let shown = fitting.iter().skip((page - 1) * PAGE).take(PAGE);
        Self {
            appids: shown.map(|appid| (*appid).clone()).collect(),
            found: fitting.len(),
            page,
            pages,
        }
    }

    /// Those that the arguments of the address ask for.
    pub(super) async fn of(visit: &Visit, summary: &Arc<Summary>) -> Self {
        let (app, summary) = (Arc::clone(&visit.gate.app), Arc::clone(summary));
        let (wanted, page) = (search(visit), visit.argument("page"));
        let page = page.parse().unwrap_or(1);
        let looking = tokio::task::spawn_blocking(move || Self::new(&app, &summary, &wanted, page));
        looking.await.unwrap_or(Self {
            appids: Vec::new(),
            found: 0,
            page: 1,
            pages: 1,
        })
    }
}

fn search(visit: &Visit) -> String {
    visit.argument("q").trim().to_owned()
}

/// Another number when something has changed that the overview shows.
pub(super) fn digest(app: &App, summary: &Summary, cards: &Cards) -> u64 {
    let mut hasher = DefaultHasher::new();
    summary.counts.hash(&mut hasher);
    cards.found.hash(&mut hasher);
    let troubles = (app.store.tally().failing().is_some(), app.keeper.is_alive());
    (troubles, app.roster.locked().is_some(), refuses(app)).hash(&mut hasher);
    for appid in &cards.appids {
        digest_of(app, appid).hash(&mut hasher);
    }
    hasher.finish()
}

/// The same for what is shown of one account.
pub(super) fn digest_of(app: &App, appid: &AppId) -> u64 {
    let (accounts, now) = (app.keeper.accounts(), app.keeper.clock().moment());
    let mut hasher = DefaultHasher::new();
    appid.hash(&mut hasher);
    if let Some(kept) = accounts.get(appid.as_str()) {
        let snapshot = kept.snapshot();
        let generation = |kind| {
            let served = snapshot.served(kind, now);
            served.map(|of| of.credential.generation)
        };
        let generations: Vec<_> = kept.account.kinds().map(generation).collect();
        let trouble = snapshot.trouble();
        let trouble = trouble.map(|trouble| (trouble.failed_at, trouble.next_at));
        (&kept.account.name, Health::of(&snapshot, now), trouble).hash(&mut hasher);
        (snapshot.died_young(), generations).hash(&mut hasher);
    }
    let failing = app.store.tally().failing().is_some();
    (failing, app.keeper.is_alive()).hash(&mut hasher);
    hasher.finish()
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
    /// Where it hears of changes.
    live: String,
    troubles: Vec<String>,
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
    let cards = Cards::of(&visit, &summary).await;
    let (app, lang, search) = (&visit.gate.app, visit.lang, search(&visit));
    let arguments = |page: usize| {
        let mut arguments = form_urlencoded::Serializer::new(String::new());
        if !search.is_empty() {
            arguments.append_pair("q", &search);
        }
        arguments.append_pair("page", &page.to_string());
        arguments.finish()
    };
    let address = |page| format!("/console?{}", arguments(page));
    let (page, pages) = (cards.page, cards.pages);
    let counts = Health::ALL.iter().zip(summary.counts);
    let counts = counts.filter(|(_, number)| *number > 0);
    let accounts = app.keeper.accounts();
    let shown = cards.appids.iter();
    let shown = shown.filter_map(|appid| accounts.get(appid.as_str()));
    show(
        StatusCode::OK,
        &Overview {
            shell: Shell::new(&visit, "overview"),
            live: format!("/console/live?of=overview&{}", arguments(page)),
            troubles: troubles(app, lang),
            counts: counts
                .map(|(health, number)| Count {
                    number,
                    state: health.words(lang),
                    tone: health.tone(),
                })
                .collect(),
            total: summary.accounts.len(),
            cards: shown.map(|kept| Card::of(app, kept, lang)).collect(),
            found: cards.found,
            before: (page > 1).then(|| address(page - 1)),
            after: (page < pages).then(|| address(page + 1)),
            page,
            pages,
            refuses: refuses(app),
            locked: app.roster.locked().map(|why| words(lang, &why)),
            search,
        },
    )
}

/// What the demo has its WeChat answer.
const REFUSAL: Fault = Fault::Errcode(40164);

/// Where WeChat looks at the address of whoever asks.
const LOOKED_AT: [Api; 4] = [
    Api::Token,
    Api::StableToken,
    Api::GetTicket,
    Api::GetJsapiTicket,
];

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
