//! The line between a server and WeChat, which can be held.
//!
//! It carries bytes both ways and remembers what was asked. Held, it keeps back the answers of
//! one path: WeChat has carried the call out by then, and the server does not know it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use wxsign::credential::{Fingerprint, Secret};

pub(crate) struct Line {
    /// WeChat's address as a server sees it.
    pub(crate) url: String,
    ends: Arc<Ends>,
}

#[derive(Default)]
struct Ends {
    /// The first line of each request that was sent.
    asked: Mutex<Vec<String>>,
    /// How many answers were written to a server's socket, to their last byte.
    answered: AtomicUsize,
    /// The path whose answers are kept back.
    held: watch::Sender<Option<&'static str>>,
}

impl Line {
    /// A line to the server at `url`.
    pub(crate) async fn to(url: &str) -> Self {
        let wechat: SocketAddr = url.strip_prefix("http://").unwrap().parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let line = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            ends: Arc::default(),
        };
        let ends = Arc::clone(&line.ends);
        tokio::spawn(async move {
            while let Ok((server, _)) = listener.accept().await {
                let wechat = TcpStream::connect(wechat).await.unwrap();
                let ends = Arc::clone(&ends);
                let (from_server, to_server) = server.into_split();
                let (from_wechat, to_wechat) = wechat.into_split();
                tokio::spawn(async move {
                    // Where one side ends, both do.
                    tokio::select! {
                        () = ends.ask(from_server, to_wechat) => {}
                        () = ends.answer(from_wechat, to_server) => {}
                    }
                });
            }
        });
        line
    }

    /// Keeps back answers to `path` until it is told otherwise.
    pub(crate) fn hold(&self, path: &'static str) {
        self.ends.held.send_replace(Some(path));
    }

    /// Lets all answers go.
    pub(crate) fn release(&self) {
        self.ends.held.send_replace(None);
    }

    /// How many answers have come to a server's socket.
    pub(crate) fn answered(&self) -> usize {
        self.ends.answered.load(Ordering::Acquire)
    }

    /// Forgets what was asked.
    pub(crate) fn forget(&self) {
        self.ends.asked.lock().unwrap().clear();
    }

    /// Whether WeChat was asked for something with the token of this fingerprint.
    pub(crate) fn carried(&self, token: Fingerprint) -> bool {
        let asked = self.ends.asked.lock().unwrap();
        asked.iter().any(|request| {
            let (_, behind) = request.split_once("access_token=").unwrap_or_default();
            let value = behind.split(['&', ' ']).next().unwrap_or_default();
            Secret::new(value).fingerprint() == token
        })
    }
}

impl Ends {
    async fn ask(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let mut buffer = [0; 16 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            let text = String::from_utf8_lossy(&buffer[..count]);
            let first = text.lines().next().unwrap_or_default();
            // The body of a POST may come by itself.
            if first.ends_with(" HTTP/1.1") {
                self.asked.lock().unwrap().push(first.to_owned());
            }
            if to.write_all(&buffer[..count]).await.is_err() {
                return;
            }
        }
    }

    async fn answer(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let mut buffer = [0; 16 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            let request = self.asked.lock().unwrap().last().cloned();
            let request = request.unwrap_or_default();
            let mut held = self.held.subscribe();
            let free = |path: &Option<&str>| path.is_none_or(|path| !request.contains(path));
            if held.wait_for(free).await.is_err() || to.write_all(&buffer[..count]).await.is_err() {
                return;
            }
            // The head may come by itself; the JSON behind it ends like this.
            if buffer[..count].ends_with(b"}") {
                self.answered.fetch_add(1, Ordering::Release);
            }
        }
    }
}
