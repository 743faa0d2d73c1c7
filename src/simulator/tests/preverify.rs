//! Would WeChat accept this `wx.config`, and if not, which mistake is it?

use ::sha1::{Digest, Sha1};
use serde_json::json;

use super::*;

const PAGE: &str = "https://h5.example.com/shop/item?id=1&from=singlemessage&name=%E5%BE%AE";

/// A right `wx.config` for a page, signed here without the simulator's own means.
fn right(world: &World, page: &str) -> Preverify {
    let ticket = world.simulator.newest_ticket(&world.appid).unwrap();
    let (nonce, timestamp) = ("Wm3WZYTPz0wzccnW", START.to_string());
    let url = page.split('#').next().unwrap();
    let string1 = format!(
        "jsapi_ticket={}&noncestr={nonce}&timestamp={timestamp}&url={url}",
        ticket.expose()
    );
    let digest = Sha1::digest(string1);
    Preverify {
        app_id: world.appid.to_string(),
        timestamp,
        nonce_str: nonce.to_owned(),
        signature: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
        js_api_list: vec!["updateAppMessageShareData".to_owned()],
        urls: vec![page.to_owned()],
        ..Preverify::default()
    }
}

/// What the simulator finds in a config that its mistaken signer made for a page.
fn found(world: &World, page: &str, mistake: Mistake) -> Vec<Mistake> {
    let config = world
        .simulator
        .sign(&MistakenSigning {
            appid: world.appid.clone(),
            url: page.to_owned(),
            mistake: Some(mistake),
        })
        .unwrap()
        .unwrap_or_else(|| panic!("{mistake:?} is possible"));
    let verdict = world.simulator.preverify(&Preverify {
        app_id: config.app_id.to_string(),
        timestamp: config.timestamp.to_string(),
        nonce_str: config.nonce_str,
        signature: config.signature,
        js_api_list: vec!["scanQRCode".to_owned()],
        urls: vec![page.split('#').next().unwrap().to_owned()],
        hints: vec![page.to_owned()],
        ..Preverify::default()
    });
    assert!(!verdict.ok, "{mistake:?}");
    assert_eq!(
        verdict.bridge_err_msg,
        "pre_verify_jsapi:fail_invalid signature"
    );
    codes(&verdict)
}

fn codes(verdict: &Verdict) -> Vec<Mistake> {
    verdict.diagnosis.iter().map(|found| found.code).collect()
}

#[tokio::test(start_paused = true)]
async fn a_right_config_passes_and_is_accused_of_nothing() {
    let world = World::new();
    for page in [
        PAGE,
        "https://h5.example.com/shop/item?id=1#/route",
        "https://h5.example.com",
        "https://sub.h5.example.com:443/",
        "http://shop.example.org:80/",
    ] {
        let verdict = world.simulator.preverify(&right(&world, page));
        assert!(verdict.ok, "{page}");
        assert_eq!(verdict.bridge_err_msg, "pre_verify_jsapi:ok");
        assert!(verdict.diagnosis.is_empty() && verdict.real_auth_url.is_empty());
        assert!(verdict.verdicts.domain && verdict.verdicts.signature);
        assert_eq!(
            verdict.matched.unwrap().url,
            page.split('#').next().unwrap()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn each_mistake_of_a_home_made_signer_is_named() {
    let world = World::new();
    world.token();
    use Mistake::*;
    for mistake in [
        FragmentKept,
        QueryCut,
        UrlEncoded,
        UrlDecoded,
        HtmlEscaped,
        SchemeDiffers,
        HostDiffers,
        PortDiffers,
        TrailingSlash,
        OtherPage,
        StaleTicket,
        CardTicket,
        AccessTokenAsTicket,
        TimestampMilliseconds,
        NonceDiffers,
        UpperCaseHex,
        Sha256,
        WrongKeyOrder,
        WrongKeyName,
    ] {
        assert_eq!(found(&world, PAGE, mistake), [mistake]);
    }
    assert_eq!(
        found(&world, "https://h5.example.com/#/a", FragmentKept),
        [FragmentKept]
    );
    assert_eq!(
        found(&world, "https://h5.example.com/", OtherPage),
        [OtherPage]
    );
}

#[tokio::test(start_paused = true)]
async fn a_mistake_that_the_address_does_not_allow_is_not_made() {
    let world = World::new();
    let config = world.simulator.sign(&MistakenSigning {
        appid: world.appid.clone(),
        url: "https://h5.example.com/".to_owned(),
        mistake: Some(Mistake::QueryCut),
    });
    assert_eq!(config.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn two_mistakes_together_are_both_named() {
    let world = World::new();
    let mut ask = right(&world, "https://h5.example.com/shop/");
    world
        .simulator
        .act(&world.appid, Action::ExpireTicket)
        .unwrap();
    assert_eq!(
        codes(&world.simulator.preverify(&ask)),
        [Mistake::StaleTicket]
    );
    ask.urls = vec!["https://h5.example.com/shop/item".to_owned()];
    assert_eq!(
        codes(&world.simulator.preverify(&ask)),
        [Mistake::StaleTicket, Mistake::OtherPage]
    );
    ask.signature = ask.signature.to_ascii_uppercase();
    assert_eq!(
        codes(&world.simulator.preverify(&ask)),
        [
            Mistake::StaleTicket,
            Mistake::OtherPage,
            Mistake::UpperCaseHex
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn the_ticket_of_another_account_is_recognised() {
    let world = World::new();
    let other: AppId = "wxffffffffffffffff".parse().unwrap();
    let app = App::new(other.clone(), Secret::new("x"));
    world.simulator.add_app(App {
        domains: vec!["h5.example.com".to_owned()],
        ..app
    });
    let ask = Preverify {
        app_id: other.to_string(),
        ..right(&world, PAGE)
    };
    assert_eq!(
        codes(&world.simulator.preverify(&ask)),
        [Mistake::OtherAppTicket]
    );
}

#[tokio::test(start_paused = true)]
async fn hints_help_to_find_what_was_signed() {
    let world = World::new();
    let cases = [
        (PAGE, "https://h5.example.com/login", Mistake::OtherPage),
        (
            PAGE,
            "https://h5.example.com/shop/item?id=2#x",
            Mistake::OtherPage,
        ),
    ];
    for (page, signed, expected) in cases {
        let mut ask = right(&world, signed);
        ask.urls = vec![page.to_owned()];
        assert_eq!(codes(&world.simulator.preverify(&ask)), [Mistake::Unknown]);
        ask.hints = vec![signed.to_owned()];
        let verdict = world.simulator.preverify(&ask);
        assert_eq!(codes(&verdict), [expected]);
        let evidence = verdict.diagnosis[0].evidence.as_deref();
        assert_eq!(evidence, signed.split('#').next());
    }
    let ask = Preverify {
        nonce_str: "other".to_owned(),
        hints: vec!["Wm3WZYTPz0wzccnW".to_owned()],
        ..right(&world, PAGE)
    };
    assert_eq!(
        codes(&world.simulator.preverify(&ask)),
        [Mistake::NonceDiffers]
    );
}

#[tokio::test(start_paused = true)]
async fn a_timestamp_given_in_milliseconds_is_recognised() {
    let world = World::new();
    let ask = right(&world, PAGE);
    let ask = Preverify {
        timestamp: format!("{}123", ask.timestamp),
        ..ask
    };
    let verdict = world.simulator.preverify(&ask);
    assert_eq!(codes(&verdict), [Mistake::TimestampMilliseconds]);
}

#[tokio::test(start_paused = true)]
async fn a_foreign_host_is_refused_and_named() {
    let world = World::new();
    for (page, evidence) in [
        ("https://evil.example.net/", "evil.example.net"),
        ("https://example.com/", "example.com"),
        ("https://evilh5.example.com/", "evilh5.example.com"),
        (
            "https://h5.example.com.evil.net/",
            "h5.example.com.evil.net",
        ),
        ("ftp://h5.example.com/", "ftp://h5.example.com/"),
    ] {
        let verdict = world.simulator.preverify(&right(&world, page));
        assert_eq!(
            verdict.bridge_err_msg,
            "pre_verify_jsapi:fail_invalid url domain"
        );
        assert_eq!(codes(&verdict), [Mistake::HostNotBound]);
        assert_eq!(verdict.diagnosis[0].evidence.as_deref(), Some(evidence));
        assert!(!verdict.verdicts.domain && verdict.verdicts.signature);
        assert_eq!(verdict.real_auth_url, [page]);
    }
}

#[tokio::test(start_paused = true)]
async fn other_ports_are_refused_unless_the_knob_lets_them() {
    let world = World::new();
    let ask = right(&world, "http://h5.example.com:8080/");
    assert_eq!(
        codes(&world.simulator.preverify(&ask)),
        [Mistake::PortNotAllowed]
    );
    world.turn(|knobs| knobs.any_port = true);
    assert!(world.simulator.preverify(&ask).ok);
}

#[tokio::test(start_paused = true)]
async fn either_of_the_page_s_addresses_counts_unless_the_knob_says_which() {
    let world = World::new();
    let (current, landing) = ("https://h5.example.com/b", "https://h5.example.com/a");
    let urls = vec![current.to_owned(), landing.to_owned()];
    for (rule, signed, expected) in [
        (PageUrlRule::Either, current, vec![]),
        (PageUrlRule::Either, landing, vec![]),
        (PageUrlRule::Current, current, vec![]),
        (PageUrlRule::Current, landing, vec![Mistake::LandingUrl]),
        (PageUrlRule::Landing, current, vec![Mistake::CurrentUrl]),
        (PageUrlRule::Landing, landing, vec![]),
    ] {
        world.turn(|knobs| knobs.page_url_rule = rule);
        let ask = Preverify {
            urls: urls.clone(),
            ..right(&world, signed)
        };
        assert_eq!(
            codes(&world.simulator.preverify(&ask)),
            expected,
            "{rule:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn missing_arguments_have_the_client_s_own_words() {
    let world = World::new();
    let ask = || right(&world, PAGE);
    let cases = [
        (
            Preverify {
                app_id: String::new(),
                ..ask()
            },
            "fail_invalid_args",
        ),
        (
            Preverify {
                timestamp: "undefined".to_owned(),
                ..ask()
            },
            "fail_invalid_args",
        ),
        (
            Preverify {
                signature: String::new(),
                ..ask()
            },
            "fail_invalid_args",
        ),
        (
            Preverify {
                urls: Vec::new(),
                ..ask()
            },
            "fail_invalid_args",
        ),
        (
            Preverify {
                app_id: "wx1".to_owned(),
                ..ask()
            },
            "fail_invalid appid",
        ),
        (
            Preverify {
                js_api_list: Vec::new(),
                ..ask()
            },
            "param is empty",
        ),
    ];
    for (ask, expected) in cases {
        let verdict = world.simulator.preverify(&ask);
        assert!(!verdict.ok);
        assert_eq!(
            verdict.bridge_err_msg,
            format!("pre_verify_jsapi:{expected}")
        );
        assert_eq!(verdict.diagnosis.len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn an_api_that_the_account_lacks_is_denied_under_both_its_names() {
    let world = World::new().with(|knobs| knobs.denied_apis = vec!["chooseWXPay".to_owned()]);
    let names = ["chooseWXPay", "getBrandWCPayRequest", "scanQRCode"];
    let ask = Preverify {
        js_api_list: names.map(str::to_owned).to_vec(),
        ..right(&world, PAGE)
    };
    let verdict = world.simulator.preverify(&ask);
    assert!(verdict.ok);
    assert_eq!(verdict.denied, names[..2]);
}

#[test]
fn the_client_s_question_is_read_with_a_timestamp_of_either_kind() {
    for timestamp in [json!(1_414_587_457), json!("1414587457")] {
        let ask: Preverify = serde_json::from_value(json!({
            "appId": "wx0123456789abcdef", "timestamp": timestamp, "nonceStr": "n",
            "signature": "s", "jsApiList": [], "urls": ["https://h5.example.com/"],
        }))
        .unwrap();
        assert_eq!(ask.timestamp, "1414587457");
    }
}
