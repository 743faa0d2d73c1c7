//! One Redis server.

use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::certificates::Certificates;
use super::{ONE_TRY, PATIENCE, Port, Process, eventually, resp};

/// A server that keeps nothing on disk, unless it is told to.
pub(crate) struct Redis {
    process: Process,
    port: Port,
    password: Option<String>,
    tls: Option<Tls>,
}

struct Tls {
    port: Port,
    certificates: Certificates,
}

impl Redis {
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// With more settings, written as in `redis.conf`: `("requirepass", "x")`,
    /// `("appendonly", "yes")`, `("user", "shop on >x ~* +@all")`.
    pub(crate) async fn with(settings: &[(&str, &str)]) -> Self {
        let mut redis = Self::on(Port::free(), settings);
        redis.run().await;
        redis
    }

    /// The same that also listens with TLS, on a port of its own.
    pub(crate) async fn with_tls(settings: &[(&str, &str)]) -> Self {
        let mut redis = Self::on(Port::free(), settings);
        let tls = Tls {
            port: Port::free(),
            certificates: Certificates::make(redis.process.directory()).await,
        };
        redis.set(&[
            ("tls-port", &tls.port.number().to_string()),
            ("tls-ca-cert-file", "ca.pem"),
            ("tls-cert-file", "server.pem"),
            ("tls-key-file", "server.key"),
            ("tls-auth-clients", "no"),
        ]);
        redis.tls = Some(tls);
        redis.run().await;
        redis
    }

    /// Not running yet.
    pub(super) fn on(port: Port, settings: &[(&str, &str)]) -> Self {
        let mut process = Process::new("redis-server", "redis-server");
        // Redis itself writes to this file as well: `CONFIG REWRITE`.
        process.command().arg("redis.conf");
        let password = settings.iter().find(|setting| setting.0 == "requirepass");
        let redis = Self {
            process,
            password: password.map(|setting| setting.1.to_owned()),
            tls: None,
            port,
        };
        redis.set(&[
            ("bind", "127.0.0.1"),
            ("port", &redis.address().port().to_string()),
            ("save", "\"\""),
            ("unixsocket", "redis.sock"),
        ]);
        redis.set(settings);
        redis
    }

    /// Not running yet, and a Sentinel.
    pub(super) fn sentinel_on(port: Port, settings: &[(&str, &str)]) -> Self {
        let mut sentinel = Self::on(port, settings);
        sentinel.process.command().arg("--sentinel");
        sentinel
    }

    /// Adds to the settings, for the next start.
    fn set(&self, settings: &[(&str, &str)]) {
        let file = self.process.directory().join("redis.conf");
        let mut text = fs::read_to_string(&file).unwrap_or_default();
        for (name, value) in settings {
            writeln!(text, "{name} {value}").unwrap();
        }
        fs::write(file, text).unwrap();
    }

    /// Starts it and waits until it answers.
    pub(super) async fn run(&mut self) {
        self.process.start();
        let (address, process) = (self.port.address(), &mut self.process);
        eventually("Redis answers", async || {
            process.assert_running();
            let asking = resp::ask(address, None, &["PING"]);
            let answer = tokio::time::timeout(ONE_TRY, asking).await.ok()?.ok()?;
            // Any other error shows that it could answer, like NOAUTH.
            (!answer.starts_with("LOADING")).then_some(())
        })
        .await;
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Without a password, also where it wants one.
    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// Of the port with TLS.
    pub(crate) fn tls_url(&self) -> String {
        format!("rediss://{}", self.tls().port.address())
    }

    /// The certificate authority to trust.
    pub(crate) fn ca_file(&self) -> &Path {
        &self.tls().certificates.ca
    }

    fn tls(&self) -> &Tls {
        self.tls.as_ref().expect("started with TLS")
    }

    /// The socket in the file system that it listens on as well.
    pub(crate) fn socket(&self) -> PathBuf {
        self.process.directory().join("redis.sock")
    }

    /// Carries a command out and returns what `redis-cli` would print, also for an error.
    pub(crate) async fn cli(&self, command: &[&str]) -> String {
        let password = self.password.as_deref();
        let asking = resp::ask(self.address(), password, command);
        let answer = tokio::time::timeout(PATIENCE, asking).await;
        answer.expect("an answer in time").unwrap()
    }

    /// The same where nobody may answer: it is not running, or paused.
    pub(super) async fn try_cli(&self, command: &[&str]) -> Option<String> {
        let password = self.password.as_deref();
        let asking = resp::ask(self.address(), password, command);
        tokio::time::timeout(ONE_TRY, asking).await.ok()?.ok()
    }

    /// The server's process, for signals and for what it logged.
    pub(crate) fn process(&self) -> &Process {
        &self.process
    }

    /// Ends it at once, as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again, on the same ports and what it has on disk; kills it before, if it runs.
    pub(crate) async fn restart(&mut self) {
        self.kill();
        self.run().await;
    }

    /// Stops it where it is: connections stay open, new ones can be made, nothing is answered.
    pub(crate) fn pause(&self) {
        self.process.pause();
    }

    pub(crate) fn resume(&self) {
        self.process.resume();
    }
}
