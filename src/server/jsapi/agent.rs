//! `/jsapi/agent-signature`: signs the page that asks for `wx.agentConfig` of WeCom, with the ticket
//! of the app, by the rules of `/jsapi/signature`. And that ticket itself, for back ends.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use http::header::CACHE_CONTROL;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Ask, admit_account, admit_client};
use crate::credential::Kind;
use crate::keeper::Kept;
use crate::server::auth::Asking;
use crate::server::backend;
use crate::server::client_address::Caller;
use crate::server::openapi::{BACK_ENDS, OfAgentReading, OfAgentSigning, PAGES, shapes, wecom};
use crate::server::problem::{Code, Problem};
use crate::server::segment::Segment;
use crate::server::{Gate, PATIENCE, Peer};
use crate::signer::{Nonce, Signer};

/// What `wx.agentConfig` wants, and the address that was signed
/// (<https://developer.work.weixin.qq.com/document/path/94313>).
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::server) struct AgentConfig<'a> {
    #[schema(pattern = "^w[wx][0-9a-f]{16}$", example = "ww0123456789abcdef")]
    corpid: &'a str,
    #[schema(pattern = "^(0|[1-9][0-9]{0,8})$", example = "1000002")]
    agentid: &'a str,
    /// In seconds since the Unix epoch.
    #[schema(minimum = 0, example = 1_700_000_000)]
    timestamp: i64,
    /// 16 random letters and digits.
    #[schema(pattern = "^[A-Za-z0-9]{16}$", example = "Wm3WZYTPz0wzccnW")]
    nonce_str: &'a str,
    /// A SHA-1 in hexadecimal digits.
    #[schema(
        pattern = "^[0-9a-f]{40}$",
        example = "0f9de62fce790f9a083d5c99e95740ceb90c27ed"
    )]
    signature: &'a str,
    /// What was signed: compare it with the page's address.
    #[schema(example = "https://h5.example.com/page?id=1")]
    url: &'a str,
}

/// Signs a page for `wx.agentConfig` of WeCom.
///
/// It is signed with the ticket of the app; that of `/jsapi/signature` is the corporation's.
#[utoipa::path(get, path = "/jsapi/agent-signature", tag = PAGES, params(shapes::PageQuery),
    responses((status = 200, description = "The signature.", body = AgentConfig<'_>), OfAgentSigning))]
pub(in crate::server) async fn get(
    State(gate): State<Arc<Gate>>,
    Extension(peer): Extension<Peer>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let keeper = &gate.app.keeper;
    let now = keeper.clock().moment();
    admit_client(&gate, Caller::of(peer.0, &headers), now)?;
    let ask = Ask::from_query(query.as_deref().unwrap_or_default())?;
    let (kept, url) = {
        let accounts = keeper.accounts();
        let (kept, url) = ask.page_of_account(&gate, &accounts)?;
        admit_account(&gate, kept, now)?;
        (Arc::clone(kept), url)
    };
    let (corpid, agentid) = kept.wecom()?;
    let found = keeper.available(&kept, Kind::AgentTicket, PATIENCE).await;
    let (snapshot, now) = found.map_err(Problem::unavailable)?;
    let ticket = snapshot
        .served(Kind::AgentTicket, now)
        .expect("the snapshot holds a ticket at this moment");
    let (nonce, timestamp) = (Nonce::random(), now.wall.as_secs());
    let signature = Signer::new(&ticket.credential.value).sign(nonce, timestamp, url);
    kept.count_signature();
    let config = AgentConfig {
        corpid,
        agentid,
        timestamp,
        nonce_str: nonce.as_str(),
        signature: signature.as_str(),
        url: url.as_str(),
    };
    Ok(([(CACHE_CONTROL, "no-store")], Json(config)).into_response())
}

/// Reads the ticket for `wx.agentConfig` of a WeCom app.
///
/// As the access_token is read. Pages need it only where they are not signed here.
#[utoipa::path(get, path = "/v1/accounts/{appid}/agent-ticket", tag = BACK_ENDS,
    security(("client_key" = ["ticket"])), params(shapes::InPath, shapes::Waiting, shapes::Known),
    responses(
        (status = 200, description = "The ticket.", body = wecom::AgentTicket, headers(("ETag" = String))),
        (status = 304, description = "It is the one that you have."),
        OfAgentReading,
    ))]
pub(in crate::server) async fn ticket(
    asking: Asking,
    Segment(appid): Segment,
) -> Result<Response, Problem> {
    backend::read(Kind::AgentTicket, &asking, &appid).await
}

impl Kept {
    /// The CorpID and the AgentId of the account, if it is a WeCom app.
    pub(in crate::server) fn wecom(&self) -> Result<(&str, &str), Problem> {
        self.account.appid.wecom().ok_or_else(|| {
            Problem::new(
                Code::NotWecom,
                "wx.agentConfig and its ticket are WeCom's (企业微信): ask with the appid of a \
                 WeCom app, such as ww0123456789abcdef-1000002",
            )
        })
    }
}
