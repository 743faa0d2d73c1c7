//! The windows of what WeCom issues. A fetch returns the same token or ticket until its end; how
//! long it names for one that it has named before is not documented, so nothing is believed to
//! live longer than was said first (<https://developer.work.weixin.qq.com/document/path/91039>).
//! The next one is not there before that end, and until it has come there is none to serve.
//!
//! A ticket may be fetched a hundred times an hour by an app, and four hundred times by all apps of
//! a corporation (<https://developer.work.weixin.qq.com/document/path/90506>). So the more apps of
//! one there are here, the less often each asks.

use std::time::Duration;

use super::{MIN_INTERVAL, shortened, spread};
use crate::account::{AppId, TokenApi};
use crate::clock::Timestamp;
use crate::credential::{Credential, Kind};
use crate::upstream::Api;

/// How often WeCom is asked whether a credential is still the one: with two tickets an app comes to
/// eight of its calls an hour.
const POLL: Duration = Duration::from_secs(900);

/// How often, while it is not known when WeCom issued it: the first that is seen may have been
/// fetched by others long before, and end at any time.
const POLL_OF_UNKNOWN_AGE: Duration = Duration::from_secs(300);

/// A ticket that pages complain about is not asked for more often.
const DOUBTED_INTERVAL: Duration = Duration::from_secs(300);

/// One app of a corporation asks for a ticket every so often: two hundred times an hour. The other
/// half of what WeCom allows is for the tickets that end, and for other programs.
const SHARE: Duration = Duration::from_secs(18);

/// So long before its end it is asked once more, in case the next one is there early.
const LAST_LOOK: Duration = Duration::from_secs(290);

/// WeCom counts from when it issued the credential, which was a little after it was asked.
const ISSUED_WITHIN: Duration = Duration::from_secs(1);

/// What WeCom gives out past the end that it named is asked about again after the first of these;
/// then, each time, after as long as it has outlived that end, up to the second.
const OUTLIVED: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(300)];

/// What an app fetches, beside others of its corporation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(in crate::keeper) struct OfApp {
    /// The kind of credential.
    pub(super) kind: Kind,
    /// How many apps of the corporation fetch it here, each its own.
    pub(super) apps: u32,
}

impl OfApp {
    /// The call that fetches it.
    pub(super) const fn api(self) -> Api {
        match self.kind {
            Kind::AccessToken => Api::GetToken,
            kind => Api::for_ticket(TokenApi::WeCom, kind),
        }
    }

    /// When it is asked for next: now and then, once more shortly before its end, at its end, and
    /// while it outlives that.
    pub(super) fn due_at(self, appid: &AppId, credential: &Credential) -> Timestamp {
        let (asked, end) = (credential.confirmed_at, credential.expires_at);
        if asked >= end {
            return asked + self.outlived(credential);
        }
        let last_look = last_look(credential);
        if asked >= last_look {
            return end + ISSUED_WITHIN;
        }
        let salt = asked.as_millis() as u64;
        let poll = if credential.generation == 1 {
            POLL_OF_UNKNOWN_AGE
        } else {
            POLL
        };
        let spread = 0.9 + 0.2 * spread(&[appid.as_str()], salt);
        (asked + self.shared(poll).mul_f64(spread)).min(last_look)
    }

    /// The least time from a fetch of a ticket to the next one that pages ask for.
    pub(super) fn doubted_interval(self) -> Duration {
        self.shared(DOUBTED_INTERVAL)
    }

    /// When it is late for an answer: so many seconds before the end, unless the last look was
    /// answered; past the end, at this part of the time for which it is believed.
    pub(super) fn unconfirmed(self, credential: &Credential, seconds: u64, part: f64) -> Timestamp {
        let (asked, end) = (credential.confirmed_at, credential.expires_at);
        if asked >= end {
            asked + self.outlived(credential).mul_f64(1.0 + part)
        } else if asked >= last_look(credential) {
            end
        } else {
            end.before(margin(credential, seconds))
        }
    }

    /// When it is no longer served. That is in its last second: there is no other until then. Past
    /// that, as WeCom's last word is that this one holds, when it is late for the next word.
    pub(super) fn end_of_life(self, credential: &Credential) -> Timestamp {
        let last = margin(credential, 1);
        let by_age = credential.expires_at.before(last);
        if credential.confirmed_at < credential.expires_at {
            return by_age;
        }
        let by_word = credential.confirmed_at + self.outlived(credential) * 2;
        by_age.max(by_word.min(credential.claimed_until.before(last)))
    }

    /// For how long what WeCom has confirmed past its end is not asked about again: the longer it
    /// has outlived that end, the less likely it is to end soon.
    fn outlived(self, credential: &Credential) -> Duration {
        let [least, most] = OUTLIVED;
        let by = credential.confirmed_at.since(credential.expires_at);
        by.clamp(least, self.shared(most))
    }

    /// The time between two calls of an app, so that all of its corporation keep to the limit; there
    /// is none for tokens.
    fn shared(self, alone: Duration) -> Duration {
        match self.kind {
            Kind::AccessToken => alone,
            Kind::JsapiTicket | Kind::CardTicket | Kind::AgentTicket => {
                alone.max(SHARE * self.apps)
            }
        }
    }
}

/// The least time between two successful fetches.
pub(super) fn interval(credential: &Credential) -> Duration {
    if credential.confirmed_at >= credential.expires_at {
        OUTLIVED[0]
    } else {
        MIN_INTERVAL
    }
}

/// When the next one is there, for one that is in its last seconds or has just ended.
pub(super) fn replaced_at(credential: &Credential, now: Timestamp) -> Option<Timestamp> {
    let (asked, end) = (credential.confirmed_at, credential.expires_at);
    let ends = now >= end.before(margin(credential, 5));
    let looked = (last_look(credential)..end).contains(&asked);
    (ends && looked).then_some(end + ISSUED_WITHIN)
}

fn last_look(credential: &Credential) -> Timestamp {
    let window = shortened(life(credential), LAST_LOOK);
    credential.expires_at.before(window)
}

fn life(credential: &Credential) -> Duration {
    credential.expires_at.since(credential.first_seen)
}

fn margin(credential: &Credential, seconds: u64) -> Duration {
    shortened(life(credential), Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{T0, appid, record, windows};
    use super::super::{FULL_LIFE, Policy};
    use super::*;
    use crate::credential::Phase;
    use crate::store::Record;

    const POLICY: Policy = Policy::of(Kind::AccessToken, TokenApi::WeCom, 1);

    /// A credential of WeCom with a full life, not the first, that was confirmed then, after T0.
    fn confirmed(seconds: u64) -> Record {
        let mut record = record(7200);
        let credential = record.credential.as_mut().unwrap();
        credential.generation = 2;
        credential.confirmed_at = T0 + Duration::from_secs(seconds);
        credential.claimed_until = credential.confirmed_at + FULL_LIFE;
        record
    }

    #[test]
    fn wecom_is_asked_now_and_then_and_shortly_before_the_end_and_right_after_it() {
        let due_at = |asked| {
            let record = confirmed(asked);
            POLICY
                .due_at(&appid(), record.credential.as_ref().unwrap())
                .since(T0)
                .as_secs()
        };
        assert!((810..=990).contains(&due_at(0)), "{}", due_at(0));
        assert_eq!(due_at(6100), 6910);
        for asked in [6910, 7000, 7169] {
            assert_eq!(due_at(asked), 7201, "{asked}");
        }
        // The answer at its end was the same, and so was the next: then less and less often.
        assert_eq!([7201, 7206, 7212].map(due_at), [7206, 7212, 7224]);
        assert_eq!([7500, 9000].map(due_at), [7800, 9300]);
    }

    #[test]
    fn the_first_credential_may_end_at_any_time_and_is_asked_about_more_often() {
        let mut first = confirmed(0).credential.unwrap();
        first.generation = 1;
        let due_at = POLICY.due_at(&appid(), &first).since(T0).as_secs();
        assert!((270..=330).contains(&due_at), "{due_at}");
    }

    #[test]
    fn the_apps_of_a_corporation_fetch_each_ticket_four_hundred_times_an_hour_at_most() {
        for apps in [1, 10, 50, 100, 200] {
            let of = |kind| Policy::of(kind, TokenApi::WeCom, apps);
            let every = |kind, asked| {
                let credential = confirmed(asked).credential.unwrap();
                of(kind).due_at(&appid(), &credential).since(T0).as_secs() - asked
            };
            for kind in [Kind::JsapiTicket, Kind::AgentTicket] {
                let doubted = of(kind).doubted_interval().as_secs();
                assert!(doubted >= 300, "{apps}");
                let least = every(kind, 0).min(doubted).min(every(kind, 90_000));
                // The last look and the fetch at the end come once in two hours.
                let calls = u64::from(apps) * (3600 / least + 1);
                assert!(calls <= 400, "{apps}: {calls}");
            }
            // A token is no ticket.
            assert!(every(Kind::AccessToken, 0) <= 990);
        }
    }

    #[test]
    fn what_wecom_issued_is_served_to_its_last_second_and_on_its_word_for_a_little_longer() {
        let served_until = |asked| {
            let end = POLICY.served_until(&confirmed(asked)).unwrap();
            end.since(T0).as_secs()
        };
        // Not longer for what WeCom says of one that it has given out before.
        assert_eq!([0, 3600, 7199].map(served_until), [7199; 3]);
        assert_eq!(
            [7200, 7206, 7300, 9000].map(served_until),
            [7210, 7218, 7500, 9600]
        );
        // Nor than it says itself.
        let mut record = confirmed(7300);
        record.credential.as_mut().unwrap().claimed_until = T0 + Duration::from_secs(7320);
        let end = POLICY.served_until(&record).unwrap();
        assert_eq!(end.since(T0).as_secs(), 7319);
    }

    #[test]
    fn a_credential_of_wecom_is_urgent_only_if_its_last_look_was_not_answered() {
        let [_, urgent, alarm, expired] = windows(POLICY, 7200);
        assert_eq!(
            [urgent, alarm, expired],
            [Some(7000), Some(7100), Some(7199)]
        );
        let phase = |asked, now| {
            let now = T0 + Duration::from_secs(now);
            POLICY.phase(&appid(), &confirmed(asked), now)
        };
        assert_eq!(phase(6910, 7198), Phase::Fresh);
        assert_eq!(phase(6910, 7199), Phase::Expired);
        let outlived = [7799, 7800, 7950, 8025, 8100].map(|now| phase(7500, now));
        let phases = [
            Phase::Fresh,
            Phase::Due,
            Phase::Urgent,
            Phase::Alarm,
            Phase::Expired,
        ];
        assert_eq!(outlived, phases);
    }

    #[test]
    fn wecom_is_not_asked_in_the_last_seconds_but_right_after_them() {
        let replaced_at = |asked, now| {
            let credential = confirmed(asked).credential.unwrap();
            let at = POLICY.replaced_at(&credential, T0 + Duration::from_secs(now));
            at.map(|at| at.since(T0).as_secs())
        };
        assert_eq!(replaced_at(6910, 7194), None);
        assert_eq!(replaced_at(6910, 7195), Some(7201));
        assert_eq!(replaced_at(6910, 7300), Some(7201));
        // It has not been answered since long before, or was asked after the end.
        assert_eq!(
            [replaced_at(6000, 7199), replaced_at(7200, 7201)],
            [None; 2]
        );
    }
}
