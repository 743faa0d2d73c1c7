//! Faults by rule, over the API and in process as an `Upstream`.

use super::*;
use crate::account::{Account, TokenApi};
use crate::credential::Kind;
use crate::upstream::{Class, Failure, Upstream};

const TOKEN: &str = "/cgi-bin/token";

fn account(world: &World, token_api: TokenApi) -> Account {
    Account {
        appid: world.appid.clone(),
        name: None,
        secret: Secret::new(SECRET),
        token_api,
        page_hosts: "h5.example.com".parse().unwrap(),
        wx_card: false,
    }
}

#[tokio::test(start_paused = true)]
async fn every_errcode_can_be_ordered_and_has_a_text() {
    let world = World::new();
    for ordered in [
        -1, 40001, 40002, 40013, 40014, 40097, 40125, 40164, 40243, 41001, 41002, 41004, 42001,
        42007, 43002, 43003, 44002, 45009, 45011, 46003, 47001, 48001, 48004, 48006, 50004, 50007,
        61004, 61024, 76001, 76002, 76003, 89501, 89503, 89506, 89507,
    ] {
        let rule = FaultRule::new(Fault::Errcode(ordered)).on(TOKEN).times(1);
        world.simulator.inject(rule);
        let answer = world.classic();
        assert_eq!(errcode(&answer), ordered);
        assert!(!text(&answer["errmsg"]).starts_with("unknown"), "{ordered}");
    }
    assert_eq!(errcode(&world.classic()), 0);
    let counter = world.simulator.counter(&world.appid, TOKEN);
    assert_eq!(counter.issued, 1, "a refused call must not make a token");
}

#[tokio::test(start_paused = true)]
async fn a_rule_strikes_the_calls_that_it_names() {
    let world = World::new();
    world.simulator.inject(FaultRule {
        skip: 1,
        count: Some(2),
        ..FaultRule::new(Fault::Errcode(-1)).on(TOKEN)
    });
    let codes: Vec<_> = (0..5).map(|_| errcode(&world.classic())).collect();
    assert_eq!(codes, [0, -1, -1, 0, 0]);
    assert!(world.simulator.faults().is_empty());

    world
        .simulator
        .inject(FaultRule::new(Fault::Errcode(-1)).on("/cgi-bin/menu/get"));
    world.simulator.inject(FaultRule {
        appid: Some("wxffffffffffffffff".parse().unwrap()),
        ..FaultRule::new(Fault::Errcode(-1))
    });
    assert_eq!(errcode(&world.classic()), 0);
    world.simulator.clear_faults();
    assert!(world.simulator.faults().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_rule_strikes_as_often_as_its_probability_says() {
    let world = World::new();
    world.simulator.inject(FaultRule {
        probability: 0.25,
        ..FaultRule::new(Fault::Errcode(-1))
    });
    let struck = (0..1000)
        .filter(|_| errcode(&world.classic()) == -1)
        .count();
    assert!((200..300).contains(&struck), "{struck}");
}

#[tokio::test(start_paused = true)]
async fn bad_answers_fail_as_the_real_ones_would() {
    let world = World::new();
    let account = account(&world, TokenApi::Classic);
    let status = |status, body: &str| Fault::Status {
        status,
        body: body.to_owned(),
    };
    let cases = [
        (Fault::Errcode(-1), Class::Transient, 0),
        (Fault::BadGateway, Class::Transient, 0),
        (status(500, ""), Class::Transient, 0),
        (status(429, ""), Class::Quota, 0),
        (Fault::Unreachable, Class::Transient, 0),
        (Fault::Body("<html>".to_owned()), Class::Ambiguous, 0),
        (Fault::EmptyBody, Class::Ambiguous, 1),
        (Fault::TruncatedJson, Class::Ambiguous, 1),
        (Fault::CutOff, Class::Ambiguous, 1),
        (Fault::Reset, Class::Ambiguous, 1),
        (Fault::Hang, Class::Ambiguous, 1),
        (Fault::Delay(Duration::from_secs(11)), Class::Ambiguous, 1),
        (Fault::ExpiresIn("0".to_owned()), Class::Ambiguous, 1),
        (Fault::ExpiresIn("-1".to_owned()), Class::Ambiguous, 1),
        (Fault::ExpiresIn("\"abc\"".to_owned()), Class::Ambiguous, 1),
        (Fault::ExpiresIn(String::new()), Class::Ambiguous, 1),
    ];
    for (fault, class, issued) in cases {
        let before = world.simulator.counter(&world.appid, TOKEN).issued;
        world
            .simulator
            .inject(FaultRule::new(fault.clone()).times(1));
        let error = world.simulator.fetch_token(&account).await.unwrap_err();
        assert_eq!(error.class(), class, "{fault:?}");
        let after = world.simulator.counter(&world.appid, TOKEN).issued;
        assert_eq!(after - before, issued, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fault_may_or_may_not_keep_the_call_from_being_carried_out() {
    let world = World::new();
    for (carried_out, issued) in [(Some(true), 1), (Some(false), 1), (None, 2)] {
        world.simulator.inject(FaultRule {
            carried_out,
            ..FaultRule::new(Fault::Reset).times(1)
        });
        let reply = world.reply("GET", &world.classic_target(), "");
        assert_eq!(reply.effect, Effect::Reset);
        assert_eq!(world.simulator.counter(&world.appid, TOKEN).issued, issued);
    }
}

#[tokio::test(start_paused = true)]
async fn the_simulator_in_process_issues_and_verifies() {
    let world = World::new();
    for token_api in [TokenApi::Classic, TokenApi::Stable] {
        let account = account(&world, token_api);
        let token = world.simulator.fetch_token(&account).await.unwrap();
        assert_eq!(token.lifetime, Duration::from_secs(7200));
        let ticket = world
            .simulator
            .fetch_ticket(&account, Kind::JsapiTicket, &token.value)
            .await
            .unwrap();
        assert!(
            world
                .simulator
                .ticket_is_accepted(&world.appid, ticket.value.expose())
        );
        assert!(
            world
                .simulator
                .token_is_accepted(&world.appid, token.value.expose())
        );
        world
            .simulator
            .verify_token(&account, &token.value)
            .await
            .unwrap();
        let forged = Secret::new("forged");
        let error = world
            .simulator
            .verify_token(&account, &forged)
            .await
            .unwrap_err();
        assert_eq!(error.class(), Class::TokenRejected);
    }
}

#[tokio::test(start_paused = true)]
async fn latency_and_silence_take_their_time() {
    let world = World::new().with(|knobs| knobs.latency = Duration::from_secs(3));
    let account = account(&world, TokenApi::Classic);
    world.simulator.fetch_token(&account).await.unwrap();
    assert_eq!(world.simulator.now().as_secs(), START + 3);
    world.simulator.inject(FaultRule::new(Fault::Hang));
    let error = world.simulator.fetch_token(&account).await.unwrap_err();
    assert!(matches!(error.failure, Failure::Lost(_)));
    assert_eq!(world.simulator.now().as_secs(), START + 13);
}

#[tokio::test(start_paused = true)]
async fn the_address_of_a_caller_in_process_can_be_chosen() {
    let world = World::new().with(|knobs| knobs.ip_list = Some(vec!["10.0.0.7".to_owned()]));
    let account = account(&world, TokenApi::Classic);
    let error = world.simulator.fetch_token(&account).await.unwrap_err();
    assert_eq!(error.class(), Class::Address);
    let elsewhere = world.simulator.seen_from("10.0.0.7".parse().unwrap());
    elsewhere.fetch_token(&account).await.unwrap();
}

#[test]
fn a_rule_in_json_needs_its_fault_only() {
    let rule: FaultRule = serde_json::from_str(r#"{"fault":{"errcode":-1}}"#).unwrap();
    assert_eq!(rule, FaultRule::new(Fault::Errcode(-1)));
    for rule in [
        r#"{"fault":"hang","path":"/cgi-bin/token","count":3,"probability":0.5,"skip":1}"#,
        r#"{"fault":{"status":{"status":503}}}"#,
        r#"{"fault":{"delay":1.5},"appid":"wx0123456789abcdef"}"#,
        r#"{"fault":{"expires_in":"\"abc\""},"carried_out":true}"#,
    ] {
        serde_json::from_str::<FaultRule>(rule).unwrap();
    }
    assert!(serde_json::from_str::<FaultRule>(r#"{"fault":"hang","pth":"/"}"#).is_err());
}
