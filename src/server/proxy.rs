//! `/proxy/{appid}/…`: passes calls of back ends on to WeChat's API with the account's
//! access_token, so that they need not hold one.
//!
//! Bodies of any size pass as they come. When WeChat says that the token is at fault, that is a
//! report like any other; and if the call is small enough to have been kept, it is repeated once
//! with the newer token, and its caller never hears of it.
//!
//! The same is done for SDKs that take this server for WeChat's API: [`with_token`].

mod body;
pub(super) mod path;

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Extension, Request, State};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, Response, response};

use super::dropin::Refusal;
use super::openapi::{BACK_ENDS, OfForwarding, shapes};
use super::problem::{Code, Problem};
use super::request_id::RequestId;
use super::{Gate, PATIENCE, Peer};
use crate::account::AppId;
use crate::client::Scope;
use crate::credential::{Credential, Kind, Secret};
use crate::keeper::{Kept, Reported};
use crate::upstream::answer::errcode_of;
use crate::upstream::forward::{Call, NoAnswer};
use body::{Broken, Start};

/// WeChat's errors are much smaller; in a larger answer none is looked for.
const READABLE_BYTES: usize = 64 * 1024;

/// Passes a call on to WeChat's API, with the current token in it.
///
/// GET, POST and the like, with any query, headers and body; the answer is WeChat's own. If WeChat refuses the token,
/// the call is repeated once with a new one, provided that its body is small.
#[utoipa::path(method(get, post), path = "/proxy/{appid}/{path}", tag = BACK_ENDS,
    security(("client_key" = ["proxy"])), params(shapes::InPath, shapes::WeChatPath),
    responses((status = "default", description = "WeChat's answer."), OfForwarding))]
pub(super) async fn any(
    State(gate): State<Arc<Gate>>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let (head, body) = request.into_parts();
    let (appid, path) = path::split(head.uri.path())
        .ok_or_else(|| Problem::new(Code::NotFound, "WeChat's path goes behind the appid"))?;
    let query = head.uri.query().unwrap_or_default();
    let caller = gate.authenticate(&head.headers, query, peer.0)?;
    let kept = gate.let_through(&caller, Scope::Proxy, appid)?;
    path::check(appid, &head.method, path, query)?;
    let call = Call {
        method: head.method,
        path: path.to_owned(),
        query: query.to_owned(),
        headers: head.headers,
    };
    forward(&gate, &caller.client.name, &kept, call, body).await
}

/// A call to one of WeChat's own paths, with an access_token that was given out here: so an SDK
/// whose API host is this server can make all its calls.
///
/// The token is all that it shows. So calls are passed on for an account only if one of its
/// clients has the scope `proxy`. An SDK reads errors in WeChat's shape alone, and gets them so.
pub(super) async fn with_token(
    State(gate): State<Arc<Gate>>,
    Extension(id): Extension<RequestId>,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let (head, body) = request.into_parts();
    let (path, query) = (head.uri.path(), head.uri.query().unwrap_or_default());
    let Some(holder) = gate.bearer_of(path, query) else {
        return Err(super::pages::not_found());
    };
    let kept = match holder {
        Ok(kept) => kept,
        Err(refusal) => return Ok(refusal.answer(&id)),
    };
    let appid = kept.account.appid.as_str();
    if let Err(problem) = path::check(appid, &head.method, path, query) {
        return Ok(Refusal::from(problem).answer(&id));
    }
    let call = Call {
        method: head.method,
        path: path.to_owned(),
        query: query.to_owned(),
        headers: head.headers,
    };
    match forward(&gate, "the holder of the token", &kept, call, body).await {
        Err(problem) if problem.code() == Code::CredentialUnavailable => {
            Ok(Refusal::from(problem).answer(&id))
        }
        // What may have been carried out must not look like "try again".
        other => other,
    }
}

/// Passes a call on, and once more if WeChat refused the token, there is a newer one, and the
/// body is small.
///
/// # Errors
/// There is no token, the request's body broke off, or WeChat did not answer. What WeChat
/// answered is no error, whatever it says.
async fn forward(
    gate: &Gate,
    client: &str,
    kept: &Arc<Kept>,
    call: Call,
    body: Body,
) -> Result<Response<Body>, Problem> {
    let mut entry = Entry {
        client,
        appid: &kept.account.appid,
        call: &call,
        token: None,
        outcome: "abandoned",
        errcode: None,
        repeated: false,
    };
    let answer = entry.follow(gate, kept, body).await;
    entry.outcome = match &answer {
        Ok(_) => "answered",
        Err(_) => "failed",
    };
    answer
}

/// What is written down of a call when it is over, however it ends.
struct Entry<'a> {
    client: &'a str,
    appid: &'a AppId,
    call: &'a Call,
    token: Option<Credential>,
    outcome: &'static str,
    errcode: Option<i64>,
    repeated: bool,
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        let token = self.token.as_ref();
        tracing::info!(
            target: "wxsign::audit",
            client = self.client,
            appid = %self.appid,
            method = %self.call.method,
            path = self.call.path,
            generation = token.map(|token| token.generation),
            fingerprint = token.map(|token| tracing::field::display(token.value.fingerprint())),
            errcode = self.errcode,
            repeated = self.repeated,
            result = self.outcome,
            "a call was passed on"
        );
    }
}

impl Entry<'_> {
    /// Leads the call to its end.
    async fn follow(
        &mut self,
        gate: &Gate,
        kept: &Kept,
        body: Body,
    ) -> Result<Response<Body>, Problem> {
        let call = self.call;
        let token = first_token(gate, kept).await?;
        let used = token.value.clone();
        self.token = Some(token);
        let most = usize::try_from(gate.app.limits.repeatable_bytes).unwrap_or(usize::MAX);
        let start = body::read(body, most).await.map_err(unread)?;
        let again = match &start {
            Start::Whole(bytes) => Some(bytes.clone()),
            Start::Part(_) => None,
        };
        let mut answer = exchange(gate, kept, call, &used, start.into_body()).await;
        if let Ok(Answer {
            errcode: Some(errcode),
            ..
        }) = answer
            && let Some(newer) = newer_token(gate, kept, &used, errcode).await
            && let Some(body) = again
        {
            self.repeated = true;
            answer = exchange(gate, kept, call, &newer.value, Body::from(body)).await;
            self.token = Some(newer);
        }
        let answer = answer.map_err(|failure| Problem::no_answer(&failure))?;
        self.errcode = answer.errcode;
        Ok(answer.response)
    }
}

fn unread<E>(broken: Broken<E>) -> Problem {
    match broken {
        Broken::Stalled => Problem::new(Code::TimedOut, "it did not arrive in time: send it again"),
        Broken::Ended(_) => Problem::new(Code::InvalidBody, "it broke off: send it again"),
    }
}

/// The account's token, which may still have to be fetched.
async fn first_token(gate: &Gate, kept: &Kept) -> Result<Credential, Problem> {
    let keeper = &gate.app.keeper;
    let found = keeper.available(kept, Kind::AccessToken, PATIENCE).await;
    let (snapshot, now) = found.map_err(Problem::unavailable)?;
    let token = snapshot
        .token(now)
        .expect("the snapshot holds a token at this moment");
    Ok(token.credential.clone())
}

/// Reports that WeChat answered `errcode` to a call with the token `used`; returns a newer token
/// if that was at fault.
async fn newer_token(gate: &Gate, kept: &Kept, used: &Secret, errcode: i64) -> Option<Credential> {
    let keeper = &gate.app.keeper;
    let reported = keeper.report_token(kept, used.fingerprint(), errcode, PATIENCE);
    match reported.await {
        Reported::Renewed | Reported::Outdated => {
            let (snapshot, now) = (kept.snapshot(), keeper.clock().moment());
            let newer = snapshot.token(now).map(|served| served.credential.clone());
            newer.filter(|newer| newer.value != *used)
        }
        _ => None,
    }
}

/// WeChat's answer to a call.
struct Answer {
    response: Response<Body>,
    /// The errcode in it, unless that is 0.
    errcode: Option<i64>,
}

/// Sends a call with `token` and reads as much of the answer as says whether it is an error.
async fn exchange(
    gate: &Gate,
    kept: &Kept,
    call: &Call,
    token: &Secret,
    body: Body,
) -> Result<Answer, NoAnswer> {
    let answer = (gate.app.forwarder)
        .send(call, kept.account.token_api, token, body)
        .await?;
    let (mut head, body) = answer.into_parts();
    if !is_readable(&head) {
        return Ok(Answer {
            response: Response::from_parts(head, Body::new(body)),
            errcode: None,
        });
    }
    let start = body::read(body, READABLE_BYTES).await;
    let start = start.map_err(|broken| match broken {
        Broken::Stalled => NoAnswer::TimedOut,
        Broken::Ended(failure) => failure,
    })?;
    let mut errcode = None;
    let body = match start {
        Start::Whole(bytes) => {
            errcode = errcode_of(&bytes).filter(|errcode| *errcode != 0);
            Body::from(without(token, bytes, &mut head.headers))
        }
        part @ Start::Part(_) => part.into_body(),
    };
    Ok(Answer {
        response: Response::from_parts(head, body),
        errcode,
    })
}

/// Whether an answer may hold an errcode, or an error page: WeChat writes errors as JSON under
/// several content types, and a proxy in between writes HTML.
fn is_readable(head: &response::Parts) -> bool {
    let content_type = head.headers.get(CONTENT_TYPE);
    let content_type = content_type.map_or(&[][..], |value| value.as_bytes());
    let content_type = content_type.to_ascii_lowercase();
    let is_text = content_type.starts_with(b"text/")
        || content_type.windows(4).any(|window| window == b"json");
    is_text && !head.headers.contains_key(CONTENT_ENCODING)
}

/// A body with `token` cut out: a server may say back what it was sent.
fn without(token: &Secret, body: Bytes, headers: &mut HeaderMap) -> Bytes {
    let token = token.expose();
    if !body
        .windows(token.len())
        .any(|part| part == token.as_bytes())
    {
        return body;
    }
    headers.remove(CONTENT_LENGTH);
    String::from_utf8_lossy(&body).replace(token, "…").into()
}
