//! A master, its replica and three Sentinels that watch over them.
//!
//! They are what Redis ships, at a quicker pace: the Sentinels ask and tell each other the news
//! five times a second, and know each other from the start instead of finding each other first.

use std::net::SocketAddr;

use super::redis::Redis;
use super::{Port, eventually, resp};

/// What the Sentinels call the master.
pub(crate) const MASTER_NAME: &str = "wxsign";

/// The servers are 0, the first master, and 1.
pub(crate) struct Sentinel {
    servers: Vec<Redis>,
    sentinels: Vec<Redis>,
}

impl Sentinel {
    /// Waits until the replica is in step and every Sentinel knows it and the other two.
    pub(crate) async fn start() -> Self {
        // By default a master waits 5 seconds for more replicas to come.
        let at_once = ("repl-diskless-sync-delay", "0");
        let master = Redis::with(&[at_once]).await;
        let master_port = master.address().port().to_string();
        let replicaof = format!("127.0.0.1 {master_port}");
        let replica = Redis::with(&[("replicaof", &replicaof), at_once]).await;
        let replica_port = replica.address().port().to_string();
        let ports = [(); 3].map(|()| Port::free());
        let known = [0, 1, 2].map(|index| {
            let port = ports[index].number();
            format!(
                "known-sentinel {MASTER_NAME} 127.0.0.1 {port} {}",
                id(index)
            )
        });
        let sentinels = ports.into_iter().enumerate().map(|(index, port)| {
            let mut lines = vec![
                format!("myid {}", id(index)),
                format!("monitor {MASTER_NAME} 127.0.0.1 {master_port} 2"),
                format!("down-after-milliseconds {MASTER_NAME} 1000"),
                format!("failover-timeout {MASTER_NAME} 3000"),
                format!("known-replica {MASTER_NAME} 127.0.0.1 {replica_port}"),
            ];
            let others = known.iter().enumerate().filter(|other| other.0 != index);
            lines.extend(others.map(|other| other.1.clone()));
            let settings: Vec<_> = lines.iter().map(|line| ("sentinel", &**line)).collect();
            Redis::sentinel_on(port, &settings)
        });
        let mut all = Self {
            sentinels: sentinels.collect(),
            servers: vec![master, replica],
        };
        all.replicates(0, 1).await;
        for index in 0..all.sentinels.len() {
            all.restart_sentinel(index).await;
        }
        all.settled().await;
        all
    }

    /// The Sentinels and the name of the master.
    pub(crate) fn url(&self) -> String {
        let addresses = self.sentinels.iter().map(|one| one.address().to_string());
        let addresses: Vec<_> = addresses.collect();
        format!("redis+sentinel://{}/{MASTER_NAME}", addresses.join(","))
    }

    /// Waits until everything is as it was after the start, whoever is the master now.
    pub(crate) async fn settled(&self) {
        eventually("the Sentinels are content", async || {
            let master = self.try_master().await?;
            for sentinel in &self.sentinels {
                // Of the master, the replica and the other two; any trouble adds to the flags.
                for (of, flags) in [("MASTER", "master"), ("REPLICAS", "slave")] {
                    let answer = sentinel.try_cli(&["SENTINEL", of, MASTER_NAME]).await?;
                    (values(&answer, "flags") == [flags]).then_some(())?;
                }
                let ask = ["SENTINEL", "SENTINELS", MASTER_NAME];
                let answer = sentinel.try_cli(&ask).await?;
                (values(&answer, "flags") == ["sentinel"; 2]).then_some(())?;
            }
            self.is_replicating(master, 1 - master).await
        })
        .await;
    }

    /// The current master, as the first Sentinel that answers has it.
    pub(crate) async fn master(&self) -> usize {
        eventually("a Sentinel names a master", async || {
            self.try_master().await
        })
        .await
    }

    /// The Sentinels that run.
    fn watching(&self) -> impl Iterator<Item = &Redis> {
        let sentinels = self.sentinels.iter();
        sentinels.filter(|one| one.process().is_running())
    }

    async fn try_master(&self) -> Option<usize> {
        for sentinel in self.watching() {
            if let Some(master) = self.master_of(sentinel).await {
                return Some(master);
            }
        }
        None
    }

    async fn master_of(&self, sentinel: &Redis) -> Option<usize> {
        let ask = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER_NAME];
        let answer = sentinel.try_cli(&ask).await?;
        let (_, port) = answer.split_once('\n')?;
        let port: u16 = port.parse().ok()?;
        let has_it = |server: &Redis| server.address().port() == port;
        self.servers.iter().position(has_it)
    }

    pub(crate) fn server(&self, index: usize) -> &Redis {
        &self.servers[index]
    }

    pub(crate) fn kill(&mut self, index: usize) {
        self.servers[index].kill();
    }

    /// Starts a server again; see [`Self::settled`].
    pub(crate) async fn restart(&mut self, index: usize) {
        self.servers[index].restart().await;
    }

    pub(crate) fn sentinel(&self, index: usize) -> &Redis {
        &self.sentinels[index]
    }

    pub(crate) fn kill_sentinel(&mut self, index: usize) {
        self.sentinels[index].kill();
    }

    pub(crate) async fn restart_sentinel(&mut self, index: usize) {
        let sentinel = &mut self.sentinels[index];
        sentinel.restart().await;
        let periods = ["INFO-PERIOD", "PUBLISH-PERIOD", "ASK-PERIOD"];
        let pace = periods.map(|period| [period, "200"]).concat();
        // A Sentinel that did not run for 2 seconds would do nothing for the next 30. Here the
        // machine is only busy.
        let patience = ["TILT-TRIGGER", "60000"];
        let debug = [&["SENTINEL", "DEBUG"][..], &pace, &patience].concat();
        assert_eq!(sentinel.cli(&debug).await, "OK");
    }

    /// Kills the master and returns the next one, once all Sentinels agree on it.
    pub(crate) async fn failover(&mut self) -> usize {
        let master = self.master().await;
        self.kill(master);
        self.successor(master).await
    }

    /// Waits until all Sentinels that run have another master than `old`, and it knows.
    pub(crate) async fn successor(&self, old: usize) -> usize {
        let next = 1 - old;
        eventually("another server becomes the master", async || {
            for sentinel in self.watching() {
                if self.master_of(sentinel).await? != next {
                    return None;
                }
            }
            let role = self.servers[next].try_cli(&["ROLE"]).await?;
            role.starts_with("master").then_some(next)
        })
        .await
    }

    /// Cuts the replica off: it has what the master accepted before, and nothing from now on.
    pub(crate) async fn cut(&self) {
        let (master, replica) = self.master_and_replica().await;
        let written = number(master, "master_repl_offset").await;
        eventually("the replica is in step", async || {
            let read = number(replica, "slave_repl_offset").await;
            (read >= written).then_some(())
        })
        .await;
        // It has no password, so it refuses who brings one.
        let refused = ["CONFIG", "SET", "masterauth", "none"];
        assert_eq!(replica.cli(&refused).await, "OK");
        let kill = ["CLIENT", "KILL", "TYPE", "replica"];
        eventually("the replica is cut off", async || {
            master.cli(&kill).await;
            let connected = number(master, "connected_slaves").await;
            (connected == 0).then_some(())
        })
        .await;
    }

    /// Lets the replica in again.
    pub(crate) async fn mend(&self) {
        let (_, replica) = self.master_and_replica().await;
        accept(replica).await;
    }

    /// Kills the master after [`Self::cut`] and returns the next one, once all Sentinels agree
    /// on it: it knows nothing of what was written since.
    pub(crate) async fn failover_cut(&mut self) -> usize {
        let old = self.master().await;
        let (master, replica) = (&self.servers[old], &self.servers[1 - old]);
        // Sentinels pass over a replica that was cut off for long. One that has only just become
        // a replica was not; for it, -1 second is what they know.
        let port = master.address().port().to_string();
        for master in [["NO", "ONE"], ["127.0.0.1", &port]] {
            let follow = [&["REPLICAOF"], &master[..]].concat();
            assert_eq!(replica.cli(&follow).await, "OK");
        }
        eventually("the Sentinels do not mind the cut", async || {
            for sentinel in self.watching() {
                let ask = ["SENTINEL", "REPLICAS", MASTER_NAME];
                let answer = sentinel.try_cli(&ask).await?;
                if values(&answer, "master-link-down-time") != ["-1000"] {
                    return None;
                }
            }
            Some(())
        })
        .await;
        self.kill(old);
        accept(&self.servers[1 - old]).await;
        self.successor(old).await
    }

    /// Fails over such that what `write` writes to the master is lost.
    pub(crate) async fn lossy_failover(&mut self, write: impl AsyncFnOnce(SocketAddr)) -> usize {
        self.cut().await;
        let master = self.master().await;
        write(self.servers[master].address()).await;
        self.failover_cut().await
    }

    async fn master_and_replica(&self) -> (&Redis, &Redis) {
        let master = self.master().await;
        (&self.servers[master], &self.servers[1 - master])
    }

    async fn replicates(&self, master: usize, replica: usize) {
        eventually("the replica is in step", async || {
            self.is_replicating(master, replica).await
        })
        .await;
    }

    async fn is_replicating(&self, master: usize, replica: usize) -> Option<()> {
        let ask = ["INFO", "replication"];
        let said = self.servers[master].try_cli(&ask).await?;
        resp::field(&said, "slave0")?
            .contains("state=online")
            .then_some(())?;
        let said = self.servers[replica].try_cli(&ask).await?;
        (resp::field(&said, "master_link_status")? == "up").then_some(())
    }
}

/// Takes back what [`Sentinel::cut`] did, also on disk, where a Sentinel may have put it.
async fn accept(replica: &Redis) {
    for command in [
        &["CONFIG", "SET", "masterauth", ""][..],
        &["CONFIG", "REWRITE"],
    ] {
        assert_eq!(replica.cli(command).await, "OK");
    }
}

/// A number of a server's `INFO replication`.
async fn number(server: &Redis, name: &str) -> u64 {
    let said = server.cli(&["INFO", "replication"]).await;
    resp::field(&said, name).unwrap().parse().unwrap()
}

/// The name of a Sentinel among them.
fn id(index: usize) -> String {
    format!("{:040x}", index + 1)
}

/// The values of `name` in an answer whose lines are names and values in turn.
fn values<'a>(answer: &'a str, name: &str) -> Vec<&'a str> {
    let lines: Vec<_> = answer.split('\n').collect();
    let pairs = lines.chunks_exact(2).filter(|pair| pair[0] == name);
    pairs.map(|pair| pair[1]).collect()
}
