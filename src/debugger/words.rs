//! What is said about a mistake.

use super::Pasted;
use crate::diagnosis::{Diagnosis, Evidence, Mistake};

/// A mistake in words: those of the simulator, which plays WeChat, would be wrong here about
/// accounts, and do not name the parameters of `wx.agentConfig`.
pub(super) fn in_words(found: Evidence, pasted: &Pasted) -> Diagnosis {
    let found = Diagnosis::from(found);
    let (message_en, message_zh) = match (found.code, pasted.is_of_agent()) {
        (Mistake::UnknownAppid, false) => (
            "No account with this appId is known here, or none that you may see: compare the appId \
             letter by letter (at WeCom it is the CorpID alone, without an AgentId); if it is \
             right, add the account to wxsign.",
            "此处没有这个 appId 的账号（或您无权查看）：请逐字核对 appId（企业微信应填 CorpID，不带 AgentId）；如果无误，请在 wxsign 中添加该公众号或企业微信应用。",
        ),
        (Mistake::UnknownAppid, true) => (
            "No WeCom app with this corpid and agentid is known here, or none that you may see: \
             compare both digit by digit; if they are right, add the app to wxsign.",
            "此处没有这个 corpid 和 agentid 的企业微信应用（或您无权查看）：请逐字核对两者；如果无误，请在 wxsign 中添加该应用。",
        ),
        (Mistake::OtherAppTicket, _) => (
            "Signed with the ticket of another account than appId (or corpid and agentid) names: use \
             the names and the ticket of one account.",
            "签名用的 jsapi_ticket 属于另一个公众号或企业微信应用，与 appId（或 corpid、agentid）不符：两者必须属于同一个账号。",
        ),
        (Mistake::HostNotBound, _) => (
            "The page's host is not bound to the account: add it (or a parent domain) under \
             JS接口安全域名 in WeChat's console, at WeCom under 网页授权及JS-SDK of the app.",
            "页面域名未绑定到该账号：请在公众平台后台的“JS接口安全域名”中（企业微信：应用的“网页授权及JS-SDK”中）添加该域名或其上级域名。",
        ),
        (Mistake::MissingArgument, true) => (
            "wx.agentConfig needs corpid, agentid, timestamp, nonceStr and signature, all of them \
             not empty.",
            "wx.agentConfig 缺少参数：corpid、agentid、timestamp、nonceStr、signature 都必须有值。",
        ),
        (Mistake::WrongFieldName, true) => (
            "A parameter of wx.agentConfig is misspelt: it wants corpid, agentid, timestamp, \
             nonceStr, signature and jsApiList, capitals as here.",
            "wx.agentConfig 的参数名写错了：应为 corpid、agentid、timestamp、nonceStr、signature、jsApiList，注意大小写。",
        ),
        _ => (found.message_en, found.message_zh),
    };
    Diagnosis {
        message_en,
        message_zh,
        ..found
    }
}
