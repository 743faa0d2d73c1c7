//! A certificate authority and a server that it vouches for, made by `openssl`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::run;

/// Files in a directory that somebody else owns.
pub(crate) struct Certificates {
    /// Whom to trust, PEM.
    pub(crate) ca: PathBuf,
    /// The server's certificate, for `127.0.0.1` and `localhost`, PEM.
    pub(crate) certificate: PathBuf,
    /// Its key, PEM.
    pub(crate) key: PathBuf,
}

/// Everything is said here, as Debian's own file may be changed by whoever runs the tests.
const CONFIG: &str = "
[req]
distinguished_name = name
[name]
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = IP:127.0.0.1, DNS:localhost
";

impl Certificates {
    pub(crate) async fn make(directory: &Path) -> Self {
        fs::write(directory.join("openssl.cnf"), CONFIG).unwrap();
        let authority = [
            ["-subj", "/CN=An authority"],
            ["-extensions", "ca"],
            ["-keyout", "ca.key"],
            ["-out", "ca.pem"],
        ];
        issue(directory, &authority.concat()).await;
        let server = [
            ["-subj", "/CN=A server"],
            ["-extensions", "server"],
            ["-keyout", "server.key"],
            ["-out", "server.pem"],
            ["-CA", "ca.pem"],
            ["-CAkey", "ca.key"],
        ];
        issue(directory, &server.concat()).await;
        Self {
            ca: directory.join("ca.pem"),
            certificate: directory.join("server.pem"),
            key: directory.join("server.key"),
        }
    }
}

async fn issue(directory: &Path, more: &[&str]) {
    let mut command = Command::new("openssl");
    command
        .current_dir(directory)
        .args(["req", "-x509", "-config", "openssl.cnf", "-days", "30"])
        .args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
        .arg("-nodes")
        .args(more);
    run("openssl", &mut command).await;
}
