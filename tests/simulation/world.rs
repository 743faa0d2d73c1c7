//! Nodes, their machines, one store, and WeChat; storms pass over them.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio_util::sync::CancellationToken;
use wxsign::account::{Account, AppId, TokenApi};
use wxsign::clock::{Clock, Timestamp};
use wxsign::credential::{Kind, Secret};
use wxsign::keeper::{Keeper, Kept};
use wxsign::page_hosts::PageHosts;
use wxsign::simulator::{App, Simulator, TicketMode};
use wxsign::store::{Key, Store};

use super::controls::Control;
use super::judge::Judge;
use super::machine::{Line, Machine, Reach, forget};
use super::plan::{Deed, StoreTrouble, Storm, Trouble};
use super::shared::{Shared, What};

pub(crate) const NODES: usize = 5;
pub(crate) const ACCOUNTS: usize = 3;
pub(crate) const HOST: &str = "h5.example.com";

/// In China this is 06:13:20.
pub(crate) const T0: Timestamp = Timestamp::from_secs(1_700_000_000);

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// Promises are looked at so often. A signature is looked at once more the next time.
pub(crate) const LOOK: Duration = Duration::from_secs(20);

/// The same while the store's memory is in question.
const CLOSE_LOOK: Duration = Duration::from_secs(1);

/// When it has been calm for so long, and all has been well for [`LAST_LOOKS`], all nodes but one
/// at most are stopped until the next storm.
const BEFORE_THE_NIGHT: Duration = Duration::from_secs(900);

/// Promises are looked at for so long at least when nobody waits any more.
const LAST_LOOKS: Duration = Duration::from_secs(60);

/// A node that is told to stop has stopped by then.
const TO_STOP: Duration = Duration::from_secs(25);

/// What a run showed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Report {
    /// The hash of everything that happened.
    pub(crate) trace: u64,
    pub(crate) events: u64,
    pub(crate) troubles: u64,
    pub(crate) storms: u64,
    /// The time that nodes were not stopped, of all nodes together.
    pub(crate) awake: Duration,
    /// How often a promise could not be kept, and why nobody could.
    pub(crate) excused: Vec<(&'static str, u64)>,
}

/// A promise that was broken, and what led there.
#[derive(Clone, Debug)]
pub(crate) struct Violation {
    pub(crate) what: String,
    pub(crate) trace: String,
}

/// A node as it runs.
pub(crate) struct Node {
    pub(crate) keeper: Keeper,
    pub(crate) clock: Clock,
    pub(crate) machine: Arc<Machine>,
    stop: CancellationToken,
    /// How far its wall clock is off now.
    skew: i64,
}

impl Node {
    pub(crate) fn kept(&self, account: &Account) -> Arc<Kept> {
        Arc::clone(self.keeper.accounts().get(account.appid.as_str()).unwrap())
    }
}

pub(crate) struct World {
    pub(crate) shared: Arc<Shared>,
    pub(crate) accounts: Vec<Account>,
    /// How the tickets of the accounts change.
    pub(crate) modes: Vec<TicketMode>,
    pub(crate) nodes: Vec<Node>,
    /// What goes wrong now, until when.
    active: Vec<(Timestamp, Trouble)>,
    pub(crate) next_look: Timestamp,
    random: StdRng,
    report: Report,
}

impl World {
    pub(crate) fn new(seed: u64, control: Control) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let clock = Clock::following_tokio(T0);
        let simulator = Simulator::new(clock.clone(), seed);
        let apis = [
            TokenApi::Classic,
            [TokenApi::Classic, TokenApi::Stable][random.random_range(0..2)],
            TokenApi::Stable,
        ];
        let accounts = Vec::from_iter((0..).zip(apis).map(|(number, api)| account(number, api)));
        let modes = Vec::from_iter(accounts.iter().map(|_| ticket_mode(&mut random)));
        for (account, mode) in accounts.iter().zip(&modes) {
            let slowest = Duration::from_millis([400, 6_000][random.random_range(0..2)]);
            simulator.add_app(app(account, *mode, slowest));
        }
        let mut world = Self {
            shared: Arc::new(Shared::new(seed, clock, simulator, control)),
            accounts,
            modes,
            nodes: Vec::new(),
            active: Vec::new(),
            next_look: T0 + LOOK,
            random,
            report: Report::default(),
        };
        world.nodes = (0..NODES).map(|number| world.start(number)).collect();
        world
    }

    /// Lets storms pass for so long.
    pub(crate) async fn run(mut self, length: Duration) -> Result<Report, Violation> {
        let mut judge = Judge::new();
        let outcome = self.storms(&mut judge, length).await;
        let state = self.shared.state();
        self.report.trace = state.trace.hash();
        self.report.events = state.trace.events;
        self.report.excused = judge.excused();
        match outcome {
            Ok(()) => Ok(self.report.clone()),
            Err(what) => Err(Violation {
                what,
                trace: state.trace.end(),
            }),
        }
    }

    async fn storms(&mut self, judge: &mut Judge, length: Duration) -> Result<(), String> {
        let end = T0 + length;
        // The first start, without trouble.
        judge.calm_begins(self);
        self.pass_until(self.shared.now() + Duration::from_secs(900), judge)
            .await?;
        while self.shared.now() < end {
            let storm = Storm::random(&mut self.random);
            self.report.storms += 1;
            self.report.troubles += storm.troubles.len() as u64;
            judge.storm_begins(self)?;
            self.storm(&storm, judge).await?;
            judge.calm_begins(self);
            self.shared.note(None, What::Calm);
            let calm = self.shared.now();
            let (evening, morning) = (calm + BEFORE_THE_NIGHT, calm + storm.calm);
            self.pass_until(evening.min(morning), judge).await?;
            let all_well_by = judge.all_well_by(self.shared.now());
            let night = evening.max(all_well_by + LAST_LOOKS);
            self.pass_until(night.min(morning), judge).await?;
            if night < morning {
                self.night(morning, judge).await?;
            }
        }
        judge.storm_begins(self)
    }

    /// Stops all nodes but one, or that one too, for the time until the morning.
    async fn night(&mut self, morning: Timestamp, judge: &mut Judge) -> Result<(), String> {
        let stays = self.random.random_range(0..3 * NODES);
        let goes = |number: &usize| *number != stays;
        for number in (0..NODES).filter(goes) {
            self.nodes[number].stop.cancel();
        }
        self.pass_until(self.shared.now() + TO_STOP, judge).await?;
        for number in (0..NODES).filter(goes) {
            self.nodes[number].machine.is_shut_down()?;
        }
        self.pass_until(morning, judge).await
    }

    fn wake_up(&mut self) {
        for number in 0..NODES {
            if self.nodes[number].machine.is_at_rest() {
                self.nodes[number] = self.start(number);
            }
        }
    }

    async fn storm(&mut self, storm: &Storm, judge: &mut Judge) -> Result<(), String> {
        let start = self.shared.now();
        let mut beginnings: Vec<_> = storm.troubles.iter().collect();
        beginnings.sort_by_key(|(begin, ..)| *begin);
        let mut beginnings = beginnings.into_iter().peekable();
        let end = start + storm.length();
        loop {
            while let Some((_, end, trouble)) =
                beginnings.next_if(|(begin, ..)| start + *begin <= self.shared.now())
            {
                self.begin(trouble, start + *end, judge);
            }
            self.end_troubles();
            self.wake_up();
            if self.shared.now() >= end {
                break;
            }
            let begins = beginnings.peek().map(|(begin, ..)| start + *begin);
            let ends = self.active.iter().map(|(end, _)| *end);
            let next = ends.chain(begins).min().unwrap_or(end);
            self.pass_until(next, judge).await?;
        }
        self.shared.state().traps.clear();
        // The storm is over when all machines run again.
        while let Some(until) = self.all_run_at() {
            self.pass_until(until, judge).await?;
        }
        Ok(())
    }

    fn all_run_at(&self) -> Option<Timestamp> {
        let now = self.shared.now();
        let machines = self.nodes.iter().map(|node| &node.machine);
        let until = machines.filter_map(|machine| {
            let paused = machine.paused_until();
            machine
                .dead_until()
                .or_else(|| (paused > now).then_some(paused))
        });
        until
            .max()
            .map(|until| until.max(now + Duration::from_millis(1)))
    }

    fn begin(&mut self, trouble: &Trouble, end: Timestamp, judge: &mut Judge) {
        self.shared.note(None, What::Begins(format!("{trouble:?}")));
        match trouble {
            Trouble::WeChat(_) | Trouble::Store(..) | Trouble::Clock(..) => {
                if let Trouble::Clock(_, millis) = trouble {
                    judge.clock_is_set(self.shared.now(), *millis, end);
                }
                self.active.push((end, trouble.clone()));
                self.apply_all();
            }
            Trouble::Account(account, action) => {
                let appid = &self.accounts[*account].appid;
                self.shared.simulator.act(appid, *action).unwrap();
                judge.acted(self, *account, *action);
            }
            Trouble::Node(node, deed) => match deed {
                Deed::Die(down_for) => self.nodes[*node].machine.die(*down_for),
                Deed::Pause(length) => self.nodes[*node].machine.pause(*length),
                Deed::Failover(_) => {}
            },
            Trouble::Failover(account, kind, writes) => {
                let key = self.key(*account, *kind);
                forget(&self.shared, &key, *writes);
            }
            Trouble::Trap(trap) => self.shared.state().traps.push(*trap),
        }
    }

    fn end_troubles(&mut self) {
        let now = self.shared.now();
        let ended = self.active.extract_if(.., |(end, _)| *end <= now);
        let ended: Vec<_> = ended.map(|(_, trouble)| format!("{trouble:?}")).collect();
        if !ended.is_empty() {
            for trouble in ended {
                self.shared.note(None, What::Ends(trouble));
            }
            self.apply_all();
        }
    }

    /// Brings about what is active, and nothing else.
    fn apply_all(&mut self) {
        let simulator = &self.shared.simulator;
        simulator.clear_faults();
        let mut stores = [StoreTrouble::default(); NODES];
        let mut skews = [0; NODES];
        for (_, trouble) in &self.active {
            match trouble {
                Trouble::WeChat(rule) => simulator.inject(rule.clone()),
                Trouble::Store(nodes, trouble) => {
                    for node in nodes {
                        let store = &mut stores[*node];
                        store.down |= trouble.down;
                        store.slow = store.slow.max(trouble.slow);
                        store.lies = store.lies.max(trouble.lies);
                    }
                }
                Trouble::Clock(node, millis) => skews[*node] = *millis,
                _ => {}
            }
        }
        for (node, (store, skew)) in self.nodes.iter_mut().zip(stores.into_iter().zip(skews)) {
            node.machine.set_store(store);
            node.clock.skew_wall(skew - node.skew);
            node.skew = skew;
        }
    }

    /// Lets time pass, restarts what is dead, and looks at the promises.
    async fn pass_until(&mut self, then: Timestamp, judge: &mut Judge) -> Result<(), String> {
        loop {
            let dead = self
                .nodes
                .iter()
                .filter_map(|node| node.machine.dead_until());
            let next = dead.chain([self.next_look, then]).min().unwrap_or(then);
            let now = self.shared.now();
            let wait = next.since(now);
            let awake = self.nodes.iter().filter(|node| !node.machine.is_at_rest());
            self.report.awake += wait * awake.count() as u32;
            self.shared.clock.sleep(wait).await;
            let now = self.shared.now();
            self.restart(now);
            if now >= self.next_look {
                let watched = now < self.shared.state().watched_until;
                self.next_look = now + if watched { CLOSE_LOOK } else { LOOK };
                judge.look(self)?;
            }
            if now >= then {
                return Ok(());
            }
        }
    }

    fn restart(&mut self, now: Timestamp) {
        let mut restarted = false;
        for number in 0..NODES {
            let dead_until = self.nodes[number].machine.dead_until();
            if dead_until.is_some_and(|until| until <= now) {
                self.nodes[number] = self.start(number);
                restarted = true;
            }
        }
        if restarted {
            self.apply_all();
        }
    }

    fn start(&self, number: usize) -> Node {
        let machine = Arc::new(Machine::new(number, Arc::clone(&self.shared)));
        let clock = Clock::following_tokio(self.shared.now());
        let (keeper, queue) = Keeper::new(
            clock.clone(),
            Store::new(Reach(Arc::clone(&machine))),
            Arc::new(Line(Arc::clone(&machine))),
            machine.name(),
            self.accounts.clone(),
        );
        // The machine of a node that ended by itself would not be dead: nothing stops it here.
        let stop = CancellationToken::new();
        let running = tokio::spawn(queue.run(stop.clone()));
        machine.runs(running.abort_handle());
        Node {
            keeper,
            clock,
            machine,
            stop,
            skew: 0,
        }
    }

    pub(crate) fn key(&self, account: usize, kind: Kind) -> Key {
        Key {
            appid: self.accounts[account].appid.clone(),
            kind,
        }
    }
}

fn account(number: usize, token_api: TokenApi) -> Account {
    let mut page_hosts = PageHosts::default();
    page_hosts.add(HOST).unwrap();
    let appid: AppId = format!("wx{number:016x}").parse().unwrap();
    Account {
        appid,
        name: None,
        secret: Secret::new(SECRET),
        token_api,
        page_hosts,
        wx_card: false,
    }
}

fn ticket_mode(random: &mut StdRng) -> TicketMode {
    [
        TicketMode::Rotate,
        TicketMode::Hostile,
        TicketMode::Remaining,
        TicketMode::Fresh,
    ][random.random_range(0..4)]
}

fn app(account: &Account, mode: TicketMode, slowest: Duration) -> App {
    let mut app = App::new(account.appid.clone(), account.secret.clone());
    app.domains = vec![HOST.to_owned()];
    app.knobs.ticket_mode = mode;
    app.knobs.latency = Duration::from_millis(20);
    app.knobs.latency_jitter = slowest;
    app
}
