//! Programs that are wrong: each breaks one rule of renewal, between the program and its store or
//! WeChat, and must be caught.

use std::sync::atomic::{AtomicU64, Ordering};

use wxsign::store::{Record, Stored};

/// A rule that is broken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Control {
    /// None.
    Right,
    /// Nobody learns of a fetch whose answer was lost.
    NoStrays,
    /// Any commit clears the strays, also those that were counted after its fetch began.
    FlagClearedByAnyCommit,
    /// A store that went back in time is believed.
    NoHeal,
    /// The lease of another node is not seen.
    NoLease,
    /// Failures are forgotten.
    NoBackoff,
}

impl Control {
    /// All that are to be caught.
    pub(crate) const WRONG: [Self; 5] = [
        Self::NoStrays,
        Self::FlagClearedByAnyCommit,
        Self::NoHeal,
        Self::NoLease,
        Self::NoBackoff,
    ];

    /// What a node reads in place of what is stored.
    pub(crate) fn loaded(self, stored: Stored) -> Stored {
        if self == Self::Right {
            return stored;
        }
        let mut record = read(&stored.bytes);
        match self {
            // What a node holds never seems to be newer than what it reads.
            Self::NoHeal => {
                if let Some(credential) = &mut record.credential {
                    credential.generation += NEWER.fetch_add(1, Ordering::Relaxed);
                }
            }
            Self::NoStrays => (record.strays, record.settled) = (0, 0),
            Self::NoLease => record.lease = None,
            Self::NoBackoff => {
                record.backoff = None;
                record.calls.total = 0;
            }
            _ => return stored,
        }
        Stored {
            bytes: serde_json::to_vec(&record).unwrap(),
            ..stored
        }
    }

    /// What is stored in place of what a node writes.
    pub(crate) fn swapped(self, before: Option<&Stored>, bytes: Vec<u8>) -> Vec<u8> {
        if self != Self::FlagClearedByAnyCommit {
            return bytes;
        }
        let mut record = read(&bytes);
        let before = before.and_then(|before| read(&before.bytes).credential);
        if before == record.credential {
            return bytes;
        }
        record.settled = record.strays;
        serde_json::to_vec(&record).unwrap()
    }
}

static NEWER: AtomicU64 = AtomicU64::new(1);

fn read(bytes: &[u8]) -> Record {
    serde_json::from_slice(bytes).unwrap()
}
