//! The console as browsers and those who mean it ill meet it: who is let in, and over what.

use rusqlite::Connection;
use wxsign::config::StoreUrl;
use wxsign::credential::Secret;

use crate::harness::{Server, Setup, until};
use crate::wire::{Answer, Request};

pub(crate) const PASSWORD: &str = "four words and more";
const HOST: &str = "localhost:8080";

fn setup() -> Setup {
    let mut setup = Setup::new();
    setup.config.console.password = Some(Secret::new(PASSWORD));
    setup
}

/// A request of a browser on this machine.
pub(crate) fn get(path: &str) -> Request {
    Request::get(path).at_host(HOST)
}

/// A form that a page of the console sends.
pub(crate) fn post(path: &str, fields: &[(&str, &str)]) -> Request {
    let request = Request::new("POST", path).at_host(HOST);
    let request = request.with("Sec-Fetch-Site", "same-origin");
    request.with_form(fields)
}

fn sign_in(password: &str) -> Request {
    post("/console/login", &[("password", password)])
}

/// What the browser is to show from now on: `name=value`.
fn cookie(answer: &Answer) -> String {
    let cookie = answer.header("set-cookie");
    cookie.split(';').next().unwrap().to_owned()
}

pub(crate) async fn signed_in(server: &Server) -> String {
    let answer = server.ask(&sign_in(PASSWORD)).await;
    assert_eq!(answer.status, 303, "{answer:?}");
    cookie(&answer)
}

fn leads_to_login(answer: &Answer) {
    assert_eq!(answer.status, 303, "{answer:?}");
    let location = answer.header("location");
    assert!(location.starts_with("/console/login"), "{location}");
}

#[tokio::test]
async fn whoever_shows_the_password_is_let_in_until_he_leaves() {
    let server = setup().start_ready().await;
    leads_to_login(&server.ask(&get("/console")).await);
    let form = server.ask(&get("/console/login")).await;
    assert_eq!(form.status, 200);
    assert!(form.text().contains("type=\"password\""));
    let answer = server.ask(&sign_in(PASSWORD)).await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("location")),
        (303, "/console")
    );
    let set = answer.header("set-cookie");
    for attribute in [
        "wxsign-8080=",
        "; Path=/;",
        " HttpOnly;",
        " SameSite=Strict;",
    ] {
        assert!(set.contains(attribute), "{set}");
    }
    let shown = cookie(&answer);
    assert!(shown.len() > 45, "{shown}");
    let overview = server.ask(&get("/console").with("Cookie", &shown)).await;
    assert_eq!(overview.status, 200);
    assert!(overview.text().contains("wx0123456789abcdef"));
    let policy = overview.header("content-security-policy");
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"));
    assert_eq!(overview.header("cache-control"), "no-store");
    assert_eq!(overview.header("referrer-policy"), "same-origin");
    let left = post("/console/logout", &[]).with("Cookie", &shown);
    leads_to_login(&server.ask(&left).await);
    leads_to_login(&server.ask(&get("/console").with("Cookie", &shown)).await);
    server.end().await;
}

#[tokio::test]
async fn each_page_wants_a_session_and_after_it_one_is_where_one_wanted_to_be() {
    let server = setup().start_ready().await;
    for path in [
        "/console/accounts/wx0123456789abcdef",
        "/console/accounts/new",
        "/console/try",
        "/console/events",
        "/console/keys",
        "/console/system",
        "/console/nothing/here",
    ] {
        let answer = server.ask(&get(path)).await;
        leads_to_login(&answer);
        let next = answer.header("location").split_once("next=").unwrap().1;
        assert_eq!(next, path.replace('/', "%2F"));
        let invented = get(path).with(
            "Cookie",
            "wxsign-8080=0123456789012345678901234567890123456789abcd",
        );
        leads_to_login(&server.ask(&invented).await);
    }
    let fields = [("password", PASSWORD), ("next", "/console/keys")];
    let answer = server.ask(&post("/console/login", &fields)).await;
    assert_eq!(answer.header("location"), "/console/keys");
    let fields = [
        ("password", PASSWORD),
        ("next", "https://evil.example/console"),
    ];
    let answer = server.ask(&post("/console/login", &fields)).await;
    assert_eq!(answer.header("location"), "/console");
    let live = server.ask(&get("/console/live")).await;
    assert_eq!(live.status, 204);
    server.end().await;
}

#[tokio::test]
async fn five_wrong_passwords_lock_an_address_out_and_no_other() {
    let mut setup = setup();
    setup.config.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    let server = setup.start_ready().await;
    let from = |address: &str, password: &str| {
        sign_in(password)
            .with("X-Forwarded-For", address)
            .with("X-Forwarded-Proto", "https")
    };
    for _ in 0..5 {
        let answer = server.ask(&from("192.0.2.1", "not the password")).await;
        assert_eq!(answer.status, 403, "{answer:?}");
        assert!(answer.text().contains("not the password"));
    }
    let answer = server.ask(&from("192.0.2.1", PASSWORD)).await;
    assert_eq!(answer.status, 429);
    assert!(answer.header("retry-after").parse::<u64>().unwrap() > 800);
    let answer = server.ask(&from("192.0.2.2", PASSWORD)).await;
    assert_eq!(answer.status, 303);
    let set = answer.header("set-cookie");
    assert!(
        set.starts_with("__Host-wxsign=") && set.contains(" Secure;"),
        "{set}"
    );
    server.end().await;
}

#[tokio::test]
async fn what_another_site_sends_changes_nothing() {
    let server = setup().start_ready().await;
    let shown = signed_in(&server).await;
    let paths = [
        "/console/logout",
        "/console/keys",
        "/console/login",
        "/console/setup",
    ];
    for path in paths {
        for (name, value) in [
            ("Sec-Fetch-Site", "cross-site"),
            ("Sec-Fetch-Site", "same-site"),
            ("Sec-Fetch-Site", "none"),
            ("Origin", "http://evil.example"),
            ("Origin", "null"),
            ("X-Nothing", "at all"),
        ] {
            let request = Request::new("POST", path).at_host(HOST);
            let request = request.with("Cookie", &shown).with(name, value);
            let answer = server.ask(&request.with_form(&[("name", "a")])).await;
            assert_eq!(answer.status, 403, "{path} {name}: {value}");
            assert!(answer.text().contains("was refused"), "{}", answer.text());
        }
    }
    let mine = Request::new("POST", "/console/try").at_host(HOST);
    let mine = mine.with("Cookie", &shown);
    let mine = mine.with("Origin", &format!("http://{HOST}"));
    let answer = server.ask(&mine.with_form(&[("appid", "none")])).await;
    assert_eq!(answer.status, 422);
    let overview = server.ask(&get("/console").with("Cookie", &shown)).await;
    assert_eq!(overview.status, 200);
    server.end().await;
}

#[tokio::test]
async fn behind_a_proxy_that_says_nothing_of_its_visitors_nobody_is_let_in() {
    let server = setup().start_ready().await;
    for origin in ["https://console.example", "http://console.example"] {
        // The proxy asks at its own address for the server; the browser says where it is.
        let request = sign_in(PASSWORD).with("Origin", origin);
        let answer = server.ask(&request).await;
        assert_eq!(answer.status, 403, "{origin}");
        assert!(answer.headers.get("set-cookie").is_none());
        assert!(answer.text().contains("X-Forwarded-Proto"));
    }
    let here = sign_in(PASSWORD).with("Origin", &format!("http://{HOST}"));
    assert_eq!(server.ask(&here).await.status, 303);
    server.end().await;
}

#[tokio::test]
async fn a_store_that_is_away_shows_on_the_overview() {
    let mut setup = setup();
    setup.has_tokens().await;
    let StoreUrl::Sqlite(path) = setup.config.store.clone() else {
        panic!("the tokens are in a file");
    };
    let server = setup.start_ready().await;
    let shown = signed_in(&server).await;
    let overview = async || {
        let overview = server.ask(&get("/console").with("Cookie", &shown)).await;
        assert_eq!(overview.status, 200);
        overview.text().to_owned()
    };
    let trouble = "The store is in trouble";
    assert!(!overview().await.contains(trouble));
    let database = Connection::open(path).unwrap();
    let rename = |from: &str, to: &str| {
        let change = format!("ALTER TABLE {from} RENAME TO {to}");
        database.execute_batch(&change).unwrap();
    };
    rename("directory", "hidden");
    until("a banner", async || {
        overview().await.contains(trouble).then_some(())
    })
    .await;
    rename("hidden", "directory");
    until("no banner", async || {
        (!overview().await.contains(trouble)).then_some(())
    })
    .await;
    server.end().await;
}

#[tokio::test]
async fn over_plain_http_from_elsewhere_no_password_is_taken() {
    let server = setup().start_ready().await;
    let shown = signed_in(&server).await;
    let form = server.get("/console/login").await;
    assert_eq!(form.status, 200);
    assert!(form.text().contains("TLS is needed here"));
    assert!(!form.text().contains("type=\"password\""));
    let request = Request::new("POST", "/console/login").with("Sec-Fetch-Site", "same-origin");
    let answer = server
        .ask(&request.with_form(&[("password", PASSWORD)]))
        .await;
    assert_eq!(answer.status, 403);
    assert!(answer.headers.get("set-cookie").is_none());
    // Nor is a session, whatever a proxy that nobody knows says.
    let elsewhere = Request::get("/console").with("Cookie", &shown);
    leads_to_login(&server.ask(&elsewhere).await);
    let claimed = get("/console").with("Cookie", &shown);
    leads_to_login(
        &server
            .ask(&claimed.with("X-Forwarded-Proto", "https"))
            .await,
    );
    server.end().await;
}

#[tokio::test]
async fn the_console_is_where_back_ends_are_or_nowhere() {
    let mut apart = setup();
    apart.admin = true;
    let server = apart.start_ready().await;
    let at_pages = server.ask(&get("/console/login")).await;
    assert_eq!(at_pages.status, 404);
    let mut back_ends = crate::wire::Connection::open(server.back_ends).await;
    assert_eq!(back_ends.ask(&get("/console/login")).await.status, 200);
    server.end().await;
    let mut without = setup();
    without.config.console.enabled = false;
    let server = without.start_ready().await;
    assert_eq!(server.ask(&get("/console/login")).await.status, 404);
    server.end().await;
}

#[tokio::test]
async fn a_credential_is_shown_to_whoever_shows_the_password_once_more() {
    let mut setup = setup();
    setup.add_client("shop", &[wxsign::client::Scope::Token]);
    let server = setup.start_ready().await;
    let shown = signed_in(&server).await;
    let token = server
        .ask(&Request::get("/v1/accounts/wx0123456789abcdef/access-token").of("shop"))
        .await;
    let token = token.json()["access_token"].as_str().unwrap().to_owned();
    let page = "/console/accounts/wx0123456789abcdef";
    let account = server.ask(&get(page).with("Cookie", &shown)).await;
    assert_eq!(account.status, 200);
    assert!(!account.text().contains(&token));
    let reveal = |password| {
        let fields = [("kind", "access_token"), ("password", password)];
        post(&format!("{page}/reveal"), &fields).with("Cookie", &shown)
    };
    let refused = server.ask(&reveal("not the password")).await;
    assert_eq!(refused.status, 403);
    assert!(!refused.text().contains(&token));
    let revealed = server.ask(&reveal(PASSWORD)).await;
    assert_eq!(revealed.status, 200);
    assert!(revealed.text().contains(&token));
    // Whoever comes back by its address does not see it once more.
    let again = get(&format!("{page}/reveal")).with("Cookie", &shown);
    assert_eq!(server.ask(&again).await.header("location"), page);
    server.end().await;
}

#[tokio::test]
async fn many_accounts_come_in_pages_and_one_is_found_by_its_name() {
    let mut setup = setup();
    for number in 0..59 {
        setup.add_account(&format!("wx{number:016x}"));
    }
    setup.config.accounts[30].name = Some("门店 Stores & <b>More</b>".to_owned());
    let server = setup.start().await;
    let shown = signed_in(&server).await;
    let cards = async |path: &str| {
        let page = server.ask(&get(path).with("Cookie", &shown)).await;
        assert_eq!(page.status, 200);
        let text = page.text().to_owned();
        (text.matches("<article ").count(), text)
    };
    let (count, text) = cards("/console?lang=en").await;
    assert_eq!(count, 50);
    assert!(text.contains("1 / 2") && text.contains("/console?page=2"));
    assert_eq!(cards("/console?page=2").await.0, 10);
    assert_eq!(cards("/console?page=999").await.0, 10);
    for (search, found) in [
        ("000000000000001d", 1),
        ("STORES", 1),
        ("%E9%97%A8", 1),
        ("none", 0),
    ] {
        assert_eq!(
            cards(&format!("/console?q={search}")).await.0,
            found,
            "{search}"
        );
    }
    let (_, text) = cards("/console?q=stores").await;
    assert!(!text.contains("<b>More"), "{text}");
    server.end().await;
}

/// Strings that would run as scripts if a page forgot to escape one of them.
const STRINGS: &str = include_str!("../browser/console/xss.txt");

#[tokio::test]
async fn what_browsers_say_of_themselves_is_written_as_text() {
    let server = setup().start_ready().await;
    let strings = STRINGS.lines().filter(|string| string.is_ascii());
    for string in strings.filter(|string| string.contains(['<', '"'])) {
        let foreign = sign_in(PASSWORD).with("Origin", string);
        let answer = server.ask(&foreign).await;
        assert_eq!(answer.status, 403, "{string}");
        assert!(!answer.text().contains(string), "{string}");
        let answer = server
            .ask(&sign_in(PASSWORD).with("User-Agent", string))
            .await;
        let page = get("/console/system").with("Cookie", &cookie(&answer));
        let page = server.ask(&page).await;
        assert_eq!(page.status, 200);
        assert!(!page.text().contains(string), "{string}");
        assert!(page.text().contains("__xss") || page.text().contains("javascript"));
    }
    server.end().await;
}

#[tokio::test]
async fn a_wrong_password_at_a_credential_is_among_the_events() {
    let mut setup = setup();
    setup.has_tokens().await;
    let server = setup.start_ready().await;
    let shown = signed_in(&server).await;
    let fields = [("kind", "access_token"), ("password", "not the password")];
    let reveal = post("/console/accounts/wx0123456789abcdef/reveal", &fields);
    let refused = server.ask(&reveal.with("Cookie", &shown)).await;
    assert_eq!(refused.status, 403);
    let events = async |arguments: &str| {
        let page = get(&format!("/console/events?lang=en&{arguments}"));
        server
            .ask(&page.with("Cookie", &shown))
            .await
            .text()
            .to_owned()
    };
    until("the event", async || {
        let text = events("what=console.refused&appid=wx0123456789abcdef").await;
        text.contains("login from 127.0.0.1 refused").then_some(())
    })
    .await;
    // An address that was cut off does not show those of all accounts.
    let text = events("appid=wx0123").await;
    assert!(text.contains("This is no AppID"), "{text}");
    assert!(!text.contains("login from"), "{text}");
    server.end().await;
}

#[tokio::test]
async fn the_name_of_an_account_can_be_taken_away() {
    let mut setup = setup();
    setup.config.master_key = Some("07".repeat(32).parse().unwrap());
    let added = "wx00000000000000aa";
    setup.simulator.add_app(crate::harness::app(added));
    let server = setup.start_ready().await;
    let shown = signed_in(&server).await;
    let secret = crate::harness::secret(added);
    let new = [
        ("appid", added),
        ("secret", secret.expose()),
        ("name", "Stores"),
        ("page_hosts", "ok.example.com"),
    ];
    let change = [("name", ""), ("page_hosts", "ok.example.com")];
    let account = format!("/console/accounts/{added}");
    for (path, fields, is_named) in [
        ("/console/accounts/new", &new[..], true),
        (&format!("{account}/edit"), &change[..], false),
    ] {
        let answer = server.ask(&post(path, fields).with("Cookie", &shown)).await;
        assert_eq!(answer.status, 303, "{}", answer.text());
        let page = server.ask(&get(&account).with("Cookie", &shown)).await;
        assert_eq!(page.text().contains("Stores"), is_named);
    }
    server.end().await;
}
