//! What came of a search, in a word and in a sentence.

use super::Verdict;

/// What came of a search.
#[derive(Clone, Copy)]
pub(super) enum Outcome {
    Right,
    /// And WeChat says that it is not.
    RightAndRefused,
    /// And WeChat refuses something else.
    RightAndOther,
    Wrong,
    /// And WeChat says that it is not.
    WrongAndAccepted,
    /// Signed with the former ticket.
    Former,
    /// And WeChat took it.
    FormerAndAccepted,
    UnknownAccount,
    NoTicket,
    Unexplained,
}

impl Outcome {
    pub(super) const fn verdict(self) -> Verdict {
        match self {
            Self::Right | Self::RightAndRefused | Self::RightAndOther | Self::FormerAndAccepted => {
                Verdict::Right
            }
            Self::Wrong => Verdict::Wrong,
            Self::WrongAndAccepted
            | Self::Former
            | Self::UnknownAccount
            | Self::NoTicket
            | Self::Unexplained => Verdict::Unknown,
        }
    }

    /// In English and in Chinese.
    pub(super) const fn texts(self) -> (&'static str, &'static str) {
        match self {
            Self::Right => (
                "The signature is right for this address and the account's ticket.",
                "签名正确：与该网址和该账号当前的 jsapi_ticket 相符。",
            ),
            Self::RightAndRefused => (
                "The signature is right for this address and the ticket that is held here. If \
                 WeChat still refuses it, it compared another address (realAuthUrl in wx.error \
                 says which), or another program has made WeChat change the ticket.",
                "签名与该网址和此处保存的 jsapi_ticket 相符。若微信仍然拒绝，说明它比较的是另一个网址（见 wx.error 中的 realAuthUrl），或别的程序使微信更换了 jsapi_ticket。",
            ),
            Self::RightAndOther => (
                "The signature is right; what WeChat says is about something else.",
                "签名正确；微信报告的是另一个问题。",
            ),
            Self::Wrong => (
                "This config is refused. This is why:",
                "这个配置会被拒绝，原因如下：",
            ),
            Self::WrongAndAccepted => (
                "It cannot be told: WeChat says that it accepted a config, and by what is known \
                 here it would refuse this one. Are address, config and errMsg of the same run?",
                "无法判断：微信报告已接受配置，但按此处所知，它会拒绝这一个。请确认网址、配置和 errMsg 出自同一次运行。",
            ),
            Self::Former => (
                "It cannot be told: the signature is right for this address and the former \
                 jsapi_ticket, which WeChat may take for a while yet.",
                "无法判断：签名与该网址和上一个 jsapi_ticket 相符，微信可能仍会接受一段时间。",
            ),
            Self::FormerAndAccepted => (
                "WeChat accepted the signature, which was made with the former jsapi_ticket: it \
                 will not take that for long.",
                "微信接受了签名，但它是用上一个 jsapi_ticket 生成的，很快就会失效。",
            ),
            Self::UnknownAccount => (
                "It cannot be told: the account that it names is not here.",
                "无法判断：此处没有它所填的公众号或企业微信应用。",
            ),
            Self::NoTicket => (
                "It cannot be told: there is no ticket of this account at the moment.",
                "无法判断：目前没有该账号的 jsapi_ticket。",
            ),
            Self::Unexplained => (
                "The signature is not that of this address with the account's ticket, and no \
                 classic mistake explains it.",
                "签名与该网址和该账号的 jsapi_ticket 不符，且不属于任何常见错误。",
            ),
        }
    }
}
