//! What the users of a credential say about it: that WeChat refused it.
//!
//! A report never orders a renewal. It makes the account's step ask WeChat, once for all reports
//! of one token, whether that token still works; and only if not is it renewed.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::local::Local;
use super::policy::Policy;
use super::renewal::Renewal;
use super::{Keeper, Kept, Snapshot};
use crate::clock::Moment;
use crate::credential::{Fingerprint, Kind};
use crate::store::{Key, StoreError};
use crate::upstream::{CALL_TIMEOUT, Class};

/// How long WeChat's word that a token works is good for all reports of that token.
pub(super) const VALID_FOR: Duration = Duration::from_secs(60);

/// Who asks how a token fares gets an answer that is at most so old.
const CHECKED_WITHIN: Duration = Duration::from_secs(10);

/// How long it counts that WeChat could not be asked.
const UNREACHABLE_FOR: Duration = Duration::from_secs(5);

/// The errcodes that say something about the token and not about the call
/// (<https://developers.weixin.qq.com/doc/oplatform/developers/dev/AccessToken.html>).
const ABOUT_THE_TOKEN: [i64; 3] = [40001, 40014, 42001];

/// What became of a report about an access_token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reported {
    /// The token was replaced before: there is a newer one already.
    Outdated,
    /// WeChat accepts the token: the call that failed is at fault, not the token.
    StillValid,
    /// WeChat rejected the token, and there is a newer one now.
    Renewed,
    /// Whether the token works could not be found out in time; the one at hand goes on being
    /// served.
    Unverified,
    /// This is no token that was given out here lately.
    UnknownToken,
    /// The errcode says nothing about the token.
    OtherErrcode,
    /// There is no token to report.
    NoToken,
}

/// What WeChat said when it was asked about a token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Check {
    /// The token's generation.
    pub generation: u64,
    /// When WeChat was asked: on the clock that nobody sets.
    pub(super) at: Duration,
    /// What it said.
    pub outcome: Outcome,
}

/// How WeChat takes a token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It accepts it.
    Valid,
    /// It rejects it; a new one is fetched by itself.
    Rejected,
    /// It could not be asked.
    Unreachable,
}

impl Check {
    /// How long ago WeChat was asked.
    pub fn age(&self, now: Moment) -> Duration {
        now.boot.saturating_sub(self.at)
    }

    /// Whether the answer still stands at `now`, so that WeChat need not be asked again.
    pub(super) fn stands(&self, generation: u64, now: Moment) -> bool {
        let stands_for = match self.outcome {
            Outcome::Valid | Outcome::Rejected => VALID_FOR,
            Outcome::Unreachable => UNREACHABLE_FOR,
        };
        self.generation == generation && self.age(now) < stands_for
    }
}

impl Keeper {
    /// Takes the report that WeChat answered `errcode` to a call with the token of `fingerprint`.
    /// If that may be the token's fault, waits up to `patience` for WeChat's word about it or for
    /// a newer token.
    pub async fn report_token(
        &self,
        kept: &Kept,
        fingerprint: Fingerprint,
        errcode: i64,
        patience: Duration,
    ) -> Reported {
        if !ABOUT_THE_TOKEN.contains(&errcode) {
            return Reported::OtherErrcode;
        }
        let known = {
            let (snapshot, now) = (kept.snapshot(), self.clock().moment());
            match judge(&snapshot, fingerprint, now) {
                Judgement::Settled(reported) => return reported,
                Judgement::Open { generation } => generation,
            }
        };
        kept.known.doubted_token.store(known, Ordering::Release);
        self.nudge(kept);
        let judged = self.watch(kept, patience, |snapshot, now| {
            let newer = snapshot.token(now).map(|token| token.credential.generation);
            if newer.is_some_and(|generation| generation > known) {
                return Some(Reported::Renewed);
            }
            // If it was rejected, a newer one is being fetched.
            settled_by(snapshot.check(), known, now)
        });
        judged.await.unwrap_or(Reported::Unverified)
    }

    /// Asks WeChat how it takes the account's token, once for all who ask within 10 seconds, and
    /// waits up to `patience` for its word; `None` if there is no token, or no word in time.
    pub async fn check_token(&self, kept: &Kept, patience: Duration) -> Option<Check> {
        let started = self.clock().moment();
        let known = kept.snapshot().token(started)?.credential.generation;
        kept.known.wants_check.store(true, Ordering::Release);
        kept.known.doubted_token.store(known, Ordering::Release);
        self.nudge(kept);
        let asked = self.watch(kept, patience, |snapshot, now| {
            let newest = snapshot.token(now).map(|token| token.credential.generation);
            if let Some(generation) = newest.filter(|newest| *newest > known) {
                // It has just come from WeChat.
                let (at, outcome) = (now.boot, Outcome::Valid);
                return Some(Check {
                    generation,
                    at,
                    outcome,
                });
            }
            let check = snapshot.check().filter(|check| check.generation >= known)?;
            let is_new = check.age(now) < CHECKED_WITHIN + now.boot.saturating_sub(started.boot);
            is_new.then_some(check)
        });
        asked.await
    }

    /// How many calls of today's quota are used for each credential, whoever made them, and how
    /// many there are, where WeChat says so.
    ///
    /// # Errors
    /// The store cannot be reached.
    pub async fn calls_today(
        &self,
        kept: &Kept,
    ) -> Result<Vec<(Kind, u32, Option<u32>)>, StoreError> {
        let mut used = Vec::new();
        for kind in kept.account.kinds() {
            let (appid, policy) = (kept.account.appid.clone(), self.shared.policy(kept, kind));
            let (record, _) = self.shared.store.load(&Key { appid, kind }).await?;
            let calls = record.calls.on_day_of(self.clock().now());
            // WeCom names no such quota.
            let is_named = !matches!(policy, Policy::WeCom(_));
            let quota = is_named.then(|| policy.daily_quota());
            used.push((kind, calls.total, quota));
        }
        Ok(used)
    }

    /// Has what failed tried again now, since a human may have mended it; the wait for a quota goes
    /// on, and so do all other limits.
    pub fn try_again(&self, kept: &Kept) {
        kept.known.tries_again.store(true, Ordering::Release);
        let mut tickets = kept
            .account
            .kinds()
            .filter(|kind| *kind != Kind::AccessToken);
        if tickets.any(|kind| kept.snapshot().is_in_trouble(kind)) {
            // The one at hand may not be due for a while: the trouble would stay as long.
            kept.known.doubted_ticket.store(true, Ordering::Release);
        }
        self.nudge(kept);
    }

    /// Takes the report that a page's signature was refused: has its tickets asked for again, but
    /// not more than once a minute, or as often as WeCom allows, however many pages complain. Says
    /// whether it has.
    pub fn report_ticket(&self, kept: &Kept) -> bool {
        kept.known.doubted_ticket.store(true, Ordering::Release);
        let now = seconds(self.clock().moment().boot);
        let policy = self.shared.policy(kept, Kind::JsapiTicket);
        let next = now.saturating_add(seconds(policy.doubted_interval()));
        let due = |nudged: u32| (now >= nudged).then_some(next);
        let (set, seen) = (Ordering::AcqRel, Ordering::Acquire);
        let is_due = kept
            .known
            .next_ticket_nudge
            .fetch_update(set, seen, due)
            .is_ok();
        if is_due {
            self.nudge(kept);
        }
        is_due
    }
}

fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}

impl Reported {
    /// What the interface calls it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Outdated => "outdated",
            Self::StillValid => "still_valid",
            Self::Renewed => "renewed",
            Self::Unverified => "unverified",
            Self::UnknownToken => "unknown_token",
            Self::OtherErrcode => "not_about_the_token",
            Self::NoToken => "no_token",
        }
    }
}

impl Renewal<'_> {
    /// Asks WeChat whether the token works that back ends doubt, unless it has just said so.
    pub(super) async fn check_if_doubted(&self, local: &mut Local) {
        let doubted = self.kept.known.doubted_token.swap(0, Ordering::AcqRel);
        if doubted == 0 {
            // Whoever wants a check says so before it names the token.
            return;
        }
        let wants_check = self.kept.known.wants_check.swap(false, Ordering::AcqRel);
        let Some(token) = local.record.credential.as_ref() else {
            return;
        };
        let (now, known) = (self.shared.clock.moment(), self.kept.snapshot().check());
        let stands = known.is_some_and(|check| {
            check.stands(doubted, now) && (!wants_check || check.age(now) < CHECKED_WITHIN)
        });
        if token.generation != doubted || stands {
            return;
        }
        let asked = async {
            let _permit = self.shared.pace.permit().await;
            let upstream = &self.shared.upstream;
            let asked = upstream.verify_token(&self.kept.account, &token.value);
            tokio::time::timeout(CALL_TIMEOUT, asked).await
        };
        let answer = tokio::select! {
            answer = asked => answer,
            () = self.stop.cancelled() => return,
        };
        let outcome = match answer {
            Ok(Ok(())) => Outcome::Valid,
            Ok(Err(error)) if error.class() == Class::TokenRejected => Outcome::Rejected,
            Ok(Err(_)) | Err(_) => Outcome::Unreachable,
        };
        tracing::info!(
            key = %self.key, fingerprint = %token.value.fingerprint(), ?outcome,
            "WeChat was asked about the token"
        );
        match outcome {
            Outcome::Valid => local.accept(doubted),
            Outcome::Rejected => local.reject(doubted),
            Outcome::Unreachable => {}
        }
        let at = self.shared.clock.moment().boot;
        self.kept.publish(|snapshot| {
            snapshot.set_check(Check {
                generation: doubted,
                at,
                outcome,
            });
        });
    }
}

enum Judgement {
    Settled(Reported),
    /// WeChat must be asked about the token of this generation.
    Open {
        generation: u64,
    },
}

fn judge(snapshot: &Snapshot, fingerprint: Fingerprint, now: Moment) -> Judgement {
    let Some(token) = snapshot.token(now) else {
        return Judgement::Settled(Reported::NoToken);
    };
    if token.credential.value.fingerprint() != fingerprint {
        return Judgement::Settled(if token.former.contains(&fingerprint) {
            Reported::Outdated
        } else {
            Reported::UnknownToken
        });
    }
    let generation = token.credential.generation;
    match settled_by(snapshot.check(), generation, now) {
        Some(settled) => Judgement::Settled(settled),
        None => Judgement::Open { generation },
    }
}

/// What WeChat's last word about the token of `generation` says, while that stands.
fn settled_by(check: Option<Check>, generation: u64, now: Moment) -> Option<Reported> {
    match check.filter(|check| check.stands(generation, now))?.outcome {
        Outcome::Valid => Some(Reported::StillValid),
        Outcome::Unreachable => Some(Reported::Unverified),
        Outcome::Rejected => None,
    }
}
