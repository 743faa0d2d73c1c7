//! Large bodies pass through the server without staying in it.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::bare;
use crate::harness::{APPID, Place, Wxsign};

const KEY: &str = "wxk_shop_0123456789abcdefghijklmnop";

const MIB: usize = 1024 * 1024;
const LARGE: usize = 20 * MIB;

/// How much more memory a large body may take than none.
const SPARE: usize = 8 * MIB;

/// The most memory that the server has ever taken.
fn peak(wxsign: &Wxsign) -> usize {
    let pid = wxsign.pid().as_raw_nonzero();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib: usize = line
        .unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    kib * 1024
}

/// Reads to the end of what `from` sends, and no faster than a slow line would: every read that
/// brings something is followed by a pause. Returns how much it was.
async fn read_slowly(from: &mut (impl AsyncRead + Unpin), at_most: usize) -> usize {
    let (mut read, mut buffer) = (0, vec![0; 128 * 1024]);
    while read < at_most {
        match from.read(&mut buffer).await {
            Ok(count @ 1..) => read += count,
            _ => break,
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    read
}

/// Starts a WeChat that takes uploads slowly and sends large files at once, and a server that has
/// passed a small call on to it.
async fn start() -> Wxsign {
    let wechat = bare::wechat(async |head, mut peer| {
        if head.starts_with("POST") {
            let length = bare::header(&head, "content-length")
                .unwrap()
                .parse()
                .unwrap();
            let read = read_slowly(&mut peer, length).await;
            bare::send(&mut peer, bare::json(&format!(r#"{{"read":{read}}}"#))).await;
        } else {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n");
            bare::send(&mut peer, head).await;
            bare::send(&mut peer, vec![b'x'; LARGE]).await;
        }
    })
    .await;
    let place = Place::new(&format!("http://{wechat}"));
    place.admit(KEY, "proxy");
    let wxsign = place.serve().await;
    wxsign.signs().await;
    let mut stream = post(&wxsign, 1).await;
    stream.write_all(b"x").await.unwrap();
    assert!(answer(&mut stream).await.ends_with(r#"{"read":1}"#));
    wxsign
}

/// Begins an upload of `length` bytes.
async fn post(wxsign: &Wxsign, length: usize) -> TcpStream {
    let mut stream = TcpStream::connect(wxsign.address()).await.unwrap();
    let head = format!(
        "POST /proxy/{APPID}/cgi-bin/media/upload?type=video HTTP/1.1\r\nHost: wxsign\r\n\
         Connection: close\r\nAuthorization: Bearer {KEY}\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

async fn answer(stream: &mut TcpStream) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_large_upload_takes_little_memory() {
    let wxsign = start().await;
    let before = peak(&wxsign);
    let mut stream = post(&wxsign, LARGE).await;
    stream.write_all(&vec![b'x'; LARGE]).await.unwrap();
    let answer = answer(&mut stream).await;
    assert!(
        answer.ends_with(&format!(r#"{{"read":{LARGE}}}"#)),
        "{answer}"
    );
    let grown = peak(&wxsign) - before;
    println!("an upload of 20 MiB took {} KiB", grown / 1024);
    assert!(grown < SPARE, "{grown}");
    wxsign.logs("a call was passed on").await;
    assert!(
        !wxsign.log().contains(bare::TOKEN),
        "the token is in the log"
    );
}

#[tokio::test]
async fn a_large_download_takes_little_memory() {
    let wxsign = start().await;
    let before = peak(&wxsign);
    let mut stream = TcpStream::connect(wxsign.address()).await.unwrap();
    let request = format!(
        "GET /proxy/{APPID}/cgi-bin/media/get?media_id=1 HTTP/1.1\r\nHost: wxsign\r\n\
         Connection: close\r\nAuthorization: Bearer {KEY}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let read = read_slowly(&mut stream, usize::MAX).await;
    assert!(read > LARGE, "{read}");
    let grown = peak(&wxsign) - before;
    println!("a download of 20 MiB took {} KiB", grown / 1024);
    assert!(grown < SPARE, "{grown}");
}
