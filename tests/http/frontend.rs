//! `/docs/frontend`, and the demo page's address for a phone.

use crate::harness::{APPID, Server, Setup, is_problem};
use crate::wire::{Answer, Request};

const OTHER: &str = "wx00000000000000bb";

async fn page(server: &Server, query: &str) -> String {
    let answer = server.get(format!("/docs/frontend{query}")).await;
    assert_eq!(answer.status, 200);
    answer.text().to_owned()
}

fn as_in(answer: &Answer, text: &str) -> bool {
    answer.text().contains(text)
}

#[tokio::test]
async fn snippets_hold_the_address_and_the_account() {
    let server = Setup::new().start_ready().await;
    let answer = server.get("/docs/frontend").await;
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    let policy = answer.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; script-src 'self';"));
    let mut text = answer.text().to_owned();
    for (entity, char) in [
        ("&#60;", "<"),
        ("&#62;", ">"),
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&#38;", "&"),
    ] {
        text = text.replace(entity, char);
    }
    for part in [
        "<script src=\"http://wxsign.example/static/wxsign.js\">",
        "http://wxsign.example/jsapi/signature?appid=wx0123456789abcdef&url=",
        "appid: 'wx0123456789abcdef'",
        "invalid url domain",
        "offline verifying",
        "none does yet",
        "/debug?lang=en",
    ] {
        assert!(text.contains(part), "{part}");
    }
    for inline in ["<style", " style=", " onclick=", "javascript:", "YOUR-"] {
        assert!(!as_in(&answer, inline), "{inline}");
    }
    for name in answer.text().split("\"/static/").skip(1) {
        let name = name.split('"').next().unwrap();
        assert_eq!(server.get(format!("/static/{name}")).await.status, 200);
    }
    server.end().await;
}

#[tokio::test]
async fn it_is_read_in_two_languages() {
    let server = Setup::new().start_ready().await;
    let chinese = page(&server, "?lang=zh").await;
    assert!(chinese.contains("<html lang=\"zh-CN\">") && chinese.contains("用在您的页面"));
    let asked = Request::get("/docs/frontend").with("Accept-Language", "zh-CN,zh;q=0.9");
    assert!(as_in(&server.ask(&asked).await, "用在您的页面"));
    assert!(page(&server, "").await.contains("In your page"));
    server.end().await;
}

#[tokio::test]
async fn with_several_accounts_there_is_a_choice() {
    let mut setup = Setup::new();
    setup.add_account(OTHER);
    let server = setup.start_ready().await;
    let first = page(&server, "").await;
    assert!(
        first.contains(&format!("<option selected>{OTHER}")),
        "the first by name"
    );
    let chosen = page(&server, &format!("?appid={APPID}")).await;
    assert!(chosen.contains(&format!("<option selected>{APPID}")));
    assert!(!chosen.contains(&format!("appid={OTHER}&")));
    for appid in ["wx0000000000000000", "%22%3e%3cscript%3e"] {
        let answer = server.get(format!("/docs/frontend?appid={appid}")).await;
        is_problem(&answer, 404, "unknown_account", "");
    }
    server.end().await;
}

#[tokio::test]
async fn only_a_trusted_proxy_says_that_the_address_is_encrypted() {
    for trusted in [true, false] {
        let mut setup = Setup::new();
        if trusted {
            setup.config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
        }
        let server = setup.start_ready().await;
        let asked = Request::get("/docs/frontend").with("X-Forwarded-Proto", "https");
        let answer = server.ask(&asked).await;
        assert_eq!(as_in(&answer, "https://wxsign.example/static/"), trusted);
        server.end().await;
    }
}

#[tokio::test]
async fn it_says_which_proof_of_the_domain_is_served() {
    let mut setup = Setup::new();
    let name = "MP_verify_abcdefghijklmnop.txt";
    let files = &mut setup.config.verify_files;
    files.insert(name.to_owned(), "abcdefghijklmnop".to_owned());
    let server = setup.start_ready().await;
    let text = page(&server, "").await;
    assert!(text.contains(&format!("<a href=\"/{name}\">")) && !text.contains("none does yet"));
    server.end().await;
}

#[tokio::test]
async fn beside_an_admin_address_it_stays_with_the_pages() {
    let mut setup = Setup::new();
    setup.admin = true;
    let server = setup.start_ready().await;
    let text = page(&server, "").await;
    assert!(!text.contains("href=\"/docs\"") && !text.contains("href=\"/debug"));
    server.end().await;
}

#[tokio::test]
async fn a_phone_finds_the_demo_page_by_a_picture() {
    let server = Setup::new().start_ready().await;
    assert!(as_in(
        &server.get("/demo").await,
        "<img src=\"/demo/qr.svg?appid="
    ));
    let picture = server.get("/demo/qr.svg").await;
    assert_eq!(picture.header("content-type"), "image/svg+xml");
    assert!(as_in(&picture, "<svg xmlns="));
    let local = Request::get("/demo").with("Host", "127.0.0.1:8080");
    let local = server.ask(&local).await;
    assert!(!as_in(&local, "qr.svg"), "it would lead a phone to itself");
    let unknown = server.get("/demo/qr.svg?appid=wx0000000000000000").await;
    is_problem(&unknown, 404, "unknown_account", "");
    server.end().await;
}
