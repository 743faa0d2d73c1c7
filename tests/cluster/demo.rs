//! The small cluster of the demo, where a node can be killed.

use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::engines::eventually;
use crate::node::get;

const PATIENCE: Duration = Duration::from_secs(5);

/// The demo with three nodes, in a directory that is its own for what it leaves on the disk.
struct Demo {
    child: Child,
    directory: TempDir,
}

impl Demo {
    fn start(path: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let stdout = File::create(directory.path().join("stdout")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_wxsign"))
            .args(["demo", "--nodes", "3", "--listen", "127.0.0.1:0"])
            .env_clear()
            .env("PATH", path)
            .env("TMPDIR", directory.path())
            .current_dir(directory.path())
            .stdin(Stdio::piped())
            .stdout(stdout)
            .spawn();
        Self {
            child: child.unwrap(),
            directory,
        }
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("stdout")).unwrap()
    }

    async fn says(&self, what: &str) {
        eventually(what, async || self.said().contains(what).then_some(())).await;
    }

    /// Where the nodes listen, as it says.
    async fn addresses(&self) -> Vec<SocketAddr> {
        self.says("Ctrl-C").await;
        let said = self.said();
        let nodes = said.lines().filter_map(|line| line.split_once("  http://"));
        let addresses = nodes.filter_map(|(_, rest)| rest.split(' ').next()?.parse().ok());
        addresses.collect()
    }

    fn types(&mut self, what: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(what.as_bytes()).unwrap();
    }

    /// Ends as by Ctrl-C, and leaves nothing behind.
    async fn ends(mut self) {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
        let child = &mut self.child;
        let ended = eventually("it ends", async || child.try_wait().unwrap()).await;
        assert!(ended.success());
        let left = std::fs::read_dir(self.directory.path()).unwrap();
        let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["stdout"]);
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // Its nodes and its Redis end only with it. It may have ended by itself.
        let _ = kill_process(Pid::from_child(&self.child), Signal::INT);
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("{}", self.said());
        }
    }
}

/// Tells a story of three nodes, the first of which is killed and started again.
async fn a_node_dies(path: &str, shared: &str) {
    let mut demo = Demo::start(path);
    let addresses = demo.addresses().await;
    assert_eq!(addresses.len(), 3, "{}", demo.said());
    assert!(demo.said().contains(shared), "{}", demo.said());
    // All of them sign for the address of the first.
    let page = addresses[0].to_string().replace(':', "%3A");
    let target = format!("/jsapi/signature?url=http%3A%2F%2F{page}%2F");
    let signs = async |address: SocketAddr| {
        let answer = get(address, &target, PATIENCE).await?;
        (answer.status == 200).then_some(())
    };
    for address in &addresses {
        eventually("the node signs", async || signs(*address).await).await;
    }
    demo.says("has renewed it: generation 1").await;
    demo.types("nobody\n1\n");
    demo.says("There is no node \"nobody\"").await;
    demo.says("node 1 is killed").await;
    assert!(signs(addresses[0]).await.is_none());
    for address in &addresses[1..] {
        assert!(signs(*address).await.is_some());
    }
    demo.types("1\n");
    demo.says("node 1 is started").await;
    eventually("it signs again", async || signs(addresses[0]).await).await;
    demo.ends().await;
}

#[tokio::test]
async fn a_node_of_the_demo_is_a_process_that_can_die() {
    let path = std::env::var("PATH").unwrap();
    a_node_dies(&path, "share a Redis").await;
}

#[tokio::test]
async fn without_redis_the_demo_shares_its_memory() {
    a_node_dies("/nowhere", "this process's memory").await;
}
