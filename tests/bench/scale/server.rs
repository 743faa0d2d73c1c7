//! The release binary at work, and what it takes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::database::{Database, KEY, page};

pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
    started: Instant,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Server {
    /// Starts it on the database, and waits until it listens.
    pub(crate) fn start(database: &Database) -> Self {
        let mut command = Command::new("taskset");
        command.args(["-c", "0", env!("CARGO_BIN_EXE_wxsign")]);
        database.configure(&mut command);
        command.args(["serve", "--listen", "127.0.0.1:0"]);
        let started = Instant::now();
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut said).unwrap();
        let address = said.split_once("http://").unwrap().1;
        Self {
            child,
            address: address.trim().parse().unwrap(),
            started,
        }
    }

    /// Waits until it signs for the account; how long that took since it was started.
    pub(crate) fn signs(&self, appid: &str) -> Duration {
        let number = usize::from_str_radix(&appid[2..], 16).unwrap();
        let path = signature(number);
        while self.get(&path).status != 200 {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.started.elapsed()
    }

    /// Waits until it signs for all accounts; how long that took since it was started.
    pub(crate) fn is_ready(&self) -> Duration {
        loop {
            let answer = self.get("/readyz");
            if answer.status == 200 && !answer.body.contains("reasons") {
                return self.started.elapsed();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "")
    }

    pub(crate) fn ask(&self, method: &str, path: &str, body: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: wxsign\r\nConnection: close\r\n\
             Authorization: Bearer {KEY}\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        Answer {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            body: body.to_owned(),
        }
    }

    /// How long the slowest signature takes while `work` is done.
    pub(crate) fn slowest(&self, appid: &str, work: impl FnOnce()) -> Duration {
        let number = usize::from_str_radix(&appid[2..], 16).unwrap();
        let path = signature(number);
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let signing = scope.spawn(|| {
                let mut slowest = Duration::ZERO;
                while !done.load(Ordering::Relaxed) {
                    let since = Instant::now();
                    assert_eq!(self.get(&path).status, 200);
                    slowest = slowest.max(since.elapsed());
                }
                slowest
            });
            work();
            done.store(true, Ordering::Relaxed);
            signing.join().unwrap()
        })
    }

    /// Signatures a second, of the first `accounts` accounts in turn.
    pub(crate) fn load(&self, accounts: usize) -> f64 {
        let script = tempfile::NamedTempFile::new().unwrap();
        let lua = format!(
            "math.randomseed(1)\nrequest = function()\n\
             local number = math.random(0, {})\n\
             return string.format('GET /jsapi/signature?appid=wx%016x&url=https%%3A%%2F%%2Fh%d.example.com%%2Fpage \
             HTTP/1.1\\r\\nHost: wxsign\\r\\nOrigin: https://h%d.example.com\\r\\n\\r\\n', number, number, number)\nend\n",
            accounts - 1
        );
        std::fs::write(script.path(), lua).unwrap();
        let output = Command::new("taskset")
            .args(["-c", "1", "wrk", "-t1", "-d1s", "-c32", "-s"])
            .arg(script.path())
            .arg(format!("http://{}", self.address))
            .output();
        let output = output.unwrap_or_else(|why| panic!("{why}: apt-get install wrk util-linux"));
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(!said.contains("Non-2xx"), "{said}");
        let line = said.lines().find(|line| line.starts_with("Requests/sec:"));
        line.unwrap()
            .split_whitespace()
            .last()
            .unwrap()
            .parse()
            .unwrap()
    }

    fn file(&self, name: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{name}", self.child.id())).unwrap()
    }

    /// The memory that is its alone, in bytes, and its share of what others use too.
    pub(crate) fn memory(&self) -> f64 {
        kilobytes(&self.file("smaps_rollup"), "Pss:") * 1024.0
    }

    /// The most memory that it ever had, in bytes.
    pub(crate) fn most_memory(&self) -> f64 {
        kilobytes(&self.file("status"), "VmHWM:") * 1024.0
    }

    /// Processor time so far, to a hundredth of a second.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = self.file("stat");
        let fields = stat.rsplit_once(") ").unwrap().1.split(' ');
        let ticks = fields.skip(11).take(2);
        Duration::from_millis(ticks.map(|ticks| ticks.parse::<u64>().unwrap() * 10).sum())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// What is asked for to sign a page of the account of this number.
fn signature(number: usize) -> String {
    let page = page(number);
    format!("/jsapi/signature?appid=wx{number:016x}&url=https%3A%2F%2F{page}%2Fpage")
}

fn kilobytes(text: &str, field: &str) -> f64 {
    let line = text.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Runs a command that reads `input`.
pub(crate) fn with_input(command: &mut Command, input: &str) -> Output {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}
