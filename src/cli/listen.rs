//! Takes what a server is to listen on.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use listenfd::ListenFd;

use super::Failure;
use crate::config::Listen;
use crate::server::Listener;

/// Listens on `address`; the listener does not block, as Tokio wants it.
///
/// # Errors
/// Why the address cannot be had, and how to choose another.
pub fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    listen(address).map_err(|why| failure(address, &why))
}

/// Listens on `address`, or on any free port beside it when it is taken.
///
/// # Errors
/// As [`bind`].
pub fn bind_or_any_port(address: SocketAddr) -> Result<TcpListener, Failure> {
    match listen(address) {
        Err(why) if why.kind() == ErrorKind::AddrInUse => bind(SocketAddr::new(address.ip(), 0)),
        result => result.map_err(|why| failure(address, &why)),
    }
}

/// Connections that wait to be accepted; the standard library's 128 are few when a thousand come
/// at once.
const BACKLOG: i32 = 4096;

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    rustix::net::listen(&listener, BACKLOG)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn failure(address: SocketAddr, why: &io::Error) -> Failure {
    let free = SocketAddr::new(address.ip(), 0);
    let hint = match why.kind() {
        ErrorKind::AddrInUse => format!(
            "another program listens there; stop it, or choose another port with --listen \
             (--listen {free} takes any free one)"
        ),
        ErrorKind::PermissionDenied => {
            "ports below 1024 need a privilege; choose a higher one with --listen".to_owned()
        }
        ErrorKind::AddrNotAvailable => {
            "this machine has no such address; --listen 0.0.0.0:PORT takes them all".to_owned()
        }
        _ => "choose another address with --listen".to_owned(),
    };
    Failure::Other(format!("cannot listen on {address} ({why}): {hint}"))
}

/// What a server of the configuration listens on.
pub(super) enum Bound {
    Tcp(TcpListener),
    /// A socket of our own, or one that systemd has opened.
    Unix(UnixListener, Option<SocketFile>),
}

/// A socket in the file system, removed at the end, unless another server has put its own there.
pub(super) struct SocketFile {
    path: PathBuf,
    /// Its device and inode, and when it was made: an inode is soon given to another file.
    file: Option<(u64, u64, i64, i64)>,
}

impl SocketFile {
    fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            file: identity(path),
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.file.is_some() && identity(&self.path) == self.file {
            // Who removed it before has done what is to be done.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64, i64, i64)> {
    let found = std::fs::symlink_metadata(path).ok()?;
    Some((found.dev(), found.ino(), found.ctime(), found.ctime_nsec()))
}

impl Bound {
    /// Takes an address, a file, or one of the sockets that systemd has opened.
    ///
    /// # Errors
    /// Why it cannot be had, and what else can.
    pub(super) fn take(listen: &Listen, inherited: &mut Inherited) -> Result<Self, Failure> {
        match listen {
            Listen::Address(address) => bind(*address).map(Self::Tcp),
            Listen::Unix(path) => bind_unix(path).map_err(|why| {
                let listen = format!("cannot listen on {listen} ({why})");
                Failure::Other(match why.kind() {
                    ErrorKind::AddrInUse => format!(
                        "{listen}: another program listens there, or the file is something else; \
                         stop it, or choose another path"
                    ),
                    ErrorKind::NotFound | ErrorKind::PermissionDenied => {
                        format!("{listen}: its directory must be there and writable")
                    }
                    _ => format!("{listen}: choose another path"),
                })
            }),
            Listen::Systemd(name) => inherited.take(name.as_deref()),
        }
    }

    /// The listener for the runtime, which must run; the guard goes when it is not needed any more.
    ///
    /// # Errors
    /// The runtime cannot take it.
    pub(super) fn adopt(self) -> Result<(Listener, Option<SocketFile>), Failure> {
        let failed = |why: io::Error| Failure::Other(format!("cannot listen: {why}"));
        Ok(match self {
            Self::Tcp(listener) => {
                let listener = tokio::net::TcpListener::from_std(listener).map_err(failed)?;
                (listener.into(), None)
            }
            Self::Unix(listener, file) => {
                let listener = tokio::net::UnixListener::from_std(listener).map_err(failed)?;
                (listener.into(), file)
            }
        })
    }

    /// Whether its connections can be encrypted.
    pub(super) const fn is_tcp(&self) -> bool {
        matches!(self, Self::Tcp(_))
    }

    /// Where it can be reached, with `scheme` where that is by a URL.
    pub(super) fn url(&self, scheme: &str) -> String {
        match self {
            Self::Tcp(listener) => match listener.local_addr() {
                Ok(address) => format!("{scheme}://{address}"),
                Err(why) => why.to_string(),
            },
            Self::Unix(_, Some(file)) => format!("unix:{}", file.path.display()),
            Self::Unix(listener, None) => {
                let address = listener.local_addr();
                let path = address
                    .as_ref()
                    .ok()
                    .and_then(|address| address.as_pathname());
                path.map_or_else(
                    || "a socket of systemd".to_owned(),
                    |path| format!("unix:{}", path.display()),
                )
            }
        }
    }
}

impl fmt::Debug for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bound({})", self.url("tcp"))
    }
}

/// Whoever can reach the file may connect, as everyone on the machine can to a port: its directory
/// says who that is.
const MODE: u32 = 0o666;

fn bind_unix(path: &Path) -> io::Result<Bound> {
    // One that was left behind by a program that was killed refuses connections.
    let is_socket =
        std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    if is_socket
        && UnixStream::connect(path).is_err_and(|why| why.kind() == ErrorKind::ConnectionRefused)
    {
        std::fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, PermissionsExt::from_mode(MODE))?;
    let file = SocketFile::new(path);
    listener.set_nonblocking(true)?;
    Ok(Bound::Unix(listener, Some(file)))
}

/// The sockets that systemd has opened for this process
/// (<https://www.freedesktop.org/software/systemd/man/latest/sd_listen_fds.html>).
pub(super) struct Inherited {
    sockets: ListenFd,
    names: Vec<String>,
}

impl Inherited {
    pub(super) fn from_env() -> Self {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        Self {
            sockets: ListenFd::from_env(),
            names: names.split(':').map(str::to_owned).collect(),
        }
    }

    /// Whether it has opened none.
    pub(super) fn is_empty(&self) -> bool {
        self.sockets.len() == 0
    }

    fn take(&mut self, name: Option<&str>) -> Result<Bound, Failure> {
        let count = self.sockets.len();
        let index = match name {
            None => (count > 0).then_some(0),
            Some(name) => self.names[..count.min(self.names.len())]
                .iter()
                .position(|known| known == name),
        };
        let Some(index) = index else {
            let named = name.map(|name| format!(" with FileDescriptorName={name}"));
            return Err(Failure::Other(format!(
                "systemd has opened no socket{} for this process, but {count} in all: it needs a \
                 .socket unit that is started first, or another listen",
                named.unwrap_or_default()
            )));
        };
        self.take_index(index).map_err(|why| {
            Failure::Other(format!(
                "the socket that systemd has opened cannot be used: {why}"
            ))
        })
    }

    fn take_index(&mut self, index: usize) -> io::Result<Bound> {
        let taken = || io::Error::other("listen and admin_listen both ask for it; name each one");
        if let Ok(listener) = self.sockets.take_unix_listener(index) {
            let listener = listener.ok_or_else(taken)?;
            listener.set_nonblocking(true)?;
            return Ok(Bound::Unix(listener, None));
        }
        let listener = self.sockets.take_tcp_listener(index)?.ok_or_else(taken)?;
        listener.set_nonblocking(true)?;
        Ok(Bound::Tcp(listener))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any() -> SocketAddr {
        "127.0.0.1:0".parse().unwrap()
    }

    #[test]
    fn a_taken_port_is_named_with_a_way_out() {
        let holder = bind(any()).unwrap();
        let taken = holder.local_addr().unwrap();
        let failure = bind(taken).unwrap_err().to_string();
        assert!(failure.contains(&taken.to_string()), "{failure}");
        assert!(failure.contains("--listen 127.0.0.1:0"), "{failure}");
        let other = bind_or_any_port(taken).unwrap().local_addr().unwrap();
        assert_ne!(other, taken);
        assert_eq!(other.ip(), taken.ip());
    }

    #[test]
    fn an_address_of_another_machine_is_refused() {
        let failure = bind("192.0.2.1:0".parse().unwrap())
            .unwrap_err()
            .to_string();
        assert!(failure.contains("no such address"), "{failure}");
    }

    #[test]
    fn a_socket_that_was_left_behind_is_taken_over_and_one_in_use_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("http.sock");
        let listen = Listen::Unix(path.clone());
        drop(UnixListener::bind(&path).unwrap());
        let mut inherited = Inherited::from_env();
        let bound = Bound::take(&listen, &mut inherited).unwrap();
        assert_eq!(bound.url("http"), listen.to_string());
        let failure = Bound::take(&listen, &mut inherited)
            .unwrap_err()
            .to_string();
        assert!(
            failure.contains("another program listens there"),
            "{failure}"
        );
        drop(bound);
        assert!(!path.exists());
        std::fs::write(&path, "precious").unwrap();
        Bound::take(&listen, &mut inherited).unwrap_err();
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    }

    #[test]
    fn a_server_that_ends_leaves_the_socket_of_the_next_one_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("http.sock");
        let listen = Listen::Unix(path.clone());
        let mut inherited = Inherited::from_env();
        let Bound::Unix(listener, file) = Bound::take(&listen, &mut inherited).unwrap() else {
            panic!("it is no file");
        };
        drop(listener);
        let next = Bound::take(&listen, &mut inherited).unwrap();
        drop(file);
        UnixStream::connect(&path).unwrap();
        drop(next);
    }

    #[test]
    fn a_socket_that_systemd_has_not_opened_is_asked_for() {
        let mut inherited = Inherited::from_env();
        let listen = Listen::Systemd(Some("pages".to_owned()));
        let failure = Bound::take(&listen, &mut inherited)
            .unwrap_err()
            .to_string();
        assert!(failure.contains("FileDescriptorName=pages"), "{failure}");
    }
}
