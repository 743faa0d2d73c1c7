//! The rules by which nodes share one credential, as pure functions over its [`Record`].
//!
//! The difficulty is the classic token: each fetch takes the life of the token before it, so a
//! fetch whose answer nobody holds (it timed out, its node crashed, its lease was lost) leaves
//! everybody with a token that is about to die. Such a fetch is a *stray*. Strays are counted in
//! the record, and settled by a fetch that began after they were counted. A flag would not do: a
//! fetch that began before the stray must not clear it.

use std::time::Duration;

use super::backoff::{self, Caller};
use super::local::Local;
use super::policy::{MIN_INTERVAL, Policy};
use crate::account::AppId;
use crate::clock::{Moment, Timestamp};
use crate::credential::{Credential, Phase};
use crate::store::{Attempt, Calls, Lease, Record};
use crate::upstream::{Issued, UpstreamError};

/// How long a lease lasts.
pub(super) const LEASE: Duration = Duration::from_secs(30);

/// A request is sent only while so much of the lease remains.
pub(super) const LEASE_NEEDED_TO_SEND: Duration = Duration::from_secs(15);

/// How often a foreign lease is looked at.
const LEASE_POLL: Duration = Duration::from_secs(2);

/// A stored time further ahead than this was written under another clock.
pub(super) const CLOCK_TOLERANCE: Duration = Duration::from_secs(300);

/// Renewals of a credential that WeChat rejected: their distance and their number a day.
const REJECTED_INTERVAL: Duration = Duration::from_secs(60);
const REJECTED_A_DAY: u32 = 50;

/// A store that could not be reached for so long will not be back in time.
const SOLO_AFTER: Duration = Duration::from_secs(60);

/// A classic token that is dead before this age, though no fetch of ours took its life, died by
/// the hand of another program.
const YOUNG: Duration = Duration::from_secs(3_000);

/// WeChat's own machines may not all know a token that is younger than this.
const NEWBORN: Duration = Duration::from_secs(120);

/// So many of them within a day are no accident.
const DIED_YOUNG: usize = 2;

/// Fetches a day that only make sure that no stray took the credential's life.
pub(super) const CONFIRMING_A_DAY: u32 = 10;

/// Why WeChat is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    /// The credential is due.
    Renewal,
    /// A stray may have superseded it.
    Confirmation,
    /// WeChat has rejected it.
    Rejection,
}

const DAY: Duration = Duration::from_secs(86_400);

/// What to do next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Plan {
    /// Nothing before then.
    Wait(Timestamp),
    /// Take the lease and call WeChat.
    Fetch(Purpose),
}

/// What to do about the record, which has been reconciled.
pub(super) fn plan(
    policy: Policy,
    appid: &AppId,
    caller: Caller<'_>,
    local: &Local,
    now: Moment,
) -> Plan {
    let record = &local.record;
    let latest = local.latest(now);
    let serves_for = local.serves_for(policy, now);
    let phase = if serves_for.is_zero() {
        Phase::Expired
    } else {
        policy.phase(appid, record, latest)
    };
    let calls = record.calls.on_day_of(now.wall);
    let generation = local.generation();
    let due_at = record
        .credential
        .as_ref()
        .map_or(latest, |credential| policy.due_at(appid, credential));
    let rejected = generation.is_some() && local.rejected == generation;
    let lease_until = local.lease_until(now);
    let left_open = lease_until.is_some_and(|until| until <= now.wall);
    let strayed = policy.counts_strays() && (record.strays > record.settled || left_open);

    let credential = record.credential.as_ref();
    let interval = credential.map_or(MIN_INTERVAL, |credential| policy.interval(credential));
    // Where the next one is awaited, word of the end of this one is no reason to wait longer.
    let after_rejection = if interval < MIN_INTERVAL {
        interval
    } else {
        REJECTED_INTERVAL
    };
    let (purpose, interval) = if rejected && calls.rejected < REJECTED_A_DAY {
        (Purpose::Rejection, after_rejection)
    } else if local.doubted {
        (Purpose::Renewal, policy.doubted_interval())
    } else if phase > Phase::Fresh {
        (Purpose::Renewal, interval)
    } else if strayed && calls.confirming < CONFIRMING_A_DAY {
        (Purpose::Confirmation, MIN_INTERVAL)
    } else {
        let due_at = in_wall_time(due_at, latest, now);
        let expires = now.wall + serves_for;
        // What its holder fetched may never be stored.
        let abandoned = lease_until.filter(|_| policy.counts_strays() && !left_open);
        let look_at = abandoned.unwrap_or(expires);
        return Plan::Wait(due_at.min(expires).min(look_at));
    };
    let mut not_before = now.wall;
    if let Some(credential) = &record.credential {
        let earliest = credential.confirmed_at + interval;
        not_before = not_before.max(in_wall_time(earliest, latest, now));
        if let Some(end) = policy.replaced_at(credential, latest) {
            not_before = now.wall.max(in_wall_time(end, latest, now));
        }
    }
    if let Some(until) = lease_until {
        not_before = not_before.max(until.min(now.wall + LEASE_POLL));
    }
    if let Some(backoff) = local.backoff()
        && backoff::concerns(backoff, caller)
        && local.pardoned != Some(backoff.next_at)
        && backoff.failed_at <= now.wall + CLOCK_TOLERANCE
    {
        not_before = not_before.max(backoff.next_at);
    }
    // A quarter of WeChat's quota for what can wait, another one for what cannot.
    let quarters = if phase < Phase::Urgent { 1 } else { 2 };
    if calls.total >= policy.daily_quota() / 4 * quarters {
        not_before = not_before.max(now.wall + Duration::from_secs(600));
    }
    if not_before > now.wall {
        Plan::Wait(not_before)
    } else {
        Plan::Fetch(purpose)
    }
}

/// Whether the one node that may do so renews a classic token without the store: it is lost for
/// good, and what everybody serves is about to end. A node that never knew a token does not know
/// that either.
pub(super) fn goes_solo(policy: Policy, appid: &AppId, local: &Local, now: Moment) -> bool {
    let known = local.record.credential.is_some();
    let phase = policy.phase(appid, &local.record, local.latest(now));
    known && local.store_lost_for(now) >= SOLO_AFTER && phase >= Phase::Urgent
}

/// The record with a lease for `attempt`.
pub(super) fn take_lease(
    policy: Policy,
    local: &Local,
    purpose: Purpose,
    attempt: Attempt,
    holder: &str,
    now: Timestamp,
) -> Record {
    let mut next = local.record.clone();
    next.backoff = local.backoff().cloned();
    if let Some(old) = next.lease.take()
        && policy.counts_strays()
        && local.unsent != Some(old.attempt)
    {
        // Its holder may have sent and died.
        next.count_stray(old.acquired_at);
    }
    next.lease = Some(Lease {
        attempt,
        holder: holder.to_owned(),
        acquired_at: now,
        until: now + LEASE,
        strays_seen: next.strays,
    });
    next.calls = next.calls.on_day_of(now);
    next.calls.total += 1;
    match purpose {
        Purpose::Renewal => {}
        Purpose::Confirmation => next.calls.confirming += 1,
        Purpose::Rejection => {
            next.calls.rejected += 1;
            if policy.counts_strays() && died_young(&next, now) {
                next.died_young.retain(|at| now.since(*at) < DAY);
                next.died_young.push(now);
            }
        }
    }
    next
}

/// Whether the credential of `record`, which WeChat has rejected, was taken by another program. It
/// is told once, however often its renewal fails.
fn died_young(record: &Record, now: Timestamp) -> bool {
    let Some(credential) = &record.credential else {
        return false;
    };
    let born = credential.confirmed_at;
    let is_told = record.died_young.iter().any(|at| *at > born);
    let is_young = (NEWBORN..YOUNG).contains(&now.since(born));
    record.strays == record.settled && is_young && !is_told
}

/// Whether another program fetches tokens with the same AppSecret.
pub fn is_robbed(record: &Record, now: Timestamp) -> bool {
    tokens_died_young(record, now).count() >= DIED_YOUNG
}

/// When, within the last day, WeChat rejected tokens that were young and that nobody here had
/// superseded.
pub fn tokens_died_young(record: &Record, now: Timestamp) -> impl Iterator<Item = Timestamp> {
    let died = record.died_young.iter().copied();
    died.filter(move |at| now.since(*at) < DAY)
}

/// The record with what was fetched under `attempt`; `None` if the lease was lost meanwhile.
pub(super) fn commit(
    policy: Policy,
    stored: &Record,
    attempt: Attempt,
    sent_at: Timestamp,
    issued: &Issued,
) -> Option<Record> {
    let lease = stored.lease.as_ref().filter(|l| l.attempt == attempt)?;
    let claimed_until = sent_at + issued.lifetime;
    let credential = match &stored.credential {
        Some(same) if same.value == issued.value => Credential {
            confirmed_at: sent_at,
            expires_at: if policy.may_prolong() {
                claimed_until
            } else {
                same.expires_at.min(claimed_until)
            },
            claimed_until,
            ..same.clone()
        },
        former => Credential {
            value: issued.value.clone(),
            generation: former.as_ref().map_or(1, |former| former.generation + 1),
            first_seen: sent_at,
            confirmed_at: sent_at,
            expires_at: claimed_until,
            claimed_until,
        },
    };
    let mut next = stored.clone();
    if let Some(former) = next
        .credential
        .replace(credential)
        .filter(|f| f.value != issued.value)
    {
        next.former.insert(0, former.value.fingerprint());
        next.former.truncate(Record::FORMER);
    }
    next.renewed_by = Some(lease.holder.clone());
    next.lease = None;
    next.backoff = None;
    next.settle_strays(lease.strays_seen, sent_at);
    Some(next)
}

/// The record after a fetch under `attempt` whose answer is not in it: the lease was lost, or
/// the answer never came.
pub(super) fn count_stray(stored: &Record, attempt: Attempt, sent_at: Timestamp) -> Record {
    let mut next = stored.clone();
    next.lease = next.lease.filter(|lease| lease.attempt != attempt);
    next.count_stray(sent_at);
    next
}

/// The record after a failed fetch under `attempt`: the lease given back, the next try put off.
pub(super) fn fail(
    stored: &Record,
    attempt: Attempt,
    error: &UpstreamError,
    caller: Caller<'_>,
    now: Timestamp,
    chance: f64,
) -> Record {
    let mut next = stored.clone();
    if next
        .lease
        .as_ref()
        .is_some_and(|lease| lease.attempt == attempt)
    {
        next.lease = None;
        next.backoff = Some(backoff::after(
            next.backoff.as_ref(),
            error,
            caller,
            now,
            chance,
        ));
    }
    next
}

/// The record without the lease of `attempt`, under which nothing was sent.
pub(super) fn release(stored: &Record, attempt: Attempt) -> Record {
    let mut next = stored.clone();
    next.lease = next.lease.filter(|lease| lease.attempt != attempt);
    next
}

/// A time on the clock of `latest`, on the wall clock.
fn in_wall_time(at: Timestamp, latest: Timestamp, now: Moment) -> Timestamp {
    now.wall + at.since(latest)
}

impl Calls {
    /// The counts of the day that `now` belongs to. WeChat's days begin at midnight in UTC+8.
    pub(super) fn on_day_of(self, now: Timestamp) -> Self {
        let day = backoff::day_in_china(now);
        if self.day == day {
            self
        } else {
            Self {
                day,
                ..Self::default()
            }
        }
    }
}

#[cfg(test)]
mod tests;
