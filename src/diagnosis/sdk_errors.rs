//! What the JS-SDK says when something is wrong, why, and what to do about it.
//!
//! The texts are those that a page sees in `wx.error` and `fail`
//! (<https://developers.weixin.qq.com/doc/offiaccount/OA_Web_Apps/JS-SDK.html>, appendix 5), and
//! those that people report of other clients.

use serde::Serialize;

/// One error of the JS-SDK.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct SdkError {
    /// What its `errMsg` holds, in lower case.
    pub says: &'static str,
    /// Why it comes, in English.
    pub cause_en: &'static str,
    /// Why it comes, in Chinese.
    pub cause_zh: &'static str,
    /// What to do about it, in English.
    pub remedy_en: &'static str,
    /// What to do about it, in Chinese.
    pub remedy_zh: &'static str,
}

/// The error that an `errMsg` stands for, if it is a known one.
pub fn explain(err_msg: &str) -> Option<&'static SdkError> {
    let said = err_msg.to_ascii_lowercase().replace('_', " ");
    TABLE.iter().find(|error| said.contains(error.says))
}

/// Whether an `errMsg` tells of success.
pub fn is_success(err_msg: &str) -> bool {
    let said = err_msg.trim().to_ascii_lowercase();
    said == "ok" || said.ends_with(":ok")
}

/// Those that are known; one that is part of another comes after it.
pub const TABLE: &[SdkError] = &[
    SdkError {
        says: "invalid url domain",
        cause_en: "The page's host is not among the account's JS接口安全域名, or the page's port is \
                   neither 80 nor 443, or another account's appId is in wx.config.",
        cause_zh: "页面域名不在该公众号的“JS接口安全域名”中，或端口不是 80/443，或 wx.config 用了别的公众号的 appId。",
        remedy_en: "In WeChat's console, add the host (or a parent domain) under 设置与开发 → \
                    公众号设置 → 功能设置 → JS接口安全域名, without http:// and without a port. Then \
                    open the page anew.",
        remedy_zh: "在公众平台“设置与开发 → 公众号设置 → 功能设置 → JS接口安全域名”中添加该域名或其上级域名，不带 http:// 和端口，然后重新打开页面。",
    },
    SdkError {
        says: "invalid signature",
        cause_en: "WeChat computed another signature than the page gave: another URL, ticket, \
                   nonceStr or timestamp.",
        cause_zh: "微信算出的签名与页面给出的不同：URL、jsapi_ticket、nonceStr 或 timestamp 有一个不一致。",
        remedy_en: "Paste the wx.config and the page's address into the debugger: it says which.",
        remedy_zh: "把 wx.config 和页面网址贴到调试工具中，它会指出是哪一个。",
    },
    SdkError {
        says: "invalid appid",
        cause_en: "WeChat knows no account with this appId.",
        cause_zh: "微信没有这个 appId。",
        remedy_en: "Compare it with WeChat's console, letter by letter.",
        remedy_zh: "请与公众平台后台逐字核对。",
    },
    SdkError {
        says: "invalid args",
        cause_en: "A parameter of wx.config is empty, mostly appId.",
        cause_zh: "wx.config 的某个参数为空，多半是 appId。",
        remedy_en: "Print the object that wx.config is given; mind the spelling of its names.",
        remedy_zh: "请打印传给 wx.config 的对象，并核对参数名的拼写。",
    },
    SdkError {
        says: "param is empty",
        cause_en: "jsApiList is empty.",
        cause_zh: "jsApiList 为空。",
        remedy_en: "Name at least one API in jsApiList.",
        remedy_zh: "请在 jsApiList 中至少列出一个接口。",
    },
    SdkError {
        says: "require subscribe",
        cause_en: "The account is a test account, and this WeChat user does not follow it.",
        cause_zh: "这是测试号，而当前微信用户没有关注它。",
        remedy_en: "Follow the test account with this user (QR code on the test account's page).",
        remedy_zh: "请用该微信号扫描测试号页面上的二维码并关注。",
    },
    SdkError {
        says: "offline verifying",
        cause_en: "An API was called before wx.config had passed, or is not in jsApiList.",
        cause_zh: "wx.config 尚未通过就调用了接口，或接口不在 jsApiList 中。",
        remedy_en: "Call it in wx.ready, look at wx.error first, and name the API in jsApiList. \
                    Only a passed config opens it.",
        remedy_zh: "请在 wx.ready 中调用，先看 wx.error 有没有报错，并把接口写进 jsApiList；只有通过验证后才能使用。",
    },
    SdkError {
        says: "permission denied",
        cause_en: "The account may not use this API (many need a verified account), or the API is \
                   not in jsApiList.",
        cause_zh: "该公众号没有这个接口的权限（很多接口需要认证），或接口不在 jsApiList 中。",
        remedy_en: "Look under 接口权限 in WeChat's console, and name the API in jsApiList.",
        remedy_zh: "请在公众平台后台查看“接口权限”，并把接口写进 jsApiList。",
    },
    SdkError {
        says: "access denied",
        cause_en: "The account may not use this API, or the API is not in jsApiList.",
        cause_zh: "该公众号没有这个接口的权限，或接口不在 jsApiList 中。",
        remedy_en: "Look under 接口权限 in WeChat's console, and name the API in jsApiList.",
        remedy_zh: "请在公众平台后台查看“接口权限”，并把接口写进 jsApiList。",
    },
    SdkError {
        says: "function not exist",
        cause_en: "This version of WeChat does not know the API.",
        cause_zh: "当前微信版本不支持该接口。",
        remedy_en: "Update WeChat, or ask wx.checkJsApi first and do without it.",
        remedy_zh: "请升级微信；或先用 wx.checkJsApi 判断，不支持时改用其他方式。",
    },
    SdkError {
        says: "config:fail",
        cause_en: "A parameter of wx.config is missing, or WeChat could not reach its server.",
        cause_zh: "wx.config 缺少参数，或微信未能连上服务器。",
        remedy_en: "Give appId, timestamp, nonceStr, signature and jsApiList, all of them not \
                    empty; if they are, try another network.",
        remedy_zh: "请给出 appId、timestamp、nonceStr、signature、jsApiList 且都不为空；若已给全，请换个网络再试。",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_s_words_lead_to_the_same_explanation() {
        for (said, expected) in [
            ("config:invalid url domain", "invalid url domain"),
            (
                "config:fail,Error: 系统错误，错误码：40048,invalid url domain [20200804][]",
                "invalid url domain",
            ),
            ("config:invalid signature", "invalid signature"),
            (
                "config:fail,Error: 系统错误，错误码：63002,invalid signature [20200804 16:04:22][]",
                "invalid signature",
            ),
            ("pre_verify_jsapi:fail_invalid_args", "invalid args"),
            ("config:require subscribe", "require subscribe"),
            (
                "chooseImage:fail, the permission value is offline verifying",
                "offline verifying",
            ),
            ("chooseWXPay:permission denied", "permission denied"),
            ("system:access_denied", "access denied"),
            ("openLocation:function not exist", "function not exist"),
            ("config:param is empty", "param is empty"),
            ("config:fail", "config:fail"),
        ] {
            assert_eq!(
                explain(said).map(|error| error.says),
                Some(expected),
                "{said}"
            );
        }
        assert_eq!(explain("config:ok"), None);
        assert!(is_success("config:ok") && !is_success("config:invalid signature"));
    }
}
