//! What a node and the store tell each other before anything else happens: which of them knows the
//! newer credential, and what was forgotten.

use std::time::Duration;

use super::local::Local;
use super::policy::{LONGEST_LIFE, Policy, is_distrusted};
use super::protocol::CLOCK_TOLERANCE;
use crate::clock::{Moment, Timestamp};
use crate::credential::Credential;
use crate::store::Record;

/// How long a credential with unbelievable times is served.
pub(super) const DISTRUSTED_LIFE: Duration = Duration::from_secs(600);

/// What must be written before anything else.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Mended {
    /// The record to write.
    pub(super) record: Record,
    /// When the stray was sent that it counts more than the stored one.
    counted: Option<Timestamp>,
}

impl Mended {
    /// A record that stands as it is.
    pub(super) const fn nothing(record: Record) -> Self {
        Self {
            record,
            counted: None,
        }
    }

    /// With one more change to write.
    pub(super) fn and(self, change: impl FnOnce(&Record) -> Record) -> Self {
        Self {
            record: change(&self.record),
            ..self
        }
    }

    /// Notes that it was written.
    pub(super) fn written(self, local: &mut Local, now: Moment) {
        local.saw(self.record, now);
        if let Some(sent_at) = self.counted {
            local.owed = None;
            local.counted(sent_at);
        }
    }

    /// Notes that it could not be written. What was `stored` by others is good all the same, and
    /// may be all that is.
    pub(super) fn not_written(&self, mut stored: Record, local: &mut Local, now: Moment) {
        let value = |record: &Record| record.credential.as_ref().map(|c| c.value.clone());
        let theirs = value(&stored);
        if theirs == value(&self.record) && theirs != value(&local.record) {
            if let Some(sent_at) = self.counted {
                stored.count_stray(sent_at);
            }
            local.saw(stored, now);
            local.owed = self.counted;
        }
    }
}

/// Compares what the store holds with what this node knows. Returns what must be written first,
/// or `None` when the store's record stands.
pub(super) fn reconcile(
    policy: Policy,
    stored: &Record,
    local: &Local,
    now: Moment,
) -> Option<Mended> {
    let mut next = stored.clone();
    let mut strays = local.owed;
    if let Some(mine) = &local.record.credential {
        let put = |next: &mut Record, generation| {
            next.credential = Some(Credential {
                generation,
                ..mine.clone()
            });
            next.renewed_by.clone_from(&local.record.renewed_by);
        };
        match compare(mine, stored, local, now.wall) {
            Comparison::Same | Comparison::TheirsIsNewer => {}
            Comparison::MineIsBetterKnown { generation } => {
                put(&mut next, generation);
                // Two clocks that disagree would end each other's backoffs for ever.
                if local.uncommitted.is_some() {
                    next.end_backoff(mine.confirmed_at);
                }
            }
            // Theirs is what the others serve, and one of the two was fetched last.
            Comparison::Split => {
                let theirs = stored.credential.as_ref().map(|theirs| theirs.confirmed_at);
                let mine_is_last = theirs < Some(mine.confirmed_at);
                let sent_at = if mine_is_last {
                    mine.confirmed_at
                } else {
                    now.wall
                };
                strays = strays.or_else(|| Some(sent_at.min(now.wall)));
            }
            Comparison::MineIsNewer { generation } => {
                put(&mut next, generation);
                next.end_backoff(mine.confirmed_at);
                let lease = stored.lease.as_ref();
                match lease.filter(|lease| Some(lease.attempt) == local.uncommitted) {
                    // The store was away when this was to be committed, and nobody came between.
                    Some(lease) => {
                        next.settle_strays(lease.strays_seen, mine.confirmed_at);
                        next.lease = None;
                    }
                    // The store went back in time; what it forgot besides is not known.
                    None => {
                        let theirs = stored.credential.as_ref().map(|theirs| theirs.confirmed_at);
                        let last = theirs.filter(|theirs| *theirs > mine.confirmed_at);
                        let sent_at = last.unwrap_or(now.wall).min(now.wall);
                        strays = strays.or(Some(sent_at));
                    }
                }
                remember(&mut next, stored, &local.record);
            }
        }
    }
    let counted = strays.filter(|_| policy.counts_strays());
    if let Some(sent_at) = counted {
        next.count_stray(sent_at);
    }
    if let Some((known, sent_at)) = local.raised
        && next.strays < known
        && next.settled < known
    {
        next.count_stray(sent_at);
        next.strays = known;
    }
    if let Some(credential) = &next.credential {
        // Of what this node holds it knows the age, whatever the wall clock was set to.
        let own = local.record.credential.as_ref() == Some(credential);
        let now = if own { local.latest(now) } else { now.wall };
        next.credential = Some(believable(credential, now));
    }
    (next != *stored).then_some(Mended {
        record: next,
        counted,
    })
}

/// Carries over what `mine` knows of the past and `stored` has lost.
fn remember(next: &mut Record, stored: &Record, mine: &Record) {
    let replaced = stored.credential.as_ref().map(|c| c.value.fingerprint());
    let kept = next.credential.as_ref().map(|c| c.value.fingerprint());
    let mut former = mine.former.clone();
    former.extend(replaced.into_iter().chain(stored.former.iter().copied()));
    next.former.clear();
    for fingerprint in former {
        if Some(fingerprint) != kept && !next.former.contains(&fingerprint) {
            next.former.push(fingerprint);
        }
    }
    next.former.truncate(Record::FORMER);
    if mine.calls.day == stored.calls.day {
        next.calls.total = stored.calls.total.max(mine.calls.total);
        next.calls.confirming = stored.calls.confirming.max(mine.calls.confirming);
        next.calls.rejected = stored.calls.rejected.max(mine.calls.rejected);
    }
}

enum Comparison {
    Same,
    TheirsIsNewer,
    /// One value, which is known under this generation; I know better how old it is.
    MineIsBetterKnown {
        generation: u64,
    },
    /// Mine belongs into the store, as this generation.
    MineIsNewer {
        generation: u64,
    },
    /// One generation, two values.
    Split,
}

fn compare(mine: &Credential, stored: &Record, local: &Local, now: Timestamp) -> Comparison {
    let Some(theirs) = &stored.credential else {
        let generation = mine.generation;
        return Comparison::MineIsNewer { generation };
    };
    if mine.value == theirs.value && mine.generation <= theirs.generation {
        // Times from another clock are not to replace those that this node knows, also not later,
        // when they have come to lie in the past: one value has one end.
        let outlives =
            !is_distrusted(mine) && theirs.expires_at > mine.expires_at + CLOCK_TOLERANCE;
        let mine_is_better =
            mine.confirmed_at > theirs.confirmed_at || outlives || !is_believable(theirs, now);
        return if mine_is_better && is_believable(mine, now) {
            let generation = theirs.generation;
            Comparison::MineIsBetterKnown { generation }
        } else {
            Comparison::Same
        };
    }
    // Fetched while the store was away, so without knowing which generation it would be.
    let fetched_alone = local.uncommitted.is_some() && mine.confirmed_at > theirs.confirmed_at;
    if mine.generation > theirs.generation || fetched_alone {
        let generation = mine.generation.max(theirs.generation + 1);
        Comparison::MineIsNewer { generation }
    } else if mine.generation == theirs.generation {
        Comparison::Split
    } else {
        Comparison::TheirsIsNewer
    }
}

/// Whether the times of the credential can come from a clock that agrees with `now`, or were cut
/// down because they could not.
fn is_believable(credential: &Credential, now: Timestamp) -> bool {
    credential.confirmed_at <= now + CLOCK_TOLERANCE
        && (!is_distrusted(credential) || credential.expires_at <= now + DISTRUSTED_LIFE)
}

/// The credential with its times cut down if they cannot be: it is served for a short while and
/// is due at once.
fn believable(credential: &Credential, now: Timestamp) -> Credential {
    if is_believable(credential, now) {
        return credential.clone();
    }
    let end = now + DISTRUSTED_LIFE;
    // A life that none can have says to everyone who reads it that its times were made up.
    let long_ago = now.before(LONGEST_LIFE);
    Credential {
        first_seen: credential.first_seen.min(long_ago),
        confirmed_at: long_ago,
        expires_at: end,
        claimed_until: end,
        ..credential.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::Secret;
    use crate::store::Backoff;
    use crate::upstream::Class;

    const HOUR: Duration = Duration::from_secs(3600);

    fn at(seconds: u64) -> Moment {
        Moment {
            wall: Timestamp::from_secs(1_700_000_000) + Duration::from_secs(seconds),
            boot: Duration::from_secs(seconds),
        }
    }

    fn issued(confirmed_at: Timestamp) -> Record {
        Record {
            credential: Some(Credential {
                value: Secret::new("token"),
                generation: 1,
                first_seen: confirmed_at,
                confirmed_at,
                expires_at: confirmed_at + 2 * HOUR,
                claimed_until: confirmed_at + 2 * HOUR,
            }),
            ..Record::default()
        }
    }

    #[test]
    fn a_newer_token_is_taken_from_a_store_that_cannot_be_written_to() {
        let mut local = Local::default();
        local.saw(issued(at(0).wall), at(0));
        let mut store = issued(at(100).wall);
        let theirs = store.credential.as_mut().unwrap();
        theirs.value = Secret::new("theirs");
        // Of one generation, two values: a stray is to be counted.
        let policy = Policy::ClassicToken;
        let mended = reconcile(policy, &store, &local, at(160)).unwrap();
        mended.not_written(store.clone(), &mut local, at(160));
        assert_eq!(local.record.credential, store.credential);
        // It may be the older of the two, and readers must not find that out.
        let until = local.served_until(policy).unwrap();
        assert!(until.wall <= at(160 + 280).wall, "{until:?}");
        // It is still counted when that can be written.
        let mended = reconcile(policy, &store, &local, at(200)).unwrap();
        assert_eq!(mended.record.strays, 1);
    }

    #[test]
    fn a_stray_that_is_found_out_late_is_dated_by_the_fetch_that_made_it() {
        let mut mine = issued(at(0).wall);
        mine.credential.as_mut().unwrap().generation = 57;
        let mut local = Local::default();
        local.saw(mine, at(0));
        // The store was emptied, and somebody began anew in it.
        let mut store = issued(at(100).wall);
        store.credential.as_mut().unwrap().value = Secret::new("theirs");
        let mended = reconcile(Policy::ClassicToken, &store, &local, at(160)).unwrap();
        assert_eq!(mended.record.strayed_at, Some(at(100).wall));
        // Mine was fetched after theirs, under one generation with it.
        let mut local = Local::default();
        local.saw(issued(at(130).wall), at(130));
        let mended = reconcile(Policy::ClassicToken, &store, &local, at(160)).unwrap();
        assert_eq!(mended.record.strayed_at, Some(at(130).wall));
    }

    #[test]
    fn what_a_clock_that_was_ahead_said_is_not_believed_when_its_time_has_come() {
        let mut right = Local::default();
        right.saw(issued(at(0).wall), at(0));
        let store = issued(at(3600).wall);
        let mended = reconcile(Policy::StableToken, &store, &right, at(3500)).unwrap();
        let end = mended.record.credential.unwrap().expires_at;
        assert_eq!(end, at(7200).wall);
    }

    #[test]
    fn a_node_whose_clock_is_ahead_does_not_end_the_wait_after_a_failure() {
        let mut ahead = Local::default();
        ahead.saw(issued(at(3600).wall), at(3600));
        let failed_at = at(100).wall;
        let mut store = issued(at(0).wall);
        store.backoff = Some(Backoff {
            class: Class::Transient,
            error: String::new(),
            errcode: None,
            errmsg: None,
            tries: 30,
            failures: 30,
            failed_at,
            next_at: failed_at + Duration::from_secs(120),
            secret: Secret::new("secret").fingerprint(),
            hosts: Vec::new(),
        });
        let mended = reconcile(Policy::Ticket, &store, &ahead, at(3700)).unwrap();
        assert_eq!(mended.record.backoff, store.backoff);
    }

    #[test]
    fn what_a_node_whose_clock_is_ahead_says_again_and_again_makes_no_token_live_longer() {
        let (mut ahead, mut right) = (Local::default(), Local::default());
        // It came when the one clock said 0 and the other 3600.
        ahead.saw(issued(at(3600).wall), at(3600));
        let mut store = issued(at(3600).wall);
        for minute in 0..180 {
            let now = at(60 * minute);
            let mended = reconcile(Policy::StableToken, &store, &right, now);
            if let Some(mended) = mended {
                store = mended.record.clone();
                mended.written(&mut right, now);
            }
            let end = right.served_until(Policy::StableToken).map(|end| end.wall);
            assert!(end.is_none_or(|end| end <= at(600).wall), "{end:?}");
            let now = Moment {
                wall: now.wall + HOUR,
                ..now
            };
            if let Some(mended) = reconcile(Policy::StableToken, &store, &ahead, now) {
                store = mended.record.clone();
                mended.written(&mut ahead, now);
            }
        }
    }
}
