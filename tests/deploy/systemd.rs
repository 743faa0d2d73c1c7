//! The unit, and what the server tells systemd.

use std::fs;
use std::io::Write;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;

use crate::canaries::APP_SECRET;
use crate::harness::{APPID, Place, WeChat, eventually};
use crate::{output, printed};

#[test]
fn the_unit_is_valid_and_lets_the_server_do_next_to_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let unit = directory.path().join("wxsign.service");
    // The program need not be installed here.
    let text = printed("systemd").replace("/usr/local/bin/wxsign", env!("CARGO_BIN_EXE_wxsign"));
    fs::write(&unit, text).unwrap();
    let analyze = |args: &[&str]| {
        let mut command = Command::new("systemd-analyze");
        output(command.args(args).arg(&unit), "systemd")
    };
    let verified = analyze(&["verify", "--man=no"]);
    let said = String::from_utf8_lossy(&verified.stderr);
    let about_it = said.lines().find(|line| line.contains("wxsign"));
    assert!(verified.status.success(), "{said}");
    assert_eq!(about_it, None, "{said}");
    // In tenths.
    let judged = analyze(&["security", "--offline=true", "--threshold=20", "--no-pager"]);
    let said = String::from_utf8_lossy(&judged.stdout);
    assert!(judged.status.success(), "{said}");
    let score = said.lines().find(|line| line.contains("exposure level"));
    println!("{}", score.unwrap());
}

/// The configuration that the unit's head shows.
fn example() -> String {
    let unit = printed("systemd");
    let lines = unit
        .lines()
        .skip_while(|line| !line.contains("cat > wxsign.toml"));
    let lines = lines.skip(1).map_while(|line| line.strip_prefix("#     "));
    lines.map(|line| line.to_owned() + "\n").collect()
}

#[tokio::test]
async fn an_operator_finds_the_database_of_the_unit_with_the_same_files() {
    let wechat = WeChat::start().await;
    let place = Place::new(&wechat.url);
    let directory = |name: &str| {
        let path = place.path().join(name);
        fs::create_dir(&path).unwrap();
        path
    };
    let (etc, state) = (directory("etc"), directory("state"));
    let toml = example().replace("/var/lib/wxsign", state.to_str().unwrap());
    assert!(toml.contains(state.to_str().unwrap()), "{toml}");
    for (name, content) in [
        ("wxsign.toml", &*toml),
        ("appsecret", APP_SECRET),
        ("master.key", &"0123456789abcdef".repeat(4)),
    ] {
        fs::write(etc.join(name), content).unwrap();
    }
    // What systemd does: copies of what the unit names, in a directory in which the server starts.
    let credentials = directory("credentials");
    let unit = printed("systemd");
    assert!(unit.contains("\nWorkingDirectory=%d\n"), "{unit}");
    for line in unit.lines() {
        if let Some(loaded) = line.strip_prefix("LoadCredential=") {
            let (name, path) = loaded.split_once(":/etc/wxsign/").unwrap();
            fs::copy(etc.join(path), credentials.join(name)).unwrap();
        }
    }
    let in_directory = |directory: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wxsign"));
        command
            .env_clear()
            .env("WXSIGN_UPSTREAM", &wechat.url)
            .current_dir(directory);
        command
    };
    let mut server = in_directory(&credentials)
        .args(["serve", "--listen", "127.0.0.1:0"])
        .env("WXSIGN_CONFIG", credentials.join("wxsign.toml"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let operator = async |args: &[&str], input: &'static str| {
        let mut command = in_directory(&etc);
        command.args(args).stdin(Stdio::piped());
        let ran = tokio::task::spawn_blocking(move || {
            let mut child = command
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
            child.wait_with_output().unwrap()
        });
        let ran = ran.await.unwrap();
        let said = String::from_utf8(ran.stdout).unwrap();
        (
            ran.status.code(),
            said,
            String::from_utf8(ran.stderr).unwrap(),
        )
    };
    eventually("an event of the server is read", async || {
        let (_, said, _) = operator(&["events"], "").await;
        said.contains("renewal.done").then_some(())
    })
    .await;
    for (args, shown) in [
        (&["config", "check"][..], "ok"),
        (&["account", "list"], APPID),
        (&["doctor"], "WeChat accepts the one that is stored"),
    ] {
        let (code, said, wrong) = operator(args, "").await;
        assert_eq!(code, Some(0), "{args:?}: {said}{wrong}");
        assert!(said.contains(shown), "{args:?}: {said}");
    }
    let (code, _, wrong) = operator(&["console", "password"], "four words and more\n").await;
    assert_eq!(code, Some(0), "{wrong}");
    let (_, said, _) = operator(&["events", "--what", "console"], "").await;
    assert!(said.contains("console.password"), "{said}");
    server.kill().unwrap();
    server.wait().unwrap();
}

/// What is said to systemd, as far as it is not in `but`.
async fn heard(socket: &tokio::net::UnixDatagram, but: &str) -> String {
    let hearing = async {
        loop {
            let mut said = [0; 256];
            let length = socket.recv(&mut said).await.unwrap();
            let said = std::str::from_utf8(&said[..length]).unwrap();
            if said != but {
                return said.to_owned();
            }
        }
    };
    let heard = tokio::time::timeout(Duration::from_secs(30), hearing).await;
    heard.expect("it is said in time")
}

#[tokio::test]
async fn systemd_is_told_when_it_serves_lives_and_stops() {
    let wechat = WeChat::start().await;
    let place = Place::new(&wechat.url);
    let path = place.path().join("notify");
    let abstract_name = format!("wxsign-test-{}", std::process::id());
    let abstract_address = SocketAddr::from_abstract_name(&abstract_name).unwrap();
    let sockets = [
        (
            path.to_str().unwrap().to_owned(),
            UnixDatagram::bind(&path).unwrap(),
        ),
        (
            format!("@{abstract_name}"),
            UnixDatagram::bind_addr(&abstract_address).unwrap(),
        ),
    ];
    for (name, socket) in sockets {
        socket.set_nonblocking(true).unwrap();
        let socket = tokio::net::UnixDatagram::from_std(socket).unwrap();
        let place = Place::new(&wechat.url)
            .with("NOTIFY_SOCKET", &name)
            .with("WATCHDOG_USEC", "200000");
        let mut wxsign = place.serve().await;
        assert_eq!(heard(&socket, "").await, "READY=1");
        assert_eq!(heard(&socket, "").await, "WATCHDOG=1");
        assert_eq!(heard(&socket, "").await, "WATCHDOG=1");
        wxsign.signal(Signal::INT);
        assert_eq!(heard(&socket, "WATCHDOG=1").await, "STOPPING=1");
        assert_eq!(wxsign.exit_code().await, Some(0));
    }
}
