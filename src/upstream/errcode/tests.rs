use super::*;

#[test]
fn each_errcode_has_its_class() {
    use Class::{Address, Credentials, Quota, TokenRejected, Transient, Unknown};
    let cases = [
        (Api::Token, -1, Transient),
        (Api::GetTicket, -1, Transient),
        (Api::Token, 40001, Credentials),
        (Api::StableToken, 40001, Credentials),
        (Api::GetTicket, 40001, TokenRejected),
        (Api::GetApiDomainIp, 40001, TokenRejected),
        (Api::GetTicket, 40014, TokenRejected),
        (Api::GetTicket, 42001, TokenRejected),
        (Api::Token, 42001, Unknown),
        (Api::Token, 40002, Credentials),
        (Api::Token, 40013, Credentials),
        (Api::Token, 40125, Credentials),
        (Api::Token, 40243, Credentials),
        (Api::Token, 41002, Credentials),
        (Api::Token, 41004, Credentials),
        (Api::StableToken, 43002, Credentials),
        (Api::Token, 50004, Credentials),
        (Api::Token, 50007, Credentials),
        (Api::GetTicket, 48001, Credentials),
        (Api::GetTicket, 48004, Credentials),
        (Api::Token, 40164, Address),
        (Api::GetTicket, 61004, Address),
        (Api::Token, 89501, Address),
        (Api::Token, 89503, Address),
        (Api::Token, 89506, Address),
        (Api::Token, 89507, Address),
        (Api::Token, 45009, Quota),
        (Api::StableToken, 45011, Quota),
        (Api::Token, 12345, Unknown),
        (Api::Token, 60020, Unknown),
        (Api::GetToken, -1, Transient),
        (Api::GetToken, 40001, Credentials),
        (Api::GetJsapiTicket, 40001, TokenRejected),
        (Api::GetToken, 40013, Credentials),
        (Api::GetToken, 40091, Credentials),
        (Api::GetToken, 40056, Credentials),
        (Api::GetToken, 40125, Unknown),
        (Api::GetJsapiTicket, 40014, TokenRejected),
        (Api::WeComDomainIp, 42001, TokenRejected),
        (Api::GetJsapiTicket, 48002, Credentials),
        (Api::TicketGet, 60020, Address),
        (Api::GetToken, 45009, Quota),
        (Api::TicketGet, 45033, Quota),
    ];
    for (api, errcode, expected) in cases {
        assert_eq!(
            class(api, errcode),
            expected,
            "{errcode} from {}",
            api.path()
        );
    }
}

/// The errcodes that are known to come from the APIs of credentials, and from those that are
/// asked about them.
const ERRCODES: [i64; 35] = [
    -1, 40001, 40002, 40013, 40014, 40097, 40125, 40164, 40243, 41001, 41002, 41004, 42001, 42007,
    43002, 43003, 44002, 45009, 45011, 46003, 47001, 48001, 48004, 48006, 50004, 50007, 61004,
    61024, 76001, 76002, 76003, 89501, 89503, 89506, 89507,
];

/// Those of WeCom.
const OF_WECOM: [i64; 20] = [
    -1, 40001, 40013, 40014, 40056, 40091, 41001, 41002, 41004, 41011, 42001, 42012, 43003, 45009,
    45011, 45033, 48002, 50001, 60020, 301_002,
];

fn is_chinese(text: &str) -> bool {
    text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c))
}

fn is_whole(explanation: &Explanation) {
    let Explanation {
        what,
        why,
        remedy,
        link,
    } = explanation;
    for text in [what, why, remedy] {
        assert!(is_chinese(text.zh), "{text:?}");
        assert!(!text.en.is_empty(), "{text:?}");
        for said in [text.zh, text.en] {
            let ends = said.ends_with(['.', '。', ' ', '；', ';']);
            assert!(!ends && !said.contains("  "), "{said:?}");
        }
    }
    let pages = [
        "https://developers.weixin.qq.com/",
        "https://developer.work.weixin.qq.com/document/path/",
    ];
    assert!(pages.iter().any(|page| link.starts_with(page)), "{link}");
}

#[test]
fn every_errcode_says_what_why_and_what_to_do_in_both_languages() {
    for errcode in ERRCODES {
        let explained = [Api::Token, Api::GetTicket].map(|api| explain(api, errcode));
        assert!(explained.iter().any(Option::is_some), "{errcode}");
        explained.into_iter().flatten().for_each(is_whole);
    }
    for errcode in OF_WECOM {
        let explained = [Api::GetToken, Api::TicketGet].map(|api| explain(api, errcode));
        assert!(explained.iter().any(Option::is_some), "{errcode}");
        for explained in explained.into_iter().flatten() {
            is_whole(explained);
            let of_wechat =
                explain(Api::Token, errcode).or_else(|| explain(Api::GetTicket, errcode));
            assert_ne!(Some(explained), of_wechat, "{errcode}");
            assert!(
                explained.link.contains("developer.work.weixin.qq.com"),
                "{errcode}"
            );
        }
    }
    for explanation in [
        &FOREIGN_FETCHER,
        unknown(Api::Token),
        unknown(Api::GetToken),
        &WITHOUT_ERRCODE,
        lost(),
        status(),
    ] {
        is_whole(explanation);
    }
    let wecoms = unknown(Api::TicketGet).link;
    assert!(wecoms.contains("developer.work.weixin.qq.com"), "{wecoms}");
    for reason in [
        "failed to lookup address",
        "invalid peer certificate",
        "refused",
    ] {
        is_whole(not_sent(reason));
    }
}

#[test]
fn what_wechat_calls_things_in_its_console_is_said_so() {
    for (errcode, word) in [
        (40164, "IP白名单"),
        (40164, "开发接口管理"),
        (40125, "重置AppSecret"),
        (48001, "接口权限"),
    ] {
        let remedy = explain(Api::Token, errcode).unwrap().remedy;
        assert!(
            remedy.zh.contains(word) && remedy.en.contains(word),
            "{remedy:?}"
        );
    }
}

#[test]
fn the_address_to_list_is_read_out_of_errmsg() {
    for (errmsg, address) in [
        (
            "invalid ip 118.190.42.90 ipv6 ::ffff:118.190.42.90, not in whitelist rid: 60196b9b-4c5ba79c-066b49c8",
            "118.190.42.90",
        ),
        (
            "invalid ip 113.70.100.150, not in whitelist hint: [i50PvA0089sha6]",
            "113.70.100.150",
        ),
        ("invalid ip ::ffff:1.2.3.4, not in whitelist", "1.2.3.4"),
        (
            "invalid ip 2001:db8::7 ipv6 2001:db8::7, not in whitelist",
            "2001:db8::7",
        ),
    ] {
        assert_eq!(
            address_in(errmsg),
            Some(address.parse().unwrap()),
            "{errmsg}"
        );
        let remedy = explain(Api::Token, 40164)
            .unwrap()
            .remedy_for(Some(errmsg), None);
        assert!(
            remedy
                .en
                .starts_with(&format!("add {address} to the IP white list"))
        );
        assert!(
            remedy.zh.starts_with(&format!("把 {address} 加入")),
            "{remedy:?}"
        );
    }
    let hidden = "access clientip is not registered requestIP: 120.46.*.* rid: 64aba0e3-1da63188";
    for errmsg in [
        hidden,
        "",
        "not in whitelist rid: ad-be-ef",
        "invalid ip 1.2.3, :",
    ] {
        assert_eq!(address_in(errmsg), None, "{errmsg}");
        let remedy = explain(Api::GetTicket, 61004)
            .unwrap()
            .remedy_for(Some(errmsg), None);
        assert!(remedy.en.contains(ADDRESS.en) && remedy.zh.contains(ADDRESS.zh));
    }
}

#[test]
fn a_quota_is_renewed_at_the_next_midnight_in_china() {
    let at = |text: &str| {
        let at: jiff::Timestamp = text.parse().unwrap();
        Timestamp::from_secs(at.as_second())
    };
    for (now, reset, day) in [
        ("2026-11-27T03:00:00Z", "2026-11-27T16:00:00Z", "2026-11-28"),
        ("2026-12-31T15:59:59Z", "2026-12-31T16:00:00Z", "2027-01-01"),
        ("2026-12-31T16:00:00Z", "2027-01-01T16:00:00Z", "2027-01-02"),
    ] {
        assert_eq!(quota_reset(at(now)), at(reset));
        let remedy = explain(Api::Token, 45009)
            .unwrap()
            .remedy_for(None, Some(at(now)));
        let (zh, en) = (
            format!("北京时间 {day} 00:00"),
            format!("{day} 00:00 (UTC+8)"),
        );
        assert!(
            remedy.zh.contains(&zh) && remedy.en.contains(&en),
            "{remedy:?}"
        );
    }
}

#[test]
fn who_must_wait_is_told_how_long() {
    for (errcode, zh, en) in [
        (40243, "10 分钟", "10 minutes"),
        (89501, "1 到 5 分钟", "1 to 5 minutes"),
        (89503, "1 到 5 分钟", "1 to 5 minutes"),
        (89506, "24 小时", "24 hours"),
        (89507, "1 小时", "1 hour"),
    ] {
        let remedy = explain(Api::Token, errcode).unwrap().remedy;
        assert!(
            remedy.zh.contains(zh) && remedy.en.contains(en),
            "{remedy:?}"
        );
    }
}
