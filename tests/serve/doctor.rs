//! `wxsign doctor` and `wxsign healthcheck`: what an operator asks before and after a server runs.

use serde_json::Value;
use wxsign::clock::Timestamp;
use wxsign::credential::Kind;
use wxsign::simulator::{App, Fault, FaultRule};
use wxsign::store::{Key, Sqlite, Store, Tell};

use crate::canaries::APP_SECRET;
use crate::harness::{
    APPID, Place, Ran, TICKET_PATH, TOKEN_PATH, WeChat, appid, eventually, nobody,
};
use crate::listening::{issue, with_certificate};

/// The findings as JSON, and the exit code.
async fn examine(place: &Place) -> (Vec<Value>, Option<i32>) {
    let ran = place.run(&["doctor", "--json"], "").await;
    let findings = serde_json::from_str(&ran.stdout);
    (
        findings.unwrap_or_else(|why| panic!("{why}: {ran:?}")),
        ran.code,
    )
}

fn outcome<'a>(findings: &'a [Value], step: &str) -> Option<&'a str> {
    let found = findings.iter().find(|found| found["step"] == step);
    found.map(|found| found["outcome"].as_str().unwrap())
}

fn told(ran: &Ran) -> String {
    // Times and durations differ each time, and so does the port of WeChat.
    let mut told = String::new();
    for line in ran.stdout.lines() {
        let shown = match line.split_once(" and answered after ") {
            Some((before, _)) => format!("{before} and answered after […] ms"),
            None => line.split(" rid: ").next().unwrap().to_owned(),
        };
        told += &(shown + "\n");
    }
    told
}

#[tokio::test]
async fn before_the_first_start_it_says_what_to_compare_and_leaves_nothing_behind() {
    let wechat = WeChat::start().await;
    let place = Place::new(&wechat.url).with_database();
    let ran = place.run(&["doctor"], "").await;
    assert_eq!((ran.code, &*ran.stderr), (Some(0), ""), "{ran:?}");
    insta::assert_snapshot!("doctor_before_the_first_start", told(&ran));
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
    // The classic API was not asked, so the token of whoever else is there lives on.
    assert_eq!(wechat.calls(TOKEN_PATH), 0);
}

#[tokio::test]
async fn beside_a_server_it_tries_the_stored_token_and_takes_nothing_away() {
    let wechat = WeChat::start().await;
    let place = Place::new(&wechat.url).with_database();
    let wxsign = place.serve().await;
    wxsign.signs().await;
    let stored = place.stored(Kind::AccessToken).await;
    let (findings, code) = examine(&place).await;
    assert_eq!(code, Some(0), "{findings:#?}");
    for step in [
        "configuration",
        "network",
        "clock",
        "store",
        "app_secret",
        "access_token",
        "jsapi_ticket",
    ] {
        assert_eq!(outcome(&findings, step), Some("good"), "{findings:#?}");
    }
    assert_eq!(outcome(&findings, "page_hosts"), Some("note"));
    assert_eq!(wechat.calls(TOKEN_PATH), 1);
    assert_eq!(place.stored(Kind::AccessToken).await, stored);
    let config = wxsign.signs().await;
    assert!(wechat.accepts(&config));
}

#[tokio::test]
async fn what_wechat_refuses_is_explained_in_two_languages_and_ends_with_3() {
    let wechat = WeChat::start().await;
    let mut place = Place::new(&wechat.url).with_database();
    let not_listed = FaultRule::new(Fault::Errcode(40164));
    wechat
        .simulator
        .inject(not_listed.on("/cgi-bin/stable_token"));
    for (name, locale) in [
        ("doctor_address_not_listed", "C.UTF-8"),
        ("doctor_address_not_listed_zh", "zh_CN.UTF-8"),
    ] {
        place.set("LANG", locale);
        let ran = place.run(&["doctor"], "").await;
        assert_eq!(ran.code, Some(3), "{ran:?}");
        assert!(ran.stderr.contains("1 step failed"), "{ran:?}");
        let told = told(&ran);
        let told = told.lines().skip_while(|line| !line.contains(APPID));
        let told: Vec<&str> = told.collect();
        insta::assert_snapshot!(name, told.join("\n"));
    }
}

#[tokio::test]
async fn a_ticket_that_is_refused_is_told_apart_from_a_token_that_is_not() {
    let wechat = WeChat::start().await;
    let place = Place::new(&wechat.url).with_database();
    let refused = FaultRule::new(Fault::Errcode(48001)).on(TICKET_PATH);
    wechat.simulator.inject(refused);
    let (findings, code) = examine(&place).await;
    assert_eq!(code, Some(3));
    assert_eq!(outcome(&findings, "app_secret"), Some("good"));
    assert_eq!(outcome(&findings, "jsapi_ticket"), Some("bad"));
    let of_ticket = findings
        .iter()
        .find(|found| found["step"] == "jsapi_ticket");
    let of_ticket = of_ticket.unwrap();
    let remedy = of_ticket["remedy"]["zh"].as_str().unwrap();
    assert!(remedy.contains("微信认证"), "{remedy}");
    assert_eq!(of_ticket["appid"], APPID);
}

#[tokio::test]
async fn the_ticket_for_coupons_is_tried_where_it_is_wanted() {
    let wechat = WeChat::start().await;
    let mut place = Place::new(&wechat.url).with_database();
    let (findings, _) = examine(&place).await;
    assert_eq!(outcome(&findings, "card_ticket"), None);
    place.set("WXSIGN_WX_CARD", "true");
    let (findings, code) = examine(&place).await;
    assert_eq!(code, Some(0), "{findings:#?}");
    assert_eq!(outcome(&findings, "card_ticket"), Some("good"));
    let may_not = |app: &mut App| app.knobs.card_errcode = Some(48001);
    wechat.simulator.change_app(&appid(), may_not).unwrap();
    let (findings, code) = examine(&place).await;
    assert_eq!(code, Some(3));
    assert_eq!(outcome(&findings, "jsapi_ticket"), Some("good"));
    assert_eq!(outcome(&findings, "card_ticket"), Some("bad"));
}

#[tokio::test]
async fn without_a_way_to_wechat_nothing_else_is_tried() {
    let place = Place::new(&nobody()).with_database();
    let (findings, code) = examine(&place).await;
    assert_eq!(code, Some(3));
    assert_eq!(outcome(&findings, "network"), Some("bad"));
    assert_eq!(outcome(&findings, "app_secret"), None);
}

#[tokio::test]
async fn a_store_that_cannot_be_used_ends_with_1_and_wechat_is_tried_all_the_same() {
    let wechat = WeChat::start().await;
    let mut place = Place::new(&wechat.url);
    for (name, content) in [("no/such/dir.db", None), ("text", Some("no database"))] {
        if let Some(content) = content {
            std::fs::write(place.path().join(name), content).unwrap();
        }
        place.set("WXSIGN_STORE", &format!("sqlite:{name}"));
        let (findings, code) = examine(&place).await;
        assert_eq!(code, Some(1), "{name}");
        assert_eq!(outcome(&findings, "store"), Some("bad"), "{name}");
        assert_eq!(outcome(&findings, "jsapi_ticket"), Some("good"), "{name}");
    }
}

#[tokio::test]
async fn one_account_alone_is_tried_if_it_is_there() {
    let wechat = WeChat::start().await;
    let place = Place::new(&wechat.url);
    let ran = place.run(&["doctor", APPID], "").await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let ran = place.run(&["doctor", "wxffffffffffffffff"], "").await;
    assert_eq!((ran.code, &*ran.stdout), (Some(1), ""), "{ran:?}");
    assert!(ran.stderr.contains("wxsign account list"), "{ran:?}");
}

#[tokio::test]
async fn faults_of_the_configuration_end_with_78() {
    let place = Place::new("ftp://api.weixin.qq.com").with("WXSIGN_APPID", "wrong");
    let (findings, code) = examine(&place).await;
    assert_eq!(code, Some(78));
    assert!(findings.len() >= 2, "{findings:#?}");
    assert!(findings.iter().all(|found| found["outcome"] == "bad"));
}

#[tokio::test]
async fn another_program_that_fetches_tokens_is_told_of_with_the_times() {
    let wechat = WeChat::start().await;
    let place = Place::new(&wechat.url).with_database();
    let store = Store::new(Sqlite::open(&place.path().join("wxsign.db")).unwrap());
    let key = Key {
        appid: appid(),
        kind: Kind::AccessToken,
    };
    let (mut record, version) = store.load(&key).await.unwrap();
    let now = wxsign::clock::Clock::system().now();
    record.died_young = vec![now, Timestamp::from_secs(now.as_secs() - 3600)];
    let swapped = store.swap(&key, version, &record, Tell::Nobody).await;
    assert!(swapped.unwrap().is_some());
    let (findings, code) = examine(&place).await;
    assert_eq!(code, Some(0));
    assert_eq!(outcome(&findings, "other_programs"), Some("warning"));
    let found = findings
        .iter()
        .find(|found| found["step"] == "other_programs");
    let said = found.unwrap()["said"].as_str().unwrap();
    assert_eq!(said.matches('Z').count(), 2, "{said}");
}

#[tokio::test]
async fn the_demo_says_how_to_go_on_with_a_real_account() {
    let wechat = WeChat::start().await;
    let place = Place::new(&wechat.url).with("WXSIGN_LISTEN", "127.0.0.1:0");
    let demo = place.demo().await;
    demo.prints(" serve\n").await;
    let said = demo.said();
    let (_, lines) = said.split_once("With a real account").unwrap();
    let lines = lines.lines().skip(1).take(2).collect::<Vec<_>>().join("\n");
    std::fs::write(place.path().join("FILE"), APP_SECRET).unwrap();
    // A shell that is killed leaves what it runs behind, unless that took its place.
    let lines = lines.replace("wx…", APPID).replace("&& ", "&& exec ");
    let script = format!("unset WXSIGN_SECRET\n{lines}");
    let wxsign = place.start_by("sh", &["-c", &script], "serve", "");
    wxsign.prints("WeChat issues it").await;
    wxsign
        .logs("renewed key=wx0123456789abcdef/jsapi_ticket")
        .await;
}

#[tokio::test]
async fn a_server_is_healthy_while_it_runs_and_ready_once_it_can_sign() {
    let wechat = WeChat::start().await;
    let refused = FaultRule::new(Fault::Errcode(40125));
    wechat.simulator.inject(refused);
    let place = Place::new(&wechat.url);
    let mut wxsign = place.serve().await;
    let address = wxsign.address().to_string();
    let check = async |more: &[&str]| {
        let args = [&["healthcheck", "--listen", &address], more].concat();
        let ran = place.run(&args, "").await;
        (ran.code, ran.stdout + &ran.stderr)
    };
    let (code, said) = check(&[]).await;
    assert_eq!((code, &*said), (Some(0), "{\"status\":\"alive\"}\n"));
    let (code, said) = check(&["--ready"]).await;
    assert_eq!(code, Some(3), "{said}");
    wechat.simulator.clear_faults();
    let url = format!("http://{address}/livez");
    let ran = place.run(&["healthcheck", "--url", &url], "").await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    wxsign.signal(rustix::process::Signal::KILL);
    wxsign.exit_code().await;
    let (code, said) = check(&[]).await;
    assert_eq!(code, Some(3));
    assert!(said.contains("refused"), "{said}");
}

#[tokio::test]
async fn a_server_behind_a_file_or_a_certificate_is_asked_there() {
    let wechat = WeChat::start().await;
    let place = Place::new(&wechat.url).with("WXSIGN_LISTEN", "unix:http.sock");
    let wxsign = place.start("serve", "unix:http.sock");
    wxsign.logs("serving").await;
    let ran = place.run(&["healthcheck"], "").await;
    assert_eq!(ran.code, Some(0), "{ran:?}");

    let place = with_certificate(&wechat);
    issue(place.path()).await;
    let wxsign = place.start("serve", "127.0.0.1:0");
    let address = eventually("it says where it listens", async || {
        let said = wxsign.said();
        let (_, address) = said.split_once("listening on https://")?;
        address.lines().next().map(str::to_owned)
    })
    .await;
    let ran = place.run(&["healthcheck", "--listen", &address], "").await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
}
