//! The two configs of a WeCom app, each with a ticket of its own.

use super::*;

const CORPID: &str = "ww0123456789abcdef";
const CORP_TICKET: &str = "kgt8ON7yVITDhtdwci0qeZ2eyvV-corporation--ticket";
const OTHER_CORP_TICKET: &str = "kgt8ON7yVITDhtdwci0qeZ2eyvV-as-another-app-got-it";
const AGENT_TICKET: &str = "kgt8ON7yVITDhtdwci0qeZ2eyvV-app-s-own--ticket";
const IPHONE_AT_WECOM: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) \
    wxwork/4.1.22 MicroMessenger/7.0.1 Language/zh";

fn signed(ticket: &str) -> String {
    let signature = sha1_hex(string1(ticket, PAGE).as_bytes());
    format!("timestamp: {TIMESTAMP}, nonceStr: '{NONCE}', signature: '{signature}'")
}

fn config(ticket: &str) -> Ask {
    let config = format!("wx.config({{appId: '{CORPID}', {}}})", signed(ticket));
    Ask { config, ..at(PAGE) }
}

fn agent_config(ticket: &str) -> Ask {
    let named = format!("corpid: '{CORPID}', agentid: '1000002'");
    let config = format!("wx.agentConfig({{{named}, {}}})", signed(ticket));
    Ask { config, ..at(PAGE) }
}

/// With the tickets that sign such a config, and those that sign the other one.
fn examined(ask: &Ask) -> Report {
    let pasted = ask.read().unwrap();
    let corporations = vec![CORP_TICKET, OTHER_CORP_TICKET];
    let (right, mixed) = if pasted.is_of_agent() {
        (vec![AGENT_TICKET], corporations)
    } else {
        (corporations, vec![AGENT_TICKET])
    };
    let mixed = mixed.into_iter().map(Secret::new);
    let mixed = mixed.map(|ticket| (Mistake::TicketsMixed, Signer::new(&ticket)));
    let account = KnownAccount {
        tickets: right.into_iter().map(Secret::new).collect(),
        wrong: mixed.collect(),
        ..KnownAccount::default()
    };
    let known = Known {
        account: Some(account),
        others: Vec::new(),
    };
    examine(ask, &pasted, &known)
}

#[test]
fn both_configs_are_right_with_their_own_tickets() {
    let on_an_iphone = |ask: Ask| Ask {
        user_agent: IPHONE_AT_WECOM.to_owned(),
        landing: LANDING.to_owned(),
        ..ask
    };
    for ask in [
        config(CORP_TICKET),
        config(OTHER_CORP_TICKET),
        agent_config(AGENT_TICKET),
        on_an_iphone(config(CORP_TICKET)),
        on_an_iphone(agent_config(AGENT_TICKET)),
    ] {
        let report = examined(&ask);
        assert_eq!((report.verdict, codes(&report)), (Verdict::Right, vec![]));
        assert_eq!(report.signed, report.expected);
    }
}

#[test]
fn one_ticket_does_not_do_for_the_other_config() {
    for ask in [
        config(AGENT_TICKET),
        agent_config(CORP_TICKET),
        agent_config(OTHER_CORP_TICKET),
    ] {
        let report = examined(&ask);
        assert_eq!(report.verdict, Verdict::Wrong);
        assert_eq!(codes(&report), [Mistake::TicketsMixed], "{}", ask.config);
        assert!(report.mistakes[0].message_en.contains("42012"));
    }
}

#[test]
fn what_is_said_names_the_parameters_of_agent_config() {
    let of = |config: &str| Ask {
        config: config.to_owned(),
        ..at(PAGE)
    };
    let report = examined(&of("{corpId: 'ww0123456789abcdef', timestamp: 1}"));
    let found = [Mistake::WrongFieldName, Mistake::MissingArgument];
    assert_eq!(codes(&report), found);
    let evidence = report
        .mistakes
        .iter()
        .map(|found| found.evidence.as_deref());
    let expected = ["corpId → corpid", "agentid, nonceStr, signature"];
    assert!(evidence.eq(expected.map(Some)), "{:?}", report.mistakes);
    for found in &report.mistakes {
        for text in [found.message_en, found.message_zh] {
            assert!(
                text.contains("agentid") && !text.contains("appId"),
                "{text}"
            );
        }
    }
    let ask = agent_config(AGENT_TICKET);
    let report = examine(&ask, &ask.read().unwrap(), &Known::default());
    assert_eq!(codes(&report), [Mistake::UnknownAppid]);
    let evidence = report.mistakes[0].evidence.as_deref();
    assert_eq!(evidence, Some("ww0123456789abcdef-1000002"));
}

#[test]
fn no_words_of_a_verdict_are_for_official_accounts_alone() {
    let mut reports = vec![
        examined(&config(CORP_TICKET)),
        examined(&agent_config(CORP_TICKET)),
        examined(&agent_config("another")),
    ];
    for ask in [config("another"), agent_config(AGENT_TICKET)] {
        let pasted = ask.read().unwrap();
        let empty = Known {
            account: Some(KnownAccount::default()),
            others: Vec::new(),
        };
        let other = Known {
            account: None,
            others: vec![(APPID.parse().unwrap(), Signer::new(&Secret::new("another")))],
        };
        reports.push(examine(&ask, &pasted, &empty));
        reports.push(examine(&ask, &pasted, &Known::default()));
        reports.push(examine(&ask, &pasted, &other));
    }
    for report in reports {
        let said = report.mistakes.iter().map(|found| found.message_zh);
        for text in said.chain([report.summary_zh]) {
            assert!(
                !text.contains("公众号") || text.contains("企业微信"),
                "{text}"
            );
        }
    }
}
