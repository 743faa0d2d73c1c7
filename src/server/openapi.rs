//! `/openapi.json`: the description of the interface, made from the handlers themselves.
//!
//! Each handler is annotated where it stands; here is what holds them together. The page that
//! shows it is in [`super::docs`].

pub(super) mod findings;
pub(super) mod shapes;
pub(super) mod wecom;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use serde_json::{Value, json};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, HeaderBuilder, ObjectBuilder, Ref, RefOr, ResponseBuilder, Type,
};
use utoipa::{IntoResponses, Modify, OpenApi};

use super::problem::{Code, Document};
use super::{
    accounts, backend, cards, clients, debug, dropin, events, health, jsapi, proxy, status,
};

/// The groups of routes, by who calls them.
pub(super) const PAGES: &str = "Pages";
pub(super) const BACK_ENDS: &str = "Back ends";
pub(super) const SDKS: &str = "WeChat's own paths";
pub(super) const OPERATORS: &str = "Operators";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "wxsign",
        description = "One holder of the access_token and jsapi_ticket of WeChat official accounts, \
            and the signer of `wx.config` for their pages. Errors are `application/problem+json` \
            (RFC 9457): act on `code`, which never changes, and show `detail`, which says what to \
            do. Any route may answer 405 `method_not_allowed`, 408 `timed_out` or 500 \
            `internal_error`. Every answer carries `X-Request-Id`: the log knows it."
    ),
    tags(
        (name = PAGES, description = "For front ends: no key is needed, the page's host must be listed."),
        (name = BACK_ENDS, description = "With a client key in the header `Authorization: Bearer wxk_…`, from `wxsign client add NAME` or `wxsign key new NAME`."),
        (name = SDKS, description = "For SDKs whose API host can be set, in WeChat's shapes: the status is always 200, and a client key stands where WeChat wants the AppSecret."),
        (name = OPERATORS, description = "For whoever starts, restarts, balances and watches."),
    ),
    paths(
        jsapi::get,
        jsapi::post,
        jsapi::report,
        cards::choice::get,
        jsapi::agent::get,
        debug::check,
        backend::access_token,
        backend::jsapi_ticket,
        cards::ticket,
        jsapi::agent::ticket,
        cards::hand_out,
        cards::choice::post,
        backend::report,
        backend::check,
        status::list,
        status::one,
        accounts::put,
        accounts::delete,
        proxy::any,
        clients::list,
        clients::put,
        clients::delete,
        events::list,
        dropin::token,
        dropin::stable_token,
        dropin::getticket,
        dropin::wecom::gettoken,
        dropin::wecom::get_jsapi_ticket,
        dropin::wecom::ticket_get,
        health::livez,
        health::readyz,
        health::metrics,
    ),
    components(schemas(Document<'_>)),
    modifiers(&Frame)
)]
struct Api;

/// What no annotation can say.
struct Frame;

impl Modify for Frame {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let key = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("wxk_…")
            .description(Some("The key of a client; its scopes say what it may do."))
            .build();
        let components = api.components.get_or_insert_default();
        components.add_security_scheme("client_key", SecurityScheme::Http(key));
        for (path, item) in &mut api.paths.paths {
            for (method, operation) in [
                ("get", &mut item.get),
                ("post", &mut item.post),
                ("put", &mut item.put),
                ("delete", &mut item.delete),
            ] {
                // One handler may stand for two operations, whose names must differ.
                if let Some(operation) = operation {
                    let words = path.split(|c: char| !c.is_alphanumeric());
                    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
                    operation.operation_id = Some(format!("{method}_{}", words.join("_")));
                }
            }
        }
    }
}

/// The document.
pub(super) static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    serde_json::to_value(Api::openapi()).expect("the document has only text keys")
});

/// `GET /openapi.json`
pub(super) async fn document() -> Response {
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, "no-cache"),
    ];
    (headers, DOCUMENT.to_string()).into_response()
}

/// Makes a type of each set of problems, for the annotation of the routes that answer with them.
macro_rules! problems {
    ($($name:ident: $($code:ident)+;)+) => {$(
        pub(super) enum $name {}

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
                described(&[$(Code::$code),+])
            }
        }
    )+};
}

problems! {
    OfSigning: MissingUrl InvalidUrl HostNotAllowed UnknownAccount RateLimited
        CredentialUnavailable StoreUnavailable;
    OfAgentSigning: MissingUrl InvalidUrl HostNotAllowed UnknownAccount NotWecom RateLimited
        CredentialUnavailable StoreUnavailable;
    OfPosted: MissingUrl InvalidUrl InvalidBody HostNotAllowed UnknownAccount BodyTooLarge
        RateLimited CredentialUnavailable StoreUnavailable;
    OfPageReports: MissingUrl InvalidUrl InvalidBody HostNotAllowed UnknownAccount BodyTooLarge
        RateLimited StoreUnavailable;
    OfQuestions: InvalidBody KeyInQuery KeyRequired KeyRefused ScopeMissing BodyTooLarge RateLimited;
    OfKeys: KeyInQuery KeyRequired KeyRefused ScopeMissing RateLimited;
    OfAccounts: KeyInQuery KeyRequired KeyRefused ScopeMissing AccountNotAllowed UnknownAccount
        RateLimited StoreUnavailable;
    OfReading: InvalidQuery KeyInQuery KeyRequired KeyRefused ScopeMissing AccountNotAllowed
        UnknownAccount RateLimited CredentialUnavailable StoreUnavailable;
    OfCardReading: InvalidQuery KeyInQuery KeyRequired KeyRefused ScopeMissing AccountNotAllowed
        UnknownAccount NoCardTicket RateLimited CredentialUnavailable StoreUnavailable;
    OfCards: InvalidBody KeyInQuery KeyRequired KeyRefused ScopeMissing AccountNotAllowed
        UnknownAccount NoCardTicket BodyTooLarge RateLimited CredentialUnavailable
        StoreUnavailable;
    OfCardSigns: InvalidQuery UnknownAccount NoCardTicket RateLimited CredentialUnavailable
        StoreUnavailable;
    OfAgentReading: InvalidQuery KeyInQuery KeyRequired KeyRefused ScopeMissing AccountNotAllowed
        UnknownAccount NotWecom RateLimited CredentialUnavailable StoreUnavailable;
    OfReports: InvalidBody KeyInQuery KeyRequired KeyRefused ScopeMissing AccountNotAllowed
        UnknownAccount StillValid UnknownToken BodyTooLarge NotAboutTheToken RateLimited
        CredentialUnavailable StoreUnavailable;
    OfChecks: KeyInQuery KeyRequired KeyRefused ScopeMissing AccountNotAllowed UnknownAccount
        RateLimited UpstreamUnreachable CredentialUnavailable StoreUnavailable;
    OfAccountChanges: InvalidBody InvalidAppid KeyInQuery KeyRequired KeyRefused ScopeMissing
        AccountNotAllowed NoMasterKey AccountIsConfigured AccountsLocked ChangedMeanwhile
        BodyTooLarge WechatRefused RateLimited UpstreamUnreachable StoreUnavailable;
    OfAccountRemovals: InvalidAppid KeyInQuery KeyRequired KeyRefused ScopeMissing
        AccountNotAllowed UnknownAccount AccountIsConfigured ChangedMeanwhile RateLimited
        StoreUnavailable;
    OfClientChanges: InvalidBody InvalidClientName KeyInQuery KeyRequired KeyRefused ScopeMissing
        RightsExceeded ClientIsConfigured ClientUnreadable ChangedMeanwhile BodyTooLarge
        RateLimited StoreUnavailable;
    OfClientRemovals: InvalidClientName KeyInQuery KeyRequired KeyRefused ScopeMissing
        RightsExceeded UnknownClient ClientIsConfigured ChangedMeanwhile RateLimited
        StoreUnavailable;
    OfEvents: InvalidQuery KeyInQuery KeyRequired KeyRefused ScopeMissing AccountNotAllowed
        UnknownAccount RateLimited StoreUnavailable;
    OfForwarding: InvalidPath KeyInQuery KeyRequired KeyRefused ScopeMissing AccountNotAllowed
        PathNotAllowed UnknownAccount RateLimited UpstreamUnreachable CredentialUnavailable
        StoreUnavailable UpstreamTimedOut;
}

/// The answers that tell of these problems, by status.
fn described(codes: &[Code]) -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
    let mut by_status = BTreeMap::<StatusCode, Vec<Code>>::new();
    for code in codes {
        by_status.entry(code.status()).or_default().push(*code);
    }
    let answers = by_status.into_iter().map(|(status, codes)| {
        let described = codes.iter().map(|code| {
            let name = json!(code);
            let name = name.as_str().expect("a code is a name");
            format!("`{name}`: {}.", code.title())
        });
        let mut answer = ResponseBuilder::new()
            .description(described.collect::<Vec<_>>().join(" "))
            .content("application/problem+json", problem(codes[0]));
        if codes[0].says_when_to_come_again() {
            let seconds = ObjectBuilder::new().schema_type(Type::Integer);
            let header = HeaderBuilder::new()
                .schema(Some(seconds))
                .description(Some("Seconds to wait before asking again."));
            answer = answer.header("Retry-After", header.build());
        }
        (status.as_str().to_owned(), RefOr::T(answer.build()))
    });
    answers.collect()
}

fn problem(code: Code) -> utoipa::openapi::Content {
    let example = json!({
        "title": code.title(),
        "status": code.status().as_u16(),
        "detail": "what happened here, and what to do about it",
        "code": code,
        "request_id": "4bf92f3577b34da6",
    });
    ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Problem")))
        .example(Some(example))
        .build()
}
