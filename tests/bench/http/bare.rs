//! What there is to beat: hyper's HTTP/1 with an answer that is ready.
//!
//! It runs on the runtime that wxsign has, and its answer has the headers and the body of one of
//! wxsign's, so that the difference is what wxsign does.

use std::convert::Infallible;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use http::{HeaderName, HeaderValue, Response};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

use crate::server::{Answer, Server};

/// The argument by which this program becomes the server.
pub(crate) const ARGUMENT: &str = "bare";

/// The headers that hyper writes itself.
const OWN: [&str; 3] = ["date", "content-length", "connection"];

/// A server that answers as `like` was answered.
pub(crate) fn bare(target: &str, like: &Answer) -> Server {
    let this = std::env::current_exe().unwrap();
    Server::new("none", this, target, |command, directory, address| {
        let file = directory.join("answer");
        fs::write(&file, format!("{}\r\n\r\n{}", like.head, like.body)).unwrap();
        command.args([ARGUMENT, &address.to_string()]).arg(file);
    })
}

/// Serves the answer in `file` at `address`, for ever.
pub(crate) fn serve(address: SocketAddr, file: &Path) {
    let answer = read(&fs::read_to_string(file).unwrap());
    Runtime::new().unwrap().block_on(async {
        let listener = TcpListener::bind(address).await.unwrap();
        loop {
            if let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(connection(stream, answer.clone()));
            }
        }
    });
}

async fn connection(stream: TcpStream, answer: Response<Full<Bytes>>) {
    stream.set_nodelay(true).unwrap();
    let answers = service_fn(|_| {
        let answer = answer.clone();
        async { Ok::<_, Infallible>(answer) }
    });
    // A client that goes away ends it early.
    let _ = http1::Builder::new()
        .pipeline_flush(true)
        .serve_connection(TokioIo::new(stream), answers)
        .await;
}

fn read(text: &str) -> Response<Full<Bytes>> {
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let mut answer = Response::new(Full::from(body.to_owned()));
    for line in head.lines().skip(1) {
        let (name, value) = line.split_once(": ").unwrap();
        if OWN.contains(&name) {
            continue;
        }
        let name: HeaderName = name.parse().unwrap();
        let value = HeaderValue::from_str(value).unwrap();
        answer.headers_mut().append(name, value);
    }
    answer
}
