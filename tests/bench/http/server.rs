//! A server under load: a process of its own on the servers' core.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::fs::{Advice, fadvise};
use rustix::process::Pid;
use wxsign::clock::Clock;

use crate::engines::{PATIENCE, Port, Process};
use crate::wrk::{self, Load, Sample, on_core};

/// One that can be started again and again on the port that it has.
pub(crate) struct Server {
    process: Process,
    port: Port,
    scheme: &'static str,
    target: String,
}

/// One second of load, and what it cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    pub(crate) sample: Sample,
    /// What the server's processes spent on a request.
    pub(crate) cpu: Duration,
}

/// An answer to one request.
pub(crate) struct Answer {
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Server {
    /// Not running yet. `complete` gets its command, its directory and the port to listen on;
    /// `package` is where Debian has the program.
    pub(crate) fn new(
        package: &'static str,
        program: impl AsRef<Path>,
        target: &str,
        complete: impl FnOnce(&mut Command, &Path, SocketAddr),
    ) -> Self {
        let mut process = Process::new(package, program);
        let port = Port::free();
        let directory = process.directory().to_owned();
        complete(process.command(), &directory, port.address());
        Self {
            process,
            port,
            scheme: "http",
            target: target.to_owned(),
        }
    }

    /// The same where it speaks TLS.
    pub(crate) fn with_tls(self) -> Self {
        let scheme = "https";
        Self { scheme, ..self }
    }

    pub(crate) fn directory(&self) -> &Path {
        self.process.directory()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Starts it, and says how long it took from there to the first signature.
    pub(crate) fn start(&mut self) -> Duration {
        let clock = Clock::system();
        let begun = clock.moment().boot;
        on_core(wrk::SERVERS, || self.process.start());
        loop {
            let ready = self.is_ready();
            let took = clock.moment().boot - begun;
            if ready {
                return took;
            }
            self.process.assert_running();
            assert!(took < PATIENCE, "it does not sign: {}", self.process.log());
            std::thread::sleep(Duration::from_micros(100));
        }
    }

    fn is_ready(&self) -> bool {
        match self.scheme {
            "https" => TcpStream::connect(self.port.address()).is_ok(),
            _ => self.ask().is_some(),
        }
    }

    /// Has the kernel forget the program's file, as if the machine had just started. A process maps
    /// what it uses of it, and what the kernel happens to hold beside that: up to a megabyte more
    /// where the whole file was just written or read.
    pub(crate) fn forget_program(&mut self) {
        // One that is not named by its path stays.
        if let Ok(file) = fs::File::open(self.process.command().get_program()) {
            file.sync_all().unwrap();
            fadvise(&file, 0, None, Advice::DontNeed).unwrap();
        }
    }

    pub(crate) fn stop(&mut self) {
        self.process.kill();
    }

    /// Asks once; nothing if there is no answer, or none with a signature.
    pub(crate) fn ask(&self) -> Option<Answer> {
        let mut stream = TcpStream::connect(self.port.address()).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: bench\r\nX-Forwarded-For: 203.0.113.9\r\n\
             Connection: close\r\n\r\n",
            self.target
        );
        stream.write_all(request.as_bytes()).ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        let (head, body) = text.split_once("\r\n\r\n")?;
        head.starts_with("HTTP/1.1 200 ").then(|| Answer {
            head: head.to_owned(),
            body: body.to_owned(),
        })
    }

    /// Loads it for a second.
    pub(crate) fn load(&self, load: &Load) -> Reading {
        let url = format!("{}://{}{}", self.scheme, self.port.address(), self.target);
        let before = self.cpu();
        let sample = wrk::load(&url, load);
        let cpu = (self.cpu() - before).div_f64(sample.requests.max(1.0));
        Reading { sample, cpu }
    }

    /// What its processes have spent so far.
    pub(crate) fn cpu(&self) -> Duration {
        let spent = self.processes().into_iter().map(cpu);
        spent.sum()
    }

    /// The part of a core that they use for so long from now on.
    pub(crate) fn cpu_during(&self, time: Duration) -> f64 {
        let before = self.cpu();
        std::thread::sleep(time);
        (self.cpu() - before).as_secs_f64() / time.as_secs_f64()
    }

    /// The memory of its processes in bytes, a proportional share of what others have as well.
    pub(crate) fn memory(&self) -> f64 {
        let processes = self.processes().into_iter();
        processes
            .map(|pid| bytes(pid, "smaps_rollup", "Pss:"))
            .sum()
    }

    /// The most memory that its first process ever had, in bytes.
    pub(crate) fn most_memory(&self) -> f64 {
        bytes(self.process.pid(), "status", "VmHWM:")
    }

    fn processes(&self) -> Vec<Pid> {
        let mut processes = self.process.children();
        processes.push(self.process.pid());
        processes
    }
}

/// The time that the threads of a process have run; see schedstats in the kernel's documentation
/// (<https://docs.kernel.org/scheduler/sched-stats.html#proc-pid-schedstat>).
fn cpu(pid: Pid) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{}/task", pid.as_raw_pid())).unwrap();
    let spent = tasks.flatten().filter_map(|task| {
        // It may have ended meanwhile.
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        let nanoseconds = text.split(' ').next()?.parse().ok()?;
        Some(Duration::from_nanos(nanoseconds))
    });
    spent.sum()
}

fn bytes(pid: Pid, file: &str, field: &str) -> f64 {
    let text = fs::read_to_string(format!("/proc/{}/{file}", pid.as_raw_pid())).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    let kib = line.unwrap().trim().trim_end_matches(" kB").trim();
    kib.parse::<f64>().unwrap() * 1024.0
}
