//! Who had which token stands in the log; the token itself, the ticket and the keys do not.

use serde_json::{Value, json};

use crate::canaries;
use crate::harness::{APPID, Place, TICKET_PATH, TOKEN_PATH, WeChat, Wxsign, eventually};

const KEY: &str = "wxk_AuditAuditAuditAuditAuditAuditAudit";
const WRONG_KEY: &str = "wxk_WrongWrongWrongWrongWrongWrongWrong";

/// Asks as a back end with `key`.
async fn ask(wxsign: &Wxsign, line: &str, key: &str, body: &str) -> Value {
    wxsign.confide(line, key, body).await.json
}

/// What the log says about back ends, as soon as that are `count` lines.
async fn audit(wxsign: &Wxsign, count: usize) -> Vec<Value> {
    eventually("the lines of the log", async || {
        let log = wxsign.log();
        // The last line may not be whole yet.
        let lines = log
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        let lines = lines.filter(|line: &Value| line["target"] == "wxsign::audit");
        Some(lines.collect()).filter(|lines: &Vec<_>| lines.len() >= count)
    })
    .await
}

#[tokio::test]
async fn the_log_tells_who_had_which_token_and_shows_no_token_and_no_key() {
    let wechat = WeChat::start().await;
    let place = Place::new(&wechat.url)
        .with("WXSIGN_LOG_FORMAT", "json")
        .with("WXSIGN_CLIENT_KEY", KEY);
    let wxsign = place.serve().await;
    wxsign.signs().await;
    let account = format!("/v1/accounts/{APPID}");
    let read = format!("GET {account}/access-token");
    let token = ask(&wxsign, &read, KEY, "").await;
    let ticket = format!("GET {account}/jsapi-ticket");
    let ticket = ask(&wxsign, &ticket, KEY, "").await;
    let report = format!("POST {account}/access-token/report");
    let reported = json!({ "access_token": token["access_token"], "errcode": 40001 });
    let reported = ask(&wxsign, &report, KEY, &reported.to_string()).await;
    assert_eq!(reported["code"], "still_valid");
    let check = format!("POST {account}/access-token/check");
    assert_eq!(ask(&wxsign, &check, KEY, "").await["valid"], true);
    let fetch = |key| {
        let grant = "grant_type=client_credential";
        format!("GET {TOKEN_PATH}?{grant}&appid={APPID}&secret={key}")
    };
    for _ in 0..2 {
        let fetched = ask(&wxsign, &fetch(KEY), "", "").await;
        assert_eq!(fetched["access_token"], token["access_token"]);
    }
    let value = token["access_token"].as_str().unwrap();
    let with_token = format!("GET {TICKET_PATH}?access_token={value}&type=jsapi");
    assert_eq!(ask(&wxsign, &with_token, "", "").await["errcode"], 0);
    let broken = format!("{{\"access_token\": \"{value}\", \"errcode\": }}");
    ask(&wxsign, &report, KEY, &broken).await;
    ask(&wxsign, &read, WRONG_KEY, "").await;
    ask(&wxsign, &fetch(WRONG_KEY), "", "").await;
    ask(&wxsign, &format!("{read}?key={KEY}"), KEY, "").await;
    ask(&wxsign, &format!("{read}?access_token={value}"), KEY, "").await;

    let (of_token, of_ticket) = (&token["fingerprint"], &ticket["fingerprint"]);
    let named = |did: &str, of: &Value, result: &str| {
        (
            json!("WXSIGN_CLIENT_KEY"),
            json!(did),
            of.clone(),
            json!(result),
        )
    };
    let (refused, told): (Vec<_>, Vec<_>) = (audit(&wxsign, 10).await)
        .into_iter()
        .partition(|line| line["result"] == "refused");
    let told: Vec<_> = (told.into_iter())
        .map(|line| {
            assert_eq!(line["appid"], APPID, "{line}");
            let generation = if line["fingerprint"].is_null() {
                Value::Null
            } else {
                1.into()
            };
            assert_eq!(line["generation"], generation, "{line}");
            let part = |name: &str| line[name].clone();
            (
                part("client"),
                part("did"),
                part("fingerprint"),
                part("result"),
            )
        })
        .collect();
    let anonymous = (
        Value::Null,
        json!("fetch the jsapi_ticket with the token"),
        of_ticket.clone(),
        json!("ok"),
    );
    let expected = [
        named("read the access_token", of_token, "ok"),
        named("read the jsapi_ticket", of_ticket, "ok"),
        named("report the access_token", of_token, "still_valid"),
        named("check the access_token", &Value::Null, "valid"),
        named("fetch the access_token", of_token, "ok"),
        named("fetch the access_token again", of_token, "ok"),
        anonymous,
        named("read the access_token", of_token, "ok"),
    ];
    assert_eq!(told, expected);
    assert_eq!(refused.len(), 2);
    assert!(refused.iter().all(|line| line["address"] == "127.0.0.1"));

    let log = wxsign.log();
    canaries::assert_none_in(&log);
    for key in [KEY, WRONG_KEY] {
        assert!(!log.contains(&key[4..12]), "{log}");
    }
}
