//! Tells systemd how the server fares, where it wants to hear it (`Type=notify`, `WatchdogSec=`):
//! <https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html>.

use std::io;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::app::App;

/// The way to the one who started the server.
pub(super) struct Supervisor {
    socket: UnixDatagram,
    /// Without a sign of life for so long, it starts the server anew.
    watchdog: Option<Duration>,
}

impl Supervisor {
    /// The one that the environment names.
    pub(super) fn from_env() -> Option<Self> {
        let variable = |name| std::env::var(name).ok();
        let name = variable("NOTIFY_SOCKET")?;
        let pid = variable("WATCHDOG_PID");
        let is_ours = pid.is_none_or(|pid| pid == std::process::id().to_string());
        let watchdog = variable("WATCHDOG_USEC").filter(|_| is_ours);
        match connect(&name) {
            Ok(socket) => Some(Self {
                socket,
                watchdog: watchdog
                    .and_then(|micros| micros.parse().ok())
                    .map(Duration::from_micros),
            }),
            Err(error) => {
                tracing::warn!(%error, "systemd cannot be told anything at {name}");
                None
            }
        }
    }

    fn say(&self, what: &str) {
        if let Err(error) = self.socket.send(what.as_bytes()) {
            tracing::debug!(%error, "systemd was not told {what}");
        }
    }

    /// Says that the server serves, then gives signs of life while renewal goes on, and says when
    /// it begins to stop. It ends with the program.
    pub(super) async fn follow(self, app: &App, draining: CancellationToken) {
        self.say("READY=1");
        let half = self.watchdog.map(|limit| limit / 2);
        // Also where nobody asks for signs of life there is the end to be told.
        let half = half.unwrap_or(Duration::from_secs(3600));
        let clock = app.keeper.clock();
        while !draining.is_cancelled() {
            if self.watchdog.is_some() && app.keeper.is_alive() {
                self.say("WATCHDOG=1");
            }
            tokio::select! {
                () = clock.sleep(half) => {}
                () = draining.cancelled() => {}
            }
        }
        self.say("STOPPING=1");
    }
}

fn connect(name: &str) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.connect_addr(&address(name)?)?;
    Ok(socket)
}

fn address(name: &str) -> io::Result<SocketAddr> {
    #[cfg(target_os = "linux")]
    if let Some(name) = name.strip_prefix('@') {
        use std::os::linux::net::SocketAddrExt;
        return SocketAddr::from_abstract_name(name);
    }
    SocketAddr::from_pathname(name)
}
