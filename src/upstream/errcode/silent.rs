//! What has no errcode.

use super::super::Api;
use super::{Explanation, explanation, page};

/// Another program fetches tokens with an account's AppSecret.
pub const FOREIGN_FETCHER: Explanation = explanation(
    [
        "另一个程序在用同一个 AppSecret 获取 access_token",
        "another program fetches tokens with this AppSecret",
    ],
    [
        "一天之内，至少两个由 wxsign 获取的 access_token 在不到 50 分钟时就被微信拒绝，而 wxsign 没有再获取过；用 classic 接口每获取一次，前一个就会失效",
        "within a day WeChat rejected at least two tokens that were younger than 50 minutes, and \
         wxsign had not fetched others meanwhile; each fetch by the classic API ends the life of \
         the token before it",
    ],
    [
        "把 token_api 设为 stable；或者重置AppSecret，只交给 wxsign，让其他程序向 wxsign 要 access_token",
        "set token_api to stable; or reset the AppSecret (重置AppSecret), give it to nobody else, \
         and have the other programs ask wxsign for the token",
    ],
    page::USE_OF_TOKENS,
);

/// An errcode of this API that this program does not know.
pub(in crate::upstream) const fn unknown(api: Api) -> &'static Explanation {
    if api.is_wecoms() {
        &UNKNOWN_OF_WECOM
    } else {
        &UNKNOWN
    }
}

const UNKNOWN: Explanation = explanation(
    [
        "微信返回了 wxsign 不认识的 errcode",
        "WeChat answered with an errcode that wxsign does not know",
    ],
    [
        "它不在 wxsign 的对照表中",
        "it is not in the table of this version",
    ],
    [
        "会自动重试；若反复出现，请在微信的全局返回码页面查找它",
        "it is tried again by itself; if it comes back, look it up on WeChat's page of errcodes",
    ],
    page::ERRCODES,
);

const UNKNOWN_OF_WECOM: Explanation = explanation(
    [
        "企业微信返回了 wxsign 不认识的 errcode",
        "WeCom answered with an errcode that wxsign does not know",
    ],
    [
        "它不在 wxsign 的对照表中",
        "it is not in the table of this version",
    ],
    [
        "会自动重试；若反复出现，请在企业微信的全局错误码页面查找它",
        "it is tried again by itself; if it comes back, look it up on WeCom's page of errcodes",
    ],
    page::WECOM_ERRCODES,
);

/// A failure without an errcode, of which no more than that is known.
pub const WITHOUT_ERRCODE: Explanation = explanation(
    [
        "没有得到微信的有效回答",
        "there was no usable answer of WeChat",
    ],
    [
        "网络、代理或微信的服务器出了问题",
        "the network, a proxy or WeChat's servers are in trouble",
    ],
    [
        "会自动重试；若反复出现，检查服务器的网络和 upstream 设置",
        "it is tried again by itself; if it comes back, check this machine's network and the \
         setting `upstream`",
    ],
    page::HOSTS,
);

const NAME: Explanation = explanation(
    [
        "查不到微信接口域名的 IP",
        "the name of WeChat's API could not be looked up",
    ],
    [
        "服务器的 DNS 没有回答，或者 upstream 的域名写错了",
        "this machine's DNS gave no answer, or the host in `upstream` is misspelt",
    ],
    [
        "检查服务器（容器）的 DNS 设置和 upstream；会自动重试",
        "check the DNS of this machine or container and the setting `upstream`; it is tried again \
         by itself",
    ],
    page::HOSTS,
);

const CERTIFICATE: Explanation = explanation(
    [
        "微信接口的 TLS 证书不可信",
        "the TLS certificate of WeChat's API is not trusted",
    ],
    [
        "中间有设备替换了证书，upstream 指向了别的服务器，或者服务器的时钟不对",
        "something in between puts its own certificate there, `upstream` names another server, or \
         this machine's clock is wrong",
    ],
    [
        "检查服务器的时钟、出口代理和 upstream；企业代理的根证书要加入系统信任的证书",
        "check this machine's clock, its proxy and the setting `upstream`; the root certificate of \
         a company's proxy belongs among those that the system trusts",
    ],
    page::HOSTS,
);

const CONNECTION: Explanation = explanation(
    [
        "连接不上微信的接口",
        "WeChat's API could not be connected to",
    ],
    [
        "连接被拒绝或没有回应：防火墙、出口代理，或者微信的服务器出了问题",
        "the connection was refused or not answered: by a firewall, a proxy, or WeChat's servers \
         in trouble",
    ],
    [
        "检查服务器能否访问 api.weixin.qq.com（企业微信是 qyapi.weixin.qq.com）的 443 端口，以及 HTTPS_PROXY；会自动重试",
        "check that this machine may connect to port 443 of api.weixin.qq.com, or of \
         qyapi.weixin.qq.com for WeCom, and HTTPS_PROXY; it is tried again by itself",
    ],
    page::HOSTS,
);

const LOST: Explanation = explanation(
    ["没有收到微信的完整回答", "no whole answer of WeChat came"],
    [
        "请求已经发出，但连接中断、超时，或者回答不是微信的格式",
        "the request left, but the connection broke, the time ran out, or the answer was not in \
         WeChat's form",
    ],
    [
        "会自动重试；若反复出现，检查服务器的网络和中间的代理",
        "it is tried again by itself; if it comes back, check this machine's network and the \
         proxies in between",
    ],
    page::HOSTS,
);

const STATUS: Explanation = explanation(
    [
        "微信返回了 HTTP 错误",
        "an HTTP error came instead of WeChat's answer",
    ],
    [
        "微信即使拒绝请求也会返回 200；其他状态来自故障的服务器或中间的代理",
        "WeChat answers 200 even where it refuses; other statuses come from a server in trouble or \
         from a proxy in between",
    ],
    [
        "会自动重试；若反复出现，检查中间的代理和 upstream 设置",
        "it is tried again by itself; if it comes back, check the proxies in between and the \
         setting `upstream`",
    ],
    page::HOSTS,
);

/// A request that did not leave, for this reason.
pub(in crate::upstream) fn not_sent(reason: &str) -> &'static Explanation {
    let reason = reason.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| reason.contains(word));
    if says(&["lookup", "dns", "resolve", "no such host"]) {
        &NAME
    } else if says(&["certificate", "tls", "handshake"]) {
        &CERTIFICATE
    } else {
        &CONNECTION
    }
}

/// A request without a usable answer.
pub(in crate::upstream) const fn lost() -> &'static Explanation {
    &LOST
}

/// An HTTP status that is not WeChat's.
pub(in crate::upstream) const fn status() -> &'static Explanation {
    &STATUS
}
