//! A WeChat by hand: it issues one token and one ticket, calls the token good whenever it is
//! asked, and leaves every other request to the test, byte by byte.

use std::future::Future;
use std::net::SocketAddr;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// The token that is issued.
pub(crate) const TOKEN: &str = "98_the-canary-token-that-only-WeChat-may-see";

/// The connection of a request whose head has been read.
pub(crate) type Peer = BufReader<TcpStream>;

/// Starts it; `answer` gets the head of each request and the connection, on which there is only
/// that one.
pub(crate) async fn wechat<F, A>(answer: A) -> SocketAddr
where
    A: Fn(String, Peer) -> F + Clone + Send + 'static,
    F: Future<Output = ()> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut peer = BufReader::new(stream);
                let head = head(&mut peer).await;
                match credential(&head) {
                    Some(body) => send(&mut peer, &json(&body)).await,
                    None => answer(head, peer).await,
                }
            });
        }
    });
    address
}

/// Reads a request up to the empty line behind its headers.
async fn head(peer: &mut Peer) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && peer.read_line(&mut head).await.unwrap() > 0 {}
    head
}

fn credential(head: &str) -> Option<String> {
    let path = head.split([' ', '?']).nth(1)?;
    Some(match path {
        "/cgi-bin/token" => format!(r#"{{"access_token":"{TOKEN}","expires_in":7200}}"#),
        "/cgi-bin/ticket/getticket" => {
            r#"{"errcode":0,"errmsg":"ok","ticket":"a-ticket","expires_in":7200}"#.to_owned()
        }
        "/cgi-bin/get_api_domain_ip" => r#"{"ip_list":[]}"#.to_owned(),
        _ => return None,
    })
}

/// An answer with this body.
pub(crate) fn json(body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
}

/// Sends what the other side may no longer want.
pub(crate) async fn send(peer: &mut Peer, bytes: impl AsRef<[u8]>) {
    let _ = peer.get_mut().write_all(bytes.as_ref()).await;
}

/// The value of a header.
pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    let line = lines.find(|line| line.0.eq_ignore_ascii_case(name))?;
    Some(line.1)
}
