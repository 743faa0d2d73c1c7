//! The certificate of the server, which can be replaced while it runs.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};
use tokio::signal::unix::{SignalKind, signal};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::TlsFiles;

/// The files are also looked at without a signal, since not everything that renews certificates
/// can send one.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Encrypts connections with what the files hold.
pub struct Tls {
    files: TlsFiles,
    current: ArcSwap<Current>,
}

struct Current {
    config: Arc<ServerConfig>,
    /// Of both files.
    digest: [u8; 32],
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// What is wrong with which file, and what it must hold.
    pub fn load(files: TlsFiles) -> Result<Arc<Self>, String> {
        let current = ArcSwap::from_pointee(Current::load(&files)?);
        Ok(Arc::new(Self { files, current }))
    }

    /// Reads the files again; whether they hold something new, which new connections then get.
    ///
    /// # Errors
    /// As [`load`](Self::load); what was read before goes on being used.
    pub fn reload(&self) -> Result<bool, String> {
        let next = Current::load(&self.files)?;
        let is_new = next.digest != self.current.load().digest;
        if is_new {
            self.current.store(Arc::new(next));
        }
        Ok(is_new)
    }

    /// Reads the files again on SIGHUP, and once a minute, until `stop`.
    pub async fn follow(&self, clock: Clock, stop: CancellationToken) {
        let mut hang_up = match signal(SignalKind::hangup()) {
            Ok(signal) => signal,
            Err(error) => {
                tracing::error!(%error, "SIGHUP cannot be followed: certificates are not replaced");
                return;
            }
        };
        let mut fault = None;
        loop {
            let asked = tokio::select! {
                () = stop.cancelled() => return,
                () = clock.sleep(LOOK_EVERY) => false,
                _ = hang_up.recv() => true,
            };
            match self.reload() {
                Ok(is_new) => {
                    if is_new {
                        tracing::info!("there is a new certificate: new connections get it");
                    } else if asked {
                        tracing::info!("the certificate is still the same");
                    }
                    fault = None;
                }
                Err(why) if asked || fault.as_ref() != Some(&why) => {
                    tracing::error!("{why}; the certificate that was read before stays in use");
                    fault = Some(why);
                }
                Err(_) => {}
            }
        }
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.current.load().config))
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tls({})", self.files.certificate.display())
    }
}

impl Current {
    fn load(files: &TlsFiles) -> Result<Self, String> {
        let (chain, key) = (read(&files.certificate)?, read(&files.key)?);
        let mut digest = Sha256::new();
        digest.update(&chain);
        digest.update(&key);
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(&chain)
            .collect::<Result<_, _>>()
            .map_err(|why| fault("tls_certificate", &files.certificate, &why.to_string()))?;
        if certificates.is_empty() {
            let what = "there is no certificate in it; it must hold the server's and those \
                        between it and a known authority, in PEM";
            return Err(fault("tls_certificate", &files.certificate, what));
        }
        let key = PrivateKeyDer::from_pem_slice(&key).map_err(|why| {
            let what = format!("there is no private key in it ({why}); it must hold one in PEM");
            fault("tls_key", &files.key, &what)
        })?;
        let config = server_config(certificates, key).map_err(|why| {
            let what = format!(
                "it does not go with the key in {} ({why})",
                files.key.display()
            );
            fault("tls_certificate", &files.certificate, &what)
        })?;
        Ok(Self {
            config: Arc::new(config),
            digest: digest.finalize().into(),
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|why| format!("{} cannot be read: {why}", path.display()))
}

fn fault(key: &str, path: &Path, what: &str) -> String {
    format!("{key} {}: {what}", path.display())
}

fn server_config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // A phone that comes back need not pay for a whole handshake.
    config.ticketer = aws_lc_rs::Ticketer::new()?;
    Ok(config)
}
