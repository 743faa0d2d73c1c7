//! Tries what the server needs, as `wxsign doctor` does, and shows what it found.

use askama::Template;
use axum::response::Response;
use http::StatusCode;

use super::trying::admit;
use super::visit::{Operator, Visit};
use super::{Lang, Shell, not_found, show};
use crate::account::AppId;
use crate::doctor::{self, Finding, Outcome};
use crate::server::segment::Segment;

/// With more accounts, each is examined on its own page: WeChat is called for each.
const MOST: usize = 5;

#[derive(Template)]
#[template(path = "console/doctor.html")]
struct Page {
    shell: Shell,
    appid: Option<String>,
    rows: Vec<Row>,
    fault: Option<String>,
}

struct Row {
    tone: &'static str,
    step: &'static str,
    appid: Option<String>,
    what: String,
    why: Option<String>,
    remedy: Option<String>,
    link: Option<&'static str>,
    said: Option<String>,
}

impl Row {
    fn of(finding: Finding, lang: Lang) -> Self {
        let (zh, en) = finding.step.name();
        Self {
            tone: match finding.outcome {
                Outcome::Good => "ok",
                Outcome::Note => "busy",
                Outcome::Warning => "note",
                Outcome::Bad => "bad",
            },
            step: lang.t(zh, en),
            appid: finding.appid.map(String::from),
            what: lang.words(finding.what),
            why: finding.why.map(|why| lang.words(why)),
            remedy: finding.remedy.map(|remedy| lang.words(remedy)),
            link: finding.link,
            said: finding.said,
        }
    }
}

/// `POST /console/system/doctor`
pub(super) async fn all(Operator(visit): Operator) -> Response {
    if visit.gate.app.keeper.accounts().len() > MOST {
        let fault = visit.t(
            "账号很多：请到各账号的页面上逐个诊断",
            "There are many accounts: examine each on its own page",
        );
        return answer(&visit, None, Vec::new(), Some(fault.to_owned()));
    }
    examine(&visit, None).await
}

/// `POST /console/accounts/{appid}/doctor`
pub(super) async fn one(Operator(visit): Operator, Segment(appid): Segment) -> Response {
    match super::account::find(&visit, &appid) {
        Some(kept) => examine(&visit, Some(&kept.account.appid)).await,
        None => not_found(&visit),
    }
}

async fn examine(visit: &Visit, appid: Option<&AppId>) -> Response {
    if let Err(fault) = admit(visit) {
        return answer(visit, appid, Vec::new(), Some(fault));
    }
    let findings = doctor::examine(&visit.gate.app, appid).await;
    answer(visit, appid, findings, None)
}

fn answer(
    visit: &Visit,
    appid: Option<&AppId>,
    findings: Vec<Finding>,
    fault: Option<String>,
) -> Response {
    let back = match appid {
        Some(appid) => format!("/console/accounts/{appid}"),
        None => "/console/system".to_owned(),
    };
    let page = Page {
        shell: Shell::at(visit, "system", &back, ""),
        appid: appid.map(AppId::to_string),
        rows: findings
            .into_iter()
            .map(|finding| Row::of(finding, visit.lang))
            .collect(),
        fault,
    };
    show(StatusCode::OK, &page)
}
