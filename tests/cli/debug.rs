//! `wxsign debug`: what it says about a pasted wx.config, and how it ends.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::time::Duration;

use wxsign::clock::Clock;

use super::{Place, Ran, TICKET};

/// How long a server may take until it can sign.
const PATIENCE: Duration = Duration::from_secs(30);

/// The example of the manual, as people paste it.
const CONFIG: &str = "wx.config({
  debug: true, // later
  appId: 'wx0123456789abcdef',
  timestamp: 1414587457,
  nonceStr: 'Wm3WZYTPz0wzccnW',
  signature: '0f9de62fce790f9a083d5c99e95740ceb90c27ed',
  jsApiList: ['scanQRCode',],
});
";

fn place() -> Place {
    let place = Place::new();
    place.write("ticket", &format!("{TICKET}\n"));
    place.write("config.js", CONFIG);
    place
}

fn debug(place: &Place, url: &str, more: &[&str]) -> Ran {
    let args = ["debug", "--config", "config.js", "--url", url];
    let ran = place.run(&[&args[..], more].concat());
    assert!(!ran.stdout.contains(TICKET) && !ran.stderr.contains(TICKET));
    ran
}

const OFFLINE: [&str; 2] = ["--ticket-file", "ticket"];

#[test]
fn a_right_signature_is_right_and_ends_with_0() {
    let ran = debug(&place(), "http://mp.weixin.qq.com?params=value#x", &OFFLINE);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    insta::assert_snapshot!(ran.stdout);
}

#[test]
fn a_mistake_is_named_and_ends_with_3() {
    let place = place();
    let url = "http://mp.weixin.qq.com?params=value&from=timeline";
    let ran = debug(&place, url, &OFFLINE);
    assert_eq!((ran.code, ran.stderr.as_str()), (3, ""));
    insta::assert_snapshot!("debug_wrong_en", ran.stdout);
    let chinese = debug(&place, url, &[&OFFLINE[..], &["--lang", "zh"]].concat());
    insta::assert_snapshot!("debug_wrong_zh", chinese.stdout);
    let args = [
        "debug",
        "--config",
        "config.js",
        "--url",
        url,
        "--ticket-file",
        "ticket",
    ];
    let by_locale = place.run_with(&args, &[("LANG", "zh_CN.UTF-8")]);
    assert_eq!(by_locale.stdout, chinese.stdout);
    let json = debug(&place, url, &[&OFFLINE[..], &["--json"]].concat());
    assert_eq!(json.code, 3);
    let report: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(report["mistakes"][0]["code"], "query_cut");
}

#[test]
fn what_wechat_said_is_explained() {
    let said = ["--err-msg", "chooseWXPay:permission denied"];
    let more = [&OFFLINE[..], &said].concat();
    let ran = debug(&place(), "http://mp.weixin.qq.com?params=value", &more);
    assert_eq!(ran.code, 0);
    insta::assert_snapshot!(ran.stdout);
}

#[test]
fn what_cannot_be_read_or_makes_no_sense_ends_with_2() {
    let place = place();
    place.write("config.js", "wx.config({\n  appId: 'wx,\n})");
    let url = "http://mp.weixin.qq.com?params=value";
    let ran = debug(&place, url, &OFFLINE);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    insta::assert_snapshot!(ran.stderr, @"error: the quote that begins at line 2, column 10 has no end");
    assert_eq!(debug(&place, url, &[]).code, 2);
    let stdin = place.run(&["debug", "--url", url, "--config", "-", "--ticket-file", "-"]);
    assert_eq!(stdin.code, 2);
}

#[test]
fn another_account_s_ticket_tells_nothing() {
    let other = ["--appid", "wxffffffffffffffff"];
    let more = [&OFFLINE[..], &other].concat();
    let ran = debug(&place(), "http://mp.weixin.qq.com?params=value", &more);
    assert_eq!(ran.code, 3);
    assert!(ran.stdout.contains("unknown_appid"), "{}", ran.stdout);
}

/// At WeCom wxsign knows an app by CorpID and AgentId, and a page names the CorpID alone.
#[test]
fn both_configs_of_a_wecom_app_are_checked_with_its_ticket() {
    let place = place();
    let signed = "timestamp: 1414587457, nonceStr: 'Wm3WZYTPz0wzccnW',
        signature: '0f9de62fce790f9a083d5c99e95740ceb90c27ed'";
    let page = format!("wx.config({{appId: 'ww0123456789abcdef', {signed}}})");
    let named = "corpid: 'ww0123456789abcdef', agentid: 1000002";
    let agent = format!("wx.agentConfig({{{named}, {signed}}})");
    let url = "http://mp.weixin.qq.com?params=value";
    for (config, appid, code) in [
        (&page, "ww0123456789abcdef-1000002", 0),
        (&page, "ww0123456789abcdef-1000003", 0),
        (&page, "wwffffffffffffffff-1000002", 3),
        (&agent, "ww0123456789abcdef-1000002", 0),
        (&agent, "ww0123456789abcdef-1000003", 3),
        (&agent, "wx0123456789abcdef", 3),
    ] {
        place.write("config.js", config);
        let more = [&OFFLINE[..], &["--appid", appid]].concat();
        let ran = debug(&place, url, &more);
        assert_eq!(ran.code, code, "{appid}: {}", ran.stdout);
        assert_eq!(ran.stdout.contains("unknown_appid"), code == 3);
        let unnamed = debug(&place, url, &OFFLINE);
        assert_eq!(unnamed.code, 0, "{}", unnamed.stdout);
    }
    place.write("config.js", &agent.replace("1000002", "''"));
    let ran = debug(&place, url, &[&OFFLINE[..], &["--lang", "zh"]].concat());
    assert_eq!(ran.code, 3);
    insta::assert_snapshot!(ran.stdout);
}

#[test]
fn a_running_server_is_asked_with_the_tickets_that_it_holds() {
    let place = place();
    let url = "http://mp.weixin.qq.com/";
    let nobody = debug(&place, url, &["--server", "http://127.0.0.1:1"]);
    assert_eq!(nobody.code, 1, "{}", nobody.stderr);
    assert!(
        nobody.stderr.contains("http://127.0.0.1:1: "),
        "{}",
        nobody.stderr
    );
    let mut demo = Demo::start(&place);
    let ran = debug(&place, url, &["--server", &demo.address]);
    assert_eq!((ran.code, ran.stderr.as_str()), (3, ""));
    assert!(
        ran.stdout.contains("no classic mistake explains it"),
        "{}",
        ran.stdout
    );
    demo.child.kill().unwrap();
    demo.child.wait().unwrap();
}

struct Demo {
    child: Child,
    address: String,
}

impl Demo {
    /// Starts the demo, and waits until it can sign.
    fn start(place: &Place) -> Self {
        let mut command = place.command(&["demo", "--listen", "127.0.0.1:0"]);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut addresses = lines.map_while(Result::ok).filter_map(|line| {
            let start = line.find("http://127.0.0.1:")?;
            let end = line[start..].find("/demo")?;
            Some(line[start..start + end].to_owned())
        });
        let address = addresses.next().unwrap();
        let ready = format!("{address}/readyz");
        let clock = Clock::system();
        let begun = clock.now();
        while place.run(&["healthcheck", "--url", &ready]).code != 0 {
            assert!(clock.now().since(begun) < PATIENCE, "it is never ready");
        }
        Self { child, address }
    }
}
