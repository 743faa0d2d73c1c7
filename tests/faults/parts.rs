//! What a node holds on to, the store and the line to WeChat, and what can be wrong with them.

use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_core::future::BoxFuture;
use wxsign::account::Account;
use wxsign::clock::Timestamp;
use wxsign::credential::{Kind, Secret};
use wxsign::simulator::{self, FaultRule, Simulator};
use wxsign::store::{
    Backend, EncodedChanges, Entries, Key, Memory, StoreError, Stored, Version, Write,
};
use wxsign::upstream::{Api, Failure, Issued, Upstream, UpstreamError};

use super::world::{LATENCY, appid};

/// A node's hold on a part of the world.
pub(crate) struct Reach<T>(pub(crate) Arc<T>);

/// What can be wrong with the store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum StoreFault {
    Down,
    /// No call ever returns.
    Silent,
    /// Each call takes 4 s.
    Slow,
    ReadOnly,
    /// The next write is acknowledged and is not there.
    LosesTheNextWrite,
}

/// The store: one process alone reaches it.
#[derive(Default)]
pub(crate) struct Shelf {
    memory: Memory,
    fault: Mutex<Option<StoreFault>>,
    /// Milliseconds for which a write is held up before it takes effect.
    held: AtomicU64,
    /// A write is held up.
    pub(crate) writing: AtomicBool,
}

impl Shelf {
    pub(crate) fn strike(&self, fault: Option<StoreFault>) {
        *self.fault.lock().unwrap() = fault;
    }

    pub(crate) fn hold_writes(&self, for_long: Duration) {
        self.held.store(for_long.as_millis() as u64, Relaxed);
    }

    /// Makes both records unreadable where they lie.
    pub(crate) async fn corrupt(&self) {
        for kind in [Kind::AccessToken, Kind::JsapiTicket] {
            let appid = appid();
            let key = Key { appid, kind };
            if let Some(Stored { version, .. }) = self.memory.load(&key).await.unwrap() {
                let garbage = Write {
                    from: version,
                    to: version,
                    bytes: vec![0xff, 0],
                    is_news: false,
                };
                let swapped = self.memory.swap(&key, garbage).await;
                assert!(swapped.unwrap());
            }
        }
    }

    async fn suffer(&self) -> Result<Option<StoreFault>, StoreError> {
        let fault = *self.fault.lock().unwrap();
        match fault {
            Some(StoreFault::Down) => return Err(StoreError("it is down".to_owned())),
            Some(StoreFault::Silent) => pending().await,
            Some(StoreFault::Slow) => tokio::time::sleep(Duration::from_secs(4)).await,
            _ => {}
        }
        Ok(fault)
    }
}

impl Backend for Reach<Shelf> {
    fn load<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Stored>, StoreError>> {
        Box::pin(async {
            self.0.suffer().await?;
            self.0.memory.load(key).await
        })
    }

    fn swap<'a>(&'a self, key: &'a Key, write: Write) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            let held = self.0.held.load(Relaxed);
            if held > 0 {
                self.0.writing.store(true, Relaxed);
                tokio::time::sleep(Duration::from_millis(held)).await;
            }
            match self.0.suffer().await? {
                Some(StoreFault::ReadOnly) => Err(StoreError("it is read-only".to_owned())),
                Some(StoreFault::LosesTheNextWrite) => {
                    self.0.strike(None);
                    Ok(true)
                }
                _ => self.0.memory.swap(key, write).await,
            }
        })
    }

    fn is_embedded(&self) -> bool {
        true
    }

    fn directory(
        &self,
        known: Option<Version>,
    ) -> BoxFuture<'_, Result<Option<Entries>, StoreError>> {
        self.0.memory.directory(known)
    }

    fn swap_directory(
        &self,
        from: Version,
        to: Version,
        changes: EncodedChanges,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.0.memory.swap_directory(from, to, changes)
    }
}

/// What can be wrong between the node and WeChat, or with WeChat.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum LineFault {
    /// WeChat answers all calls so.
    Answer(simulator::Fault),
    /// The name of WeChat's host cannot be found.
    Dns,
    /// Calls are carried out and never return.
    Silent,
    /// The token that was issued last is issued again until its end, with what remains of its
    /// life.
    SameToken,
    /// The same, but WeChat names a full life each time.
    SameTokenAsNew,
}

/// The node's line to WeChat.
pub(crate) struct Line {
    simulator: Simulator,
    fault: Mutex<Option<LineFault>>,
    /// Begins with the next call for a token.
    armed: Mutex<Option<LineFault>>,
    /// The token that was issued last, and its end.
    last: Mutex<Option<(Secret, Timestamp)>>,
    /// Calls for a token.
    pub(crate) token_calls: AtomicU64,
}

impl Line {
    pub(crate) fn new(simulator: Simulator) -> Self {
        Self {
            simulator,
            fault: Mutex::default(),
            armed: Mutex::default(),
            last: Mutex::default(),
            token_calls: AtomicU64::new(0),
        }
    }

    pub(crate) fn strike(&self, fault: Option<LineFault>) {
        self.simulator.clear_faults();
        if let Some(LineFault::Answer(fault)) = &fault {
            let mut rule = FaultRule::new(fault.clone());
            if matches!(fault, simulator::Fault::Body(_)) {
                rule.carried_out = Some(true);
            }
            self.simulator.inject(rule);
        }
        *self.fault.lock().unwrap() = fault;
    }

    /// Strikes when a token is asked for the next time.
    pub(crate) fn arm(&self, fault: LineFault) {
        *self.armed.lock().unwrap() = Some(fault);
    }

    async fn carry<T>(
        &self,
        api: Api,
        call: BoxFuture<'_, Result<T, UpstreamError>>,
    ) -> Result<T, UpstreamError> {
        let fault = self.fault.lock().unwrap().clone();
        match fault {
            Some(LineFault::Dns) => Err(UpstreamError {
                api,
                failure: Failure::NotSent("the name cannot be found".to_owned()),
            }),
            Some(LineFault::Silent) => {
                let _ = call.await;
                pending().await
            }
            _ => call.await,
        }
    }

    /// The answer of a WeChat that issues the same token again.
    fn repeated(&self) -> Option<Issued> {
        let says_all = match *self.fault.lock().unwrap() {
            Some(LineFault::SameToken) => false,
            Some(LineFault::SameTokenAsNew) => true,
            _ => return None,
        };
        let (value, end) = self.last.lock().unwrap().clone()?;
        let left = Duration::from_secs(end.since(self.simulator.now()).as_secs());
        let lifetime = if says_all { LIFE } else { left };
        (!left.is_zero()).then_some(Issued { value, lifetime })
    }
}

const LIFE: Duration = Duration::from_secs(7200);

impl Upstream for Reach<Line> {
    fn fetch_token<'a>(
        &'a self,
        account: &'a Account,
    ) -> BoxFuture<'a, Result<Issued, UpstreamError>> {
        let line = &self.0;
        let api = Api::for_token(account.token_api);
        Box::pin(async move {
            if let Some(fault) = line.armed.lock().unwrap().take() {
                line.strike(Some(fault));
            }
            line.token_calls.fetch_add(1, Relaxed);
            if let Some(issued) = line.repeated() {
                tokio::time::sleep(LATENCY).await;
                return Ok(issued);
            }
            let sent_at = line.simulator.now();
            let issued = line.carry(api, line.simulator.fetch_token(account)).await?;
            let end = sent_at + issued.lifetime;
            *line.last.lock().unwrap() = Some((issued.value.clone(), end));
            Ok(issued)
        })
    }

    fn fetch_ticket<'a>(
        &'a self,
        account: &'a Account,
        kind: Kind,
        token: &'a Secret,
    ) -> BoxFuture<'a, Result<Issued, UpstreamError>> {
        let call = self.0.simulator.fetch_ticket(account, kind, token);
        Box::pin(self.0.carry(Api::GetTicket, call))
    }

    fn verify_token<'a>(
        &'a self,
        account: &'a Account,
        token: &'a Secret,
    ) -> BoxFuture<'a, Result<(), UpstreamError>> {
        let call = self.0.simulator.verify_token(account, token);
        Box::pin(self.0.carry(Api::GetApiDomainIp, call))
    }
}
