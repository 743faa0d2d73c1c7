//! Holds the world to the promises of renewal, and says where nobody could keep them.

use std::collections::BTreeMap;
use std::time::Duration;

use wxsign::account::TokenApi;
use wxsign::clock::Timestamp;
use wxsign::credential::{Kind, Secret};
use wxsign::keeper::{Served, Snapshot};
use wxsign::page_url::PageUrl;
use wxsign::simulator::{Action, Preverify, TicketMode};

use super::shared::Bill;
use super::world::{ACCOUNTS, LOOK, NODES, Node, T0, World};

const PAGE: &str = "https://h5.example.com/page?id=1";

/// All is well so long after the last trouble.
const RECOVERY: Duration = Duration::from_secs(90);

/// The longest time from a call to its failure.
const IN_FLIGHT: Duration = Duration::from_secs(10);

/// A ticket is asked for at least this often: 300 s, a tenth more, and the nodes' own spread.
const TICKET_POLL: Duration = Duration::from_secs(335);

/// How long a superseded token lives on.
const OVERLAP: Duration = Duration::from_secs(300);

/// All nodes have what one of them has fetched by then, also if it was not due for them.
const ADOPTION: Duration = Duration::from_secs(70);

/// A node that was cut off or stood still has looked at the store again by then.
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
    excused: BTreeMap<&'static str, u64>,
}

#[derive(Default)]
struct Account {
    /// The tokens as they became the newest, and when.
    tokens: Vec<(Timestamp, Secret)>,
    /// The tokens that nodes served last, and when WeChat accepted them last.
    alive: Vec<(Timestamp, Secret)>,
    /// A stranger fetched a token, or WeChat ended all tokens, and this was not mended yet.
    broken: Option<Timestamp>,
    /// Tickets that died without a word, and when.
    dead_tickets: Vec<(Timestamp, Secret)>,
    /// The tickets as they became the newest, and when.
    tickets: Vec<(Timestamp, Secret)>,
    /// By when all is to be well.
    well_by: Timestamp,
    issued: u64,
    bill: Bill,
    counted_at: Timestamp,
    day: Calls,
}

/// Calls up to the beginning of a day.
#[derive(Clone, Copy, Default)]
struct Calls {
    day: i64,
    token: u64,
    ticket: u64,
}

#[derive(Clone, Default)]
struct Seen {
    life: u64,
    generations: [u64; 2],
    /// When the token that it handed out last became the newest.
    minted: Timestamp,
    ticket: Option<Secret>,
}

impl Account {
    /// All tickets up to now are dead, and nobody is told.
    fn tickets_die(&mut self, now: Timestamp) {
        for (_, ticket) in self.tickets.drain(..) {
            self.dead_tickets.insert(0, (now, ticket));
        }
        self.dead_tickets.truncate(8);
    }

    /// When the ticket died without a word.
    fn death_of(&self, ticket: &Secret) -> Option<Timestamp> {
        let dead = |(at, dead): &(Timestamp, Secret)| (dead == ticket).then_some(*at);
        let known = self.dead_tickets.iter().find_map(dead);
        // One that came and went between two looks died with those before it.
        let between = || self.dead_tickets.first().map(|(at, _)| *at);
        let lives = self.tickets.iter().any(|(_, known)| known == ticket);
        known.or_else(|| between().filter(|_| !lives))
    }

    /// Notes that WeChat accepts a token now.
    fn is_alive(&mut self, token: &Secret, now: Timestamp) {
        match self.alive.iter_mut().find(|(_, known)| known == token) {
            Some((at, _)) => *at = now,
            None => {
                self.alive.truncate(7);
                self.alive.insert(0, (now, token.clone()));
            }
        }
    }
}

impl Judge {
    pub(crate) fn new(_world: &World) -> Self {
        Self {
            accounts: (0..ACCOUNTS).map(|_| Account::default()).collect(),
            seen: vec![vec![Seen::default(); ACCOUNTS]; NODES],
            calm_since: None,
            skewed: Vec::new(),
            clock_fetches: 0,
            excused: BTreeMap::new(),
        }
    }

    pub(crate) fn excused(&self) -> Vec<(&'static str, u64)> {
        self.excused
            .iter()
            .map(|(why, count)| (*why, *count))
            .collect()
    }

    pub(crate) fn acted(&mut self, world: &World, account: usize, action: Action) {
        let now = world.shared.now();
        let stable = world.accounts[account].token_api == TokenApi::Stable;
        let account = &mut self.accounts[account];
        match action {
            Action::StealToken if stable => {}
            Action::StealToken | Action::RevokeTokens | Action::ExpireTokens => {
                account.broken = Some(now);
            }
            Action::ExpireTicket => account.tickets_die(now),
            Action::RotateTicket => {}
        }
    }

    /// A wall clock is to be so many milliseconds off until then.
    pub(crate) fn clock_is_set(&mut self, now: Timestamp, millis: i64, until: Timestamp) {
        // Far off, it takes what the others fetch for something from the future or from long
        // ago, and the others what it fetches: each time both fetch. Of two that are off both
        // ways, each takes so whatever the other fetches, as soon as it sees it.
        let is_far = |millis: i64| millis.unsigned_abs() > 300_000;
        let mut others = self.skewed.iter().filter(|(until, _)| *until > now);
        let apart = others.any(|(_, other)| is_far(*other) && *other == -millis);
        let distance = if apart { 60 } else { 1200 };
        let times = until.since(now).as_secs() / distance + 2;
        self.clock_fetches += if is_far(millis) { 2 * times } else { 2 };
        self.skewed.push((until, millis));
    }

    /// How far the ends that nodes believe in may be off because of the clocks.
    fn tolerance(&self, now: Timestamp) -> Duration {
        let lately = |until: Timestamp| now < until + LIFE;
        let most = self
            .skewed
            .iter()
            .filter(|(until, _)| lately(*until))
            .map(|(_, skew)| skew.unsigned_abs());
        match most.max().unwrap_or_default() {
            0 => Duration::ZERO,
            // What seems to come from the future is served for ten minutes at most.
            300_001.. => Duration::from_secs(605),
            millis => Duration::from_millis(millis + 5_000),
        }
    }

    pub(crate) fn storm_begins(&mut self, world: &World) -> Result<(), String> {
        self.calm_since = None;
        self.count_fetches(world)
    }

    pub(crate) fn calm_begins(&mut self, world: &World) {
        self.calm_since = Some(world.shared.now());
        self.expect_recovery(world);
    }

    /// Says by when all is to be well: a wait that was stored is waited for.
    fn expect_recovery(&mut self, world: &World) {
        let now = world.shared.now();
        for (number, account) in self.accounts.iter_mut().enumerate() {
            let wait_of = |kind| {
                let record = world.shared.record(&world.key(number, kind));
                record.backoff.map_or(now, |backoff| backoff.next_at)
            };
            let token = now.max(wait_of(Kind::AccessToken));
            let ticket = token.max(wait_of(Kind::JsapiTicket));
            // A node that was cut off waits on its own.
            let own = world.nodes.iter().filter_map(|node| {
                let kept = node.kept(&world.accounts[number]);
                let next_at = kept.snapshot().trouble()?.next_at;
                Some(next_at)
            });
            let ticket = own.fold(ticket, Timestamp::max);
            account.well_by = ticket + RECOVERY;
            if account.broken.is_some() {
                // Nobody is told of it; the next look at the ticket shows it.
                account.well_by = ticket + OVERLAP + TICKET_POLL + RECOVERY;
            }
        }
    }

    /// Looks at everything that nodes hand out now.
    pub(crate) fn look(&mut self, world: &World) -> Result<(), String> {
        let now = world.shared.now();
        if self
            .calm_since
            .is_some_and(|calm| now < calm + IN_FLIGHT + LOOK)
        {
            // What was sent in the storm has failed by now.
            self.expect_recovery(world);
        }
        if world.nodes.iter().all(|node| node.machine.is_at_rest()) {
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
            // A quarter of the quota; of the stable token's only as much as of the other's.
            if tokens > 500 || tickets > 2500 {
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
        let well_by = self.accounts[number].well_by + self.tolerance(now);
        let due = self.calm_since.is_some() && now > well_by;
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
        let seen = &mut self.seen[place][number];
        if *minted < seen.minted {
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
            self.accounts[number].is_alive(value, now);
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

    fn why_a_token_may_be_dead(
        &self,
        world: &World,
        number: usize,
        node: &Node,
        token: &Served,
        now: Timestamp,
    ) -> Option<&'static str> {
        let account = &self.accounts[number];
        let value = &token.credential.value;
        let at = account.tokens.iter().position(|(_, known)| known == value);
        let minted = at.map_or(token.credential.first_seen, |at| account.tokens[at].0);
        if account.broken.is_some_and(|broken| minted < broken) {
            return Some("nobody is told that a token was stolen or revoked");
        }
        let alive = account.alive.iter().find(|(_, known)| known == value);
        let death = alive.map_or(minted, |(at, _)| *at + LOOK);
        if now < death + self.tolerance(now) {
            return Some("a wall clock was wrong");
        }
        let superseded = at.is_some_and(|at| at + 1 < account.tokens.len());
        let (since, until) = node.machine.away();
        if superseded && since < death && now < until + BACK {
            return Some("the node could not see that another one renewed the token");
        }
        let key = world.key(number, Kind::AccessToken);
        let bill = world.shared.state().bill.get(&key).copied();
        if bill.is_some_and(|bill| minted < bill.unknown_at) {
            return Some("a node sent late and died before it could say so");
        }
        None
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
        let served = snapshot
            .ticket(moment)
            .map(|ticket| &ticket.credential.value);
        let before = &self.seen[place][number].ticket;
        let is_new = served != before.as_ref();
        let accepted = |ticket: &Secret| simulator.ticket_is_accepted(appid, ticket.expose());
        let refused = match (before, served) {
            (Some(before), _) if !accepted(before) => {
                Some((before.clone(), "20 seconds after it was made"))
            }
            (_, Some(served)) if is_new && !accepted(served) => Some((served.clone(), "at once")),
            _ => None,
        };
        if is_new && refused.is_none() && served.is_some() {
            verify(world, number, snapshot, node)?;
        }
        if is_new {
            self.seen[place][number].ticket = served.cloned();
        }
        let Some((ticket, when)) = refused else {
            return Ok(true);
        };
        let Some(why) = self.why_a_ticket_may_be_dead(&ticket, number, node, now) else {
            return Err(format!("a signature is refused {when}"));
        };
        *self.excused.entry(why).or_default() += 1;
        Ok(false)
    }

    fn why_a_ticket_may_be_dead(
        &self,
        ticket: &Secret,
        number: usize,
        node: &Node,
        now: Timestamp,
    ) -> Option<&'static str> {
        let account = &self.accounts[number];
        let ended = account.death_of(ticket)?;
        let looked = ended + TICKET_POLL + LOOK;
        if now < looked {
            return Some("a ticket died without a word since the last look at it");
        }
        if now < looked + self.tolerance(now) {
            return Some("a wall clock was wrong");
        }
        let (since, until) = node.machine.away();
        if self.calm_since.is_none() || now < account.well_by {
            return Some("a ticket died without a word and could not be asked for");
        }
        (since < ended + TICKET_POLL && now < until + BACK)
            .then_some("a ticket died without a word while the node was cut off")
    }

    /// Each period costs one fetch; what happened to nodes, store and answers may cost more.
    fn count_fetches(&mut self, world: &World) -> Result<(), String> {
        let now = world.shared.now();
        for (number, account) in self.accounts.iter_mut().enumerate() {
            if world.accounts[number].token_api == TokenApi::Stable {
                continue;
            }
            let appid = &world.accounts[number].appid;
            let issued = world
                .shared
                .simulator
                .counter(appid, "/cgi-bin/token")
                .issued;
            let key = world.key(number, Kind::AccessToken);
            let bill = world
                .shared
                .state()
                .bill
                .get(&key)
                .copied()
                .unwrap_or_default();
            let fetches = issued - account.issued;
            let lost = fetches.saturating_sub(bill.delivered - account.bill.delivered);
            let periods = now.since(account.counted_at).as_secs() / PERIOD + 1;
            let allowed =
                periods + lost + bill.allows() - account.bill.allows() + self.clock_fetches;
            if account.counted_at != Timestamp::default() && fetches > allowed {
                return Err(format!(
                    "account {number}: {fetches} tokens were fetched from {} s to {} s, {periods} \
                     periods, {lost} answers lost; before {:?}, now {bill:?}",
                    account.counted_at.since(T0).as_secs(),
                    now.since(T0).as_secs(),
                    account.bill,
                ));
            }
            account.issued = issued;
            account.bill = bill;
            account.counted_at = now;
        }
        self.clock_fetches = 0;
        Ok(())
    }
}

/// A ticket that tells its end is not used in its last five seconds.
fn is_about_to_change(now: Timestamp) -> bool {
    now.as_secs() % 7200 >= 7194
}

const TICKET_PATH: &str = "/cgi-bin/ticket/getticket";

fn token_path(world: &World, number: usize) -> &'static str {
    match world.accounts[number].token_api {
        TokenApi::Classic => "/cgi-bin/token",
        TokenApi::Stable => "/cgi-bin/stable_token",
    }
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
