//! What can happen to servers, to their store and to the lines between them.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rustix::process::Signal;

use crate::engines::proxy::{Mood, Proxy};
use crate::engines::redis::Redis;
use crate::engines::sentinel::Sentinel;
use crate::judge::{Judge, Place};
use crate::node::Node;
use crate::wechat::WeChat;

/// How often each kind of trouble came.
#[derive(Default, Debug)]
pub(crate) struct Bill {
    pub(crate) kills: u32,
    pub(crate) stops: u32,
    /// Pauses of a node, beyond a lease and shorter ones.
    pub(crate) long_pauses: u32,
    pub(crate) short_pauses: u32,
    /// A store that was killed, stood still or changed its master, and came back with everything
    /// but perhaps its last second.
    pub(crate) store_outages: u32,
    /// A store that has lost writes for certain.
    pub(crate) losses: u32,
    /// Lines that were slow, silent, refused or cut.
    pub(crate) lines: u32,
}

impl Bill {
    pub(crate) const fn troubles(&self) -> u32 {
        let nodes = self.kills + self.stops + self.long_pauses + self.short_pauses;
        nodes + self.store_outages + self.losses + self.lines
    }
}

/// The store, and how its nodes reach it.
pub(crate) enum Engine {
    /// One Redis, with a line of its own for each node.
    Alone(Box<Redis>, Vec<Proxy>),
    /// Two, one of which is the master.
    Pair(Box<Sentinel>),
}

impl Engine {
    /// The URL of the store for a node.
    fn url(&self, node: usize) -> String {
        match self {
            Self::Alone(_, lines) => format!("redis://{}", lines[node].address()),
            Self::Pair(sentinel) => sentinel.url(),
        }
    }
}

/// Nodes that share a store, and who watches them.
pub(crate) struct Cluster {
    pub(crate) wechat: Arc<WeChat>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) engine: Engine,
    pub(crate) judge: Judge,
    pub(crate) bill: Bill,
    random: StdRng,
    /// The longest that a trouble lasts.
    longest: Duration,
}

impl Cluster {
    pub(crate) async fn start(
        wechat: WeChat,
        engine: Engine,
        nodes: usize,
        seed: u64,
        longest: Duration,
    ) -> Self {
        let wechat = Arc::new(wechat);
        let judge = Judge::of(nodes, &wechat);
        let nodes = (0..nodes).map(|number| Node::new(number, &wechat, &engine.url(number)));
        let mut cluster = Self {
            nodes: nodes.collect(),
            judge,
            wechat,
            engine,
            bill: Bill::default(),
            random: StdRng::seed_from_u64(seed),
            longest,
        };
        for number in 0..cluster.nodes.len() {
            cluster.start_node(number).await;
        }
        cluster
    }

    async fn start_node(&mut self, number: usize) {
        let node = &mut self.nodes[number];
        node.start().await;
        let place = node.address().map(|address| Place {
            address,
            life: node.life,
        });
        self.judge.is_at(number, place);
    }

    /// A length of time up to `most`, and up to what this story bears.
    fn up_to(&mut self, most: u64) -> Duration {
        let most = Duration::from_secs(most).min(self.longest);
        let most = u64::try_from(most.as_millis()).unwrap();
        Duration::from_millis(self.random.random_range(most / 10..=most))
    }

    fn some_node(&mut self) -> usize {
        self.random.random_range(0..self.nodes.len())
    }

    /// Lets something happen, and sets it right.
    pub(crate) async fn suffer(&mut self) {
        match self.random.random_range(0..100) {
            0..25 => self.kill_node().await,
            25..30 => self.stop_node().await,
            30..45 => self.pause_node().await,
            _ => match &self.engine {
                Engine::Alone(..) => self.suffer_alone().await,
                Engine::Pair(_) => self.suffer_in_a_pair().await,
            },
        }
    }

    async fn kill_node(&mut self) {
        let number = self.some_node();
        self.say(&format!("node {number} is killed"));
        self.bill.kills += 1;
        self.judge.is_at(number, None);
        self.nodes[number].kill();
        let away = self.up_to(5);
        tokio::time::sleep(away).await;
        self.start_node(number).await;
    }

    async fn stop_node(&mut self) {
        let number = self.some_node();
        self.say(&format!("node {number} is stopped"));
        self.bill.stops += 1;
        self.judge.is_at(number, None);
        self.nodes[number].stop().await;
        self.start_node(number).await;
    }

    async fn pause_node(&mut self) {
        let number = self.some_node();
        let (long, pause) = match self.random.random_bool(0.3) {
            true => (true, Duration::from_secs(40)),
            false => (false, self.up_to(5)),
        };
        self.say(&format!("node {number} stands still for {pause:?}"));
        if long {
            self.bill.long_pauses += 1;
        } else {
            self.bill.short_pauses += 1;
        }
        self.nodes[number].signal(Signal::STOP);
        tokio::time::sleep(pause).await;
        self.nodes[number].signal(Signal::CONT);
    }

    /// Kills the one Redis.
    pub(crate) fn lose_store(&mut self) {
        if let Engine::Alone(redis, _) = &mut self.engine {
            redis.kill();
        }
    }

    /// Starts it again.
    pub(crate) async fn find_store(&mut self) {
        if let Engine::Alone(redis, _) = &mut self.engine {
            redis.restart().await;
        }
    }

    async fn suffer_alone(&mut self) {
        let away = self.up_to(40);
        let kind = self.random.random_range(0..10);
        let Engine::Alone(redis, _) = &mut self.engine else {
            return;
        };
        match kind {
            0 => {
                self.bill.store_outages += 1;
                redis.kill();
                eprintln!("Redis is killed, and back after {away:?}");
                tokio::time::sleep(away).await;
                redis.restart().await;
            }
            1 => {
                self.bill.store_outages += 1;
                eprintln!("Redis stands still for {away:?}");
                redis.pause();
                tokio::time::sleep(away).await;
                redis.resume();
            }
            2 => {
                self.bill.losses += 1;
                eprintln!("Redis is emptied");
                redis.cli(&["FLUSHALL"]).await;
            }
            _ => self.trouble_lines(away).await,
        }
    }

    /// Something is wrong with the lines of some nodes, or of all.
    async fn trouble_lines(&mut self, lasts: Duration) {
        let all = self.random.random_bool(0.3);
        let chosen: Vec<bool> = (self.nodes.iter())
            .map(|_| all || self.random.random_bool(0.4))
            .collect();
        let kind = self.random.random_range(0..6);
        let slow = Duration::from_millis(self.random.random_range(50..1_500));
        let Engine::Alone(_, lines) = &self.engine else {
            return;
        };
        let lines =
            || (lines.iter().zip(&chosen)).filter_map(|(line, chosen)| chosen.then_some(line));
        let word = ["slow", "silent", "deaf", "mute", "closed", "cut"][kind];
        eprintln!("lines {chosen:?} are {word} for {lasts:?} ({slow:?})");
        self.bill.lines += 1;
        for line in lines() {
            match kind {
                0 => line.set(Mood::Delay(slow)),
                1 => line.set(Mood::Silent),
                2 => line.set_to_client(Mood::Silent),
                3 => line.set_to_server(Mood::Silent),
                4 => line.refuse(),
                _ => {}
            }
            if kind >= 4 {
                line.reset().await;
            }
        }
        if kind < 5 {
            tokio::time::sleep(lasts).await;
        }
        for line in lines() {
            line.set(Mood::Pass);
            line.accept();
        }
    }

    async fn suffer_in_a_pair(&mut self) {
        let away = self.up_to(10);
        let kind = self.random.random_range(0..10);
        let Engine::Pair(pair) = &mut self.engine else {
            return;
        };
        match kind {
            0..4 => {
                eprintln!("the master is killed");
                self.bill.store_outages += 1;
                let old = pair.master().await;
                pair.failover().await;
                pair.restart(old).await;
                pair.settled().await;
            }
            4..7 => {
                eprintln!("the replica is cut off for {away:?}, and becomes the master");
                self.bill.losses += 1;
                pair.cut().await;
                tokio::time::sleep(away).await;
                let old = pair.master().await;
                pair.failover_cut().await;
                pair.restart(old).await;
                pair.settled().await;
            }
            7 => {
                eprintln!("the master is emptied");
                self.bill.losses += 1;
                let master = pair.master().await;
                pair.server(master).cli(&["FLUSHALL"]).await;
            }
            8 => {
                eprintln!("a Sentinel is killed");
                self.bill.lines += 1;
                pair.kill_sentinel(0);
                tokio::time::sleep(away).await;
                pair.restart_sentinel(0).await;
                pair.settled().await;
            }
            _ => {
                eprintln!("the master stands still until another one is found");
                self.bill.store_outages += 1;
                let old = pair.master().await;
                pair.server(old).pause();
                pair.successor(old).await;
                pair.server(old).resume();
                pair.settled().await;
            }
        }
    }

    fn say(&self, what: &str) {
        let violations = self.judge.violations();
        eprintln!(
            "{what} ({} troubles, {violations} violations so far)",
            self.bill.troubles()
        );
    }
}
