//! Where the server can be reached: encrypted, over HTTP/2, by a file, by a socket of systemd.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::harness::{Place, WeChat, Wxsign, eventually, signature_target};

/// Who keeps the server waiting is cut off after 10 seconds, at the next look.
const CUT_OFF: Duration = Duration::from_secs(25);

/// What curl said, with the version of HTTP and the status in front of the body.
async fn curl(args: &[&str]) -> Result<String, String> {
    let mut command = Command::new("curl");
    command
        .args([
            "-sS",
            "--max-time",
            "10",
            "-w",
            "\nHTTP/%{http_version} %{http_code}",
        ])
        .args(args);
    let output = tokio::task::spawn_blocking(move || command.output()).await;
    let output = output
        .unwrap()
        .unwrap_or_else(|why| panic!("{why}: apt-get install curl"));
    let said = String::from_utf8(output.stdout).unwrap();
    match output.status.success() {
        true => Ok(said),
        false => Err(String::from_utf8(output.stderr).unwrap()),
    }
}

/// The same, until the server can sign.
async fn curl_signs(args: &[&str]) -> String {
    eventually("a page is signed", async || {
        let said = curl(args).await.ok()?;
        said.contains("\"signature\":").then_some(said)
    })
    .await
}

/// A certificate for 127.0.0.1 that vouches for itself, and its key.
pub(crate) async fn issue(directory: &Path) {
    let mut command = Command::new("openssl");
    command
        .current_dir(directory)
        .args([
            "req",
            "-x509",
            "-nodes",
            "-days",
            "30",
            "-subj",
            "/CN=wxsign",
        ])
        .args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-keyout", "key.pem", "-out", "certificate.pem"]);
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap();
    let output = output.unwrap_or_else(|why| panic!("{why}: apt-get install openssl"));
    assert!(output.status.success(), "{output:?}");
}

/// A server with a certificate, and the URL of a signature.
async fn encrypted(place: &Place) -> (Wxsign, String) {
    let wxsign = place.start("serve", "127.0.0.1:0");
    let url = eventually("it says where it listens", async || {
        let said = wxsign.said();
        let line = said
            .lines()
            .find_map(|line| line.strip_prefix("listening on "))?;
        Some(format!("{line}{}", signature_target()))
    })
    .await;
    assert!(url.starts_with("https://"), "{url}");
    (wxsign, url)
}

pub(crate) fn with_certificate(wechat: &WeChat) -> Place {
    Place::new(&wechat.url)
        .with("WXSIGN_TLS_CERTIFICATE", "certificate.pem")
        .with("WXSIGN_TLS_KEY", "key.pem")
}

#[tokio::test]
async fn with_a_certificate_it_speaks_https_in_both_versions() {
    let wechat = WeChat::start().await;
    let place = with_certificate(&wechat);
    issue(place.path()).await;
    let ca = place.path().join("certificate.pem");
    let ca = ca.to_str().unwrap();
    let (_wxsign, url) = encrypted(&place).await;
    let first = curl_signs(&["--http1.1", "--cacert", ca, &url]).await;
    assert!(first.ends_with("HTTP/1.1 200"), "{first}");
    let second = curl(&["--http2", "--cacert", ca, &url]).await.unwrap();
    assert!(second.ends_with("HTTP/2 200"), "{second}");
    for version in ["--http1.1", "--http2"] {
        let head = curl(&[version, "--cacert", ca, "--head", &url])
            .await
            .unwrap();
        let head = head.to_lowercase();
        assert!(
            head.contains("strict-transport-security: max-age=31536000"),
            "{head}"
        );
        assert!(head.contains("content-length: "), "{head}");
        assert!(!head.contains("nonceStr"), "{head}");
    }
    let plain = curl(&[&url.replace("https", "http")]).await;
    assert!(plain.is_err(), "{plain:?}");
}

#[tokio::test]
async fn a_new_certificate_is_taken_up_at_sighup_and_a_broken_one_is_not() {
    let wechat = WeChat::start().await;
    let place = with_certificate(&wechat);
    issue(place.path()).await;
    let (certificate, old) = (
        place.path().join("certificate.pem"),
        place.path().join("old.pem"),
    );
    std::fs::copy(&certificate, &old).unwrap();
    let (old, new) = (old.to_str().unwrap(), certificate.to_str().unwrap());
    let (wxsign, url) = encrypted(&place).await;
    curl_signs(&["--cacert", old, &url]).await;

    std::fs::write(&certificate, "not a certificate").unwrap();
    wxsign.signal(Signal::HUP);
    wxsign
        .logs("the certificate that was read before stays in use")
        .await;
    curl_signs(&["--cacert", old, &url]).await;

    issue(place.path()).await;
    wxsign.signal(Signal::HUP);
    wxsign.logs("there is a new certificate").await;
    curl_signs(&["--cacert", new, &url]).await;
    let refused = curl(&["--cacert", old, &url]).await;
    assert!(refused.is_err(), "{refused:?}");
}

#[tokio::test]
async fn files_that_are_no_certificate_and_key_are_named_at_the_start() {
    let wechat = WeChat::start().await;
    let place = with_certificate(&wechat);
    issue(place.path()).await;
    let key = std::fs::read(place.path().join("key.pem")).unwrap();
    issue(place.path()).await;
    for (file, content, advice) in [
        ("key.pem", key.as_slice(), "does not go with the key"),
        (
            "certificate.pem",
            b"",
            "tls_certificate certificate.pem: there is no certificate in it",
        ),
        (
            "key.pem",
            b"",
            "tls_key key.pem: there is no private key in it",
        ),
    ] {
        std::fs::write(place.path().join(file), content).unwrap();
        let mut wxsign = place.start("serve", "127.0.0.1:0");
        assert_eq!(wxsign.exit_code().await, Some(78));
        wxsign.logs(advice).await;
    }
    std::fs::remove_file(place.path().join("key.pem")).unwrap();
    let mut wxsign = place.start("serve", "127.0.0.1:0");
    assert_eq!(wxsign.exit_code().await, Some(78));
    wxsign
        .logs("WXSIGN_TLS_KEY: tls_key key.pem: it cannot be read")
        .await;
    let checked = place.run(&["config", "check"], "").await;
    assert_eq!(checked.code, Some(78), "{checked:?}");
}

#[tokio::test]
async fn http2_is_spoken_in_the_clear_to_who_begins_with_it() {
    let wechat = WeChat::start().await;
    let wxsign = Place::new(&wechat.url).serve().await;
    wxsign.signs().await;
    let url = format!("http://{}{}", wxsign.address(), signature_target());
    let second = curl(&["--http2-prior-knowledge", &url]).await.unwrap();
    assert!(second.ends_with("HTTP/2 200"), "{second}");
    let first = curl(&["--http1.1", &url, &url]).await.unwrap();
    assert_eq!(first.matches("HTTP/1.1 200").count(), 2, "{first}");
    let head = curl(&["--http2-prior-knowledge", "--head", &url])
        .await
        .unwrap();
    assert!(
        head.contains("content-length: ") && !head.contains("nonceStr"),
        "{head}"
    );
    let body = format!(r#"{{"url":"{}"}}"#, crate::harness::PAGE);
    let posted = ["--http2-prior-knowledge", "--json", &body];
    let target = format!("http://{}/jsapi/signature", wxsign.address());
    let posted = curl(&[posted.as_slice(), &[&target]].concat())
        .await
        .unwrap();
    assert!(posted.ends_with("HTTP/2 200"), "{posted}");
}

#[tokio::test]
async fn to_a_head_only_a_head_is_said_in_both_versions() {
    let wechat = WeChat::start().await;
    let wxsign = Place::new(&wechat.url).serve().await;
    for (target, status) in [
        ("/livez", 200),
        ("/demo", 200),
        ("/nothing", 404),
        ("/jsapi/report", 405),
        ("/jsapi/signature", 400),
        ("/v1/accounts", 401),
    ] {
        let url = format!("http://{}{target}", wxsign.address());
        for version in ["--http1.1", "--http2-prior-knowledge"] {
            let head = curl(&[version, "--head", &url]).await.unwrap();
            assert!(head.ends_with(&format!(" {status}")), "{target}: {head}");
            assert!(head.contains("x-request-id: "), "{head}");
        }
    }
}

#[tokio::test]
async fn a_hang_up_ends_nothing() {
    let wechat = WeChat::start().await;
    let wxsign = Place::new(&wechat.url).serve().await;
    wxsign.signal(Signal::HUP);
    wxsign
        .logs("there is no certificate to be read again")
        .await;
    wxsign.signs().await;
}

#[tokio::test]
async fn a_socket_in_the_file_system_is_there_as_long_as_the_server() {
    let wechat = WeChat::start().await;
    let place = Place::new(&wechat.url);
    let mut wxsign = place.start("serve", "unix:http.sock");
    let path = place.path().join("http.sock");
    let socket = path.to_str().unwrap();
    let url = format!("http://wxsign{}", signature_target());
    curl_signs(&["--unix-socket", socket, &url]).await;
    assert!(wxsign.said().contains("listening on unix:http.sock"));
    wxsign.signal(Signal::INT);
    assert_eq!(wxsign.exit_code().await, Some(0));
    assert!(!path.exists());
}

#[tokio::test]
async fn a_certificate_that_nothing_is_encrypted_with_is_told_of() {
    let wechat = WeChat::start().await;
    let place = with_certificate(&wechat);
    issue(place.path()).await;
    let wxsign = place.start("serve", "unix:http.sock");
    wxsign.logs("tls_certificate has no effect").await;
    let place = place.with("WXSIGN_LISTEN", "unix:http.sock");
    let checked = place.run(&["config", "check"], "").await;
    assert_eq!(checked.code, Some(0), "{checked:?}");
    let told = "WXSIGN_TLS_CERTIFICATE: tls_certificate has no effect";
    assert!(checked.stderr.contains(told), "{checked:?}");
}

/// Does what systemd does: opens sockets, and becomes the server.
const SYSTEMD: &str = "
import os, socket, sys
sockets = [socket.create_server(('127.0.0.1', 0)) for _ in range(2)]
for number, listening in enumerate(sockets):
    os.dup2(listening.fileno(), 100 + number)
for number, listening in enumerate(sockets):
    # From where no socket is in the way of another.
    os.dup2(100 + number, 3 + number)
    print('systemd opened', listening.getsockname()[1], flush=True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='2', LISTEN_FDNAMES='pages:admin')
os.execv(sys.argv[1], sys.argv[1:])
";

#[tokio::test]
async fn sockets_that_systemd_has_opened_are_taken_by_their_names() {
    let wechat = WeChat::start().await;
    let place = Place::new(&wechat.url).with("WXSIGN_ADMIN_LISTEN", "systemd:admin");
    let wxsign = place.start_by("python3", &["-c", SYSTEMD], "serve", "systemd:pages");
    let ports: Vec<u16> = eventually("both sockets", async || {
        let said = wxsign.said();
        let ports = said
            .lines()
            .filter_map(|line| line.strip_prefix("systemd opened "));
        let ports: Vec<u16> = ports.map(|port| port.parse().unwrap()).collect();
        (ports.len() == 2).then_some(ports)
    })
    .await;
    let url = |port: u16, target: &str| format!("http://127.0.0.1:{port}{target}");
    curl_signs(&[&url(ports[0], &signature_target())]).await;
    let metrics = curl(&[&url(ports[1], "/metrics")]).await.unwrap();
    assert!(metrics.ends_with("HTTP/1.1 200"), "{metrics}");
    let hidden = curl(&[&url(ports[0], "/metrics")]).await.unwrap();
    assert!(hidden.ends_with("HTTP/1.1 404"), "{hidden}");
}

#[tokio::test]
async fn who_begins_and_does_not_go_on_is_cut_off() {
    let wechat = WeChat::start().await;
    let wxsign = Place::new(&wechat.url).serve().await;
    let mut beginnings = Vec::new();
    for begun in [
        "",
        "G",
        "GET / HTTP/1.1\r\nHost: w",
        "PRI * HTTP/2.0\r\n",
        "\u{16}\u{3}\u{1}",
    ] {
        let mut stream = TcpStream::connect(wxsign.address()).await.unwrap();
        stream.write_all(begun.as_bytes()).await.unwrap();
        beginnings.push((begun, stream));
    }
    // It is not impatient either.
    let early = Duration::from_secs(5);
    let waiting = timeout(early, beginnings[2].1.read(&mut [0])).await;
    assert!(waiting.is_err(), "{waiting:?}");
    wxsign.signs().await;
    for (begun, mut stream) in beginnings {
        let mut said = Vec::new();
        let ended = timeout(CUT_OFF, stream.read_to_end(&mut said)).await;
        assert!(ended.is_ok(), "{begun:?} is still waited for");
    }
}
