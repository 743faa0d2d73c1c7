//! Real databases for a test: Redis alone, with Sentinels or as a Cluster, and PostgreSQL.
//!
//! Each engine is started by the test that needs it, on free ports of 127.0.0.1 and in a
//! directory of its own, and is killed when it is dropped, also by a failing test, which then
//! prints what the engine said. Engines can be killed, restarted on the same port and data,
//! paused (the processes are there and answer nothing) and resumed:
//!
//! - [`redis::Redis`]: one server; with a password, an append-only file or TLS, if asked.
//! - [`sentinel::Sentinel`]: a master, its replica and three Sentinels; can fail over and lose
//!   the last writes doing so.
//! - [`cluster::Cluster`]: three masters; can move a slot between them.
//! - [`postgres::Postgres`]: one server; with a password or TLS, if asked.
//! - [`proxy::Proxy`]: a line to any of them, which can be slow, silent, closed or cut.
//!
//! The programs are the ones of Debian: `apt-get install redis-server postgresql openssl`.
//! Without them the tests fail, and say this. Everything works as root and as any other user.
//!
//! Most methods are `async`, although engines are processes of their own: proxies are not, and
//! a thread that waits for an engine must not keep the proxy in front of it from running.

pub(crate) mod certificates;
pub(crate) mod cluster;
pub(crate) mod postgres;
pub(crate) mod proxy;
pub(crate) mod redis;
pub(crate) mod resp;
pub(crate) mod sentinel;

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpSocket};

/// How long anything may take before a test gives up on it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// How long one answer may take where another try follows.
pub(crate) const ONE_TRY: Duration = Duration::from_secs(1);

/// Looks again and again until `look` finds something.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking)
        .await
        .unwrap_or_else(|_| panic!("it did not happen: {what}"))
}

/// A free port of 127.0.0.1 that stays ours while nobody listens on it.
///
/// The socket is bound and does not listen: clients are refused, the kernel gives the port to
/// nobody who asks for any, and a server that asks for this one by number and sets
/// `SO_REUSEADDR`, as they all do, gets it. So an engine comes back on the port it had.
pub(crate) struct Port {
    reserved: TcpSocket,
}

impl Port {
    pub(crate) fn free() -> Self {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            reserved: reusable(any).unwrap(),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.reserved.local_addr().unwrap()
    }

    pub(crate) fn number(&self) -> u16 {
        self.address().port()
    }

    /// Listens on it in this process.
    pub(crate) fn listen(&self) -> TcpListener {
        reusable(self.address()).unwrap().listen(1024).unwrap()
    }
}

fn reusable(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// A program with a directory of its own, which can be started again and again.
///
/// What holds for it holds for the processes that it starts as well: they are paused, resumed
/// and killed with it.
pub(crate) struct Process {
    package: &'static str,
    command: Command,
    running: Option<Running>,
    directory: TempDir,
}

impl Process {
    /// Not running yet; `package` is where Debian has the program.
    pub(crate) fn new(package: &'static str, program: impl AsRef<Path>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new(program.as_ref());
        command.current_dir(directory.path()).env("LC_ALL", "C");
        Self {
            package,
            command,
            running: None,
            directory,
        }
    }

    /// What is run, to be completed before the start.
    pub(crate) fn command(&mut self) -> &mut Command {
        &mut self.command
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn start(&mut self) {
        assert!(self.running.is_none(), "it runs already");
        let mut to_its_end = File::options();
        let log = to_its_end.append(true).create(true).open(self.log_file());
        let log = log.unwrap();
        self.running = Some(Running::spawn(self.package, &mut self.command, &log));
    }

    /// Fails the test if it has ended by itself; `Drop` then says why.
    pub(crate) fn assert_running(&mut self) {
        let running = self.running.as_mut().expect("it was started");
        if let Some(status) = running.0.try_wait().unwrap() {
            // Its number may be another's from now on.
            self.running = None;
            panic!("{:?} ended: {status}", self.command);
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.running.as_ref().expect("it runs").0)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Stops it and its children where they are; once this returns, they do nothing.
    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
        // Stopped, it starts no more children.
        assert!(soon(|| is_stopped(self.pid())), "it stops");
        for child in self.children() {
            // It may have ended meanwhile.
            let _ = kill_process(child, Signal::STOP);
            assert!(soon(|| is_stopped(child) || is_gone(child)), "it stops");
        }
    }

    pub(crate) fn resume(&self) {
        for child in self.children() {
            // It may have been killed meanwhile.
            let _ = kill_process(child, Signal::CONT);
        }
        self.signal(Signal::CONT);
    }

    /// Ends it and its children at once, as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        if self.running.is_none() {
            return;
        }
        // It may be about to start another child, or have ended by itself.
        let _ = kill_process(self.pid(), Signal::STOP);
        soon(|| is_stopped(self.pid()) || is_gone(self.pid()));
        let children = self.children();
        self.running = None;
        for &child in &children {
            let _ = kill_process(child, Signal::KILL);
        }
        let ended = soon(|| children.iter().all(|&child| is_gone(child)));
        assert!(ended || std::thread::panicking(), "its children end");
    }

    /// Everything that it said so far.
    pub(crate) fn log(&self) -> String {
        let log = fs::read(self.log_file()).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    fn log_file(&self) -> PathBuf {
        self.directory().join("log")
    }

    /// The processes that it has started itself.
    pub(crate) fn children(&self) -> Vec<Pid> {
        let parent = self.pid();
        let names = fs::read_dir("/proc").unwrap().flatten();
        let numbers = names.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        numbers
            .filter_map(Pid::from_raw)
            .filter(|&pid| stat(pid).is_some_and(|stat| stat.1 == parent.as_raw_pid()))
            .collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("=== {:?} said\n{}", self.command, self.log());
        }
    }
}

/// Runs a program to its end and returns what it said; it has to succeed.
pub(crate) async fn run(package: &str, command: &mut Command) -> String {
    let mut said = tempfile::tempfile().unwrap();
    let mut running = Running::spawn(package, command, &said);
    let what = format!("{command:?} ends");
    let status = eventually(&what, async || running.0.try_wait().unwrap()).await;
    said.rewind().unwrap();
    let mut text = String::new();
    said.read_to_string(&mut text).unwrap();
    assert!(status.success(), "{command:?}: {status}\n{text}");
    text
}

/// A child process, which is killed when it is dropped.
struct Running(Child);

impl Running {
    fn spawn(package: &str, command: &mut Command, log: &File) -> Self {
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log.try_clone().unwrap());
        match command.spawn() {
            Ok(child) => Self(child),
            Err(error) if error.kind() == ErrorKind::NotFound => missing(package),
            Err(error) => panic!("{command:?}: {error}"),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Fails the test with what to do about it.
pub(crate) fn missing(package: &str) -> ! {
    panic!("this test needs a program that is not installed: apt-get install {package}")
}

/// Looks every millisecond, without giving way to other tasks: for what the kernel does at once.
fn soon(mut look: impl FnMut() -> bool) -> bool {
    (0..PATIENCE.as_millis()).any(|_| {
        let found = look();
        if !found {
            std::thread::sleep(Duration::from_millis(1));
        }
        found
    })
}

fn is_stopped(pid: Pid) -> bool {
    stat(pid).is_some_and(|stat| stat.0 == 'T')
}

/// Ended, whether or not its parent has asked how.
fn is_gone(pid: Pid) -> bool {
    stat(pid).is_none_or(|stat| matches!(stat.0, 'Z' | 'X'))
}

/// The state of a process and its parent; see proc_pid_stat(5).
fn stat(pid: Pid) -> Option<(char, i32)> {
    let text = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_pid())).ok()?;
    // The name before may hold anything.
    let (_, behind) = text.rsplit_once(") ")?;
    let mut fields = behind.split(' ');
    let state = fields.next()?.parse().ok()?;
    Some((state, fields.next()?.parse().ok()?))
}
