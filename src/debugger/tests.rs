//! The classic mistakes, made one by one, and what is said about each.

use proptest::prelude::*;

use super::*;
use crate::diagnosis::lint::Oddity;

const APPID: &str = "wx0123456789abcdef";
const TICKET_VALUE: &str = "kgt8ON7yVITDhtdwci0qeZ2eyvV-ticket-ticket-ticket";
const FORMER: &str = "kgt8ON7yVITDhtdwci0qeZ2eyvV-before-before-before";
const CARD: &str = "IpK_1T69hDhZkLQTlwsAX4-ticket-for-cards";
const FOREIGN: &str = "kgt8ON7yVITDhtdwci0qeZ2eyvV-other--other--other";
const TOKEN: &str = "82_access-token-access-token-access-token";
const PAGE: &str = "https://h5.example.com/shop/item?id=1&from=singlemessage&name=%E5%BE%AE";
const NONCE: &str = "Wm3WZYTPz0wzccnW";
const TIMESTAMP: &str = "1414587457";

/// A developer's case, right in every way until it is spoilt.
struct Spoilt {
    appid: String,
    nonce: String,
    timestamp: String,
    ask: Ask,
    /// What is signed instead of the right text.
    signed: Option<String>,
    /// What becomes of its hash.
    turn: fn(&[u8]) -> String,
    /// What stands in the pasted object instead of the parameters.
    config: Option<fn(&str) -> String>,
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

fn string1(ticket: &str, url: &str) -> String {
    format!("jsapi_ticket={ticket}&noncestr={NONCE}&timestamp={TIMESTAMP}&url={url}")
}

fn signing(text: String) -> Spoilt {
    Spoilt {
        signed: Some(text),
        ..Spoilt::default()
    }
}

fn url(url: &str) -> Spoilt {
    signing(string1(TICKET_VALUE, url))
}

fn ticket(ticket: &str) -> Spoilt {
    signing(string1(ticket, PAGE))
}

fn told(ask: Ask) -> Spoilt {
    Spoilt {
        ask,
        ..Spoilt::default()
    }
}

fn known() -> Known {
    let account = KnownAccount {
        ticket: Some(Secret::new(TICKET_VALUE)),
        wrong: vec![
            (Mistake::StaleTicket, Signer::new(&Secret::new(FORMER))),
            (Mistake::CardTicket, Signer::new(&Secret::new(CARD))),
        ],
        token: Some(Secret::new(TOKEN)),
        hosts: vec!["h5.example.com".to_owned(), "www.example.com".to_owned()],
    };
    let other = Signer::new(&Secret::new(FOREIGN));
    Known {
        account: Some(account),
        others: vec![("wxffffffffffffffff".parse().unwrap(), other)],
    }
}

impl Spoilt {
    fn examine(&self) -> Report {
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

fn codes(report: &Report) -> Vec<Mistake> {
    report.mistakes.iter().map(|found| found.code).collect()
}

fn at(page: &str) -> Ask {
    Ask {
        url: page.to_owned(),
        ..Ask::default()
    }
}

fn with_error(err_msg: &str) -> Ask {
    Ask {
        err_msg: err_msg.to_owned(),
        ..at(PAGE)
    }
}

fn on_port(port: &str) -> Ask {
    Ask {
        url: format!("https://h5.example.com:{port}/"),
        ..with_error("config:invalid url domain")
    }
}

fn entered_at(landing: &str, user_agent: &str) -> Ask {
    Ask {
        landing: landing.to_owned(),
        user_agent: user_agent.to_owned(),
        ..with_error("config:invalid signature")
    }
}

/// They say that they are an iPhone, and compare as a desktop does.
const DEVELOPER_TOOLS: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 16_0 like Mac OS X) \
    wechatdevtools/1.06 MicroMessenger/8.0.5 Language/zh_CN webview/";
const IPHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) MicroMessenger/8.0.47";
const WINDOWS: &str = "Mozilla/5.0 (Windows NT 10.0) MicroMessenger/7.0 WindowsWechat";
const LANDING: &str = "https://h5.example.com/";

#[expect(clippy::too_many_lines, reason = "it is a table")]
fn mistakes() -> Vec<(Mistake, Spoilt)> {
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
        (StaleTicket, ticket(FORMER)),
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

#[test]
fn each_of_the_classic_mistakes_is_named_and_no_other() {
    let mistakes = mistakes();
    assert!(mistakes.len() >= 25);
    for (mistake, spoilt) in mistakes {
        let report = spoilt.examine();
        assert_eq!(codes(&report), [mistake]);
        let expected = match mistake {
            Mistake::UnknownAppid => Verdict::Unknown,
            _ => Verdict::Wrong,
        };
        assert_eq!(report.verdict, expected, "{mistake:?}");
    }
}

#[test]
fn a_right_config_is_accused_of_nothing() {
    let landing = "https://h5.example.com/shop";
    let at = |page: &str| told(at(page));
    let entered = |user_agent: &str| Ask {
        url: PAGE.to_owned(),
        landing: landing.to_owned(),
        user_agent: user_agent.to_owned(),
        ..Ask::default()
    };
    let correct = [
        at(PAGE),
        at("https://h5.example.com/"),
        at("http://h5.example.com:80/a?b=c%20d"),
        at("https://h5.example.com/shop/#/item/1"),
        told(with_error("config:ok")),
        told(entered("")),
        told(entered(WINDOWS)),
        told(entered(DEVELOPER_TOOLS)),
        Spoilt {
            ask: entered(IPHONE),
            ..url(landing)
        },
        Spoilt {
            ask: Ask {
                real_auth_url: vec![landing.to_owned()],
                ..entered("")
            },
            ..url(landing)
        },
        Spoilt {
            config: Some(|signature| {
                format!(
                    r#"{{"appId":"{APPID}","timestamp":"{TIMESTAMP}","nonceStr":"{NONCE}",
                    "signature":"{signature}","url":"{PAGE}"}}"#
                )
            }),
            ..Spoilt::default()
        },
        told(with_error("chooseWXPay:permission denied")),
    ];
    assert!(correct.len() >= 10);
    for spoilt in correct {
        let report = spoilt.examine();
        assert_eq!(report.verdict, Verdict::Right, "{}", spoilt.ask.url);
        assert_eq!(codes(&report), []);
        assert_eq!(report.signed.len(), 1);
        assert_eq!(report.signed, report.expected);
        let odd = report
            .lints
            .iter()
            .filter(|lint| lint.code != Oddity::Fragment);
        assert_eq!(odd.count(), 0);
    }
}

fn marked(spans: &[Span]) -> String {
    let marked = spans.iter().map(|span| match span.kind {
        SpanKind::Equal => span.text.clone(),
        SpanKind::Removed => format!("[-{}-]", span.text),
        SpanKind::Added => format!("[+{}+]", span.text),
    });
    marked.collect()
}

#[test]
fn what_was_signed_is_shown_beside_what_is_right() {
    let report = url("http://h5.example.com/shop/item?id=1").examine();
    assert_eq!(codes(&report), [Mistake::Unknown]);
    assert_eq!((report.verdict, report.signed.len()), (Verdict::Unknown, 0));

    let report = url("https://h5.example.com/shop/item?id=1").examine();
    let right = format!("jsapi_ticket=…&noncestr={NONCE}&timestamp={TIMESTAMP}&url=");
    assert_eq!(
        marked(&report.signed),
        format!("{right}https://h5.example.com/shop/item?id=1")
    );
    assert_eq!(
        marked(&report.expected),
        format!(
            "{right}https://h5.example.com/shop/item?id=1\
             [+&from=singlemessage&name=%E5%BE%AE+]"
        )
    );
    let report = ticket(FORMER).examine();
    assert!(marked(&report.signed).starts_with("jsapi_ticket=[-…-]&noncestr="));
    assert!(marked(&report.expected).starts_with("jsapi_ticket=[+…+]&noncestr="));
    let report = ticket(&format!("{TICKET_VALUE}\n")).examine();
    assert!(marked(&report.signed).starts_with("jsapi_ticket=…[-\\n-]&noncestr="));
}

#[test]
fn wechat_s_words_are_explained_where_the_signature_is_right() {
    let said = |words: &str| told(with_error(words)).examine();
    let report = said("chooseImage:fail, the permission value is offline verifying");
    assert_eq!(report.verdict, Verdict::Right);
    assert_eq!(report.sdk_error.unwrap().says, "offline verifying");
    let report = said("config:invalid signature");
    assert!(
        report.summary_en.contains("realAuthUrl"),
        "{}",
        report.summary_en
    );
    assert!(report.is_contradicted() && report.sdk_error.is_none());
    let report = said("config:invalid url domain");
    assert_eq!(
        report.mistakes[0].evidence.as_deref(),
        Some("h5.example.com")
    );
    assert_eq!(report.sdk_error.unwrap().says, "invalid url domain");
}

#[test]
fn the_account_whose_ticket_it_was_is_named() {
    let report = ticket(FOREIGN).examine();
    let evidence = report.mistakes[0].evidence.as_deref();
    assert_eq!(evidence, Some("wxffffffffffffffff"));
    let spoilt = Spoilt {
        appid: "wx00000000000000ff".to_owned(),
        ..ticket(FOREIGN)
    };
    let report = spoilt.examine();
    assert_eq!(
        codes(&report),
        [Mistake::UnknownAppid, Mistake::OtherAppTicket]
    );
    assert_eq!(report.verdict, Verdict::Wrong);
}

#[test]
fn without_a_ticket_nothing_is_told_about_the_signature() {
    let spoilt = Spoilt::default();
    let ask = Ask {
        config: format!("{{appId:'{APPID}',timestamp:1,nonceStr:'n',signature:'s'}}"),
        ..spoilt.ask
    };
    let known = Known {
        account: Some(KnownAccount::default()),
        others: Vec::new(),
    };
    let report = examine(&ask, &ask.read().unwrap(), &known);
    assert_eq!(
        (report.verdict, report.mistakes.len()),
        (Verdict::Unknown, 0)
    );
}

#[test]
fn a_question_is_read_as_the_browser_helper_writes_it() {
    let ask: Ask = serde_json::from_str(
        r#"{"url":"https://a.example/","config":{"appId":"wx1","timestamp":1},"realAuthUrl":"https://a.example/","errMsg":"config:invalid signature","ua":"x"}"#,
    )
    .unwrap();
    assert_eq!(ask.real_auth_url, ["https://a.example/"]);
    assert_eq!(ask.read().unwrap().app_id(), "wx1");
    let ask: Ask =
        serde_json::from_str(r#"{"url":"","config":"{}","realAuthUrl":"[\"a\",\"b\"]"}"#).unwrap();
    assert_eq!(ask.real_auth_url, ["a", "b"]);
    let ask: Ask =
        serde_json::from_str(r#"{"url":"","config":"{}","realAuthUrl":null,"errMsg":null}"#)
            .unwrap();
    assert_eq!(ask.read().unwrap_err().what, Fault::NoConfig);
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(
        text in crate::laws::made_of(&[
            "{", "}", "[", "]", "(", ")", "wx.config", "appId", "signature", ":", ",", "'", "\"",
            "`", "\\", "\\u12", "//", "/*", "*/", "\n", " ", "1", "null", "é", "nonceStr", "...",
        ]),
        anything in any::<String>(),
    ) {
        crate::laws::pasted_config(&text);
        crate::laws::pasted_config(&anything);
    }
}
