//! How one credential stands.

use std::sync::Arc;

use crate::account::AppId;
use crate::clock::{Deadline, Moment, Timestamp};
use crate::credential::{Credential, Fingerprint};
use crate::keeper::local::Local;
use crate::keeper::names::Names;
use crate::keeper::policy::Policy;
use crate::store::{Backoff, Lease, Record};
use crate::upstream::{self, Api, Class, Explanation, Words};

/// How one credential stands.
#[derive(Clone, Debug, Default)]
pub(in crate::keeper) struct Standing {
    pub(super) served: Option<Served>,
    /// Seldom there.
    pub(super) aside: Option<Box<Aside>>,
}

/// What else there is about a credential.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Aside {
    /// Why it was not renewed the last time.
    pub(super) trouble: Option<Trouble>,
    pub(super) lease: Option<Held>,
}

impl Standing {
    /// What is known of it here.
    pub(in crate::keeper) fn of(
        local: &Local,
        policy: Policy,
        appid: &AppId,
        names: &Names,
    ) -> Self {
        let record = &local.record;
        let served = record.credential.clone().zip(local.served_until(policy));
        let served = served.map(|(credential, until)| Served {
            renew_at: policy.due_at(appid, &credential),
            credential,
            until: until.into(),
            renewed_by: record.renewed_by.as_deref().map(|name| names.get(name)),
            former: Former::of(&record.former),
        });
        let trouble = local.backoff();
        let aside = Aside {
            trouble: trouble.map(|backoff| Trouble::new(backoff, policy.api())),
            lease: (record.lease.as_ref().zip(local.lease_ends())).map(Held::new),
        };
        let is_there = aside.trouble.is_some() || aside.lease.is_some();
        Self {
            served,
            aside: is_there.then(|| aside.into()),
        }
    }

    pub(super) fn trouble(&self) -> Option<&Trouble> {
        self.aside.as_ref()?.trouble.as_ref()
    }

    pub(super) fn lease(&self) -> Option<&Held> {
        self.aside.as_ref()?.lease.as_ref()
    }
}

/// A credential that readers may use.
#[derive(Clone, Debug)]
pub struct Served {
    /// The credential.
    pub credential: Credential,
    /// When to stop using it, on either clock.
    pub until: Deadline,
    /// When it is replaced, if all goes well.
    pub renew_at: Timestamp,
    /// The node that fetched or confirmed it last, if that is known.
    pub renewed_by: Option<Arc<String>>,
    /// The fingerprints of those before it, the latest first.
    pub former: Former,
}

/// The fingerprints of the latest former values. They have no memory of their own: there may be
/// very many accounts.
#[derive(Clone, Debug, Default)]
pub struct Former([Option<Fingerprint>; Record::FORMER]);

impl Former {
    pub(in crate::keeper) fn of(latest_first: &[Fingerprint]) -> Self {
        let mut former = Self::default();
        for (place, fingerprint) in former.0.iter_mut().zip(latest_first) {
            *place = Some(*fingerprint);
        }
        former
    }

    /// The latest.
    pub const fn first(&self) -> Option<&Fingerprint> {
        self.0[0].as_ref()
    }

    /// Whether it is one of them.
    pub fn contains(&self, fingerprint: &Fingerprint) -> bool {
        self.0.iter().flatten().any(|former| former == fingerprint)
    }

    /// All, the latest first.
    pub fn to_vec(&self) -> Vec<Fingerprint> {
        self.0.iter().flatten().copied().collect()
    }
}

impl Served {
    pub(super) fn is_good(&self, now: Moment) -> bool {
        !self.until.left(now).is_zero()
    }
}

/// A lease: one node fetches the credential.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Held {
    /// The node.
    pub holder: String,
    /// When others may take it, on either clock.
    pub until: Moment,
}

impl Held {
    fn new((lease, until): (&Lease, Moment)) -> Self {
        let holder = lease.holder.clone();
        Self { holder, until }
    }
}

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
    /// What happened, why, and WeChat's page about it.
    pub explanation: &'static Explanation,
    /// When it failed.
    pub failed_at: Timestamp,
    /// No call to WeChat before this.
    pub next_at: Timestamp,
}

impl Trouble {
    fn new(backoff: &Backoff, api: Api) -> Self {
        let explanation = upstream::explain_line(api, backoff.errcode, &backoff.error);
        Self {
            class: backoff.class,
            what: backoff.error.clone(),
            errcode: backoff.errcode,
            errmsg: backoff.errmsg.clone(),
            explanation,
            failed_at: backoff.failed_at,
            next_at: backoff.next_at,
        }
    }

    /// Whether it makes sense that a human has it tried again: nobody here can mend a quota.
    pub fn can_be_tried_again(&self) -> bool {
        self.class != Class::Quota
    }

    /// What to do, with the address or the day that it is about.
    pub fn remedy(&self) -> Words {
        let at = Some(self.failed_at);
        self.explanation.remedy_for(self.errmsg.as_deref(), at)
    }
}
