//! A back end: a process in which a real SDK does what it is told, one command a line.
//!
//! What the commands are stands at the top of `co-wechat-api.cjs`. A process gives up on a command
//! by itself, and ends; when a [`BackEnd`] is dropped its process is killed.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::harness::{APPID, Wxsign, eventually};

/// The SDKs, as their registries have them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sdk {
    /// Of npm: fetches another token when its own is refused.
    CoWechatApi,
    /// Of PyPI: keeps its token to the end.
    WeixinPython,
}

impl Sdk {
    pub(crate) const ALL: [Self; 2] = [Self::CoWechatApi, Self::WeixinPython];

    fn command(self) -> Command {
        match self {
            Self::CoWechatApi => {
                installed("co-wechat-api-3.11.0");
                let mut node = Command::new("node");
                node.arg(tests().join("sdk/co-wechat-api.cjs"));
                node
            }
            Self::WeixinPython => {
                let mut python = Command::new(installed("weixin-python-0.5.7").join("bin/python"));
                python.arg(tests().join("sdk/weixin-python.py"));
                python
            }
        }
    }
}

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// Where `tests/run` has put a package.
fn installed(package: &str) -> PathBuf {
    let place = tests().join(".cache").join(package);
    let whole = place.join("whole").exists();
    assert!(whole, "{}: `tests/run` installs it", place.display());
    place
}

/// A process with an SDK.
pub(crate) struct BackEnd {
    child: Child,
    /// Taken for each command; the commands' end is the end of the process.
    pipes: Arc<Mutex<Pipes>>,
}

struct Pipes {
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl BackEnd {
    /// Starts `sdk` with wxsign for its API host and `key` for its AppSecret.
    pub(crate) fn start(sdk: Sdk, wxsign: &Wxsign, key: &str) -> Self {
        let mut child = sdk
            .command()
            .args([&format!("http://{}", wxsign.address()), APPID, key])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{sdk:?}: {error}. `tests/run` installs it"));
        let pipes = Pipes {
            commands: child.stdin.take(),
            answers: BufReader::new(child.stdout.take().unwrap()),
        };
        Self {
            child,
            pipes: Arc::new(Mutex::new(pipes)),
        }
    }

    /// Gives it a command and returns its answer.
    pub(crate) async fn answer(&self, command: &str) -> Value {
        let pipes = Arc::clone(&self.pipes);
        let command = command.to_owned();
        let asking = tokio::task::spawn_blocking(move || {
            let mut pipes = pipes.lock().unwrap();
            writeln!(pipes.commands.as_ref().unwrap(), "{command}").unwrap();
            let mut answer = String::new();
            pipes.answers.read_line(&mut answer).unwrap();
            serde_json::from_str(&answer)
                .unwrap_or_else(|_| panic!("no answer to {command:?}: {answer:?}"))
        });
        asking.await.unwrap()
    }

    /// Has no more commands for it, and waits until it has ended in good order.
    pub(crate) async fn end(mut self) {
        drop(self.pipes.lock().unwrap().commands.take());
        let child = &mut self.child;
        let status = eventually("the back end ends", async || child.try_wait().unwrap()).await;
        assert!(status.success(), "{status}");
    }
}

impl Drop for BackEnd {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
