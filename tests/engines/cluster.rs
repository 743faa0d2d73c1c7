//! A Redis Cluster of three masters without replicas.

use super::redis::Redis;
use super::{Port, eventually, resp};

/// How many slots there are; each master starts with a third of them.
const SLOTS: usize = 16384;

pub(crate) struct Cluster {
    nodes: Vec<Node>,
}

struct Node {
    redis: Redis,
    /// Where it talks to the others.
    bus: Port,
    id: String,
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// With more settings, written as in `redis.conf`, such as
    /// `("cluster-require-full-coverage", "no")`.
    pub(crate) async fn with(settings: &[(&str, &str)]) -> Self {
        let mut nodes = Vec::new();
        for _ in 0..3 {
            nodes.push(Node::start(settings).await);
        }
        let cluster = Self { nodes };
        let count = cluster.nodes.len();
        for (index, node) in cluster.nodes.iter().enumerate() {
            let epoch = (index + 1).to_string();
            let first = (SLOTS * index / count).to_string();
            let last = (SLOTS * (index + 1) / count - 1).to_string();
            // Equal ones would have to be sorted out first.
            node.set(&["SET-CONFIG-EPOCH", &epoch]).await;
            node.set(&["ADDSLOTSRANGE", &first, &last]).await;
        }
        for other in &cluster.nodes[1..] {
            let port = other.port();
            let bus = other.bus.number().to_string();
            let meet = ["MEET", "127.0.0.1", &port, &bus];
            cluster.nodes[0].set(&meet).await;
        }
        cluster.settled().await;
        cluster
    }

    pub(crate) fn url(&self) -> String {
        let nodes = self.nodes.iter();
        let addresses: Vec<_> = nodes.map(|node| node.redis.address().to_string()).collect();
        format!("redis+cluster://{}", addresses.join(","))
    }

    pub(crate) fn node(&self, index: usize) -> &Redis {
        &self.nodes[index].redis
    }

    /// Asks this very node; the answer may be `MOVED` or `ASK`.
    pub(crate) async fn cli(&self, index: usize, command: &[&str]) -> String {
        self.node(index).cli(command).await
    }

    /// Waits until all nodes see each other and all slots served.
    pub(crate) async fn settled(&self) {
        eventually("the cluster is whole", async || {
            for node in &self.nodes {
                let said = node.redis.try_cli(&["CLUSTER", "INFO"]).await?;
                let whole = [
                    ("cluster_state", "ok"),
                    ("cluster_slots_ok", "16384"),
                    ("cluster_known_nodes", "3"),
                ];
                let is_so = |(name, value)| resp::field(&said, name) == Some(value);
                whole.into_iter().all(is_so).then_some(())?;
            }
            Some(())
        })
        .await;
    }

    pub(crate) async fn slot(&self, key: &str) -> u16 {
        let answer = self.cli(0, &["CLUSTER", "KEYSLOT", key]).await;
        answer.parse().unwrap()
    }

    /// The node that has `slot`, as `asked` sees it.
    pub(crate) async fn owner(&self, asked: usize, slot: u16) -> usize {
        // Each range is its first and last slot, then an address and an id per server.
        let answer = self.cli(asked, &["CLUSTER", "SLOTS"]).await;
        let mut range = (0, 0);
        let lines: Vec<_> = answer.lines().collect();
        for pair in lines.windows(2) {
            if let (Ok(first), Ok(last)) = (pair[0].parse::<u16>(), pair[1].parse::<u16>()) {
                range = (first, last);
            }
            let node = self.nodes.iter().position(|node| node.id == pair[1]);
            if let Some(node) = node.filter(|_| (range.0..=range.1).contains(&slot)) {
                return node;
            }
        }
        panic!("nobody has slot {slot}: {answer}")
    }

    /// Moves `slot` with its keys; who asks `from` for them is told `MOVED` once this returns.
    pub(crate) async fn move_slot(&self, slot: u16, from: usize, to: usize) {
        self.begin_move(slot, from, to).await;
        self.finish_move(slot, from, to).await;
    }

    /// The first half: `from` answers `ASK` for the keys of `slot` that it does not have.
    pub(crate) async fn begin_move(&self, slot: u16, from: usize, to: usize) {
        let slot = slot.to_string();
        let (from, to) = (&self.nodes[from], &self.nodes[to]);
        to.set(&["SETSLOT", &slot, "IMPORTING", &from.id]).await;
        from.set(&["SETSLOT", &slot, "MIGRATING", &to.id]).await;
    }

    /// The second half: moves the keys and makes `to` the owner.
    pub(crate) async fn finish_move(&self, slot: u16, from: usize, to: usize) {
        let slot = slot.to_string();
        let (from, to) = (&self.nodes[from], &self.nodes[to]);
        loop {
            let some = ["CLUSTER", "GETKEYSINSLOT", &slot, "100"];
            let keys = from.redis.cli(&some).await;
            if keys.is_empty() {
                break;
            }
            let port = to.port();
            let mut migrate = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "10000", "KEYS"];
            migrate.extend(keys.lines());
            let answer = from.redis.cli(&migrate).await;
            // Its keys may have expired meanwhile.
            assert!(matches!(&*answer, "OK" | "NOKEY"), "{answer}");
        }
        // The new owner first: between the two, nobody would know of a slot that the old one
        // has given away.
        for node in [to, from] {
            node.set(&["SETSLOT", &slot, "NODE", &to.id]).await;
        }
    }

    pub(crate) fn kill(&mut self, index: usize) {
        self.nodes[index].redis.kill();
    }

    /// Starts a node again; see [`Self::settled`].
    pub(crate) async fn restart(&mut self, index: usize) {
        self.nodes[index].redis.restart().await;
    }

    pub(crate) fn pause(&self, index: usize) {
        self.nodes[index].redis.pause();
    }

    pub(crate) fn resume(&self, index: usize) {
        self.nodes[index].redis.resume();
    }
}

impl Node {
    async fn start(settings: &[(&str, &str)]) -> Self {
        let bus = Port::free();
        let bus_port = bus.number().to_string();
        let own = [
            ("cluster-enabled", "yes"),
            ("cluster-config-file", "nodes.conf"),
            ("cluster-node-timeout", "2000"),
            ("cluster-announce-ip", "127.0.0.1"),
            ("cluster-port", &*bus_port),
        ];
        let mut redis = Redis::on(Port::free(), &[&own, settings].concat());
        redis.run().await;
        let id = redis.cli(&["CLUSTER", "MYID"]).await;
        Self { redis, bus, id }
    }

    fn port(&self) -> String {
        self.redis.address().port().to_string()
    }

    /// Carries out a `CLUSTER` command that answers `OK`.
    async fn set(&self, command: &[&str]) {
        let command = [&["CLUSTER"], command].concat();
        let answer = self.redis.cli(&command).await;
        assert_eq!(answer, "OK", "{command:?}");
    }
}
