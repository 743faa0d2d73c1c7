//! What the document says of questions and answers that no type of the server stands for, because
//! they are read and written by hand.
#![expect(dead_code, reason = "only the document knows them")]

use utoipa::{IntoParams, ToSchema};

use super::super::backend::Reading;
use super::super::dropin::Refusal;

/// The AppID of an official account, or the CorpID and AgentId of a WeCom app with a minus between.
#[derive(ToSchema)]
#[schema(
    pattern = "^(wx[0-9a-f]{16}|w[wx][0-9a-f]{16}-(0|[1-9][0-9]{0,8}))$",
    example = "wx0123456789abcdef"
)]
pub(in super::super) struct AppId(String);

/// An account as it is to be.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct AccountDraft {
    /// The AppSecret; may be left out for an account that is there.
    #[schema(example = "0123456789abcdef0123456789abcdef", pattern = "^[!-~]+$")]
    secret: Option<String>,
    /// What people call it.
    #[schema(example = "商城", max_length = 64)]
    name: Option<String>,
    /// WeChat's API for the token: `classic` or `stable`. A WeCom app has one alone: leave it out.
    #[schema(pattern = "^(classic|stable|wecom)$", example = "classic")]
    token_api: Option<String>,
    /// The hosts of the pages that it may sign for.
    #[schema(example = json!(["h5.example.com", "*.shop.example.com"]), min_items = 1)]
    page_hosts: Vec<String>,
    /// Whether it hands out coupons, for which it has a ticket of their own.
    #[schema(default = false)]
    wx_card: Option<bool>,
    /// Takes the AppSecret without asking WeChat.
    #[schema(default = false)]
    unchecked: Option<bool>,
}

/// A client as it is to be; of one that is there, what is left out stays.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct ClientDraft {
    /// What it may do: no more than the key that asks. A new client needs it.
    #[schema(inline, min_items = 1, example = json!(["token", "report"]))]
    scopes: Option<Vec<ScopeName>>,
    /// The AppIDs that it may ask about, or `*` for all. A new client needs it.
    #[schema(inline, min_items = 1, example = json!(["wx0123456789abcdef"]))]
    accounts: Option<Vec<ListedAccount>>,
    /// When its keys end, in seconds since the Unix epoch; given without a value, they do not.
    #[schema(minimum = 0, maximum = 253_402_300_799_i64, example = 1_900_000_000)]
    not_after: Option<i64>,
    /// Gives it a new key; the newest one before holds on beside it, an older one ends.
    #[schema(default = false)]
    rotate: Option<bool>,
    /// Leaves it no key but the newest.
    #[schema(default = false)]
    drop_former: Option<bool>,
}

/// What a client may do.
#[derive(ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in super::super) enum ScopeName {
    Token,
    Ticket,
    Report,
    Status,
    Proxy,
    Admin,
}

/// The AppID of an account, or `*` for all.
#[derive(ToSchema)]
#[schema(
    pattern = r"^(\*|wx[0-9a-f]{16}|w[wx][0-9a-f]{16}-(0|[1-9][0-9]{0,8}))$",
    example = "wx0123456789abcdef"
)]
pub(in super::super) struct ListedAccount(String);

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(in super::super) struct NameInPath {
    /// The name of the client.
    #[param(pattern = "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$", example = "shop")]
    name: String,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(in super::super) struct WeChatPath {
    /// WeChat's path, with the slashes in it.
    #[param(
        pattern = "^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$",
        example = "cgi-bin/message/custom/send"
    )]
    path: String,
}

/// The first 8 bytes of the value's SHA-256, in hexadecimal digits.
#[derive(ToSchema)]
#[schema(pattern = "^[0-9a-f]{16}$", example = "ba7816bf8f01cfea")]
pub(in super::super) struct Fingerprint(String);

/// The address of a page, as `location.href.split('#')[0]` says it: the very bytes are signed.
/// What stands behind a `#` is cut off.
#[derive(ToSchema)]
#[schema(
    pattern = r"^https?://[a-z0-9_-][a-z0-9._-]*(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?([/?#][!-\[\]-~]*)?$",
    max_length = 2048,
    example = "https://h5.example.com/page?id=1"
)]
pub(in super::super) struct PageUrl(String);

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(in super::super) struct InPath {
    /// The AppID of the account.
    #[param(inline)]
    appid: AppId,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(in super::super) struct Waiting {
    /// Wait so many seconds for a newer generation; goes together with `generation`.
    #[param(required = false, maximum = 60, example = 30)]
    wait: Option<u64>,
    /// The generation that you have; goes together with `wait`.
    #[param(required = false, example = 1)]
    generation: Option<u64>,
}

/// Names an event; ids are in the order of the events' times.
#[derive(ToSchema)]
#[schema(
    pattern = "^[0-9a-f]{32}$",
    example = "018bcfe5680000000000000000000000"
)]
pub(in super::super) struct EventId(String);

/// Its particulars; which there are depends on `what`.
#[derive(ToSchema)]
#[schema(example = json!({"kind": "jsapi_ticket"}))]
pub(in super::super) struct EventDetails {
    /// The kind of credential, of a renewal.
    kind: Option<String>,
    /// WeChat's word, where it said one.
    errcode: Option<i64>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(in super::super) struct EventQuery {
    /// Only what is about this account.
    #[param(inline, required = false)]
    appid: Option<AppId>,
    /// Only what is called so or begins so, as `renewal` or `renewal.failed`.
    #[param(required = false, example = "renewal")]
    what: Option<String>,
    /// Only lines that contain this, in capitals or not.
    #[param(required = false, example = "40164")]
    text: Option<String>,
    /// Only what happened before this event: the `next` of the page before.
    #[param(inline, required = false)]
    before: Option<EventId>,
    /// Only what happened after this event.
    #[param(inline, required = false)]
    after: Option<EventId>,
    /// At most so many.
    #[param(
        required = false,
        minimum = 1,
        maximum = 200,
        default = 50,
        example = 50
    )]
    limit: Option<u32>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(in super::super) struct Known {
    /// The `ETag` of what you have: if it is still that, the answer is 304 without a body.
    #[param(
        rename = "If-None-Match",
        required = false,
        example = "\"1-ba7816bf8f01cfea\""
    )]
    if_none_match: String,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(in super::super) struct PageQuery {
    /// The address of the page, encoded with `encodeURIComponent`.
    #[param(inline)]
    url: PageUrl,
    /// May be left out where there is one account.
    #[param(inline)]
    appid: Option<AppId>,
}

/// The page that is to be signed.
#[derive(ToSchema)]
pub(in super::super) struct Page {
    #[schema(inline)]
    url: PageUrl,
    /// May be left out where there is one account.
    #[schema(example = "wx0123456789abcdef")]
    appid: Option<String>,
}

/// A page whose `wx.config` WeChat refused.
#[derive(ToSchema)]
pub(in super::super) struct PageReport {
    #[schema(inline)]
    url: PageUrl,
    /// May be left out where there is one account.
    #[schema(example = "wx0123456789abcdef")]
    appid: Option<String>,
    /// What `wx.error` was told.
    #[schema(rename = "errMsg", example = "config:invalid signature")]
    err_msg: Option<String>,
}

/// What `wx.config` wants, and the address that was signed.
#[derive(ToSchema)]
pub(in super::super) struct WxConfig {
    /// The AppID; of a WeCom app the CorpID.
    #[schema(
        rename = "appId",
        pattern = "^w[wx][0-9a-f]{16}$",
        example = "wx0123456789abcdef"
    )]
    app_id: String,
    /// In seconds since the Unix epoch: a number, as `wx.config` wants it.
    #[schema(example = 1_700_000_000)]
    timestamp: u64,
    /// 16 random letters and digits.
    #[schema(
        rename = "nonceStr",
        pattern = "^[A-Za-z0-9]{16}$",
        example = "Wm3WZYTPz0wzccnW"
    )]
    nonce_str: String,
    /// A SHA-1 in hexadecimal digits.
    #[schema(
        pattern = "^[0-9a-f]{40}$",
        example = "0f9de62fce790f9a083d5c99e95740ceb90c27ed"
    )]
    signature: String,
    /// What was signed: compare it with the page's address.
    #[schema(example = "https://h5.example.com/page?id=1")]
    url: String,
}

/// An access_token as it is read.
#[derive(ToSchema)]
pub(in super::super) struct Token {
    /// Left out where a key without the scope `token` reports one.
    #[schema(required = false, example = "SIMULATED-TOKEN")]
    access_token: String,
    #[serde(flatten)]
    reading: Reading<'static>,
}

/// A jsapi_ticket as it is read.
#[derive(ToSchema)]
pub(in super::super) struct Ticket {
    #[schema(example = "SIMULATED-TICKET")]
    jsapi_ticket: String,
    #[serde(flatten)]
    reading: Reading<'static>,
}

/// A ticket for coupons as it is read.
#[derive(ToSchema)]
pub(in super::super) struct CardTicket {
    /// WeChat's api_ticket.
    #[schema(example = "SIMULATED-TICKET")]
    card_ticket: String,
    #[serde(flatten)]
    reading: Reading<'static>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(in super::super) struct ChoiceQuery {
    /// The type of coupon; may be left out.
    #[param(
        required = false,
        max_length = 24,
        pattern = "^[A-Z_]*$",
        example = "GROUPON"
    )]
    card_type: String,
    /// The number of the shop; may be left out.
    #[param(required = false, max_length = 20, pattern = "^[0-9]*$", example = "")]
    shop_id: String,
    /// May be left out where there is one account.
    #[param(inline)]
    appid: Option<AppId>,
}

/// A token that WeChat refused, by its fingerprint or by itself.
#[derive(ToSchema)]
#[serde(untagged)]
pub(in super::super) enum TokenReport {
    ByFingerprint(ByFingerprint),
    ByToken(ByToken),
}

/// Says which token without showing it.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct ByFingerprint {
    #[schema(inline)]
    fingerprint: Fingerprint,
    #[schema(inline)]
    errcode: TokenErrcode,
}

/// The token itself.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct ByToken {
    #[schema(example = "SIMULATED-TOKEN")]
    access_token: String,
    #[schema(inline)]
    errcode: TokenErrcode,
}

/// WeChat's word: 40001, 40014 or 42001. Others say nothing about the token and are refused.
#[derive(ToSchema)]
#[repr(i32)]
#[schema(example = 40001)]
pub(in super::super) enum TokenErrcode {
    Invalid = 40001,
    Malformed = 40014,
    Expired = 42001,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(in super::super) struct TokenQuery {
    #[param(pattern = "^client_credential$", example = "client_credential")]
    grant_type: String,
    /// The AppID of the account.
    #[param(inline)]
    appid: AppId,
    /// The client key of wxsign, never the AppSecret.
    #[param(example = "wxk_YOUR_KEY")]
    secret: String,
}

/// The same as in the query of `/cgi-bin/token`.
#[derive(ToSchema)]
pub(in super::super) struct StableTokenAsk {
    #[schema(pattern = "^client_credential$", example = "client_credential")]
    grant_type: String,
    #[schema(inline)]
    appid: AppId,
    /// The client key of wxsign, never the AppSecret.
    #[schema(example = "wxk_YOUR_KEY")]
    secret: String,
    /// Reports the current token: WeChat is asked about it, and only if it is dead is there a new
    /// one.
    #[schema(default = false)]
    force_refresh: Option<bool>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(in super::super) struct TicketQuery {
    /// The token that wxsign handed out.
    #[param(example = "SIMULATED-TOKEN")]
    access_token: String,
    /// `jsapi`, or `wx_card` where the account hands out coupons.
    #[param(pattern = "^(jsapi|wx_card)$", example = "jsapi")]
    r#type: String,
}

/// The token, or why there is none.
#[derive(ToSchema)]
#[serde(untagged)]
pub(in super::super) enum TokenAnswer {
    Token(WeChatToken),
    Refusal(Refusal),
}

#[derive(ToSchema)]
pub(in super::super) struct WeChatToken {
    #[schema(example = "SIMULATED-TOKEN")]
    access_token: String,
    /// Seconds of life that are left.
    #[schema(example = 7140)]
    expires_in: u64,
}

/// The ticket, or why there is none.
#[derive(ToSchema)]
#[serde(untagged)]
pub(in super::super) enum TicketAnswer {
    Ticket(WeChatTicket),
    Refusal(Refusal),
}

#[derive(ToSchema)]
pub(in super::super) struct WeChatTicket {
    #[schema(example = 0)]
    errcode: i64,
    #[schema(example = "ok")]
    errmsg: String,
    #[schema(example = "SIMULATED-TICKET")]
    ticket: String,
    /// Seconds of life that are left.
    #[schema(example = 7140)]
    expires_in: u64,
}
