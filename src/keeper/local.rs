//! What one process knows about one credential, besides what is stored.

mod quiet;

use std::time::Duration;

pub(super) use quiet::Remembered;

use super::policy::{Policy, STRAYED_LIFE};
use super::protocol::LEASE;
use crate::clock::{Moment, Timestamp};
use crate::store::{Attempt, Backoff, Record, Seen};
use crate::upstream::Class;

/// What a node remembers about a credential between two steps.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Local {
    /// The record as this node last saw or wrote it. Readers are served from it, and it stands
    /// in for the store while that cannot be reached.
    pub(super) record: Record,
    /// What the store was found to hold when that was `record`, with nothing to set right.
    stored_as: Option<Seen>,
    /// Readers have not been told of `record` yet.
    is_news: bool,
    /// When the credential in `record` came here, on both clocks.
    anchor: Option<Moment>,
    /// The lease in `record`, and when it was seen first, on the boot clock.
    lease_seen: Option<(Attempt, Duration)>,
    /// What may have superseded the credential.
    warned: Option<Warning>,
    /// A stray of this node, and when it was sent, that the store does not count yet.
    pub(super) owed: Option<Timestamp>,
    /// The store's count of strays after this node last counted one, and when that one was sent.
    /// A store that went back in time has forgotten it.
    pub(super) raised: Option<(u64, Timestamp)>,
    /// The lease under which the credential was fetched, while the store does not hold it.
    pub(super) uncommitted: Option<Attempt>,
    /// A lease of this node under which nothing was sent.
    pub(super) unsent: Option<Attempt>,
    /// The generation that WeChat has rejected.
    pub(super) rejected: Option<u64>,
    /// The generation of the token with which the last ticket came.
    pub(super) token_worked: Option<u64>,
    /// Pages were refused with the ticket.
    pub(super) doubted: bool,
    /// The wait of a backoff whose reason is gone.
    pub(super) pardoned: Option<Timestamp>,
    /// A backoff that the store could not be told of.
    unwritten: Option<Backoff>,
    /// Since when the store cannot be read, and since when no lease could be written into it, on
    /// the boot clock.
    unreadable: Option<Duration>,
    unwritable: Option<Duration>,
}

impl Local {
    /// The later of what the two clocks say: a wall clock that was set back does not make a
    /// credential younger.
    pub(super) fn latest(&self, now: Moment) -> Timestamp {
        self.anchor.map_or(now.wall, |anchor| {
            now.wall
                .max(anchor.wall + now.boot.saturating_sub(anchor.boot))
        })
    }

    /// Notes whether the store could be read.
    pub(super) fn could_read(&mut self, could: bool, now: Moment) {
        self.unreadable = (!could).then(|| self.unreadable.unwrap_or(now.boot));
    }

    /// Notes whether a lease could be written, or another node was faster.
    pub(super) fn could_write(&mut self, could: bool, now: Moment) {
        self.unwritable = (!could).then(|| self.unwritable.unwrap_or(now.boot));
    }

    /// For how long the store has been of no use.
    pub(super) fn store_lost_for(&self, now: Moment) -> Duration {
        let since = self.unreadable.into_iter().chain(self.unwritable).min();
        since.map_or(Duration::ZERO, |since| now.boot.saturating_sub(since))
    }

    /// The generation of the credential.
    pub(super) fn generation(&self) -> Option<u64> {
        self.record
            .credential
            .as_ref()
            .map(|credential| credential.generation)
    }

    /// When readers are to stop using the credential, on both clocks.
    pub(super) fn served_until(&self, policy: Policy) -> Option<Moment> {
        let (credential, anchor) = (self.record.credential.as_ref()?, self.anchor?);
        let end = policy.end_of_life(credential);
        let life = end.since(credential.confirmed_at);
        let until = Moment {
            wall: end,
            // However far off the clocks are, it lives no longer here than it lives at all.
            boot: anchor.boot + end.since(anchor.wall).min(life),
        };
        let warned = self.warned.filter(|_| policy.counts_strays());
        Some(warned.map_or(until, |warning| Moment {
            wall: until.wall.min(warning.sent.wall + STRAYED_LIFE),
            boot: until.boot.min(warning.sent.boot + STRAYED_LIFE),
        }))
    }

    /// How long readers may go on using the credential.
    pub(super) fn serves_for(&self, policy: Policy, now: Moment) -> Duration {
        self.served_until(policy)
            .map_or(Duration::ZERO, |until| until.left(now))
    }

    /// When the lease in `record` ends, unless nothing is sent under it: no later than one that is
    /// taken when it is seen first, whatever time another clock gave it.
    pub(super) fn lease_until(&self, now: Moment) -> Option<Timestamp> {
        let lease = self.record.lease.as_ref();
        lease.filter(|lease| self.unsent != Some(lease.attempt))?;
        let ends = self.lease_ends()?;
        let longest = ends.boot.saturating_sub(now.boot);
        Some(ends.wall.min(now.wall + longest))
    }

    /// When the lease in `record` ends, on both clocks, whether anything is sent under it or not.
    pub(super) fn lease_ends(&self) -> Option<Moment> {
        let (lease, (_, seen)) = self.record.lease.as_ref().zip(self.lease_seen)?;
        Some(Moment {
            wall: lease.until,
            boot: seen + LEASE,
        })
    }

    /// Takes `record` as what the store holds now.
    pub(super) fn saw(&mut self, record: Record, now: Moment) {
        if record.credential != self.record.credential || self.anchor.is_none() {
            self.anchor = Some(now);
        }
        if let Some((strays, _)) = self.raised
            && record.settled >= strays
        {
            self.raised = None;
        }
        if let Some(credential) = &record.credential {
            self.unwritten
                .take_if(|backoff| backoff.failed_at <= credential.confirmed_at);
        }
        self.uncommitted = None;
        self.take(record, now);
    }

    /// Holds `record`, and remembers when what it warns of was heard first.
    fn take(&mut self, record: Record, now: Moment) {
        self.record = record;
        self.stored_as = None;
        self.is_news = true;
        let known = self.lease_seen.take();
        self.lease_seen = self.record.lease.as_ref().map(|lease| {
            let known = known.filter(|(attempt, _)| *attempt == lease.attempt);
            known.unwrap_or((lease.attempt, now.boot))
        });
        let known = self.warned.take();
        self.warned = self.record.superseded_since().map(|since| {
            let settled = self.record.settled;
            let next = Warning {
                settled,
                sent: sent_by(since, now),
            };
            // Until it is settled, no other clock makes it younger.
            let known = known.filter(|known| known.settled == settled);
            let older = known.filter(|known| known.sent.boot <= next.sent.boot);
            older.unwrap_or(next)
        });
    }

    /// Notes that the record stands as it was `seen` in the store.
    pub(super) const fn stands(&mut self, seen: Seen) {
        self.stored_as = Some(seen);
    }

    /// What the store holds while there is nothing new, there or here.
    pub(super) const fn stored_as(&self) -> Option<Seen> {
        self.stored_as
    }

    /// Whether readers are to be told of the record. Says so once.
    pub(super) const fn take_news(&mut self) -> bool {
        std::mem::replace(&mut self.is_news, false)
    }

    /// Notes that readers could not be told.
    pub(super) const fn keep_news(&mut self) {
        self.is_news = true;
    }

    /// Notes that WeChat accepts the credential of `generation`, whatever it said before.
    pub(super) fn accept(&mut self, generation: u64) {
        self.rejected.take_if(|rejected| *rejected == generation);
    }

    /// Whether a credential that WeChat has rejected is gone, now that the one of `generation` is
    /// in use. Says so once.
    pub(super) fn was_replaced(&mut self, generation: u64) -> bool {
        self.rejected
            .take_if(|rejected| *rejected != generation)
            .is_some()
    }

    /// Notes that WeChat has rejected the credential of `generation`.
    pub(super) const fn reject(&mut self, generation: u64) {
        self.rejected = Some(generation);
    }

    /// Notes that the token behind a rejection was replaced: the wait for it is over.
    pub(super) fn forget_rejection(&mut self) {
        if let Some(backoff) = self.backoff()
            && backoff.class == Class::TokenRejected
        {
            self.pardoned = Some(backoff.next_at);
        }
    }

    /// Notes that a human may have mended what failed: the wait for it is over. That for a quota
    /// is not, which nobody here can mend.
    pub(super) fn pardon(&mut self) {
        if let Some(backoff) = self.backoff()
            && backoff.class != Class::Quota
        {
            self.pardoned = Some(backoff.next_at);
        }
    }

    /// Notes that nothing was sent under the lease of `attempt`.
    pub(super) const fn gave_up(&mut self, attempt: Attempt) {
        self.unsent = Some(attempt);
    }

    /// Notes a stray, `sent` when, that the store could not be told of.
    pub(super) fn owes(&mut self, policy: Policy, sent: Moment) {
        if policy.counts_strays() {
            let sent_at = sent.wall;
            self.owed = Some(self.owed.map_or(sent_at, |owed| owed.min(sent_at)));
            let mut record = self.record.clone();
            record.count_stray(sent_at);
            self.take(record, sent);
        }
    }

    /// Notes a stray, sent at `sent_at`, that the store counts as the last one now.
    pub(super) fn counted(&mut self, sent_at: Timestamp) {
        let first = self.raised.map_or(sent_at, |(_, first)| first.min(sent_at));
        self.raised = Some((self.record.strays, first));
    }

    /// Notes that the store has taken what this node wrote after a fetch.
    pub(super) fn told(&mut self) {
        self.unwritten = None;
        self.doubted = false;
    }

    /// Holds what was fetched under `attempt` though the store could not be told.
    pub(super) fn hold(&mut self, record: Record, attempt: Attempt, now: Moment) {
        self.saw(record, now);
        self.told();
        self.uncommitted = Some(attempt);
    }

    /// Takes `record`, which the store could not be told of, with the same credential in it.
    pub(super) fn assume(&mut self, record: Record, now: Moment) {
        self.take(record, now);
    }

    /// Notes in `record` that a fetch failed though the store could not be told.
    pub(super) fn failed_alone(&mut self, record: Record, now: Moment) {
        self.unwritten.clone_from(&record.backoff);
        self.take(record, now);
    }

    /// What the last failure asks for, whether the store knows of it or not.
    pub(super) fn backoff(&self) -> Option<&Backoff> {
        let (stored, unwritten) = (self.record.backoff.as_ref(), self.unwritten.as_ref());
        stored
            .into_iter()
            .chain(unwritten)
            .max_by_key(|backoff| backoff.failed_at)
    }
}

/// A fetch whose token may be newer than the one that is held.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Warning {
    /// How many strays were settled when it was heard.
    settled: u64,
    /// When it was sent, at the latest, on both clocks.
    sent: Moment,
}

/// When a fetch was sent of which it was `heard` that it was sent at `at`. By another clock that
/// may lie in the future, but it was before it was heard of.
fn sent_by(at: Timestamp, heard: Moment) -> Moment {
    Moment {
        wall: at.min(heard.wall),
        boot: heard.boot.saturating_sub(heard.wall.since(at)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::{Credential, Secret};
    use crate::store::Lease;

    const HOUR: Duration = Duration::from_secs(3600);

    fn at(wall: u64, boot: u64) -> Moment {
        Moment {
            wall: Timestamp::from_secs(1_700_000_000) + Duration::from_secs(wall),
            boot: Duration::from_secs(boot),
        }
    }

    #[test]
    fn a_lease_that_is_taken_after_the_clock_was_set_back_does_not_hide_the_token() {
        let issued_at = at(0, 0).wall;
        let end = issued_at + 2 * HOUR;
        let mut record = Record {
            credential: Some(Credential {
                value: Secret::new("token"),
                generation: 1,
                first_seen: issued_at,
                confirmed_at: issued_at,
                expires_at: end,
                claimed_until: end,
            }),
            ..Record::default()
        };
        let mut local = Local::default();
        // The wall clock is an hour ahead when the token comes, and right afterwards.
        local.saw(record.clone(), at(3600, 0));
        record.lease = Some(Lease {
            attempt: Attempt::number(1),
            holder: "node".to_owned(),
            acquired_at: at(1500, 1500).wall,
            until: at(1530, 1530).wall,
            strays_seen: 0,
        });
        local.saw(record, at(1500, 1500));
        let until = local.served_until(Policy::ClassicToken).unwrap();
        assert_eq!(until, at(1780, 1780));
    }

    #[test]
    fn no_clock_makes_a_token_live_longer_than_it_lives_at_all() {
        let issued_at = at(3600, 0).wall;
        let end = issued_at + 2 * HOUR;
        let record = Record {
            credential: Some(Credential {
                value: Secret::new("token"),
                generation: 1,
                first_seen: issued_at,
                confirmed_at: issued_at,
                expires_at: end,
                claimed_until: end,
            }),
            ..Record::default()
        };
        let mut local = Local::default();
        // The wall clock was set back by an hour while the request was on its way.
        local.saw(record, at(0, 0));
        let until = local.served_until(Policy::ClassicToken).unwrap();
        assert_eq!(until.boot, Duration::from_secs(7195));
    }
}
