//! What readers see of an account.
//!
//! Each credential has its [`Standing`]; what is served and the trouble in renewing it are two
//! things there, so that a failure never hides a credential that WeChat accepts.

mod further;
mod standing;

use std::time::Duration;

use super::policy::LONGEST_LIFE;
use super::protocol::CLOCK_TOLERANCE;
use super::reconcile::DISTRUSTED_LIFE;
use super::report::{Check, Outcome};
use crate::clock::{Moment, Timestamp};
use crate::credential::Kind;
use crate::signer::Signer;
use further::Further;
pub(super) use standing::Standing;
pub use standing::{Former, Held, Served, Trouble};

/// What readers may use of an account at one point in time. Value and end of a credential always
/// belong together here.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    token: Standing,
    ticket: Standing,
    /// Prepared from the ticket above.
    signer: Option<Signer>,
    /// Seldom there.
    seldom: Option<Box<Seldom>>,
    /// Whether a step has come to its end, with or without a credential.
    pub(super) tried: bool,
}

/// What there is of few accounts.
#[derive(Clone, Default, Debug)]
struct Seldom {
    /// The ticket beside the jsapi_ticket.
    further: Option<Further>,
    /// What WeChat said last when it was asked about a token.
    check: Option<Check>,
    /// When, within a day, tokens died young: another program fetches them with the account's
    /// AppSecret. Empty if none does.
    died_young: Vec<Timestamp>,
}

impl Snapshot {
    /// What signs pages, while the ticket is good.
    pub fn signer(&self, now: Moment) -> Option<&Signer> {
        self.ticket(now).and(self.signer.as_ref())
    }

    /// What signs pages here and not in `next`, which has another ticket.
    pub(super) fn signer_before(&self, next: &Self) -> Option<&Signer> {
        self.signer.as_ref().filter(|_| {
            let [mine, theirs] = [self, next].map(|of| of.ticket.served.as_ref());
            let [mine, theirs] = [mine, theirs].map(|of| of.map(|of| &of.credential.value));
            mine != theirs
        })
    }

    /// The access_token, while it is good.
    pub fn token(&self, now: Moment) -> Option<&Served> {
        self.served(Kind::AccessToken, now)
    }

    /// The jsapi_ticket, while it is good.
    pub fn ticket(&self, now: Moment) -> Option<&Served> {
        self.served(Kind::JsapiTicket, now)
    }

    /// The credential of `kind`, while it is good.
    pub fn served(&self, kind: Kind, now: Moment) -> Option<&Served> {
        self.last(kind).filter(|served| served.is_good(now))
    }

    /// The credential of `kind` that was served last, good or not.
    pub fn last(&self, kind: Kind) -> Option<&Served> {
        self.standing(kind).served.as_ref()
    }

    /// The lease of the credential of `kind`, while it lasts, as far as it is known here.
    pub fn lease(&self, kind: Kind, now: Moment) -> Option<&Held> {
        let lease = self.standing(kind).lease();
        lease.filter(|lease| !lease.until.left(now).is_zero())
    }

    /// What WeChat said last when it was asked about a token.
    pub(super) fn check(&self) -> Option<Check> {
        self.seldom.as_ref()?.check
    }

    /// Takes what WeChat has just said about a token.
    pub(super) fn set_check(&mut self, check: Check) {
        self.seldom.get_or_insert_default().check = Some(check);
    }

    /// Whether WeChat has just rejected the token that is served; a newer one is being fetched.
    pub fn is_rejected(&self, now: Moment) -> bool {
        let generation = self.token(now).map(|token| token.credential.generation);
        let check = self
            .check()
            .filter(|check| check.outcome == Outcome::Rejected);
        check
            .is_some_and(|check| generation.is_some_and(|generation| check.stands(generation, now)))
    }

    /// Whether another program fetches tokens with the account's AppSecret: at least two tokens
    /// of one day were dead long before their end. The cure is the stable token API, or a new
    /// AppSecret.
    pub fn is_robbed(&self) -> bool {
        !self.died_young().is_empty()
    }

    /// Takes when tokens died young that another program superseded.
    pub(super) fn set_died_young(&mut self, at: Vec<Timestamp>) {
        if !at.is_empty() || self.is_robbed() {
            self.seldom.get_or_insert_default().died_young = at;
        }
    }

    /// The evidence: when WeChat rejected tokens that should have lived on.
    pub fn died_young(&self) -> &[Timestamp] {
        self.seldom
            .as_ref()
            .map_or(&[], |seldom| &seldom.died_young)
    }

    /// What stands in the way of a new token or, that being fine, of a new ticket; of a further
    /// one last, without which pages are signed all the same.
    pub fn trouble(&self) -> Option<&Trouble> {
        self.troubled().map(|(_, trouble)| trouble)
    }

    /// The same, and which credential it is.
    pub fn troubled(&self) -> Option<(Kind, &Trouble)> {
        Kind::ALL
            .into_iter()
            .find_map(|kind| Some((kind, self.trouble_with(kind)?)))
    }

    /// What stands in the way of a credential of `kind`: trouble with it, or with the token that
    /// it is fetched with.
    pub(super) fn in_the_way_of(&self, kind: Kind) -> Option<&Trouble> {
        let token = self.token.trouble();
        token.or_else(|| self.trouble_with(kind))
    }

    /// What stands in the way of a new credential of `kind`.
    pub fn trouble_with(&self, kind: Kind) -> Option<&Trouble> {
        self.standing(kind).trouble()
    }

    /// Whether the credential of `kind` could not be renewed.
    pub(super) fn is_in_trouble(&self, kind: Kind) -> bool {
        self.standing(kind).trouble().is_some()
    }

    /// Takes how one credential stands now, and prepares what readers will do with it.
    ///
    /// # Errors
    /// What was to be served breaks a promise: it is not taken, or only for a short while.
    pub(super) fn set(
        &mut self,
        kind: Kind,
        mut next: Standing,
        now: Moment,
    ) -> Result<(), &'static str> {
        let slot = self.standing_mut(kind);
        let generation = |served: &Served| served.credential.generation;
        let former = slot.served.as_ref().filter(|former| former.is_good(now));
        if let (Some(former), Some(served)) = (former, &next.served)
            && generation(served) < generation(former)
        {
            next.served = slot.served.take();
            *slot = next;
            return Err("a generation went down; the one that is served stays");
        }
        let mut kept = Ok(());
        if let Some(served) = &mut next.served
            && served.until.moment().boot > now.boot + LONGEST_SERVED
        {
            let boot = now.boot + DISTRUSTED_LIFE;
            served.until = Moment {
                boot,
                ..served.until.moment()
            }
            .into();
            kept = Err("a credential was to be served too long; it is served for ten minutes");
        }
        let value = |of: &Standing| of.served.as_ref().map(|s| s.credential.value.clone());
        let same_value = value(slot) == value(&next);
        *slot = next;
        if kind == Kind::JsapiTicket && !same_value {
            let ticket = self.ticket.served.as_ref();
            self.signer = ticket.map(|ticket| Signer::new(&ticket.credential.value));
        }
        kept
    }
}

#[cfg(test)]
impl Snapshot {
    /// Has it held a credential since `now`, which lives for `life` and is due after `due`.
    pub(crate) fn hold(&mut self, kind: Kind, life: Duration, due: Duration, now: Moment) {
        let end = now.wall + life;
        let served = Served {
            credential: crate::credential::Credential {
                value: crate::credential::Secret::new("value"),
                generation: 1,
                first_seen: now.wall,
                confirmed_at: now.wall,
                expires_at: end,
                claimed_until: end,
            },
            until: Moment {
                wall: end,
                boot: now.boot + life,
            }
            .into(),
            renew_at: now.wall + due,
            renewed_by: None,
            former: Former::default(),
        };
        let standing = Standing {
            served: Some(served),
            ..Standing::default()
        };
        self.set(kind, standing, now)
            .expect("it is a life that can be");
    }
}

/// No credential lives longer: that of WeChat, and what clocks may differ by.
const LONGEST_SERVED: Duration = LONGEST_LIFE.saturating_add(CLOCK_TOLERANCE);

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
    use super::standing::Aside;
    use super::*;
    use crate::credential::{Credential, Secret};

    const NOW: Moment = Moment {
        wall: Timestamp::from_secs(1_700_000_000),
        boot: Duration::from_secs(1000),
    };

    fn served(generation: u64, seconds: u64) -> Standing {
        let life = Duration::from_secs(seconds);
        let end = NOW.wall + life;
        let served = Served {
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
            }
            .into(),
            renew_at: end,
            renewed_by: None,
            former: Former::default(),
        };
        Standing {
            served: Some(served),
            ..Standing::default()
        }
    }

    fn with_lease(standing: Standing, lease: &Held) -> Standing {
        let aside = Aside {
            trouble: None,
            lease: Some(lease.clone()),
        };
        Standing {
            aside: Some(aside.into()),
            ..standing
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
        assert_eq!(snapshot.set(kind, served(5, 100), NOW), Ok(()));
        assert!(snapshot.set(kind, served(4, 7000), NOW).is_err());
        assert_eq!(generation(&snapshot, NOW), Some(5));
        let now = later(100);
        assert_eq!(snapshot.set(kind, served(4, 7000), now), Ok(()));
        assert_eq!(generation(&snapshot, now), Some(4));
    }

    #[test]
    fn what_the_ticket_before_has_signed_can_be_recognised() {
        let mut snapshot = Snapshot::default();
        let sign = |signer: &Signer| signer.sign_text(b"n", b"1", "u").to_string();
        let of = |generation| sign(&Signer::new(&Secret::new(format!("value {generation}"))));
        for (generation, former) in [(1, None), (2, Some(of(1))), (2, None), (3, Some(of(2)))] {
            let kind = Kind::JsapiTicket;
            let before = snapshot.clone();
            assert_eq!(snapshot.set(kind, served(generation, 100), NOW), Ok(()));
            assert_eq!(before.signer_before(&snapshot).map(sign), former);
            assert_eq!(snapshot.signer(NOW).map(sign), Some(of(generation)));
        }
    }

    #[test]
    fn a_life_that_cannot_be_is_cut_to_ten_minutes() {
        let mut snapshot = Snapshot::default();
        let kind = Kind::AccessToken;
        assert!(snapshot.set(kind, served(1, 8000), NOW).is_err());
        assert_eq!(generation(&snapshot, later(599)), Some(1));
        assert_eq!(generation(&snapshot, later(600)), None);
    }

    #[test]
    fn a_credential_is_known_after_its_end_and_a_lease_is_not() {
        let mut snapshot = Snapshot::default();
        let kind = Kind::AccessToken;
        let lease = Held {
            holder: "node".to_owned(),
            until: later(30),
        };
        let standing = with_lease(served(1, 100), &lease);
        assert_eq!(snapshot.set(kind, standing, NOW), Ok(()));
        assert_eq!(snapshot.lease(kind, later(29)), Some(&lease));
        assert_eq!(snapshot.lease(kind, later(30)), None);
        assert_eq!(snapshot.lease(Kind::JsapiTicket, NOW), None);
        assert!(snapshot.served(kind, later(100)).is_none());
        assert!(snapshot.last(kind).is_some());
    }

    #[test]
    fn a_generation_that_is_not_taken_hides_neither_the_trouble_nor_the_lease() {
        let mut snapshot = Snapshot::default();
        let kind = Kind::AccessToken;
        assert_eq!(snapshot.set(kind, served(5, 100), NOW), Ok(()));
        let lease = Held {
            holder: "node".to_owned(),
            until: later(30),
        };
        let standing = with_lease(served(4, 7000), &lease);
        assert!(snapshot.set(kind, standing, NOW).is_err());
        assert_eq!(generation(&snapshot, NOW), Some(5));
        assert_eq!(snapshot.lease(kind, NOW), Some(&lease));
    }
}
