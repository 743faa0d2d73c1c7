//! Where connections come from: a TCP port or a socket in the file system.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio_rustls::TlsAcceptor;

use super::tls::Tls;

/// Where connections come from.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    tls: Option<Arc<Tls>>,
}

/// What a program listens on.
#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// Who comes over a socket in the file system is on this machine.
const LOCAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A connection as it was accepted.
pub(super) struct Accepted {
    pub(super) stream: Raw,
    pub(super) peer: SocketAddr,
    /// The connection is to be encrypted.
    pub(super) tls: Option<TlsAcceptor>,
}

pub(super) enum Raw {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        let socket = Socket::Tcp(listener);
        Self { socket, tls: None }
    }
}

impl From<UnixListener> for Listener {
    fn from(listener: UnixListener) -> Self {
        let socket = Socket::Unix(listener);
        Self { socket, tls: None }
    }
}

impl Listener {
    /// The same, where TCP connections are encrypted.
    pub fn with_tls(self, tls: Option<Arc<Tls>>) -> Self {
        Self { tls, ..self }
    }

    /// Whether its connections are encrypted.
    pub(super) const fn is_encrypted(&self) -> bool {
        matches!(self.socket, Socket::Tcp(_)) && self.tls.is_some()
    }

    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        Ok(match &self.socket {
            Socket::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                Accepted {
                    stream: Raw::Tcp(stream),
                    peer,
                    tls: self.tls.as_ref().map(|tls| tls.acceptor()),
                }
            }
            Socket::Unix(listener) => Accepted {
                stream: Raw::Unix(listener.accept().await?.0),
                peer: LOCAL,
                tls: None,
            },
        })
    }
}
