//! A developer's case, spoilt in one way or another.

use super::super::*;

pub(super) const APPID: &str = "wx0123456789abcdef";
pub(super) const TICKET_VALUE: &str = "kgt8ON7yVITDhtdwci0qeZ2eyvV-ticket-ticket-ticket";
pub(super) const FORMER: &str = "kgt8ON7yVITDhtdwci0qeZ2eyvV-before-before-before";
pub(super) const CARD: &str = "IpK_1T69hDhZkLQTlwsAX4-ticket-for-cards";
pub(super) const FOREIGN: &str = "kgt8ON7yVITDhtdwci0qeZ2eyvV-other--other--other";
pub(super) const TOKEN: &str = "82_access-token-access-token-access-token";
pub(super) const PAGE: &str =
    "https://h5.example.com/shop/item?id=1&from=singlemessage&name=%E5%BE%AE";
pub(super) const NONCE: &str = "Wm3WZYTPz0wzccnW";
pub(super) const TIMESTAMP: &str = "1414587457";

/// A developer's case, right in every way until it is spoilt.
pub(super) struct Spoilt {
    pub(super) appid: String,
    pub(super) nonce: String,
    pub(super) timestamp: String,
    pub(super) ask: Ask,
    /// What is signed instead of the right text.
    pub(super) signed: Option<String>,
    /// What becomes of its hash.
    pub(super) turn: fn(&[u8]) -> String,
    /// What stands in the pasted object instead of the parameters.
    pub(super) config: Option<fn(&str) -> String>,
}

impl Default for Spoilt {
    fn default() -> Self {
        Self {
            appid: APPID.to_owned(),
            nonce: NONCE.to_owned(),
            timestamp: TIMESTAMP.to_owned(),
            ask: Ask {
                url: PAGE.to_owned(),
                ..Ask::default()
            },
            signed: None,
            turn: sha1_hex,
            config: None,
        }
    }
}

pub(super) fn string1(ticket: &str, url: &str) -> String {
    format!("jsapi_ticket={ticket}&noncestr={NONCE}&timestamp={TIMESTAMP}&url={url}")
}

pub(super) fn signing(text: String) -> Spoilt {
    Spoilt {
        signed: Some(text),
        ..Spoilt::default()
    }
}

pub(super) fn url(url: &str) -> Spoilt {
    signing(string1(TICKET_VALUE, url))
}

pub(super) fn ticket(ticket: &str) -> Spoilt {
    signing(string1(ticket, PAGE))
}

pub(super) fn told(ask: Ask) -> Spoilt {
    Spoilt {
        ask,
        ..Spoilt::default()
    }
}

pub(super) fn known() -> Known {
    let account = KnownAccount {
        tickets: vec![Secret::new(TICKET_VALUE)],
        wrong: vec![
            (Mistake::FormerTicket, Signer::new(&Secret::new(FORMER))),
            (Mistake::CardTicket, Signer::new(&Secret::new(CARD))),
        ],
        tokens: vec![Secret::new(TOKEN)],
        hosts: vec!["h5.example.com".to_owned(), "www.example.com".to_owned()],
    };
    let other = Signer::new(&Secret::new(FOREIGN));
    Known {
        account: Some(account),
        others: vec![("wxffffffffffffffff".parse().unwrap(), other)],
    }
}

impl Spoilt {
    pub(super) fn examine(&self) -> Report {
        let Self {
            appid,
            nonce,
            timestamp,
            ..
        } = self;
        let page = without_fragment(&self.ask.url);
        let text = self.signed.clone();
        let text = text.unwrap_or_else(|| string1(TICKET_VALUE, page));
        let signature = (self.turn)(text.as_bytes());
        let right = format!(
            "wx.config({{ appId: '{appid}', timestamp: {timestamp}, nonceStr: '{nonce}',\n\
             signature: '{signature}', jsApiList: ['scanQRCode'] }});"
        );
        let ask = Ask {
            config: self.config.map_or(right, |config| config(&signature)),
            ..self.ask.clone()
        };
        let pasted = ask.read().unwrap();
        let mut known = known();
        known.account = known
            .account
            .filter(|_| pasted.app_id() != "wx00000000000000ff");
        let report = examine(&ask, &pasted, &known);
        let said = serde_json::to_string(&report).unwrap();
        for secret in [TICKET_VALUE, FORMER, CARD, FOREIGN, TOKEN] {
            assert!(!said.contains(secret), "{said}");
        }
        report
    }
}

pub(super) fn codes(report: &Report) -> Vec<Mistake> {
    report.mistakes.iter().map(|found| found.code).collect()
}

pub(super) fn at(page: &str) -> Ask {
    Ask {
        url: page.to_owned(),
        ..Ask::default()
    }
}

pub(super) fn with_error(err_msg: &str) -> Ask {
    Ask {
        err_msg: err_msg.to_owned(),
        ..at(PAGE)
    }
}

pub(super) fn on_port(port: &str) -> Ask {
    Ask {
        url: format!("https://h5.example.com:{port}/"),
        ..with_error("config:invalid url domain")
    }
}

pub(super) fn entered_at(landing: &str, user_agent: &str) -> Ask {
    Ask {
        landing: landing.to_owned(),
        user_agent: user_agent.to_owned(),
        ..with_error("config:invalid signature")
    }
}

/// They say that they are an iPhone, and compare as a desktop does.
pub(super) const DEVELOPER_TOOLS: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 16_0 like Mac OS X) \
    wechatdevtools/1.06 MicroMessenger/8.0.5 Language/zh_CN webview/";
pub(super) const IPHONE: &str =
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) MicroMessenger/8.0.47";
pub(super) const WINDOWS: &str = "Mozilla/5.0 (Windows NT 10.0) MicroMessenger/7.0 WindowsWechat";
pub(super) const LANDING: &str = "https://h5.example.com/";

#[expect(clippy::too_many_lines, reason = "it is a table")]
pub(super) fn mistakes() -> Vec<(Mistake, Spoilt)> {
    use Mistake::*;
    let pasted = |config| Spoilt {
        config: Some(config),
        ..Spoilt::default()
    };
    vec![
        (
            FragmentKept,
            Spoilt {
                ask: at(&format!("{PAGE}#/route")),
                ..url(&format!("{PAGE}#/route"))
            },
        ),
        (QueryCut, url("https://h5.example.com/shop/item?id=1")),
        (
            UrlEncoded,
            url(
                "https%3A%2F%2Fh5.example.com%2Fshop%2Fitem%3Fid%3D1%26from%3Dsinglemessage%26name%3D%25E5%25BE%25AE",
            ),
        ),
        (
            UrlDecoded,
            url("https://h5.example.com/shop/item?id=1&from=singlemessage&name=微"),
        ),
        (HtmlEscaped, url(&PAGE.replace('&', "&amp;"))),
        (SchemeDiffers, url(&PAGE.replace("https", "http"))),
        (HostDiffers, url(&PAGE.replace("h5.", "www."))),
        (PortDiffers, url(&PAGE.replace(".com/", ".com:443/"))),
        (TrailingSlash, url(&PAGE.replace("item?", "item/?"))),
        (OtherPage, url("https://h5.example.com/shop/")),
        (UrlPadded, url(&format!("{PAGE}\n"))),
        (UrlMissing, url("undefined")),
        (
            LandingUrl,
            Spoilt {
                ask: entered_at(LANDING, WINDOWS),
                ..url(LANDING)
            },
        ),
        (CurrentUrl, told(entered_at(LANDING, IPHONE))),
        (FormerTicket, ticket(FORMER)),
        (
            StaleTicket,
            Spoilt {
                ask: with_error("config:invalid signature"),
                ..ticket(FORMER)
            },
        ),
        (OtherAppTicket, ticket(FOREIGN)),
        (CardTicket, ticket(CARD)),
        (AccessTokenAsTicket, ticket(TOKEN)),
        (TicketPadded, ticket(&format!("{TICKET_VALUE}\n"))),
        (TicketMissing, ticket("undefined")),
        (
            TimestampMilliseconds,
            signing(string1(TICKET_VALUE, PAGE).replace(TIMESTAMP, "1414587457123")),
        ),
        (
            NonceDiffers,
            signing(string1(TICKET_VALUE, PAGE).replace(NONCE, &NONCE.to_ascii_lowercase())),
        ),
        (
            UpperCaseHex,
            Spoilt {
                turn: |text| sha1_hex(text).to_ascii_uppercase(),
                ..Spoilt::default()
            },
        ),
        (
            Sha256,
            Spoilt {
                turn: |text| {
                    let digest = sha2::Sha256::digest(text);
                    digest.iter().map(|byte| format!("{byte:02x}")).collect()
                },
                ..Spoilt::default()
            },
        ),
        (
            Md5,
            Spoilt {
                turn: |_| "9e107d9d372bb6826bd81d3542a419d6".to_owned(),
                ..Spoilt::default()
            },
        ),
        (TrailingText, signing(string1(TICKET_VALUE, PAGE) + "&")),
        (
            WrongKeyOrder,
            signing(format!(
                "noncestr={NONCE}&timestamp={TIMESTAMP}&jsapi_ticket={TICKET_VALUE}&url={PAGE}"
            )),
        ),
        (
            WrongKeyName,
            signing(string1(TICKET_VALUE, PAGE).replace("noncestr", "nonceStr")),
        ),
        (
            MissingArgument,
            pasted(|signature| format!("{{appId: '{APPID}', signature: '{signature}'}}")),
        ),
        (
            WrongFieldName,
            pasted(|signature| {
                format!(
                    "{{appId: '{APPID}', timeStamp: {TIMESTAMP}, nonceStr: '{NONCE}', \
                     signature: '{signature}'}}"
                )
            }),
        ),
        (
            EmptyApiList,
            pasted(|signature| {
                format!(
                    "{{appId: '{APPID}', timestamp: {TIMESTAMP}, nonceStr: '{NONCE}', \
                     signature: '{signature}', jsApiList: []}}"
                )
            }),
        ),
        (
            UnknownAppid,
            Spoilt {
                appid: "wx00000000000000ff".to_owned(),
                ..Spoilt::default()
            },
        ),
        (HostNotBound, told(with_error("config:invalid url domain"))),
        (PortNotAllowed, told(on_port("8443"))),
    ]
}
