//! Where a server listens, and what its connections are encrypted with.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Serialize, Serializer};

use super::report::Report;
use super::section::Section;

/// Where a server listens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Listen {
    /// `IP:PORT`; port 0 takes any free one.
    Address(SocketAddr),
    /// `unix:PATH`, a socket in the file system.
    Unix(PathBuf),
    /// `systemd` or `systemd:NAME`, the first socket that systemd has opened, or the one with
    /// that `FileDescriptorName=`
    /// (<https://www.freedesktop.org/software/systemd/man/latest/systemd.socket.html>).
    Systemd(Option<String>),
}

impl Listen {
    /// Reads one of the forms.
    ///
    /// # Errors
    /// What it must look like.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            if path.is_empty() {
                return Err(
                    "names no file: write unix:PATH, as unix:/run/wxsign/http.sock".to_owned(),
                );
            }
            return Ok(Self::Unix(path.into()));
        }
        match text.split_once(':') {
            None if text == "systemd" => Ok(Self::Systemd(None)),
            Some(("systemd", name)) if !name.is_empty() => Ok(Self::Systemd(Some(name.to_owned()))),
            _ => parse_address(text).map(Self::Address).map_err(|why| {
                format!(
                    "{why}; unix:PATH listens on a socket in the file system, systemd on one \
                         that systemd has opened"
                )
            }),
        }
    }
}

impl Listen {
    /// Whether it is a socket in the file system.
    pub(super) const fn is_unix(&self) -> bool {
        matches!(self, Self::Unix(_))
    }

    /// Whether it is another port each time.
    pub(super) const fn takes_any_port(&self) -> bool {
        matches!(self, Self::Address(address) if address.port() == 0)
    }
}

impl From<SocketAddr> for Listen {
    fn from(address: SocketAddr) -> Self {
        Self::Address(address)
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Systemd(None) => f.write_str("systemd"),
            Self::Systemd(Some(name)) => write!(f, "systemd:{name}"),
        }
    }
}

impl Serialize for Listen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Reads an address and a port.
///
/// # Errors
/// What it must look like.
pub fn parse_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        format!(
            "must be an IP address and a port, as 127.0.0.1:8080 (this machine only) or \
             0.0.0.0:8080 (from anywhere), not {text:?}"
        )
    })
}

/// What the server proves its name with: a chain of certificates and a private key, both in PEM.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlsFiles {
    /// `tls_certificate`: that of the server, and those between it and a known authority.
    pub certificate: PathBuf,
    /// `tls_key`: its private key.
    pub key: PathBuf,
}

pub(super) fn read_tls(top: &mut Section<'_>, report: &mut Report) -> Option<TlsFiles> {
    let certificate = top.text("tls_certificate", report);
    let key = top.text("tls_key", report);
    for (key, found) in [("tls_certificate", &certificate), ("tls_key", &key)] {
        if let Some(found) = found {
            report.setting(top.key_path(key), &found.value, &found.source);
        }
    }
    match (certificate, key) {
        (Some(certificate), Some(key)) => Some(TlsFiles {
            certificate: certificate.value.into(),
            key: key.value.into(),
        }),
        (Some(found), None) => {
            let what = "tls_certificate is given without tls_key: name the file with its private \
                        key, too";
            report.fault(&found.source, what.to_owned());
            None
        }
        (None, Some(found)) => {
            let what = "tls_key is given without tls_certificate: name the file with the \
                        certificate, too";
            report.fault(&found.source, what.to_owned());
            None
        }
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_read_and_written_alike() {
        for text in [
            "127.0.0.1:8080",
            "[::]:80",
            "unix:/run/wxsign/http.sock",
            "unix:http.sock",
            "systemd",
            "systemd:pages",
        ] {
            assert_eq!(Listen::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_form_is_told_them_all() {
        for (text, advice) in [
            ("8080", "127.0.0.1:8080"),
            ("localhost:8080", "IP address"),
            ("", "unix:PATH"),
            ("unix:", "unix:/run/wxsign/http.sock"),
            ("systemd:", "systemd"),
            ("Systemd", "systemd"),
        ] {
            let fault = Listen::parse(text).unwrap_err();
            assert!(fault.contains(advice), "{text}: {fault}");
        }
    }
}
