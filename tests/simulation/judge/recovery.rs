//! By when all is to be well after a storm.

use super::*;

/// All is well so long after the last trouble.
const RECOVERY: Duration = Duration::from_secs(90);

/// The longest time from a call to its failure.
pub(super) const IN_FLIGHT: Duration = Duration::from_secs(10);

/// Nobody waits longer for a storm that is over: no backoff of what goes wrong in one is longer
/// than half an hour, and what was on its way when the calm began fails a little later.
const LONGEST_WAIT: Duration = Duration::from_secs(31 * 60);

/// So many fetches a day make sure that no stray took the token.
const CONFIRMING_A_DAY: u32 = 10;

/// How long a superseded token lives on.
const OVERLAP: Duration = Duration::from_secs(300);

impl Judge {
    pub(crate) fn storm_begins(&mut self, world: &World) -> Result<(), String> {
        self.calm_since = None;
        self.count_fetches(world)
    }

    pub(crate) fn calm_begins(&mut self, world: &World) {
        self.calm_since = Some(world.shared.now());
        self.look_at_waits(world);
    }

    /// By when all is to be well with every account.
    pub(crate) fn all_well_by(&self, now: Timestamp) -> Timestamp {
        let accounts = 0..self.accounts.len();
        let well_by = accounts.map(|number| self.well_by(number, now));
        well_by.max().unwrap_or(now)
    }

    /// The same for one account.
    pub(super) fn well_by(&self, number: usize, now: Timestamp) -> Timestamp {
        self.accounts[number].well_by + self.tolerance(now)
    }

    /// Sees how long nodes wait after the storm, until what was sent in it has failed.
    pub(super) fn look_at_waits(&mut self, world: &World) {
        let now = world.shared.now();
        if let Some(calm) = self.calm_since
            && now < calm + IN_FLIGHT + LOOK
        {
            self.expect_recovery(world, now, calm + LONGEST_WAIT);
        }
    }

    /// Says by when all is to be well: a wait that was stored is waited for.
    fn expect_recovery(&mut self, world: &World, now: Timestamp, latest: Timestamp) {
        for (number, account) in self.accounts.iter_mut().enumerate() {
            let waits = [Kind::AccessToken, Kind::JsapiTicket].map(|kind| {
                let record = world.shared.record(&world.key(number, kind));
                record.backoff.map_or(now, |backoff| backoff.next_at)
            });
            // A node that was cut off waits on its own.
            let own = world.nodes.iter().filter_map(|node| {
                let kept = node.kept(&world.accounts[number]);
                let next_at = kept.snapshot().trouble()?.next_at;
                Some(next_at)
            });
            let waited = waits.into_iter().chain(own).fold(now, Timestamp::max);
            let waited = waited.min(latest);
            account.well_by = waited + RECOVERY;
            let calls = world
                .shared
                .record(&world.key(number, Kind::AccessToken))
                .calls;
            if calls.confirming >= CONFIRMING_A_DAY {
                // Then it is renewed when it is not served any more.
                account.well_by = account.well_by + OVERLAP;
            }
            if account.broken.is_some() {
                // Nobody is told of it; the next look at the ticket shows it.
                account.well_by = waited + OVERLAP + TICKET_POLL + RECOVERY;
            }
        }
    }
}
