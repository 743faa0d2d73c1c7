//! The renewal of one credential of one account during a step.
//!
//! All decisions are made in [`super::protocol`]; here they are carried out.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::backoff::Caller;
use super::local::Local;
use super::policy::{self, Policy};
use super::protocol::{self, LEASE, LEASE_NEEDED_TO_SEND, Plan, Purpose};
use super::reconcile::{Mended, reconcile};
use super::snapshot::Standing;
use super::{Kept, Shared};
use crate::clock::{Moment, Timestamp};
use crate::credential::{Credential, Kind, Secret};
use crate::store::{Attempt, Key, Loaded, Record, StoreError, Tell, Version};
use crate::upstream::{CALL_TIMEOUT, Class, FOREIGN_FETCHER, Issued, UpstreamError};

/// When to look at the store again after it failed.
const STORE_RETRY: Duration = Duration::from_secs(5);

/// Nodes look at what is due at most this much later than they could.
const NODE_SPREAD: Duration = Duration::from_secs(3);

/// How often a step tries again after another node was faster, before it lets go for a moment.
const CONFLICTS: usize = 16;
const AFTER_CONFLICTS: Duration = Duration::from_secs(1);

/// One credential of one account during a step.
pub(super) struct Renewal<'a> {
    pub(super) shared: &'a Shared,
    pub(super) kept: &'a Kept,
    pub(super) stop: &'a CancellationToken,
    pub(super) policy: Policy,
    pub(super) key: Key,
}

/// What the store said about the record that was decided upon.
pub(super) enum Base {
    /// The store holds it as this version.
    Stored(Version),
    /// The store cannot be reached, and the credential can be renewed without it.
    Alone,
}

/// The right to send one request.
struct Lease {
    attempt: Attempt,
    base: Base,
}

impl Renewal<'_> {
    /// Takes over what is stored, and publishes it.
    pub(super) async fn look(&self, local: &mut Local) {
        match self.read(local).await {
            Ok(_) => self.publish(local),
            Err(error) => self.report_store(&error),
        }
    }

    /// Brings the credential up to date. Returns when to look again, and whether WeChat rejected
    /// the token that was sent along.
    pub(super) async fn renew(
        &self,
        local: &mut Local,
        token: Option<&Credential>,
    ) -> (Timestamp, bool) {
        for _ in 0..CONFLICTS {
            let base = match self.read(local).await {
                Ok(Some(base)) => base,
                Ok(None) => continue,
                Err(error) => {
                    self.report_store(&error);
                    self.publish(local);
                    if !self.can_go_alone(local) {
                        return (self.shared.clock.now() + STORE_RETRY, false);
                    }
                    Base::Alone
                }
            };
            self.publish(local);
            let now = self.shared.clock.moment();
            let plan = protocol::plan(self.policy, &self.key.appid, self.caller(), local, now);
            let purpose = match plan {
                Plan::Fetch(purpose) if !self.stop.is_cancelled() => purpose,
                Plan::Fetch(_) => return (now.wall + STORE_RETRY, false),
                Plan::Wait(until) => return (self.wake_at(until, now, &base), false),
            };
            let _permit = tokio::select! {
                biased;
                () = self.stop.cancelled() => return (now.wall + STORE_RETRY, false),
                permit = self.shared.pace.permit() => permit,
            };
            match self.take_lease(local, base, purpose).await {
                Ok(Some(lease)) => {
                    self.watch_calls(local, purpose);
                    if self.fetch(local, lease, token).await {
                        return (self.shared.clock.now() + STORE_RETRY, true);
                    }
                }
                Ok(None) => {}
                Err(error) => {
                    self.report_store(&error);
                    return (self.shared.clock.now() + STORE_RETRY, false);
                }
            }
        }
        (self.shared.clock.now() + AFTER_CONFLICTS, false)
    }

    /// Loads the record and sets right what must be; `None` if another node was faster.
    async fn read(&self, local: &mut Local) -> Result<Option<Base>, StoreError> {
        let (store, known) = (&self.shared.store, local.stored_as());
        let loaded = store.load_unless(&self.key, known).await;
        // What cannot be opened is not lost: others go on with it.
        let answers = loaded.is_ok() || store.tally().unanswered().is_none();
        local.could_read(answers, self.shared.clock.moment());
        let Loaded {
            record,
            version,
            seen,
        } = loaded?;
        let Some(stored) = record else {
            return Ok(Some(Base::Stored(version)));
        };
        let now = self.shared.clock.moment();
        let Some(mended) = reconcile(self.policy, &stored, local, now) else {
            local.saw(stored, now);
            local.stands(seen);
            return Ok(Some(Base::Stored(version)));
        };
        let tell = Tell::of(&stored, &mended.record);
        match store.swap(&self.key, version, &mended.record, tell).await {
            Ok(swapped) => {
                local.could_write(true, now);
                Ok(swapped.map(|version| {
                    mended.written(local, now);
                    Base::Stored(version)
                }))
            }
            Err(error) => {
                mended.not_written(stored, local, now);
                Err(error)
            }
        }
    }

    /// Takes the lease; `None` if another node was faster or too little of it remains.
    async fn take_lease(
        &self,
        local: &mut Local,
        base: Base,
        purpose: Purpose,
    ) -> Result<Option<Lease>, StoreError> {
        let before = self.shared.clock.moment();
        let attempt = Attempt::random();
        let node = &self.shared.node.name;
        let record = protocol::take_lease(self.policy, local, purpose, attempt, node, before.wall);
        let base = match base {
            Base::Alone => Base::Alone,
            Base::Stored(version) => {
                let store = &self.shared.store;
                let swapped = store.swap(&self.key, version, &record, Tell::Nobody).await;
                local.could_write(swapped.is_ok(), self.shared.clock.moment());
                match swapped {
                    Ok(Some(version)) => Base::Stored(version),
                    Ok(None) => return Ok(None),
                    Err(error) if self.can_go_alone(local) => {
                        self.report_store(&error);
                        Base::Alone
                    }
                    Err(error) => {
                        local.gave_up(attempt);
                        return Err(error);
                    }
                }
            }
        };
        match base {
            Base::Alone => local.assume(record, before),
            Base::Stored(_) => local.saw(record, before),
        }
        self.publish(local);
        let held = self.shared.clock.moment().boot.saturating_sub(before.boot);
        if held + LEASE_NEEDED_TO_SEND > LEASE || self.stop.is_cancelled() {
            local.gave_up(attempt);
            self.write(local, |stored| protocol::release(stored, attempt))
                .await?;
            return Ok(None);
        }
        Ok(Some(Lease { attempt, base }))
    }

    /// Calls WeChat and writes down what came of it. Says whether WeChat rejected the token.
    async fn fetch(&self, local: &mut Local, lease: Lease, token: Option<&Credential>) -> bool {
        let sent = self.shared.clock.moment();
        match self.call(token.map(|token| &token.value)).await {
            Ok(issued) => {
                local.token_worked = token.map(|token| token.generation);
                self.commit(local, &lease, sent, &issued).await;
                false
            }
            Err(error) => {
                self.fail(local, &lease, sent, &error).await;
                error.class() == Class::TokenRejected
            }
        }
    }

    async fn call(&self, token: Option<&Secret>) -> Result<Issued, UpstreamError> {
        let account = &self.kept.account;
        let call = match token {
            None => self.shared.upstream.fetch_token(account),
            Some(token) => (self.shared.upstream).fetch_ticket(account, self.key.kind, token),
        };
        match tokio::time::timeout(CALL_TIMEOUT, call).await {
            Ok(answer) => answer,
            Err(_) => Err(UpstreamError::timed_out(self.policy.api())),
        }
    }

    /// Stores what was fetched. If the store cannot be reached it is kept and served from memory,
    /// and stored when the store is back.
    async fn commit(&self, local: &mut Local, lease: &Lease, sent: Moment, issued: &Issued) {
        let (attempt, known) = (lease.attempt, local.generation());
        let was_failing = local.backoff().is_some();
        let committed =
            |stored: &Record| protocol::commit(self.policy, stored, attempt, sent.wall, issued);
        let mut lost = false;
        let written = match lease.base {
            Base::Alone => Err(StoreError::unreachable()),
            Base::Stored(_) => {
                let change = |stored: &Record| {
                    let record = committed(stored);
                    lost = record.is_none();
                    record.unwrap_or_else(|| self.with_stray(stored, attempt, sent.wall))
                };
                self.write(local, change).await
            }
        };
        match written {
            Ok(()) => {
                local.told();
                if lost && self.policy.counts_strays() {
                    local.counted(sent.wall);
                }
            }
            Err(error) => {
                self.report_store(&error);
                lost = false;
                if let Some(record) = committed(&local.record) {
                    local.hold(record, attempt, sent);
                }
            }
        }
        self.publish(local);
        self.tell(issued, lost, known != local.generation());
        if !lost {
            self.record(local, known != local.generation(), was_failing);
        }
    }

    /// Writes the failure down and says so.
    async fn fail(&self, local: &mut Local, lease: &Lease, sent: Moment, error: &UpstreamError) {
        let (now, sent_at) = (self.shared.clock.now(), sent.wall);
        let former = local.backoff().cloned();
        let caller = self.caller();
        let chance = self.chance(now);
        let strayed = error.class() == Class::Ambiguous && self.policy.counts_strays();
        let failed = |stored: &Record| {
            let next = protocol::fail(stored, lease.attempt, error, caller, now, chance);
            if strayed {
                protocol::count_stray(&next, lease.attempt, sent_at)
            } else {
                next
            }
        };
        let written = match lease.base {
            Base::Alone => Err(StoreError::unreachable()),
            Base::Stored(_) => self.write(local, failed).await,
        };
        match written {
            Ok(()) => {
                local.told();
                if strayed {
                    local.counted(sent_at);
                }
            }
            Err(store) => {
                self.report_store(&store);
                let attempt = lease.attempt;
                let record = protocol::fail(&local.record, attempt, error, caller, now, chance);
                local.failed_alone(record, sent);
                if strayed {
                    local.owes(self.policy, sent);
                }
            }
        }
        self.publish(local);
        if let Some(backoff) = local.backoff() {
            let history = self.shared.history();
            history.record_failure(&self.key, former.as_ref(), backoff);
        }
        tracing::warn!(
            key = %self.key, class = ?error.class(), errcode = error.errcode(),
            retry_in = local.backoff().map(|backoff| backoff.next_at.since(now).as_secs()),
            remedy = error.remedy().en,
            "renewal failed: {error}"
        );
    }

    fn with_stray(&self, stored: &Record, attempt: Attempt, sent_at: Timestamp) -> Record {
        if self.policy.counts_strays() {
            protocol::count_stray(stored, attempt, sent_at)
        } else {
            protocol::release(stored, attempt)
        }
    }

    /// Changes the stored record, whatever other nodes write meanwhile.
    async fn write(
        &self,
        local: &mut Local,
        mut change: impl FnMut(&Record) -> Record,
    ) -> Result<(), StoreError> {
        for _ in 0..CONFLICTS {
            let store = &self.shared.store;
            let (stored, version) = store.load(&self.key).await?;
            let now = self.shared.clock.moment();
            // What this node serves is not given up for a store that has lost it.
            let mended = reconcile(self.policy, &stored, local, now)
                .unwrap_or_else(|| Mended::nothing(stored.clone()));
            let mended = mended.and(&mut change);
            let tell = Tell::of(&stored, &mended.record);
            if mended.record == stored
                || store
                    .swap(&self.key, version, &mended.record, tell)
                    .await?
                    .is_some()
            {
                local.could_write(true, now);
                mended.written(local, now);
                return Ok(());
            }
        }
        Err(StoreError(
            "other nodes kept changing the record".to_owned(),
        ))
    }

    /// Hands readers what the record says, prepared, unless they have it.
    pub(super) fn publish(&self, local: &mut Local) {
        if !local.take_news() {
            return;
        }
        let standing = Standing::of(local, self.policy, &self.key.appid, &self.shared.names);
        let now = self.shared.clock.moment();
        let is_robbed = protocol::is_robbed(&local.record, now.wall);
        let (kind, kept) = (self.key.kind, self.kept);
        if kind == Kind::AccessToken && kept.snapshot().is_robbed() != is_robbed {
            self.record_robbery(&local.record, is_robbed);
        }
        if is_robbed && kind == Kind::AccessToken && !kept.snapshot().is_robbed() {
            tracing::error!(
                appid = %self.key.appid,
                remedy = FOREIGN_FETCHER.remedy.en, why = FOREIGN_FETCHER.why.en,
                "{}", FOREIGN_FETCHER.what.en
            );
        }
        let before = kept.snapshot();
        kept.publish(|snapshot| {
            if kind == Kind::AccessToken {
                let died = protocol::tokens_died_young(&local.record, now.wall);
                snapshot.set_died_young(died.filter(|_| is_robbed).collect());
            }
            if let Err(broken) = snapshot.set(kind, standing, now) {
                tracing::error!(key = %self.key, "this is a bug in wxsign: {broken}");
                local.keep_news();
            }
        });
        if let Some(signer) = before.signer_before(&kept.snapshot()) {
            self.shared
                .former_signers
                .take(&self.key.appid, signer.clone());
        }
    }

    /// Whether the credential may be fetched while the store cannot be reached: when a second
    /// fetch would do no harm, when there is nobody else to fetch, or when everybody else waits
    /// for this node to do it.
    fn can_go_alone(&self, local: &Local) -> bool {
        let (store, node) = (&self.shared.store, &self.shared.node);
        !self.policy.counts_strays() || store.is_embedded() || {
            let now = self.shared.clock.moment();
            node.solo && protocol::goes_solo(self.policy, &self.key.appid, local, now)
        }
    }

    /// A node looks a little later than it could, so that not all ask for the lease at once.
    pub(super) fn wake_at(&self, until: Timestamp, now: Moment, base: &Base) -> Timestamp {
        match base {
            Base::Alone => until.min(now.wall + STORE_RETRY),
            Base::Stored(_) if self.shared.store.is_embedded() => until,
            Base::Stored(_) => {
                let look = now.wall + self.policy.look_every();
                until.min(look) + NODE_SPREAD.mul_f64(self.chance(now.wall))
            }
        }
    }

    /// Who calls WeChat here. Processes on one host have one address.
    pub(super) fn caller(&self) -> Caller<'_> {
        let node = &self.shared.node.name;
        Caller {
            secret: self.kept.secret,
            host: node.split_once('/').map_or(node, |(host, _)| host),
        }
    }

    /// A number in [0, 1) in which nodes and accounts differ.
    fn chance(&self, now: Timestamp) -> f64 {
        let (node, appid) = (&self.shared.node.name, &self.key.appid);
        let names = [node, appid.as_str(), self.key.kind.as_str()];
        policy::spread(&names, now.as_millis() as u64)
    }

    fn report_store(&self, error: &StoreError) {
        // The store has told of it already, once for all accounts.
        tracing::debug!(key = %self.key, %error, "going on without the store");
    }
}
