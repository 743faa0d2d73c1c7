//! The classic mistakes behind "invalid signature", each with what to do about it.
//!
//! Most of them are in appendix 5 of the manual
//! (<https://developers.weixin.qq.com/doc/offiaccount/OA_Web_Apps/JS-SDK.html>); the others are
//! what people report.

use serde::{Deserialize, Serialize};

/// What is wrong with a `wx.config`. The names in JSON are stable.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mistake {
    /// A parameter of `wx.config` is missing, or is far too long.
    MissingArgument,
    /// A parameter of `wx.config` has another name than it wants.
    WrongFieldName,
    /// Neither `jsApiList` nor `openTagList` names anything.
    EmptyApiList,
    /// No account has this AppID.
    UnknownAppid,
    /// The page's host is not among the account's domains.
    HostNotBound,
    /// The page's port is neither 80 nor 443.
    PortNotAllowed,
    /// The URL was signed with its fragment.
    FragmentKept,
    /// The URL was signed without its query, or a part of it.
    QueryCut,
    /// The URL was signed in a percent-encoded form.
    UrlEncoded,
    /// The URL was signed in a percent-decoded form.
    UrlDecoded,
    /// The URL was signed with `&amp;`.
    HtmlEscaped,
    /// The URL was signed with the other scheme.
    SchemeDiffers,
    /// The URL was signed with another host.
    #[serde(alias = "foreign_host")]
    HostDiffers,
    /// The URL was signed with another port.
    PortDiffers,
    /// A slash too many or too few at the end.
    TrailingSlash,
    /// The URL was signed with white space or quotes around it.
    UrlPadded,
    /// No URL was signed.
    UrlMissing,
    /// The URL of another page was signed.
    OtherPage,
    /// The URL of the landing page was signed, but the client counts the current one.
    LandingUrl,
    /// The current URL was signed, but the client counts that of the landing page.
    CurrentUrl,
    /// Signed with a ticket that is no longer accepted.
    StaleTicket,
    /// Signed with the ticket before the present one, which may still be accepted.
    FormerTicket,
    /// Signed with the ticket of another account.
    OtherAppTicket,
    /// Signed with the ticket for cards.
    CardTicket,
    /// At WeCom: `wx.config` was signed with the ticket of the app, or `wx.agentConfig` with that
    /// of the corporation.
    TicketsMixed,
    /// Signed with the access_token.
    AccessTokenAsTicket,
    /// Signed with white space or quotes around the ticket.
    TicketPadded,
    /// Signed without a ticket.
    TicketMissing,
    /// The timestamp was signed in milliseconds, or given in them.
    TimestampMilliseconds,
    /// Another nonce was signed than given.
    NonceDiffers,
    /// The signature is in capital letters.
    UpperCaseHex,
    /// The signature is a SHA-256.
    Sha256,
    /// The signature is as long as an MD5.
    Md5,
    /// Something stood behind the URL that does not belong to it.
    TrailingText,
    /// The keys were not in the order of the alphabet.
    WrongKeyOrder,
    /// The keys were signed with other names.
    WrongKeyName,
    /// None of these.
    Unknown,
}

impl Mistake {
    /// Its name in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MissingArgument => "missing_argument",
            Self::WrongFieldName => "wrong_field_name",
            Self::EmptyApiList => "empty_api_list",
            Self::UnknownAppid => "unknown_appid",
            Self::HostNotBound => "host_not_bound",
            Self::PortNotAllowed => "port_not_allowed",
            Self::FragmentKept => "fragment_kept",
            Self::QueryCut => "query_cut",
            Self::UrlEncoded => "url_encoded",
            Self::UrlDecoded => "url_decoded",
            Self::HtmlEscaped => "html_escaped",
            Self::SchemeDiffers => "scheme_differs",
            Self::HostDiffers => "host_differs",
            Self::PortDiffers => "port_differs",
            Self::TrailingSlash => "trailing_slash",
            Self::UrlPadded => "url_padded",
            Self::UrlMissing => "url_missing",
            Self::OtherPage => "other_page",
            Self::LandingUrl => "landing_url",
            Self::CurrentUrl => "current_url",
            Self::StaleTicket => "stale_ticket",
            Self::FormerTicket => "former_ticket",
            Self::OtherAppTicket => "other_app_ticket",
            Self::CardTicket => "card_ticket",
            Self::TicketsMixed => "tickets_mixed",
            Self::AccessTokenAsTicket => "access_token_as_ticket",
            Self::TicketPadded => "ticket_padded",
            Self::TicketMissing => "ticket_missing",
            Self::TimestampMilliseconds => "timestamp_milliseconds",
            Self::NonceDiffers => "nonce_differs",
            Self::UpperCaseHex => "upper_case_hex",
            Self::Sha256 => "sha256",
            Self::Md5 => "md5",
            Self::TrailingText => "trailing_text",
            Self::WrongKeyOrder => "wrong_key_order",
            Self::WrongKeyName => "wrong_key_name",
            Self::Unknown => "unknown",
        }
    }

    /// The mistake in English, and what to do about it.
    pub const fn english(self) -> &'static str {
        self.texts().0
    }

    /// The same in Chinese.
    pub const fn chinese(self) -> &'static str {
        self.texts().1
    }

    #[expect(clippy::too_many_lines, reason = "it is a table")]
    const fn texts(self) -> (&'static str, &'static str) {
        match self {
            Self::MissingArgument => (
                "wx.config needs appId, timestamp, nonceStr and signature, all of them not empty.",
                "wx.config 缺少参数：appId、timestamp、nonceStr、signature 都必须有值。",
            ),
            Self::WrongFieldName => (
                "A parameter of wx.config is misspelt: it wants appId, timestamp, nonceStr, \
                 signature and jsApiList, capitals as here.",
                "wx.config 的参数名写错了：应为 appId、timestamp、nonceStr、signature、jsApiList，注意大小写。",
            ),
            Self::EmptyApiList => (
                "jsApiList is empty: name the APIs that the page uses.",
                "jsApiList 为空：请列出页面要用的接口。",
            ),
            Self::UnknownAppid => (
                "No account has this appId: compare it with WeChat's console, letter by letter.",
                "没有这个 appId：请与公众平台后台逐字核对。",
            ),
            Self::HostNotBound => (
                "The page's host is not bound to the account: add it (or a parent domain) under \
                 JS接口安全域名 in WeChat's console.",
                "页面域名未绑定到该公众号：请在公众平台后台的“JS接口安全域名”中添加该域名或其上级域名。",
            ),
            Self::PortNotAllowed => (
                "The page's port is neither 80 nor 443: WeChat accepts no other.",
                "页面端口不是 80 或 443：微信不接受其他端口。",
            ),
            Self::FragmentKept => (
                "The URL was signed with its fragment: sign location.href.split('#')[0].",
                "签名用的 URL 带了 # 及其后面的部分：应使用 location.href.split('#')[0]。",
            ),
            Self::QueryCut => (
                "The URL was signed without its query or without a part of it: the front end must \
                 send it through encodeURIComponent, or it ends at its first &. WeChat itself adds \
                 from=… to shared pages, so take location.href when the page runs.",
                "签名用的 URL 丢了查询参数：前端传 URL 时要用 encodeURIComponent，否则会在第一个 & 处被截断；微信分享时还会自动追加 from=…，所以应在页面运行时取 location.href。",
            ),
            Self::UrlEncoded => (
                "The URL was signed in its encoded form: decode the parameter once, then sign the \
                 bytes as the browser reports them.",
                "签名用的是编码后的 URL：后端应先解码一次参数，再用浏览器给出的原文签名。",
            ),
            Self::UrlDecoded => (
                "The URL was decoded once too often: sign it as location.href shows it, with its \
                 percent signs.",
                "URL 被多解码了一次：应按 location.href 的原文（保留百分号编码）签名。",
            ),
            Self::HtmlEscaped => (
                "The URL was signed with &amp; in place of &: a template escaped it.",
                "签名用的 URL 中 & 变成了 &amp;：被模板做了 HTML 转义。",
            ),
            Self::SchemeDiffers => (
                "The URL was signed with the other of http and https: behind a proxy that ends \
                 TLS, take the URL from the browser.",
                "签名用的 URL 协议不同（http/https）：在终止 TLS 的代理之后，URL 应由浏览器传来。",
            ),
            Self::HostDiffers => (
                "The URL was signed with another host than the page has: take it from \
                 location.href, not from a configuration or a header.",
                "签名用的 URL 域名与页面不同：应取 location.href，而不是配置或请求头。",
            ),
            Self::PortDiffers => (
                "The URL was signed with another port: location.href shows it exactly if it is \
                 not the scheme's own.",
                "签名用的 URL 端口不同：应与 location.href 完全一致。",
            ),
            Self::TrailingSlash => (
                "The URL was signed with a slash too many or too few at its end: sign \
                 location.href, browsers add a slash to a bare host.",
                "签名用的 URL 末尾多了或少了斜杠：应使用 location.href，浏览器会给裸域名补上斜杠。",
            ),
            Self::UrlPadded => (
                "The URL was signed with white space or quotes around it: sign location.href and \
                 nothing else, not its JSON.",
                "签名用的 URL 前后多了空白或引号：应只用 location.href 本身，而不是它的 JSON 形式。",
            ),
            Self::UrlMissing => (
                "No URL was signed: the parameter did not reach the back end. Send \
                 encodeURIComponent(location.href.split('#')[0]).",
                "签名时没有 URL：参数未传到后端。请传 encodeURIComponent(location.href.split('#')[0])。",
            ),
            Self::OtherPage => (
                "The URL of another page was signed: sign that of the page that calls wx.config, \
                 taken at that time.",
                "签名用的是另一个页面的 URL：应在调用 wx.config 时取当前页面的 URL。",
            ),
            Self::LandingUrl => (
                "The URL of the landing page was signed, but this client counts the current one: \
                 sign again after a change of route.",
                "签名用的是落地页 URL，而该客户端以当前 URL 为准：路由变化后需重新签名。",
            ),
            Self::CurrentUrl => (
                "The current URL was signed, but this client counts that of the landing page: \
                 keep location.href from the page's load and sign that.",
                "签名用的是当前 URL，而该客户端以落地页 URL 为准：请在页面加载时记下 location.href 并用它签名。",
            ),
            Self::StaleTicket => (
                "Signed with a jsapi_ticket that is no longer accepted: let one server hold it, \
                 and take the new one as soon as WeChat has it.",
                "签名用的 jsapi_ticket 已失效：应由中控服务器统一保存，并在微信更换后立即使用新值。",
            ),
            Self::FormerTicket => (
                "Signed with the jsapi_ticket before the present one: WeChat may take it for a \
                 while yet. Let one server hold the ticket, and take the new one as soon as WeChat \
                 has it.",
                "签名用的是上一个 jsapi_ticket：微信可能仍会接受一段时间。应由中控服务器统一保存，并在微信更换后立即使用新值。",
            ),
            Self::OtherAppTicket => (
                "Signed with the jsapi_ticket of another account than appId: use the appId and the \
                 ticket of one account.",
                "签名用的 jsapi_ticket 属于另一个公众号，与 appId 不符：两者必须属于同一个公众号。",
            ),
            Self::CardTicket => (
                "Signed with the ticket for cards: ask getticket for type=jsapi.",
                "签名用的是卡券 api_ticket：应以 type=jsapi 获取 jsapi_ticket。",
            ),
            Self::TicketsMixed => (
                "WeCom's two tickets were mixed up (42012): wx.config is signed with that of the \
                 corporation (get_jsapi_ticket), wx.agentConfig with that of the app \
                 (ticket/get?type=agent_config).",
                "企业微信的两种 ticket 用混了（42012）：wx.config 用企业的（get_jsapi_ticket），wx.agentConfig 用应用的（ticket/get?type=agent_config）。",
            ),
            Self::AccessTokenAsTicket => (
                "Signed with the access_token: sign with the jsapi_ticket that it fetches.",
                "签名用的是 access_token：应使用凭它换取的 jsapi_ticket。",
            ),
            Self::TicketPadded => (
                "Signed with white space or quotes around the jsapi_ticket: take the value itself \
                 out of WeChat's answer, file or cache.",
                "签名用的 jsapi_ticket 前后多了空白或引号：请只取微信返回（或文件、缓存）中的值本身。",
            ),
            Self::TicketMissing => (
                "Signed without a jsapi_ticket: fetching it failed. Look at the errcode that \
                 WeChat answered.",
                "签名时没有 jsapi_ticket：获取失败了，请查看微信返回的 errcode。",
            ),
            Self::TimestampMilliseconds => (
                "The timestamp was signed in milliseconds or given in them: both must be the same \
                 number of seconds.",
                "时间戳单位不一致：签名和 wx.config 都应使用同一个以秒为单位的数。",
            ),
            Self::NonceDiffers => (
                "Another nonce was signed than wx.config was given: both must be the same text, \
                 capitals included.",
                "签名用的 noncestr 与 wx.config 的 nonceStr 不同：必须完全一致，包括大小写。",
            ),
            Self::UpperCaseHex => (
                "The signature is in capital letters: write the SHA-1 in lower case.",
                "签名用了大写字母：SHA-1 的十六进制应为小写。",
            ),
            Self::Sha256 => (
                "The signature is a SHA-256: wx.config wants SHA-1.",
                "签名用了 SHA-256：wx.config 要求 SHA-1。",
            ),
            Self::Md5 => (
                "The signature has 32 digits, as an MD5 has: wx.config wants SHA-1, which has 40.",
                "签名是 32 位，像是 MD5：wx.config 要求 SHA-1（40 位）。",
            ),
            Self::TrailingText => (
                "Something was signed behind the URL, such as a line break: the string ends with \
                 the URL (echo -n in a shell).",
                "签名串在 URL 之后多了字符（如换行）：应以 URL 结尾（在 shell 中用 echo -n）。",
            ),
            Self::WrongKeyOrder => (
                "The parts were signed in the wrong order: jsapi_ticket, noncestr, timestamp, url.",
                "签名串的参数顺序不对：应为 jsapi_ticket、noncestr、timestamp、url。",
            ),
            Self::WrongKeyName => (
                "The parts were signed under wrong names: jsapi_ticket, noncestr, timestamp and \
                 url, all in lower case.",
                "签名串的参数名不对：应为全小写的 jsapi_ticket、noncestr、timestamp、url。",
            ),
            Self::Unknown => (
                "The signature fits none of the classic mistakes: compare the string that was \
                 signed with jsapi_ticket=…&noncestr=…&timestamp=…&url=… byte by byte.",
                "签名不符合任何常见错误：请逐字节核对签名串 jsapi_ticket=…&noncestr=…&timestamp=…&url=…。",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_is_called_the_same_everywhere() {
        for name in [
            "wrong_field_name",
            "url_padded",
            "tickets_mixed",
            "sha256",
            "md5",
            "trailing_text",
            "unknown",
        ] {
            let mistake: Mistake = serde_json::from_value(name.into()).unwrap();
            assert_eq!(mistake.as_str(), name);
            assert_eq!(serde_json::to_value(mistake).unwrap(), name);
        }
    }
}
