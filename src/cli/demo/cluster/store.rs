//! What the nodes of the demo share.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tokio::net::TcpStream;

use crate::cli::Failure;
use crate::config::StoreUrl;
use crate::store::{Redis, ServerUrl, Store};

/// A Redis of the demo's own, or memory where none is installed.
pub(super) struct SharedStore {
    /// The demo's own way to it.
    pub(super) store: Store,
    redis: Option<OwnRedis>,
}

/// A redis-server; it is killed when the demo ends.
struct OwnRedis {
    child: Child,
    directory: PathBuf,
    url: ServerUrl,
}

impl Drop for OwnRedis {
    fn drop(&mut self) {
        // Nothing of it is to stay, whatever becomes of it.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

impl SharedStore {
    pub(super) async fn start() -> Result<Self, Failure> {
        let other = |why: String| Failure::Other(why);
        let redis = OwnRedis::start().await;
        let redis = redis.map_err(|why| other(format!("redis-server cannot be started: {why}")))?;
        let store = match &redis {
            None => Store::memory(),
            Some(redis) => Store::new(Redis::new(&redis.url).map_err(|why| other(why.0))?),
        };
        Ok(Self { store, redis })
    }

    /// Where nodes that are processes find it; `None` if only this process can.
    pub(super) fn url(&self) -> Option<StoreUrl> {
        let redis = self.redis.as_ref();
        redis.map(|redis| StoreUrl::Shared(redis.url.clone()))
    }

    pub(super) fn describe(&self) -> String {
        match &self.redis {
            Some(redis) => format!("a Redis ({}, pid {})", redis.url, redis.child.id()),
            None => "this process's memory (install redis-server for nodes that are processes of \
                     their own)"
                .to_owned(),
        }
    }
}

impl OwnRedis {
    /// `None` if none is installed.
    async fn start() -> std::io::Result<Option<Self>> {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = free.local_addr()?;
        drop(free);
        let directory = std::env::temp_dir().join(format!("wxsign-demo-{}", std::process::id()));
        std::fs::create_dir_all(&directory)?;
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &address.port().to_string()])
            .args(["--save", "", "--appendonly", "no"])
            .current_dir(&directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        match child {
            Ok(child) => {
                let redis = Self {
                    child,
                    directory,
                    url: url(address),
                };
                listens(address).await?;
                Ok(Some(redis))
            }
            Err(why) => {
                std::fs::remove_dir_all(&directory)?;
                match why.kind() {
                    ErrorKind::NotFound => Ok(None),
                    _ => Err(why),
                }
            }
        }
    }
}

/// Waits until somebody listens there.
async fn listens(address: SocketAddr) -> std::io::Result<()> {
    let mut connected = TcpStream::connect(address).await;
    for _ in 0..50 {
        if connected.is_ok() {
            break;
        }
        tokio::time::sleep(super::LOOK).await;
        connected = TcpStream::connect(address).await;
    }
    connected.map(drop)
}

fn url(address: SocketAddr) -> ServerUrl {
    ServerUrl::parse(&format!("redis://{address}"))
        .and_then(Result::ok)
        .expect("an address makes a URL")
}
