//! What nobody could have done better, and what it may cost.

use super::*;

impl Judge {
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
        // ways, and of the others, each takes so whatever is fetched, as soon as it sees it.
        let is_far = |millis: i64| millis.unsigned_abs() > 300_000;
        let mut others = self.skewed.iter().filter(|(until, _)| *until > now);
        let apart = others.any(|(_, other)| is_far(*other) && *other == -millis);
        let (distance, parties) = if apart { (60, 3) } else { (1200, 2) };
        let times = until.since(now).as_secs() / distance + 2;
        self.clock_fetches += if is_far(millis) { parties * times } else { 2 };
        self.skewed.push((until, millis));
    }

    /// How far the ends that nodes believe in may be off because of the clocks.
    pub(super) fn tolerance(&self, now: Timestamp) -> Duration {
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

    pub(super) fn why_a_token_may_be_dead(
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
        let key = world.key(number, Kind::AccessToken);
        let knew = node.machine.knew(&key, now);
        if let Some(broken) = account.broken
            && minted < broken + LOOK
            && knew.is_none_or(|knew| knew.asked_at <= broken)
        {
            return Some("nobody is told that a token was stolen or revoked");
        }
        let alive = account.alive.iter().find(|(_, known)| known == value);
        let death = alive.map_or(minted, |(until, _)| *until);
        // Without a clock that was set, nothing found dead was alive until a moment ago.
        if now < death.max(self.rested_until) + self.tolerance(now) {
            return Some("a wall clock was wrong");
        }
        let successor = at.and_then(|at| account.tokens.get(at + 1));
        if let Some((renewed, _)) = successor {
            let (since, until) = node.machine.still();
            if since < death && now < until + BACK {
                return Some("the node stood still when another one renewed the token");
            }
            if knew.is_none_or(|knew| knew.at < *renewed) {
                return Some("the node could not see that another one renewed the token");
            }
        }
        let bill = world.shared.state().bill.get(&key).copied();
        if bill.is_some_and(|bill| minted < bill.unknown_at) {
            return Some("a node sent late and died before it could say so");
        }
        let others = || world.nodes.iter().map(|other| &other.machine);
        if others().any(|other| other.life != node.machine.life && other.owes_word(&key)) {
            return Some("a node sent late and could not say so yet");
        }
        let read_at = knew.map(|knew| knew.at);
        if bill.is_some_and(|bill| minted < bill.told_at && read_at < Some(bill.told_at)) {
            return Some("a node sent late and this one could not hear of it yet");
        }
        None
    }

    pub(super) fn why_a_ticket_may_be_dead(
        &self,
        world: &World,
        number: usize,
        node: &Node,
        ticket: &(Secret, Timestamp),
        now: Timestamp,
    ) -> Option<&'static str> {
        let account = &self.accounts[number];
        let ended = account.death_of(ticket)?;
        let looked = ended + TICKET_POLL + IN_FLIGHT + LOOK;
        let key = world.key(number, Kind::JsapiTicket);
        let knew = node.machine.knew(&key, self.last_look);
        let knew_better = knew.is_some_and(|knew| knew.asked_at > ended);
        if now < looked && !knew_better {
            return Some("a ticket died without a word since the last look at it");
        }
        let tolerance = self.tolerance(now);
        if !tolerance.is_zero() && now < looked + tolerance {
            return Some("a wall clock was wrong");
        }
        if knew_better {
            return None;
        }
        let (since, until) = node.machine.still();
        if self.calm_since.is_none() || now < account.well_by {
            return Some("a ticket died without a word and could not be asked for");
        }
        (since < ended + TICKET_POLL && now < until + BACK)
            .then_some("a ticket died without a word while the node stood still")
    }

    /// Each period costs one fetch; what happened to nodes, store and answers may cost more.
    pub(super) fn count_fetches(&mut self, world: &World) -> Result<(), String> {
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
