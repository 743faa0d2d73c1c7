//! nginx and Caddy, the real ones, with the files that are printed for them.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::harness::{Place, WeChat, Wxsign, eventually, signature_target};
use crate::{output, printed};

const NAME: &str = "wxsign.example.com";

/// A proxy that runs until it is dropped.
struct Proxy {
    child: Child,
    address: SocketAddr,
    scheme: &'static str,
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
    fn start(command: &mut Command, package: &str, scheme: &'static str, at: SocketAddr) -> Self {
        let child = command.stdin(Stdio::null()).spawn();
        Self {
            child: child.unwrap_or_else(|why| panic!("{why}: apt-get install {package}")),
            address: at,
            scheme,
        }
    }

    /// The status and the body for `target`, asked from a loopback address with a wrong key, by
    /// someone who pretends to have another address.
    async fn ask(&self, from: &str, target: &str) -> Option<(u16, String)> {
        let (scheme, port) = (self.scheme, self.address.port());
        let mut curl = Command::new("curl");
        curl.args([
            "-sSk",
            "--noproxy",
            "*",
            "--max-time",
            "10",
            "--interface",
            from,
        ])
        .args(["--resolve", &format!("{NAME}:{port}:127.0.0.1")])
        .args(["-w", "\n%{http_code}"])
        .args([
            "-H",
            "X-Forwarded-For: 203.0.113.9",
            "-H",
            "Forwarded: for=203.0.113.9",
        ])
        .args(["-H", "Authorization: Bearer wxk_wrong"])
        .arg(format!("{scheme}://{NAME}:{port}{target}"));
        let asked = tokio::task::spawn_blocking(move || output(&mut curl, "curl"));
        let asked = asked.await.unwrap();
        let said = String::from_utf8(asked.stdout).unwrap();
        let (body, status) = said.rsplit_once('\n')?;
        asked
            .status
            .success()
            .then(|| (status.parse().unwrap(), body.to_owned()))
    }
}

fn free_address() -> SocketAddr {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap()
}

/// A server that believes what comes from 127.0.0.1.
async fn server(wechat: &WeChat) -> (Place, Wxsign) {
    let place = Place::new(&wechat.url);
    let toml = "trusted_proxies = [\"127.0.0.1/32\"]\n";
    fs::write(place.path().join("wxsign.toml"), toml).unwrap();
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
        let (status, body) = proxy.ask("127.0.0.3", &target).await?;
        (status == 200 && body.contains("\"signature\":")).then_some(())
    })
    .await;
    // A wrong key is logged with the address that it came from.
    let (status, body) = proxy.ask("127.0.0.2", "/v1/accounts").await.unwrap();
    assert_eq!(status, 401, "{body}");
    wxsign.logs("address=127.0.0.2").await;
    assert!(!wxsign.log().contains("203.0.113.9"), "{}", wxsign.log());
    // Nobody else learns how the accounts fare.
    let metrics = proxy.ask("127.0.0.3", "/metrics").await.unwrap();
    assert_eq!(metrics.0, 404);
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

#[tokio::test]
async fn nginx_encrypts_and_names_the_client() {
    let wechat = WeChat::start().await;
    let (place, wxsign) = server(&wechat).await;
    let directory = place.path();
    issue(directory);
    let address = free_address();
    let site: String = printed("nginx")
        .lines()
        .filter(|line| !line.contains("listen [::]"))
        .map(|line| {
            line.replace("listen 80;", "listen 127.0.0.1:0;")
                .replace("listen 443 ", &format!("listen {address} "))
                .replace("127.0.0.1:8080;", &format!("{};", wxsign.address()))
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
    let proxy = Proxy::start(&mut nginx, "nginx", "https", address);
    passes_clients_on_as_they_are(&proxy, &wxsign).await;
}

#[tokio::test]
async fn caddy_names_the_client() {
    let wechat = WeChat::start().await;
    let (place, wxsign) = server(&wechat).await;
    let directory = place.path();
    let address = free_address();
    // Certificates come from the network, which there is none of here.
    let port = address.port();
    let here = format!("http://{NAME}:{port} {{\n\tbind 127.0.0.1\n");
    let site = printed("caddy")
        .replace(&format!("{NAME} {{\n"), &here)
        .replace(
            "reverse_proxy 127.0.0.1:8080",
            &format!("reverse_proxy {}", wxsign.address()),
        );
    let around = "{\n\tadmin off\n\tauto_https off\n}\n";
    fs::write(directory.join("Caddyfile"), format!("{around}{site}")).unwrap();
    let mut caddy = Command::new("caddy");
    caddy
        .args(["run", "--adapter", "caddyfile", "--config", "Caddyfile"])
        .current_dir(directory)
        .env("HOME", directory)
        .env("XDG_DATA_HOME", directory)
        .env("XDG_CONFIG_HOME", directory);
    let proxy = Proxy::start(&mut caddy, "caddy", "http", address);
    passes_clients_on_as_they_are(&proxy, &wxsign).await;
}
