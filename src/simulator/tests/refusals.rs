//! Every errcode, in WeChat's words, and the quotas.

use serde_json::json;

use super::*;

const TOKEN: &str = "/cgi-bin/token?grant_type=client_credential";

#[tokio::test(start_paused = true)]
async fn answers_have_the_shapes_of_wechat() {
    let world = World::new();
    let reply = world.reply("GET", &world.classic_target(), "");
    assert_eq!(reply.status, 200);
    assert_eq!(reply.content_type, "application/json; encoding=utf-8");
    let body = String::from_utf8(reply.body).unwrap();
    assert!(body.starts_with(r#"{"access_token":"98_"#), "{body}");
    assert!(body.ends_with(r#"","expires_in":7200}"#), "{body}");
    let token = world.token();
    assert_eq!(token.len(), 157);
    let target = format!("/cgi-bin/ticket/getticket?access_token={token}&type=jsapi");
    let body = String::from_utf8(world.reply("GET", &target, "").body).unwrap();
    assert!(
        body.starts_with(r#"{"errcode":0,"errmsg":"ok","ticket":""#),
        "{body}"
    );
    assert_eq!(world.ticket(&token).0.len(), 86);
}

#[tokio::test(start_paused = true)]
async fn the_token_api_refuses_in_the_order_of_wechat() {
    let world = World::new();
    let cases = [
        ("/cgi-bin/token", 41002),
        ("/cgi-bin/token?appid=wx0000000000000000", 40013),
        ("/cgi-bin/token?appid=WX0123456789ABCDEF", 40013),
        ("/cgi-bin/token?appid=wx0123456789abcdef", 40002),
        (&format!("{TOKEN}&appid=wx0123456789abcdef"), 41004),
        (&format!("{TOKEN}&appid=wx0123456789abcdef&secret=x"), 40125),
    ];
    for (target, expected) in cases {
        assert_eq!(errcode(&world.get(target)), expected, "{target}");
    }
}

#[tokio::test(start_paused = true)]
async fn errmsg_has_the_words_of_wechat_and_a_rid_with_the_time() {
    let world = World::new();
    let answer = world.get("/cgi-bin/token?appid=wx0000000000000000");
    let errmsg = text(&answer["errmsg"]);
    let rid = errmsg.strip_prefix("invalid appid rid: ").unwrap();
    let groups: Vec<_> = rid.split('-').collect();
    assert_eq!(groups[0], format!("{START:08x}"));
    assert!(groups.iter().all(|group| group.len() == 8));

    world.turn(|knobs| knobs.ip_list = Some(Vec::new()));
    let errmsg = text(&world.classic()["errmsg"]);
    let expected = "invalid ip 118.190.42.90 ipv6 ::ffff:118.190.42.90, not in whitelist rid: ";
    assert!(errmsg.starts_with(expected), "{errmsg}");
    world.turn(|knobs| knobs.errmsg_dialect = Dialect::Hint);
    let errmsg = text(&world.classic()["errmsg"]);
    let expected = "invalid ip 118.190.42.90, not in whitelist hint: [";
    assert!(errmsg.starts_with(expected), "{errmsg}");
}

#[tokio::test(start_paused = true)]
async fn the_ip_list_takes_addresses_and_networks() {
    let world = World::new();
    for (list, expected) in [
        (vec!["118.190.42.90"], 0),
        (vec!["10.0.0.1", "118.190.0.0/16"], 0),
        (vec!["10.0.0.1"], 40164),
    ] {
        let list = list.into_iter().map(str::to_owned).collect();
        world.turn(|knobs| knobs.ip_list = Some(list));
        assert_eq!(errcode(&world.classic()), expected);
    }
    world.turn(|knobs| knobs.unlisted_ip_errcode = 89503);
    assert_eq!(errcode(&world.classic()), 89503);
}

#[tokio::test(start_paused = true)]
async fn a_frozen_secret_is_refused_until_it_is_thawed() {
    let world = World::new().with(|knobs| knobs.secret_frozen = true);
    assert_eq!(errcode(&world.classic()), 40243);
    world.turn(|knobs| knobs.secret_frozen = false);
    assert_eq!(errcode(&world.classic()), 0);
}

#[tokio::test(start_paused = true)]
async fn stable_token_wants_a_json_object_by_post() {
    let world = World::new();
    let path = "/cgi-bin/stable_token";
    let code = |method, body| {
        let reply = world.reply(method, path, body);
        errcode(&serde_json::from_slice(&reply.body).unwrap())
    };
    assert_eq!(code("GET", ""), 43002);
    assert_eq!(code("POST", ""), 44002);
    assert_eq!(code("POST", "appid=wx"), 47001);
    assert_eq!(code("POST", "[]"), 47001);
    assert_eq!(code("POST", "{}"), 41002);
    let mut body = world.stable_body(false);
    body["secret"] = json!("x");
    assert_eq!(errcode(&world.post(path, &body)), 40125);
}

#[tokio::test(start_paused = true)]
async fn calls_with_a_bad_token_or_type_are_refused() {
    let world = World::new();
    let path = "/cgi-bin/ticket/getticket";
    let token = world.token();
    let forged = "a".repeat(157);
    for (target, expected) in [
        (path.to_owned(), 41001),
        (format!("{path}?access_token=&type=jsapi"), 41001),
        (format!("{path}?access_token={forged}&type=jsapi"), 40001),
        (format!("{path}?access_token=%3Cx%3E&type=jsapi"), 40014),
        (format!("{path}?access_token={token}"), 40097),
        (format!("{path}?access_token={token}&type=x"), 40097),
        (format!("/cgi-bin/menu/get?access_token={token}"), 46003),
        (format!("/cgi-bin/getcallbackip?access_token={token}"), 0),
        (
            format!("/cgi-bin/get_api_domain_ip?access_token={token}"),
            0,
        ),
    ] {
        assert_eq!(errcode(&world.get(&target)), expected, "{target}");
    }
    world.turn(|knobs| {
        knobs.ticket_checks_ip = true;
        knobs.ip_list = Some(Vec::new());
    });
    let answer = world.get(&format!("{path}?access_token={token}&type=jsapi"));
    let errmsg = text(&answer["errmsg"]);
    assert_eq!(errcode(&answer), 61004);
    assert!(errmsg.contains("requestIP: 118.190.*.* rid: "), "{errmsg}");
}

#[tokio::test(start_paused = true)]
async fn a_day_s_quota_is_refilled_at_midnight_in_china() {
    let world = World::new().with(|knobs| knobs.quotas.token_day = 2);
    assert_eq!(errcode(&world.classic()), 0);
    assert_eq!(errcode(&world.classic()), 0);
    let answer = world.classic();
    assert_eq!(errcode(&answer), 45009);
    assert!(text(&answer["errmsg"]).starts_with("reach max api daily quota limit rid: "));
    // 06:00 in China is 18 hours before midnight.
    assert_eq!(errcode(&world.at(18 * 3600 - 1).classic()), 45009);
    assert_eq!(errcode(&world.at(18 * 3600).classic()), 0);
}

#[tokio::test(start_paused = true)]
async fn a_used_up_quota_is_cleared_without_a_token_ten_times_a_month() {
    let world = World::new().with(|knobs| knobs.quotas.token_day = 0);
    let target = format!(
        "/cgi-bin/clear_quota/v2?appid={}&appsecret={SECRET}",
        world.appid
    );
    for _ in 0..10 {
        assert_eq!(errcode(&world.post(&target, &json!({}))), 0);
    }
    assert_eq!(errcode(&world.post(&target, &json!({}))), 48006);
    let body = json!({"appid": world.appid, "appsecret": "x"});
    assert_eq!(
        errcode(&world.post("/cgi-bin/clear_quota/v2", &body)),
        40125
    );
    world.at(31 * 86_400);
    assert_eq!(errcode(&world.post(&target, &json!({}))), 0);
}

#[tokio::test(start_paused = true)]
async fn a_quota_can_be_looked_up_and_cleared_with_a_token() {
    let world = World::new();
    let token = world.token();
    world.ticket(&token);
    let path = json!({"cgi_path": "/cgi-bin/ticket/getticket"});
    let quota = format!("/cgi-bin/openapi/quota/get?access_token={token}");
    let used = json!({"daily_limit": 10_000, "used": 1, "remain": 9999});
    assert_eq!(world.post(&quota, &path)["quota"], used);
    let clear = format!("/cgi-bin/openapi/quota/clear?access_token={token}");
    assert_eq!(errcode(&world.post(&clear, &path)), 0);
    assert_eq!(world.post(&quota, &path)["quota"]["used"], 0);
    let bad = json!({"cgi_path": "ticket/getticket"});
    assert_eq!(errcode(&world.post(&quota, &bad)), 76003);

    let clear = format!("/cgi-bin/clear_quota?access_token={token}");
    assert_eq!(
        errcode(&world.post(&clear, &json!({"appid": world.appid}))),
        0
    );
    let other = json!({"appid": "wx0000000000000000"});
    assert_eq!(errcode(&world.post(&clear, &other)), 40013);
}

#[tokio::test(start_paused = true)]
async fn stable_token_has_limits_by_minute_and_for_force() {
    let world = World::new().with(|knobs| {
        knobs.quotas.stable_minute = 3;
        knobs.quotas.forced_day = 2;
    });
    let code = |force| errcode(&world.post("/cgi-bin/stable_token", &world.stable_body(force)));
    assert_eq!((code(false), code(false), code(false)), (0, 0, 0));
    assert_eq!(code(false), 45011);
    world.at(60);
    assert_eq!(code(true), 0);
    world.at(120);
    assert_eq!(code(true), 0);
    world.at(180);
    assert_eq!(code(true), 45009);
    assert_eq!(code(false), 0);
}

#[tokio::test(start_paused = true)]
async fn a_request_can_be_looked_up_by_its_rid() {
    let world = World::new();
    let token = world.token();
    let answer = world.get(&format!("/cgi-bin/menu/get?access_token={token}"));
    let errmsg = text(&answer["errmsg"]);
    let rid = errmsg.rsplit(' ').next().unwrap();
    let target = format!("/cgi-bin/openapi/rid/get?access_token={token}");
    let found = world.post(&target, &json!({"rid": rid}));
    assert_eq!(found["request"]["invoke_time"], START);
    assert_eq!(found["request"]["client_ip"], "118.190.42.90");
    let unknown = json!({"rid": "00000000-00000000-00000000"});
    assert_eq!(errcode(&world.post(&target, &unknown)), 76001);
    assert_eq!(errcode(&world.post(&target, &json!({"rid": "x"}))), 76002);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_path_is_not_found() {
    let reply = World::new().reply("GET", "/cgi-bin/nothing", "");
    assert_eq!((reply.status, reply.body.len()), (404, 0));
}

#[tokio::test(start_paused = true)]
async fn counters_tell_requests_issues_and_errcodes_apart() {
    let world = World::new();
    world.token();
    world.get(&format!("{TOKEN}&appid={}&secret=x", world.appid));
    let counter = world.simulator.counter(&world.appid, "/cgi-bin/token");
    assert_eq!((counter.requests, counter.issued), (2, 1));
    assert_eq!(counter.errcodes, [(40125, 1)].into());
}
