//! The front door, which every request passes: it gives each its id, answers signatures at once
//! where it can, hands everything else to the router, and writes out problems and CORS headers on
//! the way back.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::DefaultBodyLimit;
use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, ORIGIN, REFERER, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, Version};
use http_body_util::{Either, Full};
use hyper::body::{Body as _, Incoming};
use tower::ServiceExt;

use super::ahead::{self, Date, Head, Refusal, write_all};
use super::client_address::{Caller, ForwardedFor};
use super::connections::Answer;
use super::gathered::GatheredBody;
use super::problem::{Code, Problem};
use super::request_id::{self, RequestId};
use super::{Audience, Gate, MAX_BODY_BYTES, OverTls, Peer, cors, jsapi, router};

/// How long a browser remembers that this server is encrypted.
const A_YEAR: &str = "max-age=31536000";

/// What an answer needs to know of its request.
struct Asked {
    id: RequestId,
    is_head: bool,
    for_pages: bool,
    origin: Option<HeaderValue>,
}

impl Asked {
    fn of(request: &Request<Incoming>) -> Self {
        let headers = request.headers();
        Self {
            id: RequestId::of(headers),
            is_head: request.method() == Method::HEAD,
            for_pages: request.uri().path().starts_with("/jsapi/"),
            origin: headers.get(ORIGIN).cloned(),
        }
    }
}

/// The front door of one address.
pub(super) struct Front {
    gate: Arc<Gate>,
    audience: Audience,
    /// Browsers are to come back encrypted.
    is_encrypted: bool,
    /// What every signature says in its head.
    of_signatures: HeaderMap,
    /// The same as it is written, from the first line on.
    head_of_signatures: Vec<u8>,
    router: Router,
}

/// An answer made at once, or one of the router's.
pub(super) type AnswerBody = Either<Full<Bytes>, Body>;

impl Front {
    pub(super) fn new(gate: Arc<Gate>, audience: Audience, is_encrypted: bool) -> Self {
        let mut front = Self {
            router: router::router(Arc::clone(&gate), audience),
            gate,
            audience,
            is_encrypted,
            of_signatures: HeaderMap::new(),
            head_of_signatures: b"HTTP/1.1 200 OK\r\n".to_vec(),
        };
        let mut headers = HeaderMap::new();
        jsapi::describe_config(&mut headers);
        front.describe(&mut headers, true);
        ahead::write_headers(&headers, &mut front.head_of_signatures);
        front.of_signatures = headers;
        front
    }

    /// Answers a request from `peer`: at once where nothing has to be waited for.
    pub(super) fn answer(self: &Arc<Self>, request: Request<Incoming>, peer: IpAddr) -> Answer {
        let asked = Asked::of(&request);
        let answer = match fault(&request) {
            None => self.sign_now(&request, peer),
            Some(problem) => Some(Err(problem)),
        };
        match answer {
            Some(Ok(config)) => {
                let mut response = Response::new(config);
                *response.headers_mut() = self.of_signatures.clone();
                Answer::Now(self.finish_now(response, asked))
            }
            Some(Err(problem)) => {
                let mut response = problem.render(&asked.id);
                self.describe(response.headers_mut(), asked.for_pages);
                Answer::Now(self.finish_now(response, asked))
            }
            None => {
                let front = Arc::clone(self);
                let answer = async move { front.answer_later(request, asked, peer).await };
                Answer::Later(Box::pin(answer))
            }
        }
    }

    async fn answer_later(
        &self,
        mut request: Request<Incoming>,
        asked: Asked,
        peer: IpAddr,
    ) -> Response<AnswerBody> {
        request.extensions_mut().insert(Peer(peer));
        request.extensions_mut().insert(OverTls(self.is_encrypted));
        request.extensions_mut().insert(self.audience);
        request.extensions_mut().insert(asked.id);
        DefaultBodyLimit::max(MAX_BODY_BYTES).apply(&mut request);
        let router = self.router.clone();
        let request = request.map(|body| Body::new(GatheredBody::new(body)));
        let Ok(response) = router.oneshot(request).await;
        let response = Problem::write_into(response, &asked.id).map(Either::Right);
        let mut response = without_body_for_head(response, asked.is_head);
        self.describe(response.headers_mut(), asked.for_pages);
        self.finish(&mut response, asked);
        response
    }

    /// Adds what every answer says.
    fn describe(&self, headers: &mut HeaderMap, for_pages: bool) {
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        let referrer = headers.entry(REFERRER_POLICY);
        referrer.or_insert(HeaderValue::from_static("no-referrer"));
        if self.is_encrypted {
            headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(A_YEAR));
        }
        if for_pages {
            cors::vary(headers);
        }
    }

    fn finish_now(&self, response: Response<Vec<u8>>, asked: Asked) -> Response<AnswerBody> {
        let is_head = asked.is_head;
        let mut response = response.map(|body| Either::Left(body.into()));
        self.finish(&mut response, asked);
        without_body_for_head(response, is_head)
    }

    /// Adds what the answer says to this request alone.
    fn finish<B>(&self, response: &mut Response<B>, asked: Asked) {
        let headers = response.headers_mut();
        headers.insert(request_id::HEADER, asked.id.to_header());
        if asked.for_pages {
            cors::allow(headers, asked.origin, &self.gate.app.keeper);
        }
    }

    /// The `wx.config` that is asked for, or why there is none; nothing where that is not to be
    /// said at once.
    fn sign_now(
        &self,
        request: &Request<Incoming>,
        peer: IpAddr,
    ) -> Option<Result<Vec<u8>, Problem>> {
        let asks = matches!(*request.method(), Method::GET | Method::HEAD);
        let for_pages = self.audience != Audience::BackEnds;
        if request.uri().path() != "/jsapi/signature" || !asks || !for_pages {
            return None;
        }
        let query = request.uri().query().unwrap_or_default();
        let caller = Caller::of(peer, request.headers());
        let referer = request.headers().get(REFERER).map(HeaderValue::as_bytes);
        jsapi::sign_now(&self.gate, query, caller, referer, |config| {
            config.to_json()
        })
    }

    /// The same for a request that was read ahead of hyper, with the whole answer written; says
    /// whether it was.
    pub(super) fn sign_ahead(
        &self,
        head: &Head<'_>,
        peer: IpAddr,
        date: &mut Date,
        out: &mut Vec<u8>,
    ) -> bool {
        if self.audience == Audience::BackEnds {
            return false;
        }
        let keeper = &self.gate.app.keeper;
        let forwarded_for = ForwardedFor::Line(head.forwarded_for);
        let caller = Caller {
            peer,
            forwarded_for,
        };
        let id = RequestId::given(head.request_id);
        let signed = jsapi::sign_now(&self.gate, head.query, caller, head.referer, |config| {
            out.extend_from_slice(&self.head_of_signatures);
            write_all(out, &[b"x-request-id: ", id.as_bytes(), b"\r\n"]);
            if let Some(origin) = head.origin {
                cors::write(origin, &config.url, keeper, out);
            }
            ahead::write_end(config.length(), date.at(config.now), out);
            config.write_into(out);
        });
        match signed {
            Some(Ok(())) => {}
            Some(Err(problem)) => {
                let mut response = problem.render(&id);
                let origin = head.origin.and_then(|at| HeaderValue::from_bytes(at).ok());
                self.describe(response.headers_mut(), true);
                self.finish(
                    &mut response,
                    Asked {
                        id,
                        is_head: false,
                        for_pages: true,
                        origin,
                    },
                );
                ahead::write(&response, date.at(keeper.clock().now()), out);
            }
            None => return false,
        }
        true
    }

    /// The whole answer to what is no request, the last on its connection.
    pub(super) fn refusal(&self, why: Refusal, date: &mut Date) -> Vec<u8> {
        let problem = match why {
            Refusal::Unreadable => Problem::new(
                Code::InvalidRequest,
                "it is not HTTP/1.1 as RFC 9112 has it: look for line breaks, blanks or control \
                 bytes in its first line and its headers",
            ),
            Refusal::TooManyHeaders => too_many_headers(),
            Refusal::HeadTooLong => {
                let detail = "its first line and its headers may take up 64 KiB: leave out \
                              cookies and headers";
                Problem::new(Code::HeadTooLong, detail)
            }
        };
        let id = RequestId::given(None);
        let mut response = problem.render(&id);
        let headers = response.headers_mut();
        self.describe(headers, false);
        headers.insert(request_id::HEADER, id.to_header());
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        let mut answer = Vec::new();
        ahead::write(
            &response,
            date.at(self.gate.app.keeper.clock().now()),
            &mut answer,
        );
        answer
    }
}

/// What is sent of an answer: to a HEAD its length, not its body. (HTTP/2 would send it.)
fn without_body_for_head(response: Response<AnswerBody>, is_head: bool) -> Response<AnswerBody> {
    if !is_head {
        return response;
    }
    let length = response.body().size_hint().exact();
    let mut head = response.map(|_| Either::Left(Full::default()));
    if let Some(length) = length.filter(|_| !head.headers().contains_key(CONTENT_LENGTH)) {
        head.headers_mut().insert(CONTENT_LENGTH, length.into());
    }
    head
}

/// The most headers of a request. HTTP/2 lets a few bytes stand for thousands.
pub(super) const MAX_HEADERS: usize = 100;

/// What is wrong with a request whatever it asks for.
fn fault<B>(request: &Request<B>) -> Option<Problem> {
    if request.headers().len() > MAX_HEADERS {
        return Some(too_many_headers());
    }
    let detail = "an HTTP/1.1 request has one Host header, with a name and perhaps a port, and one \
                  of HTTP/2 an :authority, or the two alike: send it once";
    (!names_its_host(request)).then(|| Problem::new(Code::InvalidHost, detail))
}

fn too_many_headers() -> Problem {
    let detail = format!("a request may have {MAX_HEADERS} headers: leave the others out");
    Problem::new(Code::TooManyHeaders, detail)
}

/// A request without a host, or with two, is understood differently by those it passes
/// (<https://www.rfc-editor.org/rfc/rfc9112#section-3.2>,
/// <https://www.rfc-editor.org/rfc/rfc9113#section-8.3.1>).
fn names_its_host<B>(request: &Request<B>) -> bool {
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = hosts.next().map(HeaderValue::as_bytes);
    let authority = request.uri().authority();
    let authority = authority.map(|authority| authority.as_str().as_bytes());
    let named = match (request.version(), authority, host) {
        (Version::HTTP_2, Some(authority), Some(host)) => {
            return hosts.next().is_none()
                && is_plain_host(host)
                && host.eq_ignore_ascii_case(authority);
        }
        (Version::HTTP_2, authority, host) => authority.or(host),
        (Version::HTTP_11, _, host) => host,
        (_, _, host) => host.or(Some(b"")),
    };
    hosts.next().is_none() && named.is_some_and(is_plain_host)
}

/// Whether it is a name, and perhaps a port.
pub(super) fn is_plain_host(host: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b".-_~:[]%".contains(byte);
    host.iter().all(plain)
}
