//! `/docs/frontend`: what the developer of a page needs, with this server's address and the
//! account's AppID filled in. It holds nothing that a signed page does not tell its readers.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Extension, RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};

use super::snippets::{Snippet, snippets};
use crate::diagnosis::sdk_errors::{self, SdkError};
use crate::server::language::language;
use crate::server::own_address::OwnAddress;
use crate::server::pages::account;
use crate::server::problem::{Code, Problem};
use crate::server::{Audience, Gate};

/// Only this server's own files, and the choice of an account.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'";

/// Of more accounts one gives the AppID.
const MAX_LISTED: usize = 20;

#[derive(Template)]
#[template(path = "docs-frontend.html")]
struct Page {
    lang: &'static str,
    version: &'static str,
    address: String,
    appid: String,
    /// It is a WeCom app.
    is_wecom: bool,
    /// All AppIDs, where there is a choice that can be listed.
    listed: Vec<String>,
    /// There are more.
    has_more: bool,
    snippets: Vec<Snippet>,
    errors: &'static [SdkError],
    /// The names of the proofs that are served.
    verify_files: Vec<String>,
    /// `/docs` is at the same address.
    documented: bool,
    /// And `/debug`.
    debuggable: bool,
}

/// `GET /docs/frontend`, of the account in `?appid=` or of the first one.
pub(in crate::server) async fn page(
    State(gate): State<Arc<Gate>>,
    Extension(audience): Extension<Audience>,
    OwnAddress(address): OwnAddress,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let appid = account(&gate, query.as_deref())?;
    let accounts = gate.app.keeper.accounts();
    let documented = audience == Audience::Everyone;
    let debuggable = documented || gate.app.simulator.is_some();
    // Which other accounts there are is nothing for whoever reads a page.
    let mut listed = Vec::new();
    if debuggable && (2..=MAX_LISTED).contains(&accounts.len()) {
        listed.extend(accounts.iter().map(|kept| kept.account.appid.to_string()));
        listed.sort_unstable();
    }
    let page = Page {
        lang: language(&query.unwrap_or_default(), &headers),
        version: env!("CARGO_PKG_VERSION"),
        snippets: snippets(&address, &appid),
        is_wecom: appid.wecom().is_some(),
        address,
        appid: appid.to_string(),
        listed,
        has_more: accounts.len() > MAX_LISTED || (!debuggable && accounts.len() > 1),
        errors: sdk_errors::TABLE,
        verify_files: gate.app.verify_files.keys().cloned().collect(),
        documented,
        debuggable,
    };
    let html = page
        .render()
        .map_err(|error| Problem::new(Code::InternalError, error.to_string()))?;
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, PAGE_POLICY),
        (CACHE_CONTROL, "no-cache"),
    ];
    Ok((headers, html).into_response())
}

impl Page {
    /// `lang` as it stands in addresses.
    fn short(&self) -> &'static str {
        &self.lang[..2]
    }

    /// The address of this page in that language.
    fn in_language(&self, lang: &str) -> String {
        format!("/docs/frontend?lang={lang}&appid={}", self.appid)
    }
}
