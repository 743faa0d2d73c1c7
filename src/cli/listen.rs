//! Takes the port that a server is to listen on.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};

use super::Failure;

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

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
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
}
