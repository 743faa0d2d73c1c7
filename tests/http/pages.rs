//! Pages, files, health, and what every answer carries.

use crate::harness::{PAGE, Server, Setup, is_problem, posted_signature, signature};
use crate::wire::{Answer, Request};

const VERIFY: &str = "MP_verify_abcdefghijklmnop.txt";

async fn demo() -> Server {
    let mut setup = Setup::new();
    setup.demo = true;
    setup.start_ready().await
}

#[tokio::test]
async fn the_demo_page_runs_no_script_but_its_own_files_and_tencents_sdk() {
    for demo in [true, false] {
        let mut setup = Setup::new();
        setup.demo = demo;
        let server = setup.start_ready().await;
        // Only who starts the server can name another script, not who links to it.
        let page = server.get("/demo?vconsole=1").await;
        assert_eq!(page.status, 200);
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
        let policy = page.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; "), "{policy}");
        for risk in ["unsafe", "*", "script-src 'self' data:"] {
            assert!(!policy.contains(risk), "{policy}");
        }
        let text = page.text();
        assert_eq!(text.contains("simulated-client.js"), demo);
        for tag in text.split("<script").skip(1) {
            assert!(tag.trim_start().starts_with("src=\"/static/"), "{tag:.80}");
        }
        for inline in ["<style", " style=", " onclick=", " onload=", "javascript:"] {
            assert!(!text.contains(inline), "{inline}");
        }
        server.end().await;
    }
}

#[tokio::test]
async fn every_file_that_the_demo_page_names_is_there() {
    let server = demo().await;
    let page = server.get("/demo").await;
    let names = page.text().split("\"/static/").skip(1);
    let names: Vec<&str> = names.map(|rest| rest.split('"').next().unwrap()).collect();
    assert!(names.len() >= 4, "{names:?}");
    for name in names {
        let file = server.get(format!("/static/{name}")).await;
        assert_eq!(file.status, 200, "{name}");
    }
    server.end().await;
}

#[tokio::test]
async fn the_front_page_leads_to_the_demo() {
    let server = Setup::new().start_ready().await;
    let answer = server.get("/").await;
    assert_eq!(answer.status, 307);
    assert_eq!(answer.header("location"), "/demo");
    server.end().await;
}

#[tokio::test]
async fn the_demo_of_an_unknown_account_is_a_problem_and_no_page() {
    let server = Setup::new().start_ready().await;
    for appid in ["wx0000000000000000", "<script>alert(1)</script>", "%22"] {
        let answer = server.get(format!("/demo?appid={appid}")).await;
        // The raw brackets do not even pass as HTTP.
        if !appid.contains('<') {
            is_problem(&answer, 404, "unknown_account", "");
        }
        assert!(!answer.text().contains("alert"), "{answer:?}");
    }
    server.end().await;
}

#[tokio::test]
async fn a_file_that_the_browser_has_is_not_sent_again() {
    let server = demo().await;
    for (name, content_type) in [
        ("wxsign.js", "text/javascript; charset=utf-8"),
        ("wxsign.mjs", "text/javascript; charset=utf-8"),
        ("wxsign.d.ts", "text/plain; charset=utf-8"),
        ("wxsign.d.mts", "text/plain; charset=utf-8"),
        ("demo.js", "text/javascript; charset=utf-8"),
        ("copy.js", "text/javascript; charset=utf-8"),
        ("demo.css", "text/css; charset=utf-8"),
        ("simulated-client.js", "text/javascript; charset=utf-8"),
    ] {
        let get = Request::get(format!("/static/{name}"));
        let file = server.ask(&get).await;
        assert_eq!(file.status, 200);
        assert_eq!(file.header("content-type"), content_type);
        assert!(!file.body.is_empty());
        let open = if name.starts_with("wxsign.") { "*" } else { "" };
        assert_eq!(file.header("access-control-allow-origin"), open);
        let etag = file.header("etag");
        let again = server.ask(&get.clone().with("If-None-Match", etag)).await;
        assert_eq!(again.status, 304);
        assert_eq!(again.header("etag"), etag);
        assert!(again.body.is_empty());
        let stale = get.with("If-None-Match", "\"of-another-version\"");
        assert_eq!(server.ask(&stale).await.body, file.body);
    }
    server.end().await;
}

#[tokio::test]
async fn nothing_of_a_simulator_is_there_beside_a_real_account() {
    let server = Setup::new().start_ready().await;
    for request in [
        Request::get("/static/simulated-client.js"),
        Request::get("/static/routes.js"),
        Request::get("/simulator/control"),
        Request::get("/simulator/control/counters"),
        Request::get("/simulator/control/tickets?appid=wx0123456789abcdef"),
        Request::post("/simulator/control/faults", "{}"),
        Request::post("/simulator/preverify", "{}"),
        Request::post("/simulator/sign", "{}"),
    ] {
        is_problem(&server.ask(&request).await, 404, "not_found", "/demo");
    }
    server.end().await;
    let server = demo().await;
    assert_eq!(server.get("/simulator/control").await.status, 200);
    server.end().await;
}

#[tokio::test]
async fn wechat_finds_its_proof_of_the_domain() {
    let mut setup = Setup::new();
    let files = &mut setup.config.verify_files;
    files.insert(VERIFY.to_owned(), "abcdefghijklmnop".to_owned());
    let server = setup.start_ready().await;
    let file = server.get(format!("/{VERIFY}")).await;
    assert_eq!(file.status, 200);
    assert_eq!(file.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(file.text(), "abcdefghijklmnop");
    for other in [
        "MP_verify_ABCDEFGHIJKLMNOP.txt",
        "robots.txt",
        "favicon.ico",
    ] {
        let answer = server.get(format!("/{other}")).await;
        is_problem(&answer, 404, "not_found", "");
    }
    server.end().await;
}

#[tokio::test]
async fn paths_that_are_not_there_are_told_what_is() {
    let server = Setup::new().start_ready().await;
    for path in [
        "/nothing",
        "/nothing/here",
        "/jsapi",
        "/jsapi/",
        "/jsapi/signature/",
        "//jsapi/signature",
        "/JSAPI/signature",
        "/static/",
        "/static/none.js",
        "/static/%ff",
        "/static/../Cargo.toml",
        "/static/..%2f..%2fCargo.toml",
        "/static/%2e%2e/%2e%2e/etc/passwd",
        "/%00",
        "/微信",
    ] {
        let answer = server.get(path).await;
        is_problem(&answer, 404, "not_found", "/jsapi/signature?url=…");
    }
    server.end().await;
}

#[tokio::test]
async fn methods_that_do_not_fit_are_told_which_do() {
    let server = Setup::new().start_ready().await;
    for (method, path, allowed) in [
        (
            "PUT",
            "/jsapi/signature",
            ["GET", "HEAD", "POST", "OPTIONS"].as_slice(),
        ),
        (
            "DELETE",
            "/jsapi/signature",
            &["GET", "HEAD", "POST", "OPTIONS"],
        ),
        ("POST", "/demo", &["GET", "HEAD"]),
        ("POST", "/static/wxsign.js", &["GET", "HEAD"]),
        ("DELETE", "/livez", &["GET", "HEAD"]),
        ("BREW", "/readyz", &["GET", "HEAD"]),
    ] {
        let answer = server.ask(&Request::new(method, path)).await;
        is_problem(&answer, 405, "method_not_allowed", "Allow");
        let mut told: Vec<&str> = answer.header("allow").split(',').map(str::trim).collect();
        let mut allowed = allowed.to_vec();
        told.sort_unstable();
        allowed.sort_unstable();
        assert_eq!(told, allowed, "{method} {path}");
    }
    server.end().await;
}

/// One request for each kind of answer.
fn all_kinds() -> [Request; 7] {
    [
        signature(PAGE),
        posted_signature(PAGE),
        signature("#"),
        Request::get("/demo"),
        Request::get("/livez"),
        Request::get("/nothing/here"),
        Request::new("DELETE", "/livez"),
    ]
}

#[tokio::test]
async fn a_plain_request_id_is_taken_over_and_any_other_replaced() {
    let server = Setup::new().start_ready().await;
    let id_for = async |request: &Request, given: &str| {
        let request = request.clone().with("X-Request-Id", given);
        let answer = server.ask(&request).await;
        answer.header("x-request-id").to_owned()
    };
    for request in all_kinds() {
        let plain = "4bf92f35-77b3_4da6.a3ce:929d";
        assert_eq!(id_for(&request, plain).await, plain);
        for odd in ["", "a b", "a\"b", "<a>", "微信", &"a".repeat(65)] {
            let id = id_for(&request, odd).await;
            assert_eq!(id.len(), 16, "{id}");
            assert!(id.bytes().all(|b| b.is_ascii_hexdigit()), "{id}");
        }
        let ids = [id_for(&request, "").await, id_for(&request, "").await];
        assert_ne!(ids[0], ids[1]);
    }
    server.end().await;
}

#[tokio::test]
async fn no_answer_is_sniffed_or_tells_where_it_was_linked() {
    let server = Setup::new().start_ready().await;
    for request in all_kinds() {
        let answer: Answer = server.ask(&request).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
    }
    server.end().await;
}
