//! What the document says of the debugger's questions and answers.
#![expect(dead_code, reason = "only the document knows them")]

use utoipa::ToSchema;

/// A `wx.config` that was refused, and where.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct Question {
    /// The page's address, `location.href`.
    #[schema(max_length = 2048, example = "https://h5.example.com/page?id=1")]
    url: String,
    /// The address at which the page was entered, if it is another one.
    #[schema(max_length = 2048, example = "https://h5.example.com/")]
    landing: Option<String>,
    /// What `wx.config` or `wx.agentConfig` was given: the object, or a text that holds it.
    config: GivenConfig,
    /// `realAuthUrl` of the error: the addresses that WeChat compared.
    #[schema(max_items = 4, example = json!(["https://h5.example.com/page?id=1"]))]
    real_auth_url: Option<Vec<String>>,
    /// `errMsg` of the error.
    #[schema(max_length = 512, example = "config:invalid signature")]
    err_msg: Option<String>,
    /// `navigator.userAgent`.
    #[schema(max_length = 512, example = "MicroMessenger/8.0.47")]
    ua: Option<String>,
}

/// What `wx.config` was given; `wx.agentConfig` has `corpid` and `agentid` in place of `appId`.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct GivenConfig {
    #[schema(max_length = 64, example = "wx0123456789abcdef")]
    app_id: Option<String>,
    #[schema(max_length = 64, example = "ww0123456789abcdef")]
    corpid: Option<String>,
    #[schema(max_length = 16, example = "1000002")]
    agentid: Option<String>,
    #[schema(example = 1_414_587_457)]
    timestamp: i64,
    #[schema(max_length = 64, example = "Wm3WZYTPz0wzccnW")]
    nonce_str: String,
    #[schema(max_length = 128, example = "0f9de62fce790f9a083d5c99e95740ceb90c27ed")]
    signature: String,
}

/// Whether WeChat accepts a `wx.config`, and if not, why.
#[derive(ToSchema)]
pub(in super::super) struct Findings {
    /// `right`, `wrong`, or `unknown` where it cannot be told.
    #[schema(pattern = "^(right|wrong|unknown)$", example = "wrong")]
    verdict: String,
    /// The same in a sentence.
    #[schema(example = "This config is refused. This is why:")]
    summary_en: String,
    /// The same in Chinese.
    #[schema(example = "这个配置会被拒绝，原因如下：")]
    summary_zh: String,
    /// What is wrong; nothing when nothing is.
    mistakes: Vec<FoundMistake>,
    /// What was signed, with `…` for the ticket; nothing when that was not found out.
    signed: Vec<Piece>,
    /// What WeChat signs.
    expected: Vec<Piece>,
    /// What `errMsg` means, if it is known.
    #[schema(required)]
    sdk_error: Option<SdkWords>,
    /// What is odd about the page's address.
    lints: Vec<Oddness>,
}

/// A mistake, and how to mend it.
#[derive(ToSchema)]
pub(in super::super) struct FoundMistake {
    #[schema(example = "query_cut")]
    code: String,
    #[schema(example = "The URL was signed without its query …")]
    message_en: String,
    #[schema(example = "签名用的 URL 丢了查询参数……")]
    message_zh: String,
    /// The text that gives it away.
    #[schema(required, example = "https://h5.example.com/page")]
    evidence: Option<String>,
}

/// A piece of a text that is compared with another one.
#[derive(ToSchema)]
pub(in super::super) struct Piece {
    /// `equal` where it stands in both texts, else `removed` (signed) or `added` (expected).
    #[schema(pattern = "^(equal|removed|added)$", example = "equal")]
    kind: String,
    #[schema(example = "jsapi_ticket=…&noncestr=")]
    text: String,
}

/// Words of the JS-SDK.
#[derive(ToSchema)]
pub(in super::super) struct SdkWords {
    #[schema(example = "invalid signature")]
    says: String,
    #[schema(example = "WeChat computed another signature …")]
    cause_en: String,
    #[schema(example = "微信算出的签名……")]
    cause_zh: String,
    #[schema(example = "Paste the wx.config …")]
    remedy_en: String,
    #[schema(example = "把 wx.config ……")]
    remedy_zh: String,
}

/// Something odd about an address.
#[derive(ToSchema)]
pub(in super::super) struct Oddness {
    #[schema(example = "html_escaped")]
    code: String,
    #[schema(example = "The address holds &amp; …")]
    message_en: String,
    #[schema(example = "网址中有 &amp;……")]
    message_zh: String,
}
