//! One PostgreSQL server.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::geteuid;

use super::certificates::Certificates;
use super::{Port, Process, eventually, missing, run};

const PACKAGE: &str = "postgresql";

/// The role that owns everything.
const ROLE: &str = "wxsign";

/// A server that does not wait for the disk: it survives `kill`, not the machine's end.
pub(crate) struct Postgres {
    process: Process,
    port: Port,
    programs: PathBuf,
    certificates: Option<Certificates>,
}

/// What a server can be given besides.
#[derive(Default)]
pub(crate) struct Options<'a> {
    /// Asked for over TCP, by `scram-sha-256`.
    pub(crate) password: Option<&'a str>,
    /// Clients may use TLS.
    pub(crate) tls: bool,
    /// Named and written as in `postgresql.conf`.
    pub(crate) settings: &'a [(&'a str, &'a str)],
}

impl Postgres {
    /// Without a password and TLS.
    pub(crate) async fn start() -> Self {
        Self::with(Options::default()).await
    }

    pub(crate) async fn with(options: Options<'_>) -> Self {
        let programs = programs();
        let mut process = Process::new(PACKAGE, programs.join("postgres"));
        let directory = process.directory().to_owned();
        let mut initdb = Command::new(programs.join("initdb"));
        initdb
            .current_dir(&directory)
            .args(["--pgdata=data", "--no-sync", "--no-instructions"])
            .args(["--username", ROLE, "--encoding=UTF8", "--no-locale"])
            .arg("--auth-local=trust");
        match options.password {
            None => initdb.arg("--auth-host=trust"),
            Some(password) => {
                fs::write(directory.join("password"), password).unwrap();
                initdb.args(["--auth-host=scram-sha-256", "--pwfile=password"])
            }
        };
        let certificates = match options.tls {
            true => Some(Certificates::make(&directory).await),
            false => None,
        };
        if let Some(certificates) = &certificates {
            // It refuses a key that others may read.
            fs::set_permissions(&certificates.key, PermissionsExt::from_mode(0o600)).unwrap();
        }
        if geteuid().is_root() {
            // It refuses to run as root.
            let (user, group) = unprivileged();
            own(&directory, user, group);
            initdb.uid(user).gid(group);
            process.command().uid(user).gid(group);
        }
        run(PACKAGE, &mut initdb).await;
        let mut postgres = Self {
            process,
            port: Port::free(),
            programs,
            certificates,
        };
        postgres.set(&options);
        postgres.run().await;
        postgres
    }

    fn set(&mut self, options: &Options<'_>) {
        let port = self.address().port().to_string();
        let directory = self.process.directory().display().to_string();
        let mut settings = vec![
            ("listen_addresses", "127.0.0.1"),
            ("port", &*port),
            ("unix_socket_directories", &*directory),
            ("fsync", "off"),
            ("full_page_writes", "off"),
            ("shared_buffers", "16MB"),
            // In its directory, so that nothing is left in /dev/shm after a kill.
            ("dynamic_shared_memory_type", "mmap"),
        ];
        let (certificate, key) = ("../server.pem", "../server.key");
        if options.tls {
            settings.extend([("ssl", "on"), ("ssl_cert_file", certificate)]);
            settings.push(("ssl_key_file", key));
        }
        // The last one counts.
        settings.extend(options.settings);
        let command = self.process.command().args(["-D", "data"]);
        for (name, value) in settings {
            command.args(["-c", &format!("{name}={value}")]);
        }
    }

    /// Starts it and waits until it can be connected to.
    async fn run(&mut self) {
        self.process.start();
        let pid = self.process.pid().as_raw_pid().to_string();
        let process = &mut self.process;
        let file = process.directory().join("data/postmaster.pid");
        eventually("PostgreSQL is ready", async || {
            process.assert_running();
            // What pg_ctl looks at: whose file it is, and in the 8th line how far it is.
            let text = fs::read_to_string(&file).ok()?;
            let is_ours = text.lines().next() == Some(&pid);
            let is_ready = text.lines().nth(7)?.trim_end() == "ready";
            (is_ours && is_ready).then_some(())
        })
        .await;
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Without a password, also where it wants one.
    pub(crate) fn url(&self) -> String {
        format!("postgres://{ROLE}@{}/postgres", self.address())
    }

    /// The certificate authority to trust.
    pub(crate) fn ca_file(&self) -> &Path {
        let certificates = self.certificates.as_ref();
        &certificates.expect("started with TLS").ca
    }

    /// The directory of the socket in the file system, where no password is asked for.
    pub(crate) fn socket_directory(&self) -> &Path {
        self.process.directory()
    }

    /// Carries out statements and returns the rows, `a|b` each, without a heading.
    pub(crate) async fn sql(&self, statements: &str) -> String {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.env_clear()
            .env("PGOPTIONS", "--client-min-messages=error")
            .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
            .args(["--set=ON_ERROR_STOP=1", "--username", ROLE])
            .arg("--host")
            .arg(self.socket_directory())
            .args(["--port", &self.address().port().to_string()])
            .args(["--dbname=postgres", "--command", statements]);
        run(PACKAGE, &mut psql).await.trim_end().to_owned()
    }

    /// The server's process, for signals and for what it logged.
    pub(crate) fn process(&self) -> &Process {
        &self.process
    }

    /// Ends all its processes at once, as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        if !self.process.is_running() {
            return;
        }
        self.process.kill();
        // Killed, it leaves a segment of shared memory: the last number of the 7th line.
        let file = self.process.directory().join("data/postmaster.pid");
        let text = fs::read_to_string(file).unwrap_or_default();
        let segment = text
            .lines()
            .nth(6)
            .and_then(|line| line.split(' ').next_back());
        if let Some(segment) = segment {
            // The next start would remove it as well, if there is one.
            let _ = Command::new("ipcrm").args(["-m", segment]).output();
        }
    }

    /// Starts it again, on the same port and data; kills it before, if it runs.
    pub(crate) async fn restart(&mut self) {
        self.kill();
        self.run().await;
    }

    /// Stops all its processes where they are: connections stay open and answer nothing.
    pub(crate) fn pause(&self) {
        self.process.pause();
    }

    pub(crate) fn resume(&self) {
        self.process.resume();
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Where Debian has the programs of its newest version.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let versions = versions.flatten().filter_map(|version| {
        let number: u32 = version.file_name().to_str()?.parse().ok()?;
        Some((number, version.path().join("bin")))
    });
    let usable = versions.filter(|version| version.1.join("postgres").exists());
    let newest = usable.max().unwrap_or_else(|| missing(PACKAGE));
    newest.1
}

/// The user and group that Debian has for it.
fn unprivileged() -> (u32, u32) {
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let user = users
        .lines()
        .find_map(|line| line.strip_prefix("postgres:"));
    let user = user.unwrap_or_else(|| missing(PACKAGE));
    let numbers: Vec<u32> = user
        .split(':')
        .filter_map(|field| field.parse().ok())
        .collect();
    (numbers[0], numbers[1])
}

/// Gives a directory and what is in it away.
fn own(directory: &Path, user: u32, group: u32) {
    chown(directory, Some(user), Some(group)).unwrap();
    for entry in fs::read_dir(directory).unwrap() {
        chown(entry.unwrap().path(), Some(user), Some(group)).unwrap();
    }
}
