//! The description of the interface: all routes are in it, and it says nothing that is not so.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::harness::{APPID, Server, Setup, members};
use crate::wire::Request;

/// What browsers and WeChat fetch, of which no program needs a description.
const FOR_BROWSERS: [&str; 9] = [
    "/",
    "/debug",
    "/demo",
    "/demo/qr.svg",
    "/docs",
    "/docs/frontend",
    "/openapi.json",
    "/static/{name}",
    "/{name}",
];

/// Every path of the router: all of them stand in one file, between quotes.
fn routes() -> BTreeSet<&'static str> {
    let source = include_str!("../../src/server/router.rs");
    let quoted = source.split('"').skip(1).step_by(2);
    quoted.filter(|text| text.starts_with('/')).collect()
}

async fn document(server: &Server) -> Value {
    let answer = server.get("/openapi.json").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "application/json");
    answer.json()
}

#[tokio::test]
async fn the_document_is_the_one_that_was_read() {
    let server = Setup::new().start().await;
    let mut document = document(&server).await;
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    document["info"]["version"] = "…".into();
    insta::assert_snapshot!(format!("{document:#}"));
    server.end().await;
}

#[tokio::test]
async fn every_route_is_in_the_document() {
    let server = Setup::new().start().await;
    let document = document(&server).await;
    let mut documented: BTreeSet<&str> = members(&document["paths"]).into_iter().collect();
    documented.extend(FOR_BROWSERS);
    // A parameter of several segments looks like any other in the document.
    let routes: Vec<_> = routes()
        .iter()
        .map(|route| route.replace("{*", "{"))
        .collect();
    let routes: BTreeSet<_> = routes.iter().map(String::as_str).collect();
    assert_eq!(documented, routes);
    server.end().await;
}

#[tokio::test]
async fn every_path_of_the_document_takes_the_methods_that_it_names() {
    let server = Setup::new().start_ready().await;
    let document = document(&server).await;
    for path in members(&document["paths"]) {
        let target = path.replace("{appid}", APPID);
        let answer = server.ask(&Request::new("BREW", target)).await;
        if path.starts_with("/proxy/") {
            continue; // It takes any.
        }
        // There WeChat says it in its own way, with the status 200.
        if path == "/cgi-bin/stable_token" {
            assert_eq!(answer.json()["errcode"], 43002);
            continue;
        }
        assert_eq!(answer.status, 405, "{path}");
        let allowed = answer.header("allow").to_lowercase();
        let allowed = allowed.split(',').map(str::trim);
        let allowed: BTreeSet<_> = allowed
            .filter(|method| !matches!(*method, "head" | "options"))
            .collect();
        let documented = members(&document["paths"][path]);
        assert_eq!(allowed, documented.into_iter().collect(), "{path}");
    }
    server.end().await;
}

#[tokio::test]
async fn the_page_shows_every_operation_without_a_script() {
    let mut setup = Setup::new();
    setup.config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let server = setup.start().await;
    let document = document(&server).await;
    let request = Request::get("/docs").with("X-Forwarded-Proto", "https");
    let page = server.ask(&request).await;
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    let policy = page.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'self';"));
    let text = page.text();
    for absent in ["<script", "<style", " style=", " src=\"http", "null"] {
        assert!(!text.contains(absent), "{absent}");
    }
    for path in members(&document["paths"]) {
        for method in members(&document["paths"][path]) {
            let operation = &document["paths"][path][method];
            let id = operation["operationId"].as_str().unwrap();
            assert!(text.contains(&format!("<article id=\"{id}\">")), "{id}");
        }
        let path = path.replace("{appid}", APPID).replace("{name}", "shop");
        let path = path.replace("{path}", "cgi-bin/message/custom/send");
        let asked = format!("https://wxsign.example{path}");
        assert!(text.contains(&asked), "{asked}");
    }
    for name in text.split("href=\"/static/").skip(1) {
        let name = name.split('"').next().unwrap();
        assert_eq!(server.get(format!("/static/{name}")).await.status, 200);
    }
    server.end().await;
}
