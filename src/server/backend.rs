//! `/v1`: the credentials and the state of the accounts, for back ends.
//!
//! A back end reads the token when it needs it, keeps it for `cache_seconds`, and reports it when
//! WeChat refuses it. It never orders a renewal: see [`crate::keeper::Keeper::report_token`].

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::auth::Asking;
use super::openapi::{BACK_ENDS, OfChecks, OfReading, OfReports, shapes};
use super::pages::knows;
use super::problem::{Code, Problem};
use super::segment::Segment;
use super::{Gate, PATIENCE};
use crate::client::Scope;
use crate::clock::Moment;
use crate::credential::{Credential, Fingerprint, Kind, Secret, serialize_exposed};
use crate::keeper::{Kept, Outcome, Reported, Served};

/// The longest `wait`.
const MAX_WAIT: u64 = 60;

/// How long a back end may go on with what it read, without asking again. WeChat's old token
/// lives five minutes beside the new one
/// (<https://developers.weixin.qq.com/doc/service/api/base/api_getaccesstoken.html>).
const CACHE_SECONDS: u64 = 60;

/// A credential, as it is read.
#[derive(Serialize, ToSchema)]
pub(super) struct Reading<'a> {
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "exposed")]
    #[schema(ignore)]
    access_token: Option<&'a Secret>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "exposed")]
    #[schema(ignore)]
    jsapi_ticket: Option<&'a Secret>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "exposed")]
    #[schema(ignore)]
    card_ticket: Option<&'a Secret>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "exposed")]
    #[schema(ignore)]
    agent_ticket: Option<&'a Secret>,
    /// Seconds of life that are left.
    #[schema(example = 7140)]
    expires_in: u64,
    /// The end of its life, in seconds since the Unix epoch.
    #[schema(example = 1_700_007_200)]
    expires_at: i64,
    /// Grows by one with each new value.
    #[schema(example = 1)]
    generation: u64,
    #[schema(value_type = shapes::Fingerprint, inline)]
    fingerprint: Fingerprint,
    /// Read it again after so many seconds.
    #[schema(example = 60)]
    cache_seconds: u64,
}

fn exposed<S: serde::Serializer>(secret: &Option<&Secret>, to: S) -> Result<S::Ok, S::Error> {
    match secret {
        Some(secret) => serialize_exposed(secret, to),
        None => to.serialize_none(),
    }
}

impl<'a> Reading<'a> {
    fn new(kind: Kind, served: &'a Served, now: Moment) -> Self {
        let credential = &served.credential;
        let left = served.until.left(now);
        let value = |of| (kind == of).then_some(&credential.value);
        Self {
            access_token: value(Kind::AccessToken),
            jsapi_ticket: value(Kind::JsapiTicket),
            card_ticket: value(Kind::CardTicket),
            agent_ticket: value(Kind::AgentTicket),
            expires_in: left.as_secs(),
            expires_at: (now.wall + left).as_secs(),
            generation: credential.generation,
            fingerprint: credential.value.fingerprint(),
            cache_seconds: left.as_secs().min(CACHE_SECONDS),
        }
    }

    fn without_value(self) -> Self {
        Self {
            access_token: None,
            jsapi_ticket: None,
            card_ticket: None,
            agent_ticket: None,
            ..self
        }
    }
}

/// Reads the access_token.
///
/// Keep it for `cache_seconds`, then read it again; with `wait` and `generation` the answer comes
/// once there is a newer one, or after `wait` seconds with what there is.
#[utoipa::path(get, path = "/v1/accounts/{appid}/access-token", tag = BACK_ENDS,
    security(("client_key" = ["token"])), params(shapes::InPath, shapes::Waiting, shapes::Known),
    responses(
        (status = 200, description = "The token.", body = shapes::Token, headers(("ETag" = String))),
        (status = 304, description = "It is the one that you have."),
        OfReading,
    ))]
pub(super) async fn access_token(
    asking: Asking,
    Segment(appid): Segment,
) -> Result<Response, Problem> {
    read(Kind::AccessToken, &asking, &appid).await
}

/// Reads the jsapi_ticket.
///
/// As the access_token is read. Pages need it only where they are not signed here.
#[utoipa::path(get, path = "/v1/accounts/{appid}/jsapi-ticket", tag = BACK_ENDS,
    security(("client_key" = ["ticket"])), params(shapes::InPath, shapes::Waiting, shapes::Known),
    responses(
        (status = 200, description = "The ticket.", body = shapes::Ticket, headers(("ETag" = String))),
        (status = 304, description = "It is the one that you have."),
        OfReading,
    ))]
pub(super) async fn jsapi_ticket(
    asking: Asking,
    Segment(appid): Segment,
) -> Result<Response, Problem> {
    read(Kind::JsapiTicket, &asking, &appid).await
}

pub(super) async fn read(kind: Kind, asking: &Asking, appid: &str) -> Result<Response, Problem> {
    let scope = match kind {
        Kind::AccessToken => Scope::Token,
        Kind::JsapiTicket | Kind::CardTicket | Kind::AgentTicket => Scope::Ticket,
    };
    let (caller, kept) = asking.admit(scope, appid)?;
    kept.has(kind)?;
    let wait = Wait::from_query(&asking.query)?;
    let gate = &asking.gate;
    let (keeper, did) = (&gate.app.keeper, format!("read the {kind}"));
    let (mut snapshot, mut now) = match keeper.available(&kept, kind, PATIENCE).await {
        Ok(found) => found,
        Err(unavailable) => {
            caller.audit(&kept.account.appid, &did, None, "unavailable");
            return Err(Problem::unavailable(unavailable));
        }
    };
    if let Some(wait) = wait {
        let newer = keeper.watch(&kept, wait.patience, |snapshot, now| {
            let served = snapshot.served(kind, now)?;
            // Not only greater: a store that was lost counts anew.
            let is_another = served.credential.generation != wait.generation;
            is_another.then(|| (Arc::clone(snapshot), now))
        });
        tokio::select! {
            found = newer => match found {
                Some(found) => (snapshot, now) = found,
                None => (snapshot, now) = (kept.snapshot().clone(), keeper.clock().moment()),
            },
            // Who waits is let go, so that the server can end in time.
            () = gate.app.draining.cancelled() => {}
        }
    }
    let served = snapshot
        .served(kind, now)
        .ok_or_else(|| gate.nothing_to_serve(&kept, kind))?;
    caller.audit(&kept.account.appid, &did, Some(&served.credential), "ok");
    let etag = etag(&served.credential);
    let caching = [(ETAG, etag.as_str()), (CACHE_CONTROL, "no-store")];
    if asking
        .headers
        .get(IF_NONE_MATCH)
        .is_some_and(|known| knows(known, &etag))
    {
        return Ok((StatusCode::NOT_MODIFIED, caching).into_response());
    }
    Ok((caching, Json(Reading::new(kind, served, now))).into_response())
}

fn etag(credential: &Credential) -> String {
    let (generation, fingerprint) = (credential.generation, credential.value.fingerprint());
    format!("\"{generation}-{fingerprint}\"")
}

/// A long poll: `?wait=30&generation=7` is answered once there is a newer generation than 7, or
/// after 30 seconds with what there is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wait {
    pub(super) patience: Duration,
    pub(super) generation: u64,
}

impl Wait {
    pub(super) fn from_query(query: &str) -> Result<Option<Self>, Problem> {
        let (mut wait, mut generation) = (None, None);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let slot = match name {
                "wait" => &mut wait,
                "generation" => &mut generation,
                _ => continue,
            };
            let number = (value.parse::<u64>()).map_err(|_| {
                let detail = format!("{name} must be a whole number from 0 up");
                Problem::new(Code::InvalidQuery, detail)
            })?;
            if slot.replace(number).is_some() {
                let detail = format!("{name} is given twice: give it once");
                return Err(Problem::new(Code::InvalidQuery, detail));
            }
        }
        match (wait, generation) {
            (None, None) => Ok(None),
            (Some(wait @ 0..=MAX_WAIT), Some(generation)) => Ok(Some(Self {
                patience: Duration::from_secs(wait),
                generation,
            })),
            (Some(_), Some(_)) => Err(Problem::new(
                Code::InvalidQuery,
                format!("wait may be at most {MAX_WAIT} seconds"),
            )),
            _ => Err(Problem::new(
                Code::InvalidQuery,
                "wait and generation go together: ?wait=30&generation=7 waits up to 30 seconds \
                 for a newer generation than 7",
            )),
        }
    }
}

/// What a back end reports: the token, or its fingerprint, and what WeChat said to it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Report {
    access_token: Option<Secret>,
    fingerprint: Option<Fingerprint>,
    errcode: i64,
}

impl Report {
    pub(super) fn parse(body: &[u8]) -> Result<(Fingerprint, i64), Problem> {
        let invalid = |what: String| {
            let example = r#"{"fingerprint": "ba7816bf8f01cfea", "errcode": 40001}"#;
            let detail = format!("{what}; send {example}, or access_token for the fingerprint");
            Problem::new(Code::InvalidBody, detail)
        };
        if body.trim_ascii_start().first() != Some(&b'{') {
            return Err(invalid("it is not a JSON object".to_owned()));
        }
        // The error's own text could repeat the token.
        let report: Self = serde_json::from_slice(body).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            invalid(format!("it cannot be read at line {line}, column {column}"))
        })?;
        let fingerprint = match (report.fingerprint, report.access_token) {
            (Some(fingerprint), None) => fingerprint,
            (None, Some(token)) => token.fingerprint(),
            _ => return Err(invalid("it must name one token".to_owned())),
        };
        Ok((fingerprint, report.errcode))
    }
}

/// What came of a report, and the token that holds now.
#[derive(Serialize, ToSchema)]
struct Answered<'a> {
    /// `outdated`: there was a newer one already; `renewed`: it was dead; `unverified`: WeChat
    /// could not be asked in time.
    #[schema(example = "renewed")]
    result: &'static str,
    #[serde(flatten)]
    #[schema(value_type = shapes::Token)]
    token: Reading<'a>,
}

/// Reports an access_token that WeChat refused.
///
/// WeChat is asked about it once for all who report it, and only if it is really dead is there a
/// new one.
#[utoipa::path(post, path = "/v1/accounts/{appid}/access-token/report", tag = BACK_ENDS,
    security(("client_key" = ["report"])), params(shapes::InPath), request_body = shapes::TokenReport,
    responses(
        (status = 200, description = "The token that holds now.", body = Answered<'_>),
        (status = 202, description = "WeChat gave no answer yet: go on with this one.", body = Answered<'_>),
        OfReports,
    ))]
pub(super) async fn report(
    asking: Asking,
    Segment(appid): Segment,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let (caller, kept) = asking.admit(Scope::Report, &appid)?;
    let gate = &asking.gate;
    let body = body.map_err(Problem::unreadable)?;
    let (fingerprint, errcode) = Report::parse(&body)?;
    let keeper = &gate.app.keeper;
    let reported = keeper
        .report_token(&kept, fingerprint, errcode, PATIENCE)
        .await;
    let result = reported.as_str();
    let history = &gate.app.history;
    history.record_report(&kept.account.appid, &caller.client.name, errcode, result);
    let (snapshot, now) = (kept.snapshot(), keeper.clock().moment());
    let token = snapshot.token(now);
    let credential = token.map(|token| &token.credential);
    caller.audit(
        &kept.account.appid,
        "report the access_token",
        credential,
        result,
    );
    let status = match reported {
        Reported::Outdated | Reported::Renewed => StatusCode::OK,
        Reported::Unverified => StatusCode::ACCEPTED,
        Reported::NoToken => return Err(gate.nothing_to_serve(&kept, Kind::AccessToken)),
        Reported::StillValid => {
            return Err(Problem::new(
                Code::StillValid,
                "WeChat was asked and accepts this token: what failed is the call itself; look at \
                 its errmsg, and whether it was sent with this token and to this account's API",
            ));
        }
        Reported::UnknownToken => {
            return Err(Problem::new(
                Code::UnknownToken,
                "this token was not given out here lately: read the current one, and see to it \
                 that no other program fetches tokens with this AppSecret",
            ));
        }
        Reported::OtherErrcode => {
            return Err(Problem::new(
                Code::NotAboutTheToken,
                "only the errcodes 40001, 40014 and 42001 say that a token is dead: another \
                 token would not help",
            ));
        }
    };
    let token = token.ok_or_else(|| gate.nothing_to_serve(&kept, Kind::AccessToken))?;
    let token = Reading::new(Kind::AccessToken, token, now);
    let token = if caller.may(Scope::Token) {
        token
    } else {
        token.without_value()
    };
    let answer = Json(Answered { result, token });
    Ok((status, [(CACHE_CONTROL, "no-store")], answer).into_response())
}

/// How WeChat takes the token.
#[derive(Serialize, ToSchema)]
struct Checked {
    /// Whether it accepts it.
    #[schema(example = true)]
    valid: bool,
    /// Which one was asked about.
    #[schema(example = 1)]
    generation: u64,
    /// How many seconds ago it was asked.
    #[schema(example = 0)]
    checked_ago: u64,
}

/// Asks WeChat whether the access_token works.
///
/// Once for all who want to know within ten seconds.
#[utoipa::path(post, path = "/v1/accounts/{appid}/access-token/check", tag = BACK_ENDS,
    security(("client_key" = ["status"])), params(shapes::InPath),
    responses((status = 200, description = "WeChat's word.", body = Checked), OfChecks))]
pub(super) async fn check(asking: Asking, Segment(appid): Segment) -> Result<Response, Problem> {
    let (caller, kept) = asking.admit(Scope::Status, &appid)?;
    let gate = &asking.gate;
    let keeper = &gate.app.keeper;
    if kept.snapshot().token(keeper.clock().moment()).is_none() {
        return Err(gate.nothing_to_serve(&kept, Kind::AccessToken));
    }
    let check = keeper.check_token(&kept, PATIENCE).await;
    let check = check.filter(|check| check.outcome != Outcome::Unreachable);
    let Some(check) = check else {
        caller.audit(
            &kept.account.appid,
            "check the access_token",
            None,
            "unreachable",
        );
        return Err(Problem::new(
            Code::UpstreamUnreachable,
            "WeChat gave no answer about the token: it goes on being served; ask again later",
        ));
    };
    let valid = check.outcome == Outcome::Valid;
    let result = if valid { "valid" } else { "rejected" };
    caller.audit(&kept.account.appid, "check the access_token", None, result);
    let answer = Json(Checked {
        valid,
        generation: check.generation,
        checked_ago: check.age(keeper.clock().moment()).as_secs(),
    });
    Ok(([(CACHE_CONTROL, "no-store")], answer).into_response())
}

impl Gate {
    /// The account has no credential of `kind`, and why.
    pub(super) fn nothing_to_serve(&self, kept: &Kept, kind: Kind) -> Problem {
        let keeper = &self.app.keeper;
        Problem::unavailable(keeper.unavailable(kept, &kept.snapshot(), kind))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::laws;
    use crate::laws::object_of;

    proptest! {
        #[test]
        fn what_back_ends_ask_is_within_limits(
            query in "(wait=[0-9]{1,3}&generation=[0-9]{1,20})?(&(wait|generation|a)=?[+0-9]{0,20}){0,2}",
            body in object_of(&[
                "\"fingerprint\":\"ba7816bf8f01cfea\"", "\"errcode\":40001", "\"errcode\":\"40001\"",
                "\"access_token\":\"98_0123456789abcdef0123456789abcdef\"", "\"more\":1",
                "\"fingerprint\":null",
            ]),
            anything in any::<String>(),
        ) {
            laws::of_back_ends(&query, body.as_bytes());
            laws::of_back_ends(&anything, anything.as_bytes());
        }
    }
}
