//! Reaches a server: over TCP or a socket in the file system, encrypted or not.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls_platform_verifier::Verifier;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use super::{Endpoint, ServerUrl, StoreError};

/// A connection of any kind.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// How servers are reached; cheap to clone.
#[derive(Clone)]
pub(super) struct Dialer {
    tls: Option<TlsConnector>,
}

impl Dialer {
    /// Reaches servers as `url` says.
    ///
    /// # Errors
    /// The certificates cannot be read.
    pub(super) fn new(url: &ServerUrl) -> Result<Self, StoreError> {
        let connector = || {
            let roots = url.ca_file.as_deref().map_or(Ok(Vec::new()), read_roots)?;
            connector(roots).map_err(|error| StoreError(format!("TLS cannot be set up: {error}")))
        };
        Ok(Self {
            tls: url.tls.then(connector).transpose()?,
        })
    }

    /// Connects. With TLS, the server at the other end is the one that was meant.
    ///
    /// # Errors
    /// It cannot be reached.
    pub(super) async fn dial(&self, to: &Endpoint) -> Result<Box<dyn Stream>, StoreError> {
        let stream = self.dial_plain(to).await?;
        self.encrypt(stream, to).await
    }

    /// The same for PostgreSQL, which wants to be asked before it is spoken to in TLS
    /// (<https://www.postgresql.org/docs/current/protocol-flow.html>, "SSL Session Encryption").
    ///
    /// # Errors
    /// It cannot be reached, or has no TLS.
    pub(super) async fn dial_postgres(&self, to: &Endpoint) -> Result<Box<dyn Stream>, StoreError> {
        const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
        let mut stream = self.dial_plain(to).await?;
        if self.tls.is_some() {
            let asking = async {
                stream.write_all(&SSL_REQUEST).await?;
                stream.read_u8().await
            };
            if asking.await.map_err(|why| failure(to, &why))? != b'S' {
                return Err(StoreError(format!("{to} does not speak TLS")));
            }
        }
        self.encrypt(stream, to).await
    }

    async fn dial_plain(&self, to: &Endpoint) -> Result<Box<dyn Stream>, StoreError> {
        let dialled: io::Result<Box<dyn Stream>> = match to {
            Endpoint::Tcp(host, port) => {
                let connected = TcpStream::connect((host.as_str(), *port)).await;
                connected.and_then(|stream| {
                    stream.set_nodelay(true)?;
                    Ok(Box::new(stream) as Box<dyn Stream>)
                })
            }
            Endpoint::Unix(path) => {
                let connected = UnixStream::connect(path).await;
                connected.map(|stream| Box::new(stream) as Box<dyn Stream>)
            }
        };
        dialled.map_err(|why| failure(to, &why))
    }

    async fn encrypt(
        &self,
        stream: Box<dyn Stream>,
        to: &Endpoint,
    ) -> Result<Box<dyn Stream>, StoreError> {
        let (Some(tls), Endpoint::Tcp(host, _)) = (&self.tls, to) else {
            return Ok(stream);
        };
        let name = ServerName::try_from(host.clone())
            .map_err(|_| StoreError(format!("{host} is no name that a certificate can have")))?;
        let encrypted = tls.connect(name, stream).await;
        encrypted
            .map(|stream| Box::new(stream) as Box<dyn Stream>)
            .map_err(|why| failure(to, &why))
    }
}

fn failure(to: &Endpoint, why: &io::Error) -> StoreError {
    StoreError(format!("{to} cannot be reached: {why}"))
}

fn read_roots(path: &Path) -> Result<Vec<CertificateDer<'static>>, StoreError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<_, _>>);
    let roots: Vec<_> = read.map_err(|why| {
        let path = path.display();
        StoreError(format!("the ca_file {path} cannot be read: {why}"))
    })?;
    if roots.is_empty() {
        let path = path.display();
        return Err(StoreError(format!(
            "the ca_file {path} holds no certificate: it must hold them in PEM"
        )));
    }
    Ok(roots)
}

/// Trusts what this machine trusts, and `roots`.
fn connector(mut roots: Vec<CertificateDer<'static>>) -> Result<TlsConnector, rustls::Error> {
    // A machine without any certificates is no reason to fail.
    roots.extend_from_slice(webpki_root_certs::TLS_SERVER_ROOT_CERTS);
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Verifier::new_with_extra_roots(roots, Arc::clone(&provider))?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
