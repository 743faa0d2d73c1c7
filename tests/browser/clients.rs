//! Every WeChat, as the simulated client plays it, opens every application of `tests/pages` and
//! goes through its routes: whatever address that WeChat compares with, `wx.config` is accepted
//! and the page of the present route can be shared.

use std::fmt::Write as _;
use std::path::Path;

use fantoccini::Locator;
use serde_json::Value;

use super::harness::Stage;
use super::site::Site;

/// Keys of CLIENTS in `simulated-client.js`, and what a reader of the README calls them.
pub(crate) const CLIENTS: [(&str, &str); 8] = [
    ("android", "Android"),
    ("ios", "iPhone"),
    ("ipad", "iPad, which says it is a Mac"),
    ("mac", "macOS"),
    ("windows", "Windows"),
    ("devtools", "Developer tools, as an iPhone"),
    ("miniprogram", "web-view of a mini program"),
    ("v10", "MicroMessenger/10, Android"),
];

const APPLICATIONS: [(&str, &str); 3] = [
    ("plain", "plain HTML"),
    ("vue", "Vue 3 + vue-router"),
    ("react", "React + react-router"),
];

const STEPS: [&str; 6] = [
    "load",
    "pushState ×3",
    "back",
    "hash routes",
    "reload",
    "back-forward cache",
];

/// The README's table is what came out here.
#[tokio::test]
async fn every_client_accepts_every_route_of_every_application() {
    let stage = Stage::with(&APPLICATIONS.map(|(name, _)| name)).await;
    let site = stage.site.as_ref().expect("it was asked for");
    let mut rows = String::new();
    for (client, name) in CLIENTS {
        site.opened_by(client);
        let mut policy = String::new();
        let mut failures = vec![Vec::new(); STEPS.len()];
        for (application, called) in APPLICATIONS {
            let visitor = Visitor {
                stage: &stage,
                site,
                client,
                application,
            };
            if let Err((step, failure)) = visitor.go_through().await {
                eprintln!("{client} {application} {}: {failure}", STEPS[step]);
                failures[step].push(called);
            }
            policy = visitor.value("simulatedWeChat.policy").await;
        }
        let cells: Vec<String> = failures
            .iter()
            .map(|failed| match failed.as_slice() {
                [] => "ok".to_owned(),
                failed => format!("not {}", failed.join(", ")),
            })
            .collect();
        writeln!(rows, "| {name} | {policy} | {} |", cells.join(" | ")).expect("memory");
    }
    let head = format!("| client | compares with | {} |", STEPS.join(" | "));
    let table = format!("{head}\n|{}\n{rows}", "---|".repeat(STEPS.len() + 2));
    println!("{table}");
    assert!(!rows.contains("not "), "{table}");
    in_readme("clients", &table);
}

/// One WeChat in one application.
struct Visitor<'a> {
    stage: &'a Stage,
    site: &'a Site,
    client: &'static str,
    application: &'static str,
}

impl Visitor<'_> {
    /// Up to the first step that fails: its place in [`STEPS`], and how.
    async fn go_through(&self) -> Result<(), (usize, String)> {
        let at = |step| move |failure| (step, failure);
        self.open("").await;
        self.settled(0).await.map_err(at(0))?;
        for link in ["Cart", "Product", "Orders"] {
            self.follow(link).await.map_err(at(1))?;
        }
        let seen = self.shares().await;
        self.stage.client.back().await.expect("a page back");
        self.settled(seen).await.map_err(at(2))?;

        self.open("?hash").await;
        self.settled(0).await.map_err(at(3))?;
        for link in ["Cart", "Product"] {
            self.follow(link).await.map_err(at(3))?;
        }

        self.open("").await;
        self.follow("Product").await.map_err(at(4))?;
        self.stage.client.refresh().await.expect("a reload");
        self.settled(0).await.map_err(at(4))?;

        self.follow("Cart").await.map_err(at(5))?;
        self.leave_and_return().await.map_err(at(5))?;
        self.follow("Orders").await.map_err(at(5))
    }

    async fn open(&self, query: &str) {
        let address = format!("{}/{}/{query}", self.site.origin, self.application);
        // An address that differs in its query alone would be a route to nobody.
        self.stage
            .client
            .goto("about:blank")
            .await
            .expect("a blank page");
        self.stage
            .client
            .goto(&address)
            .await
            .expect("the application");
    }

    async fn follow(&self, link: &str) -> Result<(), String> {
        let seen = self.shares().await;
        let found = self
            .stage
            .client
            .wait()
            .for_element(Locator::LinkText(link));
        found.await.expect("a link").click().await.expect("a click");
        self.settled(seen).await
    }

    async fn leave_and_return(&self) -> Result<(), String> {
        let seen = self.shares().await;
        self.stage
            .run(
                "window.left = true;
                 addEventListener('pageshow', (event) => { window.restored = event.persisted; });",
                Value::Null,
            )
            .await;
        let away = format!("{}/livez", self.site.origin);
        self.stage.client.goto(&away).await.expect("another page");
        self.stage.client.back().await.expect("a page back");
        let kept = self.stage.settle(
            "new Promise((resolve) => {
               const look = () => {
                 if (window.left && window.restored === undefined) setTimeout(look, 10);
                 else resolve(!!window.restored);
               };
               look();
             })",
        );
        if kept.await["resolved"] != true {
            return Err("the browser had not kept the page".to_owned());
        }
        self.settled(seen).await
    }

    /// Waits until WeChat accepted every `wx.config`, and, beyond the first `seen`, what the
    /// page of this very address gave to be shared.
    async fn settled(&self, seen: u64) -> Result<(), String> {
        // The developer tools look like an iPhone and are none: the helper finds out, once.
        let allowed = u8::from(self.client == "devtools");
        let promise = format!(
            "new Promise((resolve) => {{
               const until = performance.now() + 10000;
               const look = () => {{
                 const {{ shares, answers }} = simulatedWeChat;
                 const [last = {{}}] = shares.slice(-1);
                 const refused = answers.filter((answer) => !/:ok$/.test(answer)).length;
                 const accepted = answers.length && /:ok$/.test(answers.slice(-1)[0]) && refused <= {allowed};
                 if (accepted && shares.length > {seen} && last.ok && last.link === location.href) resolve('');
                 else if (performance.now() > until) resolve(JSON.stringify([location.href, answers, shares]));
                 else setTimeout(look, 10);
               }};
               look();
             }})"
        );
        match self.stage.settle(&promise).await["resolved"].as_str() {
            Some("") => Ok(()),
            other => Err(other.unwrap_or("no simulated client").to_owned()),
        }
    }

    async fn shares(&self) -> u64 {
        self.value("simulatedWeChat.shares.length").await
    }

    async fn value<T: serde::de::DeserializeOwned>(&self, expression: &str) -> T {
        let value = self
            .stage
            .run(&format!("return {expression}"), Value::Null)
            .await;
        serde_json::from_value(value).expect("a value of that type")
    }
}

/// Compares with what the README has between the markers of `name`; with `INSTA_UPDATE=always`,
/// as for snapshots, puts it there.
fn in_readme(name: &str, table: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(&path).expect("the README");
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let (before, rest) = readme.split_once(&begin).expect("the first marker");
    let (written, after) = rest.split_once(&end).expect("the second marker");
    if written != table && std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        let readme = format!("{before}{begin}{table}{end}{after}");
        std::fs::write(path, readme).expect("the README can be written");
        return;
    }
    assert_eq!(
        written, table,
        "INSTA_UPDATE=always writes the README's table"
    );
}
