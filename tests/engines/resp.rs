//! The little of Redis's protocol that a harness needs.
//!
//! See <https://redis.io/docs/latest/develop/reference/protocol-spec/>, RESP2.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// Sends one command on a connection of its own and returns the answer as `redis-cli` prints it:
/// an error as its text, nothing as an empty line, the elements of an array line by line.
pub(crate) async fn ask(
    address: SocketAddr,
    password: Option<&str>,
    command: &[&str],
) -> io::Result<String> {
    let mut stream = BufReader::new(TcpStream::connect(address).await?);
    if let Some(password) = password {
        exchange(&mut stream, &["AUTH", password]).await?;
    }
    exchange(&mut stream, command).await
}

async fn exchange(stream: &mut BufReader<TcpStream>, command: &[&str]) -> io::Result<String> {
    let mut request = format!("*{}\r\n", command.len());
    for word in command {
        request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    let mut expected = 1;
    while expected > 0 {
        expected -= 1;
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let line = line.strip_suffix("\r\n").ok_or(ErrorKind::UnexpectedEof)?;
        let (kind, rest) = line.split_at_checked(1).ok_or(ErrorKind::InvalidData)?;
        match kind {
            "$" => answer.push(bulk(stream, number(rest)?).await?),
            "*" => expected += number(rest)?.unwrap_or(0),
            _ => answer.push(rest.to_owned()),
        }
    }
    Ok(answer.join("\n"))
}

async fn bulk(stream: &mut BufReader<TcpStream>, length: Option<usize>) -> io::Result<String> {
    let Some(length) = length else {
        return Ok(String::new());
    };
    let mut bytes = vec![0; length + "\r\n".len()];
    stream.read_exact(&mut bytes).await?;
    Ok(String::from_utf8_lossy(&bytes[..length]).into_owned())
}

/// A length; nothing where it is -1.
fn number(text: &str) -> io::Result<Option<usize>> {
    let number: i64 = text.parse().map_err(|_| ErrorKind::InvalidData)?;
    Ok(number.try_into().ok())
}

/// The value of `name` in an answer of lines like `name:value`, as of `INFO`.
pub(crate) fn field<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = answer.lines().filter_map(|line| line.split_once(':'));
    fields.find(|field| field.0 == name).map(|field| field.1)
}
