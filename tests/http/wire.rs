//! HTTP/1.1 by hand: what a test sends goes out as it is, and what comes back is read by the
//! letter.

use std::net::SocketAddr;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// What takes longer than this does not happen any more.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A request, as it will stand on the wire.
#[derive(Clone)]
pub(crate) struct Request {
    method: &'static str,
    target: Vec<u8>,
    headers: Vec<u8>,
    body: Vec<u8>,
}

impl Request {
    pub(crate) fn new(method: &'static str, target: impl Into<Vec<u8>>) -> Self {
        Self {
            method,
            target: target.into(),
            headers: b"Host: wxsign.example\r\n".to_vec(),
            body: Vec::new(),
        }
    }

    pub(crate) fn get(target: impl Into<Vec<u8>>) -> Self {
        Self::new("GET", target)
    }

    pub(crate) fn post(target: impl Into<Vec<u8>>, body: impl Into<Vec<u8>>) -> Self {
        Self::new("POST", target).with_json(body)
    }

    /// The same to a host of another name.
    pub(crate) fn at_host(self, host: &str) -> Self {
        let headers = String::from_utf8(self.headers).expect("headers of a test are ASCII");
        let headers = headers.replace("Host: wxsign.example", &format!("Host: {host}"));
        Self {
            headers: headers.into(),
            ..self
        }
    }

    /// The request with a form.
    pub(crate) fn with_form(self, fields: &[(&str, &str)]) -> Self {
        let mut body = form_urlencoded::Serializer::new(String::new());
        let body = body.extend_pairs(fields).finish().into_bytes();
        let length = body.len().to_string();
        let request = self
            .with("Content-Type", "application/x-www-form-urlencoded")
            .with("Content-Length", &length);
        Self { body, ..request }
    }

    pub(crate) fn with_json(self, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        let length = body.len().to_string();
        let request = self
            .with("Content-Type", "application/json")
            .with("Content-Length", &length);
        Self { body, ..request }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        let line = format!("{name}: {value}\r\n");
        self.headers.extend_from_slice(line.as_bytes());
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let method = self.method.as_bytes();
        let parts = [
            method,
            b" ",
            &self.target,
            b" HTTP/1.1\r\n",
            &self.headers,
            b"\r\n",
            &self.body,
        ];
        parts.concat()
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The value of a header, of which there must not be two; empty when there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next().map_or("", |value| value.to_str().unwrap());
        assert!(values.next().is_none(), "{name} twice: {:?}", self.headers);
        value
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A connection to a server.
pub(crate) struct Connection(BufReader<TcpStream>);

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        Self(BufReader::new(TcpStream::connect(address).await.unwrap()))
    }

    /// Sends bytes of any kind.
    ///
    /// That the server has hung up meanwhile is seen by the answer, or that there is none.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        let sending = self.0.get_mut().write_all(bytes);
        let _ = timeout(PATIENCE, sending).await.expect("it is taken");
    }

    /// Sends a request and reads its answer.
    pub(crate) async fn ask(&mut self, request: &Request) -> Answer {
        self.send(&request.bytes()).await;
        self.answer(request.method != "HEAD").await
    }

    /// Reads the next answer; `None` when the connection ends instead.
    pub(crate) async fn next_answer(&mut self, with_body: bool) -> Option<Answer> {
        timeout(PATIENCE, self.read(with_body))
            .await
            .expect("an answer comes in time")
    }

    pub(crate) async fn answer(&mut self, with_body: bool) -> Answer {
        let answer = self.next_answer(with_body).await;
        answer.expect("an answer comes before the connection ends")
    }

    async fn read(&mut self, with_body: bool) -> Option<Answer> {
        let status = self.line().await?;
        // To a client of HTTP/1.0 the answer is one of its own.
        let of_1_0 = || status.strip_prefix("HTTP/1.0 ");
        let status = status.strip_prefix("HTTP/1.1 ").or_else(of_1_0).unwrap();
        let status: StatusCode = status[..3].parse().unwrap();
        let mut headers = HeaderMap::new();
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').unwrap();
            let name: HeaderName = name.parse().unwrap();
            headers.append(name, HeaderValue::from_str(value.trim()).unwrap());
        }
        let length = headers.get("content-length");
        let length = length.map_or(0, |length| length.to_str().unwrap().parse().unwrap());
        let mut body = vec![0; if with_body { length } else { 0 }];
        self.0.read_exact(&mut body).await.ok()?;
        assert!(!headers.contains_key("transfer-encoding"), "{headers:?}");
        Some(Answer {
            status,
            headers,
            body,
        })
    }

    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.0.read_line(&mut line).await {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(line.strip_suffix("\r\n")?.to_owned()),
        }
    }
}

/// What browsers' function of that name makes of a text
/// (<https://tc39.es/ecma262/#sec-encodeuricomponent-uricomponent>).
pub(crate) fn encode_uri_component(text: &str) -> String {
    let kept = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte);
    text.bytes()
        .map(|byte| match byte {
            byte if kept(byte) => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}
