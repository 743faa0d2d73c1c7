//! The certificate of the server, which can be replaced while it runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{Error, InconsistentKeys, ServerConfig};
use secrecy::zeroize::{Zeroize, Zeroizing};
use sha2::{Digest, Sha256};
use tokio::signal::unix::Signal;
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
    pub fn load(files: TlsFiles) -> Result<Arc<Self>, TlsFault> {
        let current = Current::load(&files, None)?;
        let current = ArcSwap::from_pointee(current.expect("nothing was read before"));
        Ok(Arc::new(Self { files, current }))
    }

    /// Reads the files again; whether they hold something new, which new connections then get.
    ///
    /// # Errors
    /// As [`load`](Self::load); what was read before goes on being used.
    pub fn reload(&self) -> Result<bool, TlsFault> {
        let known = self.current.load().digest;
        let next = Current::load(&self.files, Some(known))?;
        let is_new = next.is_some();
        if let Some(next) = next {
            self.current.store(Arc::new(next));
        }
        Ok(is_new)
    }

    /// Reads the files again on each `hang_up`, and once a minute, until `stop`.
    pub async fn follow(
        self: Arc<Self>,
        mut hang_ups: Signal,
        clock: Clock,
        stop: CancellationToken,
    ) {
        let mut fault = None;
        loop {
            let asked = tokio::select! {
                () = stop.cancelled() => return,
                () = clock.sleep(LOOK_EVERY) => false,
                _ = hang_ups.recv() => true,
            };
            let this = Arc::clone(&self);
            let Ok(read) = tokio::task::spawn_blocking(move || this.reload()).await else {
                continue;
            };
            match read {
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
    /// Nothing if what the files hold is `known`.
    fn load(files: &TlsFiles, known: Option<[u8; 32]>) -> Result<Option<Self>, TlsFault> {
        let of_certificate =
            |what: String| TlsFault::new("tls_certificate", &files.certificate, &what);
        let of_key = |what: String| TlsFault::new("tls_key", &files.key, &what);
        let chain =
            std::fs::read(&files.certificate).map_err(|why| of_certificate(cannot(&why)))?;
        let key = std::fs::read(&files.key).map(Zeroizing::new);
        let key = key.map_err(|why| of_key(cannot(&why)))?;
        let mut digest = Sha256::new();
        digest.update(&chain);
        digest.update(&*key);
        let digest = digest.finalize().into();
        if known == Some(digest) {
            return Ok(None);
        }
        let mut key = PrivateKeyDer::from_pem_slice(&key).map_err(|why| {
            of_key(format!(
                "there is no private key in it ({why}): it must hold one in PEM, not encrypted"
            ))
        })?;
        let usable = aws_lc_rs::sign::any_supported_type(&key);
        key.zeroize();
        let key =
            usable.map_err(|why| of_key(format!("its private key cannot be used ({why})")))?;
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(&chain)
            .collect::<Result<_, _>>()
            .map_err(|why| of_certificate(why.to_string()))?;
        if certificates.is_empty() {
            let what = "there is no certificate in it: it must hold the server's and those \
                        between it and a known authority, in PEM";
            return Err(of_certificate(what.to_owned()));
        }
        let config = server_config(CertifiedKey::new(certificates, key)).map_err(|why| {
            let key = files.key.display();
            of_certificate(format!("it does not go with the key in {key} ({why})"))
        })?;
        let config = Arc::new(config);
        Ok(Some(Self { config, digest }))
    }
}

fn cannot(why: &std::io::Error) -> String {
    format!("it cannot be read ({why}): name a file that this user may read")
}

/// What is wrong with one of the files.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{key} {path}: {what}", path = path.display())]
pub struct TlsFault {
    /// The key that names the file.
    pub key: &'static str,
    path: PathBuf,
    what: String,
}

impl TlsFault {
    fn new(key: &'static str, path: &Path, what: &str) -> Self {
        Self {
            key,
            path: path.to_owned(),
            what: what.to_owned(),
        }
    }
}

fn server_config(certified: CertifiedKey) -> Result<ServerConfig, Error> {
    match certified.keys_match() {
        // A key that cannot say which certificate is its own may still be the right one.
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
        Err(fault) => return Err(fault),
    }
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // A phone that comes back need not pay for a whole handshake.
    config.ticketer = aws_lc_rs::Ticketer::new()?;
    Ok(config)
}
