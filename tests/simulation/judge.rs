//! Holds the world to the promises of renewal, and says where nobody could keep them.

#[path = "judge/account.rs"]
mod account;
#[path = "judge/excuses.rs"]
mod excuses;
#[path = "judge/recovery.rs"]
mod recovery;

use std::collections::BTreeMap;
use std::time::Duration;

use wxsign::account::TokenApi;
use wxsign::clock::Timestamp;
use wxsign::credential::{Credential, Kind, Secret};
use wxsign::keeper::{Served, Snapshot};
use wxsign::page_url::PageUrl;
use wxsign::simulator::{Action, Preverify, TicketMode};

use account::{Account, Calls, TICKET_PATH, token_path};
use recovery::IN_FLIGHT;

use super::shared::Bill;
use super::world::{ACCOUNTS, LOOK, NODES, Node, T0, World};

const PAGE: &str = "https://h5.example.com/page?id=1";

/// A ticket is asked for at least this often: 300 s, a tenth more, and the nodes' own spread.
const TICKET_POLL: Duration = Duration::from_secs(335);

/// All nodes have what one of them has fetched by then, also if it was not due for them.
const ADOPTION: Duration = Duration::from_secs(70);

/// A node that stood still has looked at the store again by then.
const BACK: Duration = Duration::from_secs(30);

/// The shortest time between two renewals of a classic token that has no trouble, on a clock that
/// is not more than 200 seconds off.
const PERIOD: u64 = 4590;

/// The life of a token, and a little.
const LIFE: Duration = Duration::from_secs(7300);

/// What the promises are about, beside what can be seen now.
pub(crate) struct Judge {
    accounts: Vec<Account>,
    /// What each node hands out of each account.
    seen: Vec<Vec<Seen>>,
    /// Since when there has been no trouble.
    calm_since: Option<Timestamp>,
    /// Until when clocks were off, and how far.
    skewed: Vec<(Timestamp, i64)>,
    /// So many fetches more because of that since they were counted.
    clock_fetches: u64,
    last_look: Timestamp,
    /// Nobody looked before then.
    rested_until: Timestamp,
    excused: BTreeMap<&'static str, u64>,
}

#[derive(Clone, Default)]
struct Seen {
    life: u64,
    generations: [u64; 2],
    /// When the token that it handed out last became the newest.
    minted: Timestamp,
    /// The ticket that it signed with last, and when it had that first.
    ticket: Option<(Secret, Timestamp)>,
}

impl Judge {
    pub(crate) fn new() -> Self {
        Self {
            accounts: (0..ACCOUNTS).map(|_| Account::default()).collect(),
            seen: vec![vec![Seen::default(); ACCOUNTS]; NODES],
            calm_since: None,
            skewed: Vec::new(),
            clock_fetches: 0,
            last_look: T0,
            rested_until: Timestamp::default(),
            excused: BTreeMap::new(),
        }
    }

    pub(crate) fn excused(&self) -> Vec<(&'static str, u64)> {
        self.excused
            .iter()
            .map(|(why, count)| (*why, *count))
            .collect()
    }

    /// Looks at everything that nodes hand out now.
    pub(crate) fn look(&mut self, world: &World) -> Result<(), String> {
        let now = world.shared.now();
        self.look_at_waits(world);
        if world.nodes.iter().all(|node| node.machine.is_at_rest()) {
            self.rested_until = world.next_look;
            return Ok(());
        }
        for number in 0..ACCOUNTS {
            self.look_at_wechat(world, number, now)?;
            let mut all_well = true;
            for (place, node) in world.nodes.iter().enumerate() {
                if node.machine.is_at_rest() {
                    self.seen[place][number].ticket = None;
                    continue;
                }
                let is_up = node.machine.dead_until().is_none();
                if !is_up || node.machine.paused_until() >= now {
                    self.seen[place][number].ticket = None;
                    all_well = false;
                    continue;
                }
                all_well &= self
                    .look_at(world, number, place, node, now)
                    .map_err(|what| {
                        let at = now.since(T0).as_secs_f64();
                        format!("{at:.3} s, account {number}, node {place}: {what}")
                    })?;
            }
            if all_well {
                self.accounts[number].broken = None;
            }
        }
        self.last_look = now;
        Ok(())
    }

    fn look_at_wechat(
        &mut self,
        world: &World,
        number: usize,
        now: Timestamp,
    ) -> Result<(), String> {
        let appid = &world.accounts[number].appid;
        let simulator = &world.shared.simulator;
        let account = &mut self.accounts[number];
        let stable = world.accounts[number].token_api == TokenApi::Stable;
        if let Some(token) = simulator.newest_token(appid).filter(|_| !stable)
            && account.tokens.last().is_none_or(|(_, last)| *last != token)
        {
            if account.tokens.len() == 32 {
                account.tokens.remove(0);
            }
            account.tokens.push((now, token));
        }
        if let Some(ticket) = simulator.newest_ticket(appid)
            && account
                .tickets
                .last()
                .is_none_or(|(_, last)| *last != ticket)
        {
            if world.modes[number] == TicketMode::Hostile {
                account.tickets_die(now);
            } else if account.tickets.len() == 4 {
                account.tickets.remove(0);
            }
            account.tickets.push((now, ticket));
        }
        let day = (now.as_secs() + 8 * 3600).div_euclid(86_400);
        if day != account.day.day {
            let token_path = token_path(world, number);
            let calls = Calls {
                day,
                token: simulator.counter(appid, token_path).requests,
                ticket: simulator.counter(appid, TICKET_PATH).requests,
            };
            let (tokens, tickets) = (
                calls.token - account.day.token,
                calls.ticket - account.day.ticket,
            );
            account.day = calls;
            // Half of the quota, above a quarter of it only what is urgent; of the stable token's
            // only as much as of the other's.
            if tokens > 1000 || tickets > 5000 {
                return Err(format!(
                    "account {number}: {tokens} token calls, {tickets} ticket calls a day"
                ));
            }
        }
        Ok(())
    }

    /// Whether all is well with one account at one node.
    fn look_at(
        &mut self,
        world: &World,
        number: usize,
        place: usize,
        node: &Node,
        now: Timestamp,
    ) -> Result<bool, String> {
        let moment = node.clock.moment();
        let kept = node.kept(&world.accounts[number]);
        let snapshot = kept.snapshot();
        self.generations_grow(place, number, node, &snapshot)?;
        let token = snapshot.token(moment);
        let mut well = true;
        if let Some(token) = token {
            self.tokens_follow(world, number, place, token)?;
            well &= self.token_is_alive(world, number, node, token, now)?;
        }
        well &= self.signature_is_accepted(world, number, place, node, &snapshot, now)?;
        let due = self.calm_since.is_some() && now > self.well_by(number, now);
        let account = &self.accounts[number];
        let last = account.tokens.last();
        let has_newest = last
            .is_none_or(|(_, newest)| token.is_some_and(|token| token.credential.value == *newest));
        let newest = has_newest || last.is_some_and(|(seen, _)| now < *seen + ADOPTION);
        let signs = snapshot.signer(moment).is_some()
            || account
                .tickets
                .last()
                .is_some_and(|(seen, _)| now < *seen + ADOPTION + self.tolerance(now))
            || world.modes[number] == TicketMode::Remaining && is_about_to_change(now);
        let complete = token.is_some() && newest && signs;
        if due && !complete {
            let has = token.is_some();
            return Err(format!(
                "not well after the storm: token {has}, the newest {newest}, signs {signs}; {:?}",
                snapshot.trouble()
            ));
        }
        Ok(well && complete && has_newest)
    }

    fn generations_grow(
        &mut self,
        place: usize,
        number: usize,
        node: &Node,
        snapshot: &Snapshot,
    ) -> Result<(), String> {
        let seen = &mut self.seen[place][number];
        let life = node.machine.life;
        if seen.life != life {
            *seen = Seen {
                life,
                ..Seen::default()
            };
        }
        let moment = wxsign::clock::Moment {
            wall: Timestamp::default(),
            boot: Duration::ZERO,
        };
        for (kind, served) in [snapshot.token(moment), snapshot.ticket(moment)]
            .into_iter()
            .enumerate()
        {
            let Some(generation) = served.map(|served| served.credential.generation) else {
                continue;
            };
            if generation < seen.generations[kind] {
                let (kind, former) = (["token", "ticket"][kind], seen.generations[kind]);
                return Err(format!("{kind} of generation {generation} after {former}"));
            }
            seen.generations[kind] = generation;
        }
        Ok(())
    }

    /// Nobody goes back to an older token, unless it is known that one may be missing.
    fn tokens_follow(
        &mut self,
        world: &World,
        number: usize,
        place: usize,
        token: &Served,
    ) -> Result<(), String> {
        let tokens = &self.accounts[number].tokens;
        let known = tokens
            .iter()
            .find(|(_, value)| *value == token.credential.value);
        let Some((minted, _)) = known else {
            return Ok(());
        };
        // Which of two is the newer one is told by the time at which it was asked for.
        let clocks_agree = self.tolerance(world.shared.now()).is_zero();
        let seen = &mut self.seen[place][number];
        if *minted < seen.minted && clocks_agree {
            let record = world.shared.record(&world.key(number, Kind::AccessToken));
            if record.strays == record.settled && record.lease.is_none() {
                return Err("the store forgot a token, and so did the node".to_owned());
            }
        }
        seen.minted = *minted;
        Ok(())
    }

    fn token_is_alive(
        &mut self,
        world: &World,
        number: usize,
        node: &Node,
        token: &Served,
        now: Timestamp,
    ) -> Result<bool, String> {
        let appid = &world.accounts[number].appid;
        let value = &token.credential.value;
        if world
            .shared
            .simulator
            .token_is_accepted(appid, value.expose())
        {
            self.accounts[number].is_alive(value, world.next_look);
            return Ok(true);
        }
        let why = self.why_a_token_may_be_dead(world, number, node, token, now);
        let Some(why) = why else {
            let credential = &token.credential;
            return Err(format!(
                "a dead token is served: generation {}, confirmed at {:.3} s; {}",
                credential.generation,
                credential.confirmed_at.since(T0).as_secs_f64(),
                self.history(number),
            ));
        };
        *self.excused.entry(why).or_default() += 1;
        Ok(false)
    }

    fn history(&self, number: usize) -> String {
        let account = &self.accounts[number];
        let tokens = account.tokens.iter().rev().take(4);
        let tokens: Vec<_> = tokens.map(|(at, _)| at.since(T0).as_secs()).collect();
        format!("new tokens seen at {tokens:?} s")
    }

    fn signature_is_accepted(
        &mut self,
        world: &World,
        number: usize,
        place: usize,
        node: &Node,
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Result<bool, String> {
        let appid = &world.accounts[number].appid;
        let simulator = &world.shared.simulator;
        let moment = node.clock.moment();
        let served = snapshot.ticket(moment).map(|ticket| &ticket.credential);
        let before = self.seen[place][number].ticket.as_ref();
        // Not by the node's word alone: its clock may be wrong. It may have come since the last
        // look, and was asked for before.
        let lately = now.before(LOOK + IN_FLIGHT);
        let value = |ticket: &Credential| (ticket.value.clone(), ticket.first_seen.min(lately));
        let is_new = served.map(|ticket| &ticket.value) != before.map(|(before, _)| before);
        let is_refused = |ticket: &Secret| !simulator.ticket_is_accepted(appid, ticket.expose());
        let refused = match (before, served) {
            (Some(before), _) if is_refused(&before.0) => {
                Some((before.clone(), "20 seconds after it was made"))
            }
            (_, Some(served)) if is_new && is_refused(&served.value) => {
                Some((value(served), "at once"))
            }
            _ => None,
        };
        if is_new && refused.is_none() && served.is_some() {
            verify(world, number, snapshot, node)?;
        }
        if is_new {
            self.seen[place][number].ticket = served.map(value);
        }
        let Some((ticket, when)) = refused else {
            return Ok(true);
        };
        let Some(why) = self.why_a_ticket_may_be_dead(world, number, node, &ticket, now) else {
            return Err(format!("a signature is refused {when}"));
        };
        *self.excused.entry(why).or_default() += 1;
        Ok(false)
    }
}

/// A ticket that tells its end is not used in its last five seconds.
fn is_about_to_change(now: Timestamp) -> bool {
    now.as_secs() % 7200 >= 7194
}

/// Has the simulator's own check look at a signature.
fn verify(world: &World, number: usize, snapshot: &Snapshot, node: &Node) -> Result<(), String> {
    let now = node.clock.moment();
    let (nonce, timestamp) = ("nonce0123456789a", now.wall.as_secs());
    let url = PageUrl::parse(PAGE).unwrap();
    let Some(signer) = snapshot.signer(now) else {
        return Err("there is a ticket but nothing that signs with it".to_owned());
    };
    let verdict = world.shared.simulator.preverify(&Preverify {
        app_id: world.accounts[number].appid.to_string(),
        timestamp: timestamp.to_string(),
        nonce_str: nonce.to_owned(),
        signature: signer.sign(nonce, timestamp, url).as_str().to_owned(),
        js_api_list: vec!["scanQRCode".to_owned()],
        urls: vec![PAGE.to_owned()],
        ..Preverify::default()
    });
    if verdict.ok {
        Ok(())
    } else {
        Err(format!("a signature is refused: {:?}", verdict.diagnosis))
    }
}
