//! The classic mistakes, made one by one, and what is said about each.

mod spoilt;
mod wecom;

use proptest::prelude::*;

use spoilt::*;

use super::*;
use crate::diagnosis::lint::Oddity;

#[test]
fn each_of_the_classic_mistakes_is_named_and_no_other() {
    let mistakes = mistakes();
    assert!(mistakes.len() >= 25);
    for (mistake, spoilt) in mistakes {
        let report = spoilt.examine();
        assert_eq!(codes(&report), [mistake]);
        let expected = match mistake {
            Mistake::UnknownAppid | Mistake::FormerTicket => Verdict::Unknown,
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
fn what_wechat_accepted_is_never_called_wrong() {
    for (mistake, spoilt) in mistakes() {
        let ask = Ask {
            err_msg: "config:ok".to_owned(),
            ..spoilt.ask.clone()
        };
        let report = Spoilt { ask, ..spoilt }.examine();
        assert_ne!(report.verdict, Verdict::Wrong, "{mistake:?}: {report:#?}");
    }
}

#[test]
fn the_former_ticket_is_at_fault_only_where_wechat_says_so() {
    let former = |words: &str| Spoilt {
        ask: with_error(words),
        ..ticket(FORMER)
    };
    for (words, verdict, code) in [
        ("", Verdict::Unknown, Mistake::FormerTicket),
        ("config:ok", Verdict::Right, Mistake::FormerTicket),
        ("config:fail", Verdict::Unknown, Mistake::FormerTicket),
        (
            "config:invalid signature",
            Verdict::Wrong,
            Mistake::StaleTicket,
        ),
    ] {
        let report = former(words).examine();
        assert_eq!(
            (report.verdict, codes(&report)),
            (verdict, vec![code]),
            "{words}"
        );
    }
    let page = signing(string1(FORMER, "https://h5.example.com/shop/item?id=1")).examine();
    assert_eq!(codes(&page), [Mistake::FormerTicket, Mistake::QueryCut]);
    assert_eq!(page.verdict, Verdict::Wrong);
}

#[test]
fn an_account_that_is_not_here_is_one_of_wxsign_s() {
    let spoilt = Spoilt {
        appid: "wx00000000000000ff".to_owned(),
        ..Spoilt::default()
    };
    let report = spoilt.examine();
    let found = &report.mistakes[0];
    assert!(found.message_en.contains("wxsign"), "{found:?}");
    assert!(found.message_zh.contains("wxsign"), "{found:?}");
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
