//! When to call WeChat again after a failure.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::credential::Fingerprint;
use crate::store::Backoff;
use crate::upstream::{Class, UpstreamError};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// WeChat's quotas are renewed at midnight in China.
const CHINA_AHEAD_OF_UTC: Duration = Duration::from_secs(8 * HOUR);

/// An unknown errcode that came so often in a row is something that a human must mend.
const UNKNOWN_BEFORE_HOPELESS: u32 = 20;

/// Who calls WeChat, and with what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller<'a> {
    /// The AppSecret.
    pub(super) secret: Fingerprint,
    /// The machine, which may have an address of its own.
    pub(super) host: &'a str,
}

/// Whether `caller` has a reason to wait, now that others have failed so.
pub(super) fn concerns(backoff: &Backoff, caller: Caller<'_>) -> bool {
    let elsewhere =
        backoff.class == Class::Address && !backoff.hosts.iter().any(|host| host == caller.host);
    backoff.secret == caller.secret && !elsewhere
}

/// The backoff after `error`, which came while `former` was in force; `chance` is in [0, 1).
pub(super) fn after(
    former: Option<&Backoff>,
    error: &UpstreamError,
    caller: Caller<'_>,
    now: Timestamp,
    chance: f64,
) -> Backoff {
    let class = error.class();
    let errcode = error.errcode();
    let former = former.filter(|former| former.secret == caller.secret);
    let failures = former.map_or(0, |former| former.failures.max(former.tries));
    let failures = failures.saturating_add(1);
    let former = former.filter(|former| former.class == class);
    let mut hosts = former.map_or_else(Vec::new, |former| former.hosts.clone());
    let is_new = !hosts.iter().any(|host| host == caller.host);
    if is_new {
        hosts.push(caller.host.to_owned());
    }
    let tries = match former {
        None => 1,
        // Each address has its first try.
        Some(former) if class == Class::Address && is_new => former.tries,
        Some(former) => former.tries.saturating_add(1),
    };
    let next_at = match (class, errcode) {
        (Class::Quota, Some(45009)) => next_midnight_in_china(now).min(now + seconds(HOUR)),
        // Who still answers so after ten minutes is not asked each minute all day.
        (Class::Quota, _) if tries > 10 => next_minute(now + wait(class, errcode, tries, chance)),
        (Class::Quota, _) => next_minute(now),
        _ => now + wait(class, errcode, tries, chance),
    };
    // Failures that take turns must not begin anew each time.
    let next_at = next_at.max(now + passing(failures, chance));
    Backoff {
        class,
        error: error.to_string(),
        errcode,
        errmsg: error.errmsg().map(str::to_owned),
        tries,
        failures,
        failed_at: now,
        next_at,
        secret: caller.secret,
        hosts,
    }
}

fn wait(class: Class, errcode: Option<i64>, tries: u32, chance: f64) -> Duration {
    let hopeless = |tries: u32| {
        seconds(match tries {
            ..=1 => 10,
            2 => MINUTE,
            3 => 5 * MINUTE,
            4 => 15 * MINUTE,
            _ => HOUR,
        })
    };
    match class {
        Class::Ambiguous if tries <= 1 => seconds(1) + seconds(2).mul_f64(chance),
        Class::Transient | Class::Ambiguous | Class::TokenRejected | Class::Quota => {
            passing(tries, chance)
        }
        Class::Unknown if tries <= UNKNOWN_BEFORE_HOPELESS => passing(tries, chance),
        Class::Unknown => hopeless(tries - UNKNOWN_BEFORE_HOPELESS),
        Class::Credentials => hopeless(tries),
        Class::Address => seconds(match (errcode, tries) {
            (Some(89506), _) => DAY,
            (Some(89507), _) => HOUR,
            (Some(89501 | 89503), ..=5) => MINUTE,
            (Some(89501 | 89503), _) => 5 * MINUTE,
            (_, ..=1) => 5 * MINUTE,
            _ => 30 * MINUTE,
        }),
    }
}

/// The wait after so many failures of the kind that passes by itself.
fn passing(tries: u32, chance: f64) -> Duration {
    match tries {
        ..=10 => {
            let cap = (1_u64 << (tries.max(1) - 1)).min(30);
            seconds(cap).mul_f64(0.1 + 0.9 * chance)
        }
        11..=40 => seconds(2 * MINUTE).mul_f64(0.9 + 0.2 * chance),
        _ => seconds(5 * MINUTE).mul_f64(0.9 + 0.2 * chance),
    }
}

/// The number of the day in China that `now` belongs to.
pub(super) fn day_in_china(now: Timestamp) -> i64 {
    (now + CHINA_AHEAD_OF_UTC).as_secs().div_euclid(DAY as i64)
}

fn next_midnight_in_china(now: Timestamp) -> Timestamp {
    Timestamp::from_secs((day_in_china(now) + 1) * DAY as i64).before(CHINA_AHEAD_OF_UTC)
}

fn next_minute(now: Timestamp) -> Timestamp {
    let minute = MINUTE as i64;
    Timestamp::from_secs((now.as_secs().div_euclid(minute) + 1) * minute)
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::Secret;
    use crate::upstream::{Api, Failure};

    const fn with(secret: Fingerprint) -> Caller<'static> {
        Caller {
            secret,
            host: "host",
        }
    }

    fn refused(errcode: i64) -> UpstreamError {
        UpstreamError {
            api: Api::Token,
            failure: Failure::Refused {
                errcode,
                errmsg: String::new(),
            },
        }
    }

    /// The waits in seconds after 1, 2, 3 … failures of one kind.
    fn waits(error: &UpstreamError, chance: f64, count: usize) -> Vec<f64> {
        let now = Timestamp::from_secs(1_700_000_000);
        let secret = Secret::new("s").fingerprint();
        let mut backoff = None;
        (0..count)
            .map(|_| {
                let next = after(backoff.as_ref(), error, with(secret), now, chance);
                let wait = next.next_at.since(now).as_secs_f64();
                backoff = Some(next);
                wait
            })
            .collect()
    }

    #[test]
    fn a_wrong_secret_is_tried_less_and_less_often() {
        for errcode in [40001, 40013, 40125, 40243, 50004, 48001] {
            let waits = waits(&refused(errcode), 0.5, 6);
            assert_eq!(waits, [10.0, 60.0, 300.0, 900.0, 3600.0, 3600.0]);
        }
    }

    #[test]
    fn an_address_that_is_not_listed_waits_as_its_errcode_asks() {
        assert_eq!(waits(&refused(40164), 0.5, 3), [300.0, 1800.0, 1800.0]);
        assert_eq!(waits(&refused(61004), 0.5, 2), [300.0, 1800.0]);
        assert_eq!(
            waits(&refused(89503), 0.5, 6),
            [60.0, 60.0, 60.0, 60.0, 60.0, 300.0]
        );
        assert_eq!(waits(&refused(89507), 0.5, 1), [3600.0]);
        assert_eq!(waits(&refused(89506), 0.5, 1), [86_400.0]);
    }

    #[test]
    fn what_passes_is_tried_soon_and_then_at_most_430_times_a_day() {
        for chance in [0.0, 0.5, 0.999] {
            let waits = waits(&refused(-1), chance, 500);
            assert!(waits[0] <= 1.0);
            assert!(waits[..10].iter().all(|wait| *wait <= 30.0));
            assert!(
                waits[10..40]
                    .iter()
                    .all(|wait| (108.0..=132.0).contains(wait))
            );
            assert!(
                waits[40..]
                    .iter()
                    .all(|wait| (270.0..=330.0).contains(wait))
            );
            let mut day = 86_400.0;
            let calls = waits.iter().take_while(|wait| {
                day -= **wait;
                day > 0.0
            });
            assert!(calls.count() <= 430, "{chance}");
        }
    }

    #[test]
    fn a_lost_answer_is_followed_up_after_one_to_three_seconds() {
        let lost = UpstreamError {
            api: Api::Token,
            failure: Failure::Lost("the answer is empty".to_owned()),
        };
        assert!((1.0..3.0).contains(&waits(&lost, 0.0, 1)[0]));
        assert!((1.0..3.0).contains(&waits(&lost, 0.999, 1)[0]));
        // From then on it is a failure like others.
        assert_eq!(waits(&lost, 0.0, 2)[1], 0.2);
    }

    #[test]
    fn a_used_up_quota_waits_for_the_minute_or_for_midnight_in_china_with_a_probe_an_hour() {
        let secret = Secret::new("s").fingerprint();
        // 2026-11-21 23:30:10 in China.
        let now = Timestamp::from_secs(1_795_275_010);
        assert_eq!((now + CHINA_AHEAD_OF_UTC).as_secs() % 86_400, 84_610);
        let daily = after(None, &refused(45009), with(secret), now, 0.5);
        assert_eq!(daily.next_at, Timestamp::from_secs(1_795_276_800));
        let at_noon = now.before(seconds(11 * HOUR));
        let daily = after(None, &refused(45009), with(secret), at_noon, 0.5);
        assert_eq!(daily.next_at, at_noon + seconds(HOUR));
        let minute = after(None, &refused(45011), with(secret), now, 0.5);
        assert_eq!(minute.next_at, Timestamp::from_secs(1_795_275_060));
    }

    #[test]
    fn no_failure_that_lasts_uses_up_a_quarter_of_the_smallest_quota() {
        let mut errors: Vec<_> = [-1, 40001, 40164, 45009, 45011, 89501, 89503, 98765]
            .map(refused)
            .into();
        errors.push(UpstreamError::timed_out(Api::Token));
        let pairs = |one| errors.iter().map(move |other| [one, other]);
        // Two that alternate are no reason to begin anew each time.
        for errors in errors.iter().flat_map(pairs) {
            for chance in [0.0, 0.5, 0.999] {
                let (start, mut now) = (1_700_000_000, Timestamp::from_secs(1_700_000_000));
                let (mut backoff, mut calls) = (None, 0);
                while now.as_secs() < start + DAY as i64 {
                    let error = errors[calls % 2];
                    calls += 1;
                    let secret = Secret::new("s").fingerprint();
                    let next = after(backoff.as_ref(), error, with(secret), now, chance);
                    now = next.next_at;
                    backoff = Some(next);
                }
                assert!(calls <= 430, "{errors:?}: {calls}");
            }
        }
    }

    #[test]
    fn an_unknown_errcode_is_given_up_on_after_twenty_tries() {
        let waits = waits(&refused(98765), 0.5, 26);
        assert!(waits[..10].iter().all(|wait| *wait <= 30.0));
        assert!(waits[10..20].iter().all(|wait| *wait == 120.0));
        assert_eq!(waits[20..], [120.0, 120.0, 300.0, 900.0, 3600.0, 3600.0]);
    }

    #[test]
    fn another_failure_or_another_secret_begins_anew() {
        let now = Timestamp::from_secs(1_700_000_000);
        let (old, new) = (
            Secret::new("old").fingerprint(),
            Secret::new("new").fingerprint(),
        );
        let first = after(None, &refused(40125), with(old), now, 0.5);
        let second = after(Some(&first), &refused(40125), with(old), now, 0.5);
        assert_eq!((first.tries, second.tries), (1, 2));
        assert_eq!(
            after(Some(&second), &refused(40125), with(new), now, 0.5).tries,
            1
        );
        assert_eq!(
            after(Some(&second), &refused(-1), with(old), now, 0.5).tries,
            1
        );
    }

    #[test]
    fn an_address_that_wechat_does_not_know_is_no_reason_for_others_to_wait() {
        let now = Timestamp::from_secs(1_700_000_000);
        let secret = Secret::new("secret").fingerprint();
        let (one, other) = (
            with(secret),
            Caller {
                secret,
                host: "other",
            },
        );
        let first = after(None, &refused(40164), one, now, 0.5);
        assert!(concerns(&first, one) && !concerns(&first, other));
        // It has the same trouble: now both wait, and no longer than one alone.
        let second = after(Some(&first), &refused(40164), other, now, 0.5);
        assert!(concerns(&second, one) && concerns(&second, other));
        assert_eq!((second.tries, second.next_at), (1, first.next_at));
        let third = after(Some(&second), &refused(40164), one, now, 0.5);
        assert_eq!(third.next_at.since(now).as_secs(), 1800);
        // Any other failure concerns all.
        let wrong = after(None, &refused(40125), one, now, 0.5);
        assert!(concerns(&wrong, other));
    }
}
