//! Both faces over HTTP, without sockets.

use axum::body::{Body, to_bytes};
use axum::response::Response;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

use super::*;

async fn send(world: &World, method: &str, target: &str, body: Value) -> Response {
    let simulator = &world.simulator;
    let router = wechat_router(simulator.clone()).merge(control_router(simulator.clone()));
    let body = match body {
        Value::Null => Body::empty(),
        body => Body::from(body.to_string()),
    };
    let request = ::http::Request::builder()
        .method(method)
        .uri(target)
        .header("content-type", "application/json")
        .body(body);
    router.oneshot(request.unwrap()).await.unwrap()
}

async fn json_of(response: Response) -> Value {
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    serde_json::from_slice(&body).unwrap()
}

#[tokio::test(start_paused = true)]
async fn wechat_s_paths_answer_over_http() {
    let world = World::new();
    let response = send(&world, "GET", &world.classic_target(), Value::Null).await;
    assert_eq!(response.status(), 200);
    assert_eq!(
        response.headers()["content-type"],
        "application/json; encoding=utf-8"
    );
    assert_eq!(json_of(response).await["expires_in"], 7200);
    let body = world.stable_body(false);
    let response = send(&world, "POST", "/cgi-bin/stable_token", body).await;
    assert_eq!(json_of(response).await["expires_in"], 7200);
    let response = send(&world, "GET", "/cgi-bin/nothing", Value::Null).await;
    assert_eq!(response.status(), 404);
}

#[tokio::test(start_paused = true)]
async fn faults_spoil_the_answer_over_http() {
    let world = World::new();
    for (fault, arrives) in [("cut_off", true), ("reset", false), ("hang", false)] {
        let rule = json!({"fault": fault, "count": 1});
        let response = send(&world, "POST", "/simulator/control/faults", rule).await;
        assert_eq!(response.status(), 204);
        let response = send(&world, "GET", &world.classic_target(), Value::Null).await;
        let promised = response.headers()["content-length"]
            .to_str()
            .unwrap()
            .to_owned();
        assert_eq!(promised.parse::<usize>().unwrap() > 1, arrives, "{fault}");
        assert!(
            to_bytes(response.into_body(), 1 << 20).await.is_err(),
            "{fault}"
        );
    }
    let rule = json!({"fault": "bad_gateway"});
    send(&world, "POST", "/simulator/control/faults", rule).await;
    let response = send(&world, "GET", &world.classic_target(), Value::Null).await;
    assert_eq!(response.status(), 502);
    send(&world, "DELETE", "/simulator/control/faults", Value::Null).await;
    let response = send(&world, "GET", &world.classic_target(), Value::Null).await;
    assert_eq!(response.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn an_account_is_added_and_changed_by_the_control_interface() {
    let world = World::new();
    let path = "/simulator/control/apps/wxffffffffffffffff";
    let response = send(&world, "PUT", path, json!({})).await;
    assert_eq!(response.status(), 400);
    let new = json!({"secret": "s", "domains": ["a.example.com"], "knobs": {"latency": 0.5}});
    assert_eq!(send(&world, "PUT", path, new).await.status(), 204);
    let changed = json!({"knobs": {"secret_frozen": true}});
    assert_eq!(send(&world, "PUT", path, changed).await.status(), 204);
    let apps = world.simulator.apps();
    let app = apps.last().unwrap();
    assert!(app.knobs.secret_frozen && app.knobs.latency == Duration::from_millis(500));
    assert_eq!(app.domains, ["a.example.com"]);
    let wrong = send(&world, "PUT", path, json!({"knobs": {"latncy": 1}})).await;
    assert_eq!(wrong.status(), 400);
    let problem = json_of(wrong).await;
    assert!(text(&problem["detail"]).contains("latncy"), "{problem}");
    let overview = send(&world, "GET", "/simulator/control", Value::Null).await;
    assert_eq!(json_of(overview).await["apps"].as_array().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn time_and_credentials_move_by_the_control_interface() {
    let world = World::new();
    let ticket = async || {
        let target = format!("/simulator/control/tickets?appid={}", world.appid);
        let answer = json_of(send(&world, "GET", &target, Value::Null).await).await;
        text(&answer["ticket"])
    };
    let first = ticket().await;
    assert_eq!(first, world.ticket(&world.token()).0);
    let order = json!({"appid": world.appid, "action": "rotate_ticket"});
    send(&world, "POST", "/simulator/control/actions", order).await;
    let second = ticket().await;
    assert_ne!(second, first);
    let by = json!({"seconds": 7200});
    send(&world, "POST", "/simulator/control/advance", by).await;
    assert_ne!(ticket().await, second);
    assert_eq!(world.simulator.now().as_secs(), START + 7200);

    let unknown = json!({"appid": "wxffffffffffffffff", "action": "steal_token"});
    let response = send(&world, "POST", "/simulator/control/actions", unknown).await;
    assert_eq!(response.status(), 404);
    let counters = send(&world, "GET", "/simulator/control/counters", Value::Null).await;
    let counters = json_of(counters).await;
    assert_eq!(
        counters[world.appid.as_str()]["/cgi-bin/token"]["issued"],
        1
    );
    let events = send(&world, "GET", "/simulator/control/events", Value::Null).await;
    assert!(json_of(events).await.as_array().unwrap().len() > 3);
}

#[tokio::test(start_paused = true)]
async fn a_page_is_signed_with_a_mistake_and_judged() {
    let world = World::new();
    for (mistake, expected) in [
        ("none", None),
        ("stale_ticket", Some("stale_ticket")),
        ("foreign_host", Some("host_differs")),
    ] {
        let url = "https://h5.example.com/demo?a=1";
        let ask = json!({"appid": world.appid, "url": url, "mistake": mistake});
        let config = json_of(send(&world, "POST", "/simulator/sign", ask).await).await;
        let ask = json!({
            "appId": config["appId"], "timestamp": config["timestamp"].to_string(),
            "nonceStr": config["nonceStr"], "signature": config["signature"],
            "jsApiList": ["scanQRCode"], "urls": [url],
        });
        let verdict = json_of(send(&world, "POST", "/simulator/preverify", ask).await).await;
        assert_eq!(verdict["ok"], expected.is_none(), "{verdict}");
        assert_eq!(
            verdict["diagnosis"][0]["code"].as_str(),
            expected,
            "{verdict}"
        );
    }
    let ask =
        json!({"appid": world.appid, "url": "https://h5.example.com/", "mistake": "query_cut"});
    let response = send(&world, "POST", "/simulator/sign", ask).await;
    assert_eq!(response.status(), 422);
    let broken = send(&world, "POST", "/simulator/sign", json!({"appid": 1})).await;
    assert_eq!(broken.headers()["content-type"], "application/problem+json");
}

#[tokio::test]
async fn a_cut_connection_ends_in_the_middle_over_a_real_socket() {
    let world = World::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = wechat_router(world.simulator.clone());
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    for (fault, head, all) in [
        (Some(Fault::CutOff), true, false),
        (Some(Fault::Reset), false, false),
        (None, true, true),
    ] {
        if let Some(fault) = fault {
            world.simulator.inject(FaultRule::new(fault).times(1));
        }
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!(
            "GET {} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
            world.classic_target()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // A reset is an error here, and what came before it counts all the same.
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8(answer).unwrap();
        assert_eq!(answer.contains("access_token"), head, "{answer}");
        assert_eq!(answer.is_empty(), !head, "{answer}");
        assert_eq!(answer.ends_with("7200}"), all, "{answer}");
    }
    server.abort();
}

#[tokio::test(start_paused = true)]
async fn a_large_upload_and_a_message_are_taken() {
    let world = World::new();
    let token = world.token();
    let post = async |target: String, body: Body| {
        let router = wechat_router(world.simulator.clone());
        let request = ::http::Request::post(target).body(body).unwrap();
        router.oneshot(request).await.unwrap()
    };
    let upload = format!("/cgi-bin/media/upload?access_token={token}&type=");
    let large = || Body::from(vec![b'x'; 20 << 20]);
    let uploaded = json_of(post(format!("{upload}image"), large()).await).await;
    assert_eq!(uploaded["type"], "image");
    assert_eq!(text(&uploaded["media_id"]).len(), 64);
    assert_eq!(uploaded["created_at"], START);
    let refused = json_of(post(format!("{upload}tune"), large()).await).await;
    assert_eq!(refused["errcode"], 40004);
    let refused = json_of(post(format!("{upload}image"), Body::empty()).await).await;
    assert_eq!(refused["errcode"], 41005);
    let too_large = Body::from(vec![b'x'; (32 << 20) + 1]);
    assert_eq!(
        post(format!("{upload}image"), too_large).await.status(),
        413
    );

    let message = format!("/cgi-bin/message/custom/send?access_token={token}");
    let sent = post(message.clone(), Body::from(r#"{"touser":"o"}"#)).await;
    assert_eq!(json_of(sent).await["errcode"], 0);
    let refused = json_of(post(message, Body::from("touser=o")).await).await;
    assert_eq!(refused["errcode"], 47001);
}
