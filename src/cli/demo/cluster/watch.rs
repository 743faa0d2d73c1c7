//! Tells what the nodes do, as their store shows it.

use super::node::Node;
use super::store::SharedStore;
use crate::account::AppId;
use crate::cli::{Failure, answer};
use crate::clock::Clock;
use crate::credential::{Fingerprint, Kind};
use crate::store::{Attempt, Key, Store};

/// What of the record has been told.
pub(super) struct Watch {
    store: Store,
    key: Key,
    token: Option<Fingerprint>,
    lease: Option<Attempt>,
    answers: bool,
}

impl Watch {
    pub(super) fn new(store: &SharedStore, appid: AppId) -> Self {
        Self {
            store: store.store.clone(),
            key: Key {
                appid,
                kind: Kind::AccessToken,
            },
            token: None,
            lease: None,
            answers: true,
        }
    }

    /// Looks at the record, and tells what has changed in it.
    pub(super) async fn look(&mut self, nodes: &[Node]) -> Result<(), Failure> {
        let loaded = self.store.load(&self.key).await;
        if loaded.is_ok() != self.answers {
            self.answers = loaded.is_ok();
            self.say(if self.answers {
                "the store answers again"
            } else {
                "the store does not answer: the nodes go on with what they have"
            })?;
        }
        let Ok((record, _)) = loaded else {
            return Ok(());
        };
        let name = |holder: &str| nodes.iter().find(|node| node.name == holder);
        let lease = record.lease.as_ref();
        if let Some(lease) = lease.filter(|lease| self.lease != Some(lease.attempt)) {
            self.lease = Some(lease.attempt);
            let who = name(&lease.holder).map_or_else(
                || format!("{}, which is no more,", lease.holder),
                |node| format!("node {}", node.number),
            );
            self.say(&format!(
                "{who} holds the lease and asks WeChat for a token"
            ))?;
        }
        let Some(credential) = &record.credential else {
            return Ok(());
        };
        let fingerprint = credential.value.fingerprint();
        if self.token != Some(fingerprint) {
            self.token = Some(fingerprint);
            let by = record.renewed_by.as_deref().unwrap_or_default();
            let who =
                name(by).map_or_else(|| by.to_owned(), |node| format!("node {}", node.number));
            let generation = credential.generation;
            let others = nodes.iter().filter(|node| node.is_running()).count();
            self.say(&format!(
                "{who} has renewed it: generation {generation}, {fingerprint}, for all {others} \
                 nodes that run"
            ))?;
        }
        Ok(())
    }

    /// Tells something with the time of day, in UTC.
    pub(super) fn say(&self, what: &str) -> Result<(), Failure> {
        let seconds = Clock::system().now().as_secs().rem_euclid(86_400);
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        answer(&format!(
            "{hours:02}:{minutes:02}:{:02}  {what}\n",
            seconds % 60
        ))
    }
}
