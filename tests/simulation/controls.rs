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
    /// A token is believed to live ten minutes longer than it does.
    LongerLife,
}

impl Control {
    /// All that are to be caught.
    pub(crate) const WRONG: [Self; 6] = [
        Self::NoStrays,
        Self::FlagClearedByAnyCommit,
        Self::NoHeal,
        Self::NoLease,
        Self::NoBackoff,
        Self::LongerLife,
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
        if self == Self::Right {
            return bytes;
        }
        let before = before.map_or_else(Record::default, |before| read(&before.bytes));
        let mut record = read(&bytes);
        let commits = before.lease.is_some() && record.lease.is_none();
        let Some(credential) = &mut record.credential else {
            return bytes;
        };
        let renewed = before.credential.as_ref() != Some(credential);
        match self {
            Self::FlagClearedByAnyCommit if renewed => record.settled = record.strays,
            Self::LongerLife if renewed && commits => {
                credential.expires_at = credential.expires_at + TEN_MINUTES;
                credential.claimed_until = credential.expires_at;
            }
            _ => return bytes,
        }
        serde_json::to_vec(&record).unwrap()
    }
}

static NEWER: AtomicU64 = AtomicU64::new(1);

const TEN_MINUTES: std::time::Duration = std::time::Duration::from_secs(600);

fn read(bytes: &[u8]) -> Record {
    serde_json::from_slice(bytes).unwrap()
}
