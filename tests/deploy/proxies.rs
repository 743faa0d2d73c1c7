//! nginx and Caddy, the real ones, with the files that are printed for them.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use crate::harness::{Place, WeChat, Wxsign, eventually, signature_target};
use crate::manifests::composed_caddyfile;
use crate::{output, printed};

/// The name for pages, and the one for back ends and operators.
const NAME: &str = "wxsign.example.com";
const ADMIN: &str = "wxsign-admin.example.com";

const PASSWORD: &str = "four words and more";

/// A proxy that runs until it is dropped.
struct Proxy {
    child: Child,
    address: SocketAddr,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // It ends its own workers.
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.child.wait();
    }
}

impl Proxy {
    fn start(command: &mut Command, package: &str, at: SocketAddr) -> Self {
        let child = command.stdin(Stdio::null()).spawn();
        Self {
            child: child.unwrap_or_else(|why| panic!("{why}: apt-get install {package}")),
            address: at,
        }
    }

    /// The status, and head and body, for `target` of the site `name`, asked from a loopback
    /// address with a wrong key, by someone who pretends to have another address.
    async fn ask_with(
        &self,
        name: &str,
        from: &str,
        target: &str,
        more: &[&str],
    ) -> Option<(u16, String)> {
        let port = self.address.port();
        let mut curl = Command::new("curl");
        curl.args(["-sSki", "--noproxy", "*", "--max-time", "10"])
            .args(["--path-as-is", "--interface", from])
            .args(["--resolve", &format!("{name}:{port}:127.0.0.1")])
            .args(["-w", "\n%{http_code}"])
            .args(["-H", "X-Forwarded-For: 203.0.113.9"])
            .args(["-H", "Forwarded: for=203.0.113.9"])
            .args(["-H", "Authorization: Bearer wxk_wrong"])
            .args(more)
            .arg(format!("https://{name}:{port}{target}"));
        let asked = tokio::task::spawn_blocking(move || output(&mut curl, "curl"));
        let asked = asked.await.unwrap();
        let said = String::from_utf8(asked.stdout).unwrap();
        let (answer, status) = said.rsplit_once('\n')?;
        let worked = asked.status.success();
        worked.then(|| (status.parse().unwrap(), answer.to_owned()))
    }

    async fn ask(&self, name: &str, from: &str, target: &str) -> Option<(u16, String)> {
        self.ask_with(name, from, target, &[]).await
    }

    async fn status(&self, name: &str, from: &str, target: &str) -> u16 {
        let asked = self.ask(name, from, target).await;
        asked.unwrap_or_else(|| panic!("{target}")).0
    }
}

fn free_address() -> SocketAddr {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap()
}

/// A server that believes what comes from 127.0.0.1.
async fn server(wechat: &WeChat) -> (Place, Wxsign) {
    let place = Place::new(&wechat.url);
    let toml = "trusted_proxies = [\"127.0.0.1/32\"]\n\
        [limits]\nsignatures_per_address = 1\n\
        [console]\npassword_file = \"password\"\n\
        [verify_files]\n\"MP_verify_abcdefghijklmnop.txt\" = \"abcdefghijklmnop\"\n";
    fs::write(place.path().join("wxsign.toml"), toml).unwrap();
    fs::write(place.path().join("password"), PASSWORD).unwrap();
    let wxsign = place.serve().await;
    eventually("it is ready", async || {
        (wxsign.get("/readyz").await.status == 200).then_some(())
    })
    .await;
    (place, wxsign)
}

/// Pages are signed through the proxy, and the server knows each client by the address that it
/// really has, whatever it says of itself.
async fn passes_clients_on_as_they_are(proxy: &Proxy, wxsign: &Wxsign) {
    let target = signature_target();
    eventually("a page is signed through the proxy", async || {
        let (status, answer) = proxy.ask(NAME, "127.0.0.3", &target).await?;
        (status == 200 && answer.contains("\"signature\":")).then_some(())
    })
    .await;
    // An address that was invented would be limited to six of them; this machine is not. It is a
    // trusted proxy's, too, so that an invention beside it would be believed.
    for _ in 0..12 {
        assert_eq!(proxy.status(NAME, "127.0.0.1", &target).await, 200);
    }
    // A wrong key is logged with the address that it came from.
    let (status, answer) = proxy.ask(ADMIN, "127.0.0.1", "/v1/accounts").await.unwrap();
    assert_eq!(status, 401, "{answer}");
    wxsign.logs("address=127.0.0.1").await;
    assert!(!wxsign.log().contains("203.0.113.9"), "{}", wxsign.log());
}

/// Under the public name there is what pages need, and nothing else.
async fn shows_the_world_what_pages_need(proxy: &Proxy) {
    for target in [
        "/static/wxsign.js",
        "/static/wxsign.js?v=1",
        "/MP_verify_abcdefghijklmnop.txt",
        "/livez",
    ] {
        assert_eq!(
            proxy.status(NAME, "127.0.0.1", target).await,
            200,
            "{target}"
        );
    }
    for target in [
        "/",
        "/console",
        "/console/login",
        "/console/../jsapi/signature",
        "/console/%2e%2e/jsapi/signature",
        "/jsapi/../console",
        "//console",
        "/v1/accounts",
        "/v1/accounts?/jsapi/signature",
        "/cgi-bin/token",
        "/cgi-bin/menu/delete?access_token=x",
        "/proxy/wx0123456789abcdef/cgi-bin/menu/delete",
        "/metrics",
        "/readyz",
        "/docs",
        "/openapi.json",
        "/demo",
        "/debug",
    ] {
        let (status, answer) = proxy.ask(NAME, "127.0.0.1", target).await.unwrap();
        assert_eq!(status, 404, "{target}: {answer}");
        // The proxy says so, and not the server.
        let answer = answer.to_lowercase();
        assert!(!answer.contains("x-request-id"), "{target}: {answer}");
    }
}

/// Under the other name there is everything, for those who are listed, and a browser that signs in
/// gets a cookie that it sends over HTTPS alone.
async fn lets_operators_in(proxy: &Proxy) {
    for target in ["/console/login", "/metrics", "/docs", "/readyz"] {
        assert_eq!(
            proxy.status(ADMIN, "127.0.0.1", target).await,
            200,
            "{target}"
        );
        assert_eq!(
            proxy.status(ADMIN, "127.0.0.2", target).await,
            403,
            "{target}"
        );
    }
    let password = format!("password={PASSWORD}");
    let form = [
        "-H",
        "Sec-Fetch-Site: same-origin",
        "--data-urlencode",
        &password,
    ];
    let signed_in = proxy.ask_with(ADMIN, "127.0.0.1", "/console/login", &form);
    let (status, answer) = signed_in.await.unwrap();
    assert_eq!(status, 303, "{answer}");
    let answer = answer.to_lowercase();
    let cookie = answer
        .lines()
        .find(|line| line.starts_with("set-cookie: __host-wxsign="));
    let cookie = cookie.unwrap_or_else(|| panic!("{answer}"));
    assert!(cookie.contains("; secure"), "{cookie}");
}

/// What holds of each of them.
async fn is_a_good_proxy(proxy: &Proxy, wxsign: &Wxsign) {
    passes_clients_on_as_they_are(proxy, wxsign).await;
    shows_the_world_what_pages_need(proxy).await;
    lets_operators_in(proxy).await;
}

/// Two nodes that are well when they are asked, and die over every other request; and the heads of
/// those.
fn nodes_that_die() -> ([SocketAddr; 2], Arc<Mutex<Vec<String>>>) {
    let heads = Arc::<Mutex<Vec<String>>>::default();
    let nodes = [(); 2].map(|()| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::clone(&heads);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut head = [0; 4096];
                let length = stream.read(&mut head).unwrap_or_default();
                let head = String::from_utf8_lossy(&head[..length]).into_owned();
                if head.starts_with("GET /readyz ") {
                    let well = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                    let _ = stream.write_all(well.as_bytes());
                } else if !head.is_empty() {
                    heads.lock().unwrap().push(head.to_lowercase());
                }
            }
        });
        address
    });
    (nodes, heads)
}

/// A node that dies over a call to WeChat is not followed by another one that repeats it; a page is
/// signed by the next one, which hears from where it was asked.
async fn sends_nothing_twice(proxy: &Proxy, heads: &Mutex<Vec<String>>) {
    // First, while neither is left out: both are tried for one page only then.
    eventually("a page is signed by another node", async || {
        proxy.ask(NAME, "127.0.0.3", &signature_target()).await?;
        let heads = std::mem::take(&mut *heads.lock().unwrap());
        let right = |head: &String| head.contains("\r\nx-forwarded-for: 127.0.0.3\r\n");
        assert!(heads.iter().all(right), "{heads:?}");
        (heads.len() == 2).then_some(())
    })
    .await;
    for (name, target) in [
        (ADMIN, "/proxy/wx0123456789abcdef/cgi-bin/menu/delete"),
        (ADMIN, "/cgi-bin/menu/delete?access_token=x"),
    ] {
        eventually("a node that is not left out gets it", async || {
            let (status, _) = proxy.ask(name, "127.0.0.1", target).await?;
            assert!([502, 503].contains(&status), "{target}: {status}");
            let heads = std::mem::take(&mut *heads.lock().unwrap());
            assert!(heads.len() <= 1, "{heads:?}");
            (heads.len() == 1).then_some(())
        })
        .await;
    }
}

/// A certificate of its own making.
fn issue(directory: &Path) {
    let mut openssl = Command::new("openssl");
    openssl
        .current_dir(directory)
        .args(["req", "-x509", "-nodes", "-days", "30", "-subj", "/CN=test"])
        .args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
        .args(["-keyout", "privkey.pem", "-out", "fullchain.pem"]);
    let made = output(&mut openssl, "openssl");
    assert!(made.status.success(), "{made:?}");
}

/// nginx in front of `nodes`.
fn start_nginx(directory: &Path, nodes: &[SocketAddr], address: SocketAddr) -> Proxy {
    issue(directory);
    let nodes: Vec<String> = nodes.iter().map(|node| format!("server {node};")).collect();
    let site: String = printed("nginx")
        .lines()
        .filter(|line| !line.contains("listen [::]"))
        .map(|line| {
            line.replace("listen 80;", "listen 127.0.0.1:0;")
                .replace("listen 443 ", &format!("listen {address} "))
                .replace("server 127.0.0.1:8080;", &nodes.join(" "))
                .replace("/etc/ssl/wxsign", directory.to_str().unwrap())
                + "\n"
        })
        .collect();
    // What listens on port 80 only sends elsewhere, and needs a port of its own.
    let site = site.replace("127.0.0.1:0;", &format!("{};", free_address()));
    fs::write(directory.join("site.conf"), site).unwrap();
    let around = "daemon off; pid nginx.pid; error_log stderr warn; worker_processes 1; events {}\n\
        http { access_log off; client_body_temp_path body; proxy_temp_path proxy;\n\
        fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s; include site.conf; }\n";
    fs::write(directory.join("nginx.conf"), around).unwrap();
    let mut nginx = Command::new("/usr/sbin/nginx");
    nginx
        .args(["-e", "stderr", "-p"])
        .arg(directory)
        .args(["-c", "nginx.conf"]);
    Proxy::start(&mut nginx, "nginx", address)
}

#[tokio::test]
async fn nginx_encrypts_and_names_the_client() {
    let wechat = WeChat::start().await;
    let (place, wxsign) = server(&wechat).await;
    let proxy = start_nginx(place.path(), &[wxsign.address()], free_address());
    is_a_good_proxy(&proxy, &wxsign).await;
}

#[tokio::test]
async fn nginx_sends_nothing_twice_that_wechat_may_have_acted_on() {
    let directory = tempfile::tempdir().unwrap();
    let (nodes, heads) = nodes_that_die();
    let proxy = start_nginx(directory.path(), &nodes, free_address());
    sends_nothing_twice(&proxy, &heads).await;
}

/// Caddy with `sites`, whose names are with its port in them.
fn start_caddy(directory: &Path, sites: &str, address: SocketAddr) -> Proxy {
    // Certificates come from the network, which there is none of here.
    let around = format!(
        "{{\n\tadmin off\n\thttps_port {}\n\tauto_https disable_redirects\n\tlocal_certs\n\t\
         skip_install_trust\n\tdefault_bind 127.0.0.1\n}}\n",
        address.port()
    );
    fs::write(directory.join("Caddyfile"), format!("{around}{sites}")).unwrap();
    let mut caddy = Command::new("caddy");
    caddy
        .args(["run", "--adapter", "caddyfile", "--config", "Caddyfile"])
        .current_dir(directory)
        .env("HOME", directory)
        .env("XDG_DATA_HOME", directory)
        .env("XDG_CONFIG_HOME", directory);
    Proxy::start(&mut caddy, "caddy", address)
}

#[tokio::test]
async fn caddy_encrypts_and_names_the_client() {
    let wechat = WeChat::start().await;
    let (place, wxsign) = server(&wechat).await;
    let sites = printed("caddy").replace("127.0.0.1:8080 {", &format!("{} {{", wxsign.address()));
    let proxy = start_caddy(place.path(), &sites, free_address());
    is_a_good_proxy(&proxy, &wxsign).await;
}

/// The sites of the Compose file's Caddy, in front of `nodes`.
fn composed_sites(nodes: &[SocketAddr]) -> String {
    let nodes: Vec<String> = nodes.iter().map(SocketAddr::to_string).collect();
    let there = "wxsign-wxsign-1:8080 wxsign-wxsign-2:8080 wxsign-wxsign-3:8080";
    composed_caddyfile(&[
        ("${SITE:?}", NAME),
        ("${ADMIN_SITE:?}", ADMIN),
        ("${ADMIN_FROM:-127.0.0.1}", "127.0.0.1"),
        (there, &nodes.join(" ")),
    ])
}

#[tokio::test]
async fn the_caddy_of_the_compose_file_does_the_same() {
    let wechat = WeChat::start().await;
    let (place, wxsign) = server(&wechat).await;
    let sites = composed_sites(&[wxsign.address()]);
    let proxy = start_caddy(place.path(), &sites, free_address());
    is_a_good_proxy(&proxy, &wxsign).await;
}

#[tokio::test]
async fn the_caddy_of_the_compose_file_sends_nothing_twice_either() {
    let directory = tempfile::tempdir().unwrap();
    let (nodes, heads) = nodes_that_die();
    let proxy = start_caddy(directory.path(), &composed_sites(&nodes), free_address());
    sends_nothing_twice(&proxy, &heads).await;
}
