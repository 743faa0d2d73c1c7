//! The unit, and what the server tells systemd.

use std::fs;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use crate::harness::{Place, WeChat};
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
