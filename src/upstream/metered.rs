//! Counts and times the calls to WeChat.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_core::future::BoxFuture;

use super::{Api, Failure, Issued, Upstream, UpstreamError, explain};
use crate::account::{Account, AppId};
use crate::clock::Clock;
use crate::credential::{Kind, Secret};
use crate::timings::Timings;

/// So many combinations of labels are told apart at most; what comes then counts together.
const MOST_SERIES: usize = 10_000;

/// The calls to WeChat until now.
#[derive(Default, Debug)]
pub struct Calls {
    counts: Mutex<BTreeMap<Labels, u64>>,
    /// By API.
    pub(crate) timings: Timings<&'static str>,
}

/// AppID, API and errcode.
pub(crate) type Labels = (Option<AppId>, &'static str, Cow<'static, str>);

impl Calls {
    /// How often each call was answered how.
    pub(crate) fn counts(&self) -> Vec<(Labels, u64)> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = counts
            .iter()
            .map(|(labels, count)| (labels.clone(), *count));
        counts.collect()
    }

    fn count(&self, appid: &AppId, api: Api, error: Option<&UpstreamError>) {
        let mut labels = (Some(appid.clone()), name(api), answered(api, error));
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= MOST_SERIES && !counts.contains_key(&labels) {
            labels.0 = None;
        }
        *counts.entry(labels).or_default() += 1;
    }
}

/// The last part of its path, if that says enough.
fn name(api: Api) -> &'static str {
    let path = api.path();
    match api {
        Api::TicketGet => "ticket_get",
        _ => path.rsplit_once('/').map_or(path, |(_, name)| name),
    }
}

/// The errcode, or what came instead of one. WeChat may answer anything, but there are only so many
/// values of a label.
fn answered(api: Api, error: Option<&UpstreamError>) -> Cow<'static, str> {
    match error.map(|error| &error.failure) {
        None => "0".into(),
        Some(Failure::Refused { errcode, .. }) if explain(api, *errcode).is_some() => {
            errcode.to_string().into()
        }
        Some(Failure::Refused { .. }) => "other".into(),
        Some(Failure::NotSent(_)) => "not_sent".into(),
        Some(Failure::Lost(_)) => "lost".into(),
        Some(Failure::Status(_)) => "http".into(),
    }
}

/// An upstream whose calls are counted.
pub struct Metered<U> {
    inner: U,
    clock: Clock,
    calls: Arc<Calls>,
}

impl<U: Upstream> Metered<U> {
    /// `inner`, whose calls are counted in `calls`.
    pub const fn new(inner: U, clock: Clock, calls: Arc<Calls>) -> Self {
        Self {
            inner,
            clock,
            calls,
        }
    }

    async fn measure<T>(
        &self,
        account: &Account,
        api: Api,
        call: BoxFuture<'_, Result<T, UpstreamError>>,
    ) -> Result<T, UpstreamError> {
        let began = self.clock.moment().boot;
        let answer = call.await;
        let took = self.clock.moment().boot.saturating_sub(began);
        self.calls.timings.note(name(api), took);
        self.calls.count(&account.appid, api, answer.as_ref().err());
        answer
    }
}

impl<U: Upstream> Upstream for Metered<U> {
    fn fetch_token<'a>(
        &'a self,
        account: &'a Account,
    ) -> BoxFuture<'a, Result<Issued, UpstreamError>> {
        let api = Api::for_token(account.token_api);
        Box::pin(self.measure(account, api, self.inner.fetch_token(account)))
    }

    fn fetch_ticket<'a>(
        &'a self,
        account: &'a Account,
        kind: Kind,
        token: &'a Secret,
    ) -> BoxFuture<'a, Result<Issued, UpstreamError>> {
        let call = self.inner.fetch_ticket(account, kind, token);
        let api = Api::for_ticket(account.token_api, kind);
        Box::pin(self.measure(account, api, call))
    }

    fn verify_token<'a>(
        &'a self,
        account: &'a Account,
        token: &'a Secret,
    ) -> BoxFuture<'a, Result<(), UpstreamError>> {
        let call = self.inner.verify_token(account, token);
        Box::pin(self.measure(account, Api::for_probe(account.token_api), call))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(errcode: i64) -> UpstreamError {
        UpstreamError {
            api: Api::Token,
            failure: Failure::Refused {
                errcode,
                errmsg: String::new(),
            },
        }
    }

    #[test]
    fn there_are_only_so_many_labels_whatever_comes() {
        let calls = Calls::default();
        for errcode in 0..1000 {
            let appid = "wx0123456789abcdef".parse().unwrap();
            calls.count(&appid, Api::Token, Some(&refused(errcode)));
        }
        assert_eq!(calls.counts().len(), 1);
        for number in 0..2 * MOST_SERIES {
            let appid = format!("wx{number:016x}").parse().unwrap();
            calls.count(&appid, Api::Token, None);
        }
        let counts = calls.counts();
        assert_eq!(counts.len(), MOST_SERIES + 1);
        let all: u64 = counts.iter().map(|(_, count)| count).sum();
        assert_eq!(all, 1000 + 2 * MOST_SERIES as u64);
    }
}
