//! When a credential is renewed and how long it is served: the differences between the kinds.
//!
//! Everything here is arithmetic on stored times, so that all nodes agree.

mod wecom;

use std::time::Duration;

use crate::account::{AppId, TokenApi};
use crate::clock::Timestamp;
use crate::credential::{Credential, Kind, Phase};
use crate::store::Record;
use crate::upstream::Api;
use wecom::OfApp;

/// How a credential is renewed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Policy {
    /// Each fetch issues a new token and gives the former one 5 minutes more
    /// (<https://developers.weixin.qq.com/doc/oplatform/developers/dev/AccessToken.html>).
    ClassicToken,
    /// A fetch returns the same token until its last 5 minutes
    /// (<https://developers.weixin.qq.com/doc/service/api/base/api_getstableaccesstoken.html>).
    StableToken,
    /// A fetch returns the same ticket to everyone and always names a life of 7200 seconds, so
    /// it is asked for again and again to see when it changes.
    Ticket,
    /// WeCom's: see [`wecom`].
    WeCom(OfApp),
}

/// The life that the windows below are made for.
const FULL_LIFE: Duration = Duration::from_secs(7200);

/// The longest believable life of a stored credential.
pub(super) const LONGEST_LIFE: Duration = Duration::from_secs(7300);

/// Shorter lives than this have their windows shortened in proportion.
const SHORT_LIFE: Duration = Duration::from_secs(900);

/// No two successful fetches of a credential lie closer together than this.
pub(super) const MIN_INTERVAL: Duration = Duration::from_secs(30);

/// How long a classic token is served after a fetch that may have superseded it. WeChat gives it
/// 300 seconds.
pub(super) const STRAYED_LIFE: Duration = Duration::from_secs(280);

/// How often the ticket is asked for, and how often it should have been confirmed.
const TICKET_POLL: Duration = Duration::from_secs(300);
const TICKET_URGENT: Duration = Duration::from_secs(600);
const TICKET_ALARM: Duration = Duration::from_secs(1200);

/// A ticket that pages complain about is asked for again, but not sooner than so long after the
/// last time.
const DOUBTED_INTERVAL: Duration = Duration::from_secs(60);

/// A ticket that WeChat has just confirmed is served past the end it had by its age.
const TICKET_TRUST: Duration = Duration::from_secs(600);

impl Policy {
    /// The policy for `kind` with an account of `token_api`, at WeCom one of so many `apps` of a
    /// corporation.
    pub(super) const fn of(kind: Kind, token_api: TokenApi, apps: u32) -> Self {
        match (kind, token_api) {
            (Kind::AccessToken, TokenApi::Classic) => Self::ClassicToken,
            (Kind::AccessToken, TokenApi::Stable) => Self::StableToken,
            (kind, TokenApi::WeCom) => Self::WeCom(OfApp { kind, apps }),
            (Kind::JsapiTicket | Kind::CardTicket | Kind::AgentTicket, _) => Self::Ticket,
        }
    }

    /// Whether a fetch can invalidate what an earlier one brought, so that a fetch whose answer
    /// nobody holds matters.
    pub(super) const fn counts_strays(self) -> bool {
        matches!(self, Self::ClassicToken)
    }

    /// The call that fetches it.
    pub(super) const fn api(self) -> Api {
        match self {
            Self::ClassicToken => Api::Token,
            Self::StableToken => Api::StableToken,
            Self::Ticket => Api::GetTicket,
            Self::WeCom(of) => of.api(),
        }
    }

    /// Whether an answer with the same value may move its end.
    pub(super) const fn may_prolong(self) -> bool {
        matches!(self, Self::ClassicToken | Self::StableToken)
    }

    /// WeChat's daily quota of the call
    /// (<https://developers.weixin.qq.com/doc/service/Message_Management/API_Call_Limits.html>).
    /// WeCom names none, but counts by the hour, and says of gettoken only that it is not to be
    /// called often (<https://developer.work.weixin.qq.com/document/path/90312>).
    pub(super) const fn daily_quota(self) -> u32 {
        match self {
            Self::ClassicToken => 2_000,
            Self::WeCom(_) => 2_400,
            Self::StableToken => 500_000,
            Self::Ticket => 10_000,
        }
    }

    /// When the credential of `record` should be replaced or, for a ticket, asked for again.
    pub(super) fn due_at(self, appid: &AppId, credential: &Credential) -> Timestamp {
        let due = match self {
            Self::ClassicToken => {
                let life = self.life(credential);
                let spread = (life / 24).mul_f64(spread(&[appid.as_str()], credential.generation));
                let early = credential.expires_at.before(self.margin(credential, 600));
                (credential.confirmed_at + life * 2 / 3 + spread).min(early)
            }
            Self::StableToken if is_distrusted(credential) => credential.confirmed_at,
            // Not shortened with a short life: what is named here is often a remainder.
            Self::StableToken => credential.expires_at.before(Duration::from_secs(290)),
            Self::Ticket => {
                let poll = self.shortened(credential, TICKET_POLL);
                let spread = 0.9
                    + 0.2
                        * spread(
                            &[appid.as_str()],
                            credential.confirmed_at.as_millis() as u64,
                        );
                credential.confirmed_at + poll.mul_f64(spread)
            }
            Self::WeCom(of) => of.due_at(appid, credential),
        };
        due.max(credential.confirmed_at + self.interval(credential))
    }

    /// No two successful fetches lie closer together, but where the next value is awaited.
    pub(super) fn interval(self, credential: &Credential) -> Duration {
        match self {
            Self::WeCom(_) => wecom::interval(credential),
            Self::ClassicToken | Self::StableToken | Self::Ticket => MIN_INTERVAL,
        }
    }

    /// The least time from a fetch of a ticket to the next one that pages ask for.
    pub(super) fn doubted_interval(self) -> Duration {
        match self {
            Self::WeCom(of) => of.doubted_interval(),
            Self::ClassicToken | Self::StableToken | Self::Ticket => DOUBTED_INTERVAL,
        }
    }

    /// How often a node looks at what others may have stored though nothing is due and nobody has
    /// told it of any news. A classic token that another node has renewed out of turn lives on for
    /// 300 s; what is renewed out of turn otherwise takes nothing from what came before.
    pub(super) const fn look_every(self) -> Duration {
        match self {
            Self::ClassicToken => Duration::from_secs(80),
            Self::StableToken | Self::Ticket | Self::WeCom(_) => FULL_LIFE,
        }
    }

    /// The end of a ticket that is in its last seconds, or has just ended: WeChat does not give
    /// the next one before, and after it there is no reason to wait. So it is with all that WeCom
    /// issues.
    pub(super) fn replaced_at(self, credential: &Credential, now: Timestamp) -> Option<Timestamp> {
        if let Self::WeCom(_) = self {
            return wecom::replaced_at(credential, now);
        }
        let end = credential.claimed_until;
        let last_seconds = end.before(self.margin(credential, 5));
        let asked = credential.confirmed_at;
        (self == Self::Ticket && now >= last_seconds && asked < end && asked + MIN_INTERVAL > end)
            .then_some(end)
    }

    fn urgent_at(self, credential: &Credential) -> Timestamp {
        match self {
            Self::ClassicToken => credential.expires_at.before(self.margin(credential, 600)),
            Self::StableToken => credential.expires_at.before(self.margin(credential, 200)),
            Self::Ticket => credential.confirmed_at + self.shortened(credential, TICKET_URGENT),
            Self::WeCom(of) => of.unconfirmed(credential, 200, 0.5),
        }
    }

    fn alarm_at(self, credential: &Credential) -> Timestamp {
        match self {
            Self::ClassicToken => credential.expires_at.before(self.margin(credential, 300)),
            Self::StableToken => credential.expires_at.before(self.margin(credential, 100)),
            Self::Ticket => credential.confirmed_at + self.shortened(credential, TICKET_ALARM),
            Self::WeCom(of) => of.unconfirmed(credential, 100, 0.75),
        }
    }

    /// When the credential of `record` is no longer served.
    pub(super) fn served_until(self, record: &Record) -> Option<Timestamp> {
        let end = self.end_of_life(record.credential.as_ref()?);
        Some(self.superseded_until(record).map_or(end, |at| end.min(at)))
    }

    /// When a credential that nothing supersedes is no longer served.
    pub(super) fn end_of_life(self, credential: &Credential) -> Timestamp {
        let margin = self.margin(credential, 5);
        match self {
            Self::ClassicToken | Self::StableToken => credential.expires_at.before(margin),
            Self::Ticket => {
                let by_age = credential.expires_at.before(self.margin(credential, 30));
                let by_word = (credential.confirmed_at + TICKET_TRUST)
                    .min(credential.claimed_until.before(margin));
                by_age.max(by_word)
            }
            Self::WeCom(of) => of.end_of_life(credential),
        }
    }

    /// When a credential that another fetch may have superseded is no longer served. Whoever holds
    /// a lease may have sent, and then died or stood still.
    pub(super) fn superseded_until(self, record: &Record) -> Option<Timestamp> {
        let since = record.superseded_since().filter(|_| self.counts_strays())?;
        Some(since + STRAYED_LIFE)
    }

    /// How badly a new credential is needed; an absent one counts as expired.
    pub(super) fn phase(self, appid: &AppId, record: &Record, now: Timestamp) -> Phase {
        let (Some(credential), Some(served_until)) =
            (record.credential.as_ref(), self.served_until(record))
        else {
            return Phase::Expired;
        };
        if now >= served_until {
            Phase::Expired
        } else if now >= self.alarm_at(credential) {
            Phase::Alarm
        } else if now >= self.urgent_at(credential) {
            Phase::Urgent
        } else if now >= self.due_at(appid, credential) {
            Phase::Due
        } else {
            Phase::Fresh
        }
    }

    /// The life from which windows are measured.
    fn life(self, credential: &Credential) -> Duration {
        let start = match self {
            Self::ClassicToken | Self::StableToken => credential.confirmed_at,
            Self::Ticket | Self::WeCom(_) => credential.first_seen,
        };
        credential.expires_at.since(start)
    }

    fn margin(self, credential: &Credential, seconds: u64) -> Duration {
        self.shortened(credential, Duration::from_secs(seconds))
    }

    fn shortened(self, credential: &Credential, window: Duration) -> Duration {
        shortened(self.life(credential), window)
    }
}

/// A window for a full life, shortened in proportion for a short one.
fn shortened(life: Duration, window: Duration) -> Duration {
    if life < SHORT_LIFE {
        window.mul_f64(life.as_secs_f64() / FULL_LIFE.as_secs_f64())
    } else {
        window
    }
}

/// Whether the times of the credential cannot be, so that WeChat is to be asked at once.
pub(super) fn is_distrusted(credential: &Credential) -> bool {
    credential.expires_at > credential.confirmed_at + LONGEST_LIFE
}

/// A number in [0, 1) to keep things from happening all at once. It comes from what is named, so
/// that all nodes agree on it, or differ if the node is named too.
///
/// All versions of the program must agree on it as well, which std's hashes do not promise: this
/// is FNV-1a (<http://www.isthe.com/chongo/tech/comp/fnv/>) with the mixing of `SplitMix64`.
pub(super) fn spread(names: &[&str], salt: u64) -> f64 {
    let bytes = names.iter().flat_map(|name| name.bytes());
    let hash = bytes
        .chain(salt.to_be_bytes())
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let hash = hash ^ (hash >> 31);
    (hash >> 11) as f64 / 2f64.powi(53)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::Secret;

    pub(super) const T0: Timestamp = Timestamp::from_secs(1_000_000);

    pub(super) fn appid() -> AppId {
        "wx0123456789abcdef".parse().unwrap()
    }

    pub(super) fn record(life: u64) -> Record {
        let end = T0 + Duration::from_secs(life);
        Record {
            credential: Some(Credential {
                value: Secret::new("v"),
                generation: 1,
                first_seen: T0,
                confirmed_at: T0,
                expires_at: end,
                claimed_until: end,
            }),
            ..Record::default()
        }
    }

    /// The seconds after T0 at which the phases begin: due, urgent, alarm, expired.
    pub(super) fn windows(policy: Policy, life: u64) -> [Option<u64>; 4] {
        let record = record(life);
        [Phase::Due, Phase::Urgent, Phase::Alarm, Phase::Expired].map(|phase| {
            (0..=life + 700).find(|age| {
                policy.phase(&appid(), &record, T0 + Duration::from_secs(*age)) >= phase
            })
        })
    }

    #[test]
    fn a_classic_token_is_due_at_two_thirds_of_its_life() {
        let [due, urgent, alarm, expired] = windows(Policy::ClassicToken, 7200);
        assert!((4800..=5100).contains(&due.unwrap()), "{due:?}");
        assert_eq!(
            [urgent, alarm, expired],
            [Some(6600), Some(6900), Some(7195)]
        );
    }

    #[test]
    fn a_stable_token_is_due_when_wechat_issues_the_next_one() {
        let windows = windows(Policy::StableToken, 7200);
        assert_eq!(windows, [Some(6910), Some(7000), Some(7100), Some(7195)]);
    }

    #[test]
    fn a_remainder_of_a_stable_token_is_due_at_the_same_point_of_its_life() {
        let [due, ..] = windows(Policy::StableToken, 1200);
        assert_eq!(due, Some(910));
    }

    #[test]
    fn a_ticket_is_asked_for_every_five_minutes_and_served_for_its_age() {
        let [due, urgent, alarm, expired] = windows(Policy::Ticket, 7200);
        assert!((270..=330).contains(&due.unwrap()), "{due:?}");
        assert_eq!(
            [urgent, alarm, expired],
            [Some(600), Some(1200), Some(7170)]
        );
    }

    #[test]
    fn a_ticket_that_was_just_confirmed_outlives_its_age() {
        let mut record = record(7200);
        let credential = record.credential.as_mut().unwrap();
        credential.confirmed_at = T0 + Duration::from_secs(7100);
        credential.claimed_until = credential.confirmed_at + FULL_LIFE;
        let end = Policy::Ticket.served_until(&record).unwrap();
        assert_eq!(end.since(T0).as_secs(), 7700);

        // Not so if WeChat names what really remains.
        record.credential.as_mut().unwrap().claimed_until = T0 + FULL_LIFE;
        let end = Policy::Ticket.served_until(&record).unwrap();
        assert_eq!(end.since(T0).as_secs(), 7195);
    }

    #[test]
    fn a_short_life_has_short_windows_but_is_not_renewed_twice_in_thirty_seconds() {
        let [due, urgent, _, expired] = windows(Policy::ClassicToken, 600);
        assert!((400..=425).contains(&due.unwrap()), "{due:?}");
        assert_eq!([urgent, expired], [Some(550), Some(600)]);
        for policy in [
            Policy::ClassicToken,
            Policy::StableToken,
            Policy::Ticket,
            Policy::of(Kind::AccessToken, TokenApi::WeCom, 1),
        ] {
            let record = record(60);
            let due = policy.due_at(&appid(), record.credential.as_ref().unwrap());
            assert!(due >= T0 + MIN_INTERVAL, "{policy:?}");
            assert!(due < policy.served_until(&record).unwrap(), "{policy:?}");
        }
    }

    #[test]
    fn a_life_of_a_quarter_of_an_hour_has_full_windows() {
        let [due, urgent, alarm, expired] = windows(Policy::ClassicToken, 900);
        assert_eq!([due, urgent], [Some(300), Some(300)]);
        assert_eq!([alarm, expired], [Some(600), Some(895)]);
        // Nodes sleep until it is due: two thirds of its life would be too late.
        let due_at = Policy::ClassicToken.due_at(&appid(), &record(900).credential.unwrap());
        assert_eq!(due_at, T0 + Duration::from_secs(300));
    }

    #[test]
    fn only_a_ticket_that_was_just_asked_for_waits_for_its_end() {
        let replaced_at = |policy: Policy, asked: u64, now: u64| {
            let mut credential = record(7200).credential.unwrap();
            credential.confirmed_at = T0 + Duration::from_secs(asked);
            policy.replaced_at(&credential, T0 + Duration::from_secs(now))
        };
        let end = Some(T0 + FULL_LIFE);
        assert_eq!(replaced_at(Policy::Ticket, 7180, 7195), end);
        assert_eq!(replaced_at(Policy::Ticket, 7180, 7194), None);
        assert_eq!(replaced_at(Policy::Ticket, 7170, 7197), None);
        assert_eq!(replaced_at(Policy::StableToken, 7180, 7197), None);
    }

    #[test]
    fn nodes_notice_a_token_that_was_renewed_out_of_turn_while_the_old_one_lives() {
        assert!(Policy::ClassicToken.look_every() < STRAYED_LIFE);
    }

    #[test]
    fn a_stray_ends_the_life_of_a_classic_token_and_of_no_other() {
        let mut record = record(7200);
        record.strays = 1;
        record.strayed_at = Some(T0 + Duration::from_secs(1000));
        let end = Policy::ClassicToken.served_until(&record).unwrap();
        assert_eq!(end.since(T0).as_secs(), 1280);
        let end = Policy::StableToken.served_until(&record).unwrap();
        assert_eq!(end.since(T0).as_secs(), 7195);
        record.settled = 1;
        let end = Policy::ClassicToken.served_until(&record).unwrap();
        assert_eq!(end.since(T0).as_secs(), 7195);
    }

    #[test]
    fn all_nodes_agree_on_the_spread_and_accounts_differ() {
        let due = |appid: &str, generation| {
            let mut record = record(7200);
            let credential = record.credential.as_mut().unwrap();
            credential.generation = generation;
            Policy::ClassicToken.due_at(&appid.parse().unwrap(), credential)
        };
        let (a, b) = ("wx0123456789abcdef", "wx0123456789abcdee");
        assert_eq!(due(a, 1), due(a, 1));
        assert_ne!(due(a, 1), due(b, 1));
        assert_ne!(due(a, 1), due(a, 2));
    }
}
