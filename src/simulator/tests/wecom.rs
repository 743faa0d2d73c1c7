//! WeCom's apps beside official accounts.

use serde_json::json;

use super::*;
use crate::signer::Signer;

const APP: &str = "ww0123456789abcdef-1000002";
const OTHER: &str = "ww0123456789abcdef-1000003";
const PAGE: &str = "https://work.example.com/desk?id=1";

fn world() -> World {
    let world = World::new();
    for (app, secret) in [(APP, "secret-2"), (OTHER, "secret-3")] {
        world.simulator.add_app(App {
            domains: vec!["work.example.com".to_owned()],
            ..App::new(app.parse().unwrap(), Secret::new(secret))
        });
    }
    world
}

fn gettoken(world: &World, secret: &str) -> Value {
    world.get(&format!(
        "/cgi-bin/gettoken?corpid=ww0123456789abcdef&corpsecret={secret}"
    ))
}

fn token(world: &World, secret: &str) -> String {
    text(&gettoken(world, secret)["access_token"])
}

fn tickets(world: &World, token: &str) -> [Value; 2] {
    [
        world.get(&format!("/cgi-bin/get_jsapi_ticket?access_token={token}")),
        world.get(&format!(
            "/cgi-bin/ticket/get?access_token={token}&type=agent_config"
        )),
    ]
}

#[tokio::test(start_paused = true)]
async fn an_app_gets_the_same_token_until_its_end_and_a_full_life_is_named() {
    let world = world();
    let reply = world.reply(
        "GET",
        "/cgi-bin/gettoken?corpid=ww0123456789abcdef&corpsecret=secret-2",
        "",
    );
    let body = String::from_utf8(reply.body).unwrap();
    assert!(
        body.starts_with(r#"{"errcode":0,"errmsg":"ok","access_token":""#),
        "{body}"
    );
    assert!(body.ends_with(r#"","expires_in":7200}"#), "{body}");
    let first = token(&world, "secret-2");
    assert_ne!(first, token(&world, "secret-3"), "each app has its own");
    assert_eq!(gettoken(world.at(7199), "secret-2")["expires_in"], 7200);
    assert_eq!(token(&world, "secret-2"), first);
    assert_eq!(world.probe(&first), 0);
    assert_eq!(world.at(7200).probe(&first), 42001);
    assert_ne!(token(&world, "secret-2"), first);
}

#[tokio::test(start_paused = true)]
async fn wecom_refuses_in_its_own_words() {
    let world = world();
    for (target, errcode, text) in [
        ("gettoken", 41002, "corpid missing"),
        (
            "gettoken?corpid=ww0123456789abcdef",
            41004,
            "corpsecret missing",
        ),
        (
            "gettoken?corpid=wwffffffffffffffff&corpsecret=x",
            40013,
            "invalid corpid",
        ),
        (
            "gettoken?corpid=ww0123456789abcdef&corpsecret=x",
            40001,
            "invalid credential",
        ),
        (
            "get_jsapi_ticket?access_token=forged",
            40014,
            "invalid access_token",
        ),
        (
            "ticket/get?type=agent_config",
            41001,
            "access_token missing",
        ),
    ] {
        let answer = world.get(&format!("/cgi-bin/{target}"));
        assert_eq!(answer["errcode"], errcode, "{target}");
        let errmsg = super::text(&answer["errmsg"]);
        assert!(errmsg.starts_with(&format!("{text}, hint: [")), "{errmsg}");
        let end = format!(
            "], from ip: 118.190.42.90, more info at https://open.work.weixin.qq.com/devtool/query?e={errcode}"
        );
        assert!(errmsg.ends_with(&end), "{errmsg}");
    }
    let official = world.token();
    assert_eq!(
        tickets(&world, &official).map(|answer| errcode(&answer)),
        [40014; 2]
    );
    let app = token(&world, "secret-2");
    let getticket = format!("/cgi-bin/ticket/getticket?access_token={app}&type=jsapi");
    assert_eq!(errcode(&world.get(&getticket)), 48002);
    let untyped = format!("/cgi-bin/ticket/get?access_token={app}");
    assert_eq!(errcode(&world.get(&untyped)), 40005);
}

#[tokio::test(start_paused = true)]
async fn addresses_and_quotas_are_looked_at_where_tickets_are_fetched() {
    let world = world();
    let app: AppId = APP.parse().unwrap();
    let token = token(&world, "secret-2");
    let turn = |turn: &dyn Fn(&mut Knobs)| {
        world
            .simulator
            .change_app(&app, |app| turn(&mut app.knobs))
            .unwrap();
    };
    turn(&|knobs| knobs.ip_list = Some(Vec::new()));
    assert_eq!(errcode(&gettoken(&world, "secret-2")), 0);
    assert_eq!(
        tickets(&world, &token).map(|answer| errcode(&answer)),
        [60020; 2]
    );
    turn(&|knobs| knobs.ip_list = None);
    for _ in 0..100 {
        assert_eq!(
            tickets(&world, &token).map(|answer| errcode(&answer)),
            [0; 2]
        );
    }
    assert_eq!(
        tickets(&world, &token).map(|answer| errcode(&answer)),
        [45009; 2]
    );
    // The corporation has had that hour's calls when its apps have had them together.
    turn(&|knobs| knobs.quotas.wecom_ticket_hour = 400);
    let next = app_beside(&world);
    for _ in 0..300 {
        assert_eq!(
            tickets(&world, &next).map(|answer| errcode(&answer)),
            [0; 2]
        );
    }
    for token in [&token, &next] {
        assert_eq!(
            tickets(&world, token).map(|answer| errcode(&answer)),
            [45009; 2]
        );
    }
    assert_eq!(
        tickets(world.at(3600), &token).map(|answer| errcode(&answer)),
        [0; 2]
    );
}

/// The token of another app of the corporation, which may fetch tickets as often as it likes.
fn app_beside(world: &World) -> String {
    let app: AppId = OTHER.parse().unwrap();
    let turn = |app: &mut App| app.knobs.quotas.wecom_ticket_hour = u64::MAX;
    world.simulator.change_app(&app, turn).unwrap();
    token(world, "secret-3")
}

/// What the client finds of a signature with `ticket`, under the names of `wx.config` or of
/// `wx.agentConfig`.
fn verdict(world: &World, ticket: &Value, names: Value) -> Verdict {
    let signer = Signer::new(&Secret::new(text(ticket)));
    let mut ask = names;
    ask["timestamp"] = json!(START);
    ask["nonceStr"] = json!("Wm3WZYTPz0wzccnW");
    ask["jsApiList"] = json!(["selectExternalContact"]);
    ask["urls"] = json!([PAGE]);
    let signed = signer.sign_text(b"Wm3WZYTPz0wzccnW", START.to_string().as_bytes(), PAGE);
    ask["signature"] = json!(signed.as_str());
    world
        .simulator
        .preverify(&serde_json::from_value(ask).unwrap())
}

#[tokio::test(start_paused = true)]
async fn each_of_the_two_tickets_signs_its_own_config() {
    let world = world();
    let [corp, agent] =
        tickets(&world, &token(&world, "secret-2")).map(|answer| answer["ticket"].clone());
    let [_, other] =
        tickets(&world, &token(&world, "secret-3")).map(|answer| answer["ticket"].clone());
    let config = || json!({"appId": "ww0123456789abcdef"});
    let agent_config = || json!({"corpid": "ww0123456789abcdef", "agentid": 1_000_002});
    assert!(verdict(&world, &corp, config()).ok);
    assert!(verdict(&world, &agent, agent_config()).ok);

    let mixed = verdict(&world, &corp, agent_config());
    assert_eq!(mixed.bridge_err_msg, "agentConfig:fail_ticket no available");
    assert_eq!(mixed.diagnosis[0].code, Mistake::TicketsMixed);
    let mixed = verdict(&world, &agent, config());
    assert_eq!(
        mixed.bridge_err_msg,
        "pre_verify_jsapi:fail_invalid signature"
    );
    assert_eq!(mixed.diagnosis[0].code, Mistake::TicketsMixed);
    let wrong = verdict(&world, &other, agent_config());
    assert_eq!(wrong.errmsg, "invalid signature");
    let unknown = verdict(
        &world,
        &agent,
        json!({"corpid": "ww0123456789abcdef", "agentid": "7"}),
    );
    assert_eq!(unknown.errmsg, "invalid corpId");
}

#[tokio::test(start_paused = true)]
async fn a_ticket_of_wecom_ends_two_hours_after_it_came() {
    let world = world();
    world.at(1000);
    let token = token(&world, "secret-2");
    let [corp, _] = tickets(&world, &token);
    let [same, _] = tickets(world.at(8199), &token);
    assert_eq!(corp, same, "the life that is named is the full one again");
    assert!(
        verdict(
            &world,
            &corp["ticket"],
            json!({"appId": "ww0123456789abcdef"})
        )
        .ok
    );
    world.at(8200);
    assert!(
        !verdict(
            &world,
            &corp["ticket"],
            json!({"appId": "ww0123456789abcdef"})
        )
        .ok
    );
}
