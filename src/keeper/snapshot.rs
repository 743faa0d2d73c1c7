//! What readers see of an account.

use std::time::Duration;

use super::policy::LONGEST_LIFE;
use super::protocol::CLOCK_TOLERANCE;
use super::reconcile::DISTRUSTED_LIFE;
use super::report::{Check, Outcome};
use crate::clock::{Moment, Timestamp};
use crate::credential::{Credential, Fingerprint, Kind};
use crate::signer::Signer;
use crate::store::Backoff;
use crate::upstream::{self, Api, Class};

/// What readers may use of an account at one point in time. Value and end of a credential always
/// belong together here.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    token: Option<Served>,
    ticket: Option<Served>,
    /// Prepared from the ticket above.
    signer: Option<Signer>,
    token_trouble: Option<Trouble>,
    ticket_trouble: Option<Trouble>,
    /// What WeChat said last when it was asked about a token.
    pub(super) check: Option<Check>,
    /// Another program fetches tokens with the account's AppSecret.
    pub(super) robbed: bool,
    /// Whether a step has come to its end, with or without a credential.
    pub(super) tried: bool,
}

/// A credential that readers may use.
#[derive(Clone, Debug)]
pub struct Served {
    /// The credential.
    pub credential: Credential,
    /// When to stop using it, on either clock.
    pub until: Moment,
    /// When it is replaced, if all goes well.
    pub renew_at: Timestamp,
    /// The fingerprints of those before it, the latest first.
    pub former: Vec<Fingerprint>,
}

impl Served {
    fn at(served: Option<&Self>, now: Moment) -> Option<&Self> {
        served.filter(|served| !served.until.left(now).is_zero())
    }
}

impl Snapshot {
    /// What signs pages, while the ticket is good.
    pub fn signer(&self, now: Moment) -> Option<&Signer> {
        self.ticket(now).and(self.signer.as_ref())
    }

    /// The access_token, while it is good.
    pub fn token(&self, now: Moment) -> Option<&Served> {
        Served::at(self.token.as_ref(), now)
    }

    /// The jsapi_ticket, while it is good.
    pub fn ticket(&self, now: Moment) -> Option<&Served> {
        Served::at(self.ticket.as_ref(), now)
    }

    /// The credential of `kind`, while it is good.
    pub fn served(&self, kind: Kind, now: Moment) -> Option<&Served> {
        match kind {
            Kind::AccessToken => self.token(now),
            Kind::JsapiTicket => self.ticket(now),
        }
    }

    /// Whether WeChat has just rejected the token that is served; a newer one is being fetched.
    pub fn is_rejected(&self, now: Moment) -> bool {
        let generation = self.token(now).map(|token| token.credential.generation);
        let check = self
            .check
            .filter(|check| check.outcome == Outcome::Rejected);
        check
            .is_some_and(|check| generation.is_some_and(|generation| check.stands(generation, now)))
    }

    /// Whether another program fetches tokens with the account's AppSecret: at least two tokens
    /// of one day were dead long before their end. The cure is the stable token API, or a new
    /// AppSecret.
    pub const fn is_robbed(&self) -> bool {
        self.robbed
    }

    /// What stands in the way of a new token or, that being fine, of a new ticket.
    pub fn trouble(&self) -> Option<&Trouble> {
        self.token_trouble.as_ref().or(self.ticket_trouble.as_ref())
    }

    /// Takes what is known of one credential now, and prepares what readers will do with it.
    ///
    /// # Errors
    /// What was to be served breaks a promise: it is not taken, or only for a short while.
    pub(super) fn set(
        &mut self,
        kind: Kind,
        mut served: Option<Served>,
        trouble: Option<Trouble>,
        now: Moment,
    ) -> Result<(), &'static str> {
        let (slot, trouble_slot) = match kind {
            Kind::AccessToken => (&mut self.token, &mut self.token_trouble),
            Kind::JsapiTicket => (&mut self.ticket, &mut self.ticket_trouble),
        };
        *trouble_slot = trouble;
        let generation = |served: &Served| served.credential.generation;
        let mut kept = Ok(());
        if let (Some(former), Some(next)) = (Served::at(slot.as_ref(), now), &served)
            && generation(next) < generation(former)
        {
            return Err("a generation went down; the one that is served stays");
        }
        if let Some(next) = &mut served
            && next.until.boot > now.boot + LONGEST_SERVED
        {
            next.until.boot = now.boot + DISTRUSTED_LIFE;
            kept = Err("a credential was to be served too long; it is served for ten minutes");
        }
        let value = |served: &Option<Served>| served.as_ref().map(|s| s.credential.value.clone());
        let same_value = value(slot) == value(&served);
        *slot = served;
        if kind == Kind::JsapiTicket && !same_value {
            let ticket = self.ticket.as_ref();
            self.signer = ticket.map(|ticket| Signer::new(&ticket.credential.value));
        }
        kept
    }
}

/// No credential lives longer: that of WeChat, and what clocks may differ by.
const LONGEST_SERVED: Duration = LONGEST_LIFE.saturating_add(CLOCK_TOLERANCE);

/// Why a renewal failed the last time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trouble {
    /// What it means for the next try.
    pub class: Class,
    /// What happened, in one line.
    pub what: String,
    /// WeChat's errcode, if it gave one.
    pub errcode: Option<i64>,
    /// WeChat's errmsg, if it gave one.
    pub errmsg: Option<String>,
    /// What a human can do about it, if anything.
    pub remedy: Option<&'static str>,
    /// No call to WeChat before this.
    pub next_at: Timestamp,
}

impl Trouble {
    pub(super) fn new(backoff: &Backoff, api: Api) -> Self {
        Self {
            class: backoff.class,
            what: backoff.error.clone(),
            errcode: backoff.errcode,
            errmsg: backoff.errmsg.clone(),
            remedy: backoff
                .errcode
                .and_then(|errcode| upstream::remedy(api, errcode)),
            next_at: backoff.next_at,
        }
    }
}

/// There is no credential to serve.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unavailable {
    /// The account was removed meanwhile: there will be none.
    pub removed: bool,
    /// What stands in the way, if it is known.
    pub trouble: Option<Trouble>,
    /// When it is worth asking again.
    pub retry_after: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::Secret;

    const NOW: Moment = Moment {
        wall: Timestamp::from_secs(1_700_000_000),
        boot: Duration::from_secs(1000),
    };

    fn served(generation: u64, seconds: u64) -> Served {
        let life = Duration::from_secs(seconds);
        let end = NOW.wall + life;
        Served {
            credential: Credential {
                value: Secret::new(format!("value {generation}")),
                generation,
                first_seen: NOW.wall,
                confirmed_at: NOW.wall,
                expires_at: end,
                claimed_until: end,
            },
            until: Moment {
                wall: end,
                boot: NOW.boot + life,
            },
            renew_at: end,
            former: Vec::new(),
        }
    }

    fn generation(snapshot: &Snapshot, now: Moment) -> Option<u64> {
        snapshot
            .token(now)
            .map(|served| served.credential.generation)
    }

    fn later(seconds: u64) -> Moment {
        let since = Duration::from_secs(seconds);
        Moment {
            wall: NOW.wall + since,
            boot: NOW.boot + since,
        }
    }

    #[test]
    fn a_generation_that_goes_down_is_not_taken_while_the_newer_one_lives() {
        let mut snapshot = Snapshot::default();
        let kind = Kind::AccessToken;
        assert_eq!(snapshot.set(kind, Some(served(5, 100)), None, NOW), Ok(()));
        assert!(
            snapshot
                .set(kind, Some(served(4, 7000)), None, NOW)
                .is_err()
        );
        assert_eq!(generation(&snapshot, NOW), Some(5));
        let now = later(100);
        assert_eq!(snapshot.set(kind, Some(served(4, 7000)), None, now), Ok(()));
        assert_eq!(generation(&snapshot, now), Some(4));
    }

    #[test]
    fn a_life_that_cannot_be_is_cut_to_ten_minutes() {
        let mut snapshot = Snapshot::default();
        let kind = Kind::AccessToken;
        assert!(
            snapshot
                .set(kind, Some(served(1, 8000)), None, NOW)
                .is_err()
        );
        assert_eq!(generation(&snapshot, later(599)), Some(1));
        assert_eq!(generation(&snapshot, later(600)), None);
    }
}
