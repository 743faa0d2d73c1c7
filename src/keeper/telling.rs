//! What a renewal says of itself, in the log and in the history.

use super::local::Local;
use super::protocol::{CONFIRMING_A_DAY, Purpose};
use super::renewal::Renewal;
use crate::history::What;
use crate::store::Record;
use crate::upstream::Issued;

impl Renewal<'_> {
    /// Says once a day that WeChat is called far too often.
    pub(super) fn watch_calls(&self, local: &Local, purpose: Purpose) {
        let (calls, quota) = (local.record.calls, self.policy.daily_quota());
        if calls.total == quota / 10 {
            tracing::error!(
                key = %self.key, calls = calls.total, quota,
                "a tenth of WeChat's quota for the day is used up, where a hundredth should do"
            );
        }
        if purpose == Purpose::Confirmation && calls.confirming == CONFIRMING_A_DAY {
            tracing::error!(
                key = %self.key,
                "answers of WeChat or writes to the store got lost {CONFIRMING_A_DAY} times today: \
                 from now on a token that may have been superseded is renewed only when it is no \
                 longer served"
            );
        }
    }

    /// Says in the log what WeChat has issued.
    pub(super) fn tell(&self, issued: &Issued, lost: bool, changed: bool) {
        let (key, fingerprint) = (&self.key, issued.value.fingerprint());
        let expires_in = issued.lifetime.as_secs();
        if lost {
            tracing::warn!(%key, %fingerprint, "fetched too late to be used: the lease was lost");
        } else if changed {
            tracing::info!(%key, %fingerprint, expires_in, "renewed");
        } else {
            tracing::debug!(%key, %fingerprint, expires_in, "confirmed");
        }
    }

    /// Records what WeChat has issued.
    pub(super) fn record(&self, local: &Local, is_new: bool, was_failing: bool) {
        let (history, key) = (self.shared.history(), &self.key);
        if let Some(credential) = local.record.credential.as_ref().filter(|_| is_new) {
            let what = What::Renewed {
                kind: key.kind,
                generation: credential.generation,
                fingerprint: credential.value.fingerprint(),
                expires_at: credential.expires_at,
            };
            history.record(what, Some(&key.appid), None);
        }
        if was_failing && local.backoff().is_none() {
            history.record_recovery(key);
        }
    }

    /// Records that another program fetches tokens, or does not any more: on the node alone
    /// that finds it out, which is the one that works on the record.
    pub(super) fn record_robbery(&self, record: &Record, robbed: bool) {
        let holder = record.lease.as_ref().map(|lease| lease.holder.as_str());
        if holder.or(record.renewed_by.as_deref()) == Some(&self.shared.node.name) {
            let what = if robbed {
                What::ForeignNoticed
            } else {
                What::ForeignOver
            };
            let appid = Some(&self.key.appid);
            self.shared.history().record(what, appid, None);
        }
    }
}
