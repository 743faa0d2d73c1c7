//! What is remembered between two steps, in little room: of most accounts there is nothing to
//! remember but what readers are served, and there may be very many accounts.

use super::Local;
use crate::clock::Deadline;
use crate::keeper::snapshot::Served;
use crate::store::{Calls, Record, Seen};

/// A [`Local`] between two steps.
#[derive(Default, Debug)]
pub(in crate::keeper) enum Remembered {
    /// Nothing is known yet.
    #[default]
    Nothing,
    /// Nothing is going on: what readers are served tells the rest.
    Quiet {
        stored_as: Option<Seen>,
        /// In the form that takes less room.
        anchor: Deadline,
        strays: u32,
        calls: FewCalls,
    },
    /// Something is going on.
    Whole(Box<Local>),
}

/// [`Calls`] that are as few as they are wont to be.
#[derive(Clone, Copy, Default, Debug)]
pub(in crate::keeper) struct FewCalls {
    /// Until 2149.
    day: u16,
    total: u16,
    confirming: u16,
    rejected: u16,
}

impl FewCalls {
    /// `None` if they are more.
    fn of(calls: Calls) -> Option<Self> {
        Some(Self {
            day: calls.day.try_into().ok()?,
            total: calls.total.try_into().ok()?,
            confirming: calls.confirming.try_into().ok()?,
            rejected: calls.rejected.try_into().ok()?,
        })
    }

    fn recall(self) -> Calls {
        Calls {
            day: self.day.into(),
            total: self.total.into(),
            confirming: self.confirming.into(),
            rejected: self.rejected.into(),
        }
    }
}

impl Remembered {
    /// What is to be remembered of `local`, while readers are `served` this.
    pub(in crate::keeper) fn of(local: Local, served: Option<&Served>) -> Self {
        let quiet = Self::quiet(&local).unwrap_or_default();
        // Whatever it does not tell is kept, also what is thought of later.
        if quiet.recall(served) == local {
            quiet
        } else {
            Self::Whole(local.into())
        }
    }

    fn quiet(local: &Local) -> Option<Self> {
        Some(Self::Quiet {
            stored_as: local.stored_as,
            anchor: local.anchor?.into(),
            strays: local.record.strays.try_into().ok()?,
            calls: FewCalls::of(local.record.calls)?,
        })
    }

    /// What was remembered, while readers are `served` the same as then.
    pub(in crate::keeper) fn recall(&self, served: Option<&Served>) -> Local {
        let (stored_as, anchor, strays, calls) = match self {
            Self::Nothing => return Local::default(),
            Self::Whole(local) => return Local::clone(local),
            Self::Quiet {
                stored_as,
                anchor,
                strays,
                calls,
            } => (*stored_as, anchor.moment(), u64::from(*strays), *calls),
        };
        let record = Record {
            credential: served.map(|served| served.credential.clone()),
            renewed_by: served.and_then(|served| served.renewed_by.as_deref().cloned()),
            former: served.map_or_else(Vec::new, |served| served.former.to_vec()),
            strays,
            settled: strays,
            calls: calls.recall(),
            ..Record::default()
        };
        Local {
            record,
            stored_as,
            anchor: Some(anchor),
            ..Local::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::{Moment, Timestamp};
    use crate::credential::{Credential, Secret};
    use crate::keeper::snapshot::Former;
    use crate::store::Attempt;

    fn served() -> Served {
        let now = Moment {
            wall: Timestamp::from_secs(1_700_000_000),
            boot: Duration::from_secs(1000),
        };
        Served {
            credential: Credential {
                value: Secret::new("value"),
                generation: 7,
                first_seen: now.wall,
                confirmed_at: now.wall,
                expires_at: now.wall + Duration::from_secs(7200),
                claimed_until: now.wall + Duration::from_secs(7200),
            },
            until: now.into(),
            renew_at: now.wall,
            renewed_by: Some("node".to_owned().into()),
            former: Former::of(&[Secret::new("former").fingerprint()]),
        }
    }

    #[test]
    fn what_is_remembered_is_recalled_whole_whether_much_goes_on_or_nothing() {
        let served = served();
        let calm = || {
            let quiet = Remembered::Quiet {
                stored_as: None,
                anchor: served.until,
                strays: 2,
                calls: FewCalls::default(),
            };
            quiet.recall(Some(&served))
        };
        let went_on: [fn(&mut Local); 8] = [
            |_| {},
            |local| (local.record.strays, local.record.settled) = (1 << 32, 1 << 32),
            |local| local.record.calls.total = 1 << 16,
            |local| local.record.settled = 1,
            |local| local.rejected = Some(7),
            |local| local.unsent = Some(Attempt::number(1)),
            |local| local.record.credential = None,
            |local| local.anchor = None,
        ];
        for (number, change) in went_on.into_iter().enumerate() {
            let mut local = calm();
            change(&mut local);
            let remembered = Remembered::of(local.clone(), Some(&served));
            let is_quiet = matches!(remembered, Remembered::Quiet { .. });
            assert_eq!(is_quiet, number == 0, "{number}");
            assert_eq!(remembered.recall(Some(&served)), local, "{number}");
        }
        let nothing = Remembered::of(Local::default(), Some(&served));
        assert!(matches!(nothing, Remembered::Nothing));
        assert_eq!(nothing.recall(Some(&served)), Local::default());
    }
}
