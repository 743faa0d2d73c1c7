//! What goes wrong, when, and for how long: all of it from the seed.

use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;
use wxsign::credential::Kind;
use wxsign::simulator::{Action, Fault, FaultRule};

use super::world::{ACCOUNTS, NODES};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

const TOKEN_PATHS: [&str; 2] = ["/cgi-bin/token", "/cgi-bin/stable_token"];
const TICKET_PATH: &str = "/cgi-bin/ticket/getticket";

/// Some trouble of a few kinds, then none for a while.
#[derive(Debug)]
pub(crate) struct Storm {
    /// What goes wrong, with its beginning and end, both counted from the storm's beginning.
    pub(crate) troubles: Vec<(Duration, Duration, Trouble)>,
    /// The quiet after it.
    pub(crate) calm: Duration,
}

/// One thing that goes wrong.
#[derive(Clone, Debug)]
pub(crate) enum Trouble {
    /// WeChat spoils answers.
    WeChat(FaultRule),
    /// The store fails some nodes.
    Store(Vec<usize>, StoreTrouble),
    /// A node's wall clock is so many milliseconds off.
    Clock(usize, i64),
    /// Something happens to an account at WeChat, once.
    Account(usize, Action),
    /// Something happens to a node, once.
    Node(usize, Deed),
    /// The store forgets the last writes of a record, once.
    Failover(usize, Kind, usize),
    /// Something happens to the first node that comes to a certain point.
    Trap(Trap),
}

/// How the store fails a node.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub(crate) struct StoreTrouble {
    /// It cannot be reached.
    pub(crate) down: bool,
    /// An answer takes up to so long.
    pub(crate) slow: Duration,
    /// The part of swaps that fail though most of them took effect.
    pub(crate) lies: f64,
}

/// What happens to a node or, at the end of a write, to the store.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Deed {
    /// It dies and is started again so much later.
    Die(Duration),
    /// It stands still.
    Pause(Duration),
    /// The store forgets the last writes of the record.
    Failover(usize),
}

/// A point in the life of a renewal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Point {
    BeforeLoad,
    AfterLoad,
    BeforeSwap,
    AfterSwap,
    BeforeSend,
    AfterAnswer,
}

/// Waits for a node to come to a point.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trap {
    pub(crate) point: Point,
    pub(crate) kind: Kind,
    /// So many may pass.
    pub(crate) skip: u32,
    pub(crate) deed: Deed,
}

impl Trap {
    /// Whether it springs now.
    pub(crate) fn springs(&mut self, point: Point, kind: Kind) -> bool {
        if (self.point, self.kind) != (point, kind) {
            return false;
        }
        let springs = self.skip == 0;
        self.skip = self.skip.saturating_sub(1);
        springs
    }
}

impl Storm {
    pub(crate) fn random(random: &mut StdRng) -> Self {
        let troubles = (0..random.random_range(1..=3))
            .map(|_| {
                let trouble = Trouble::random(random);
                // Traps lie ready when the nodes wake up, which is when they have most to do.
                let begin = match trouble {
                    Trouble::Trap(_) => Duration::ZERO,
                    _ => seconds(random.random_range(0..30 * MINUTE)),
                };
                (begin, begin + seconds(length(random)), trouble)
            })
            .collect();
        Self {
            troubles,
            calm: seconds(random.random_range(12 * MINUTE..22 * HOUR)),
        }
    }

    pub(crate) fn length(&self) -> Duration {
        let ends = self.troubles.iter().map(|(_, end, _)| *end);
        ends.max().unwrap_or_default()
    }
}

/// From ten seconds to three hours; short ones are as likely as long ones.
fn length(random: &mut StdRng) -> u64 {
    (10.0 * 1080_f64.powf(random.random::<f64>())) as u64
}

impl Trouble {
    fn random(random: &mut StdRng) -> Self {
        let node = random.random_range(0..NODES);
        let account = random.random_range(0..ACCOUNTS);
        match random.random_range(0..20) {
            0..=4 => Self::WeChat(rule(random)),
            5..=7 => Self::Store(nodes(random), store_trouble(random)),
            8 => Self::Clock(node, random.random_range(-200_000..=200_000)),
            9 => Self::Clock(node, [-3_600_000, 3_600_000][random.random_range(0..2)]),
            10 => Self::Account(account, action(random)),
            11 => Self::Node(node, deed(random)),
            12 => Self::Failover(account, kind(random), random.random_range(1..=2)),
            _ => Self::Trap(trap(random)),
        }
    }
}

fn rule(random: &mut StdRng) -> FaultRule {
    let faults = [
        Fault::Errcode(-1),
        Fault::Unreachable,
        Fault::BadGateway,
        Fault::EmptyBody,
        Fault::TruncatedJson,
        Fault::CutOff,
        Fault::Reset,
        Fault::Hang,
        Fault::Errcode(45011),
        Fault::Errcode(40164),
        Fault::ExpiresIn("0".to_owned()),
        Fault::Delay(Duration::from_millis(random.random_range(500..12_000))),
    ];
    let rule = FaultRule::new(faults[random.random_range(0..faults.len())].clone());
    let mut rule = match random.random_range(0..5) {
        0 => rule,
        1 => rule.on(TICKET_PATH),
        2 => rule.on(TOKEN_PATHS[1]),
        _ => rule.on(TOKEN_PATHS[0]),
    };
    // A request can get lost on its way too; nobody sees the difference.
    rule.carried_out = random.random_bool(0.3).then_some(false);
    rule.probability = [1.0, random.random_range(0.1..1.0)][random.random_range(0..2)];
    rule
}

fn nodes(random: &mut StdRng) -> Vec<usize> {
    match random.random_range(0..3) {
        0 => (0..NODES).collect(),
        1 => vec![random.random_range(0..NODES)],
        _ => (0..NODES).filter(|_| random.random_bool(0.5)).collect(),
    }
}

fn store_trouble(random: &mut StdRng) -> StoreTrouble {
    let mut trouble = StoreTrouble::default();
    match random.random_range(0..4) {
        0 => trouble.down = true,
        1 => {
            trouble.down = true;
            trouble.slow = Duration::from_secs(3);
        }
        2 => trouble.slow = Duration::from_millis(random.random_range(50..20_000)),
        _ => trouble.lies = random.random_range(0.05..1.0),
    }
    trouble
}

fn action(random: &mut StdRng) -> Action {
    [
        Action::StealToken,
        Action::RevokeTokens,
        Action::ExpireTokens,
        Action::RotateTicket,
        Action::ExpireTicket,
    ][random.random_range(0..5)]
}

fn deed(random: &mut StdRng) -> Deed {
    if random.random_bool(0.5) {
        Deed::Die(seconds(random.random_range(1..600)))
    } else {
        // A lease lasts 30 s: around its end, two nodes are at it at once.
        let around_the_end = random.random_bool(0.4);
        let length = if around_the_end { 28..40 } else { 3..400 };
        Deed::Pause(seconds(random.random_range(length)))
    }
}

fn trap(random: &mut StdRng) -> Trap {
    let point = [
        Point::BeforeLoad,
        Point::AfterLoad,
        Point::BeforeSwap,
        Point::BeforeSwap,
        Point::AfterSwap,
        Point::AfterSwap,
        Point::BeforeSend,
        Point::BeforeSend,
        Point::AfterAnswer,
        Point::AfterAnswer,
    ][random.random_range(0..10)];
    let deed = if point == Point::AfterSwap && random.random_bool(0.4) {
        Deed::Failover(random.random_range(1..=2))
    } else {
        deed(random)
    };
    Trap {
        point,
        kind: kind(random),
        skip: random.random_range(0..3),
        deed,
    }
}

fn kind(random: &mut StdRng) -> Kind {
    if random.random_bool(0.8) {
        Kind::AccessToken
    } else {
        Kind::JsapiTicket
    }
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
