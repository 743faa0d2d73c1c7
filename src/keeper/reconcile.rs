//! What a node and the store tell each other before anything else happens: which of them knows the
//! newer credential, and what was forgotten.

use std::time::Duration;

use super::local::Local;
use super::policy::Policy;
use super::protocol::CLOCK_TOLERANCE;
use crate::clock::{Moment, Timestamp};
use crate::credential::Credential;
use crate::store::Record;

/// The longest believable life of a stored credential.
const LONGEST_LIFE: Duration = Duration::from_secs(7300);

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
        match compare(mine, stored, local) {
            Comparison::Same | Comparison::TheirsIsNewer => {}
            Comparison::MineIsLaterConfirmed { generation } => {
                next.credential = Some(Credential {
                    generation,
                    ..mine.clone()
                });
                next.end_backoff(mine.confirmed_at);
            }
            // Theirs is what the others serve, and one of the two was fetched last.
            Comparison::Split => strays = strays.or(Some(now.wall)),
            Comparison::MineIsNewer { generation } => {
                next.credential = Some(Credential {
                    generation,
                    ..mine.clone()
                });
                next.end_backoff(mine.confirmed_at);
                let lease = stored.lease.as_ref();
                match lease.filter(|lease| Some(lease.attempt) == local.uncommitted) {
                    // The store was away when this was to be committed, and nobody came between.
                    Some(lease) => {
                        next.settle_strays(lease.strays_seen, mine.confirmed_at);
                        next.lease = None;
                    }
                    // The store went back in time; what it forgot besides is not known.
                    None => strays = strays.or(Some(now.wall)),
                }
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

enum Comparison {
    Same,
    TheirsIsNewer,
    /// One value, which is known under this generation; WeChat has said so to me last.
    MineIsLaterConfirmed {
        generation: u64,
    },
    /// Mine belongs into the store, as this generation.
    MineIsNewer {
        generation: u64,
    },
    /// One generation, two values.
    Split,
}

fn compare(mine: &Credential, stored: &Record, local: &Local) -> Comparison {
    let Some(theirs) = &stored.credential else {
        let generation = mine.generation;
        return Comparison::MineIsNewer { generation };
    };
    if mine.value == theirs.value && mine.generation <= theirs.generation {
        return if mine.confirmed_at > theirs.confirmed_at {
            let generation = theirs.generation;
            Comparison::MineIsLaterConfirmed { generation }
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

/// The credential with its times cut down if they cannot be: it is served for a short while and
/// is due at once.
fn believable(credential: &Credential, now: Timestamp) -> Credential {
    let from_the_future = credential.confirmed_at > now + CLOCK_TOLERANCE;
    let too_long = credential.expires_at > credential.confirmed_at + LONGEST_LIFE;
    if !from_the_future && !too_long {
        return credential.clone();
    }
    let end = now + DISTRUSTED_LIFE;
    let long_ago = now.before(LONGEST_LIFE);
    Credential {
        first_seen: credential.first_seen.min(long_ago),
        confirmed_at: long_ago,
        expires_at: end,
        claimed_until: end,
        ..credential.clone()
    }
}
