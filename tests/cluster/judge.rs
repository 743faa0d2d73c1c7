//! Readers who watch every node, and what they hold against it.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinSet;
use wxsign::account::AppId;
use wxsign::clock::Timestamp;

use crate::node::{get, signature, token};
use crate::wechat::{Temper, WeChat};

/// A node that stands still does not answer; who reads asks another one after this.
const PATIENCE: Duration = Duration::from_secs(2);

/// An answer may be as old when it is judged, and a token that says of itself that it ends is none
/// the worse for that.
const LATE: Duration = Duration::from_secs(1);

/// How often a reader asks.
const PACE: Duration = Duration::from_millis(50);

/// What the readers have seen.
#[derive(Default)]
pub(crate) struct Seen {
    /// Signatures that WeChat accepted.
    pub(crate) signatures: AtomicU64,
    /// Tokens that WeChat accepted.
    pub(crate) tokens: AtomicU64,
    /// Answers that there is no token now.
    pub(crate) without_token: AtomicU64,
    /// The fingerprints of the tokens that were served.
    served: Mutex<HashMap<AppId, HashSet<String>>>,
    /// What must not happen.
    violations: Mutex<Vec<String>>,
}

/// Where a node is now, for its readers.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Place {
    pub(crate) address: SocketAddr,
    /// Which of its lives this is.
    pub(crate) life: usize,
}

/// Watches nodes until it is told to end.
pub(crate) struct Judge {
    pub(crate) seen: Arc<Seen>,
    places: Arc<Mutex<Vec<Option<Place>>>>,
    ends: Arc<AtomicBool>,
    readers: JoinSet<()>,
}

impl Judge {
    /// Readers of so many nodes, of which none is there yet.
    pub(crate) fn of(nodes: usize, wechat: &Arc<WeChat>) -> Self {
        let mut judge = Self {
            seen: Arc::default(),
            places: Arc::new(Mutex::new(vec![None; nodes])),
            ends: Arc::default(),
            readers: JoinSet::new(),
        };
        for number in 0..nodes {
            let reader = Reader {
                number,
                wechat: Arc::clone(wechat),
                seen: Arc::clone(&judge.seen),
                places: Arc::clone(&judge.places),
                ends: Arc::clone(&judge.ends),
            };
            judge.readers.spawn(reader.read());
        }
        judge
    }

    /// Tells the readers where a node is now.
    pub(crate) fn is_at(&self, number: usize, place: Option<Place>) {
        self.places.lock().unwrap()[number] = place;
    }

    /// Ends the readers, and fails if they hold anything against anyone.
    pub(crate) async fn close(mut self) -> Arc<Seen> {
        self.ends.store(true, Ordering::Relaxed);
        while let Some(ended) = self.readers.join_next().await {
            ended.unwrap();
        }
        let violations = self.seen.violations.lock().unwrap().clone();
        assert!(
            violations.is_empty(),
            "{} violations: {:#?}",
            violations.len(),
            violations.iter().take(20).collect::<Vec<_>>()
        );
        self.seen
    }

    /// The fingerprints of the tokens that some node has served for the account.
    pub(crate) fn served(&self, appid: &AppId) -> HashSet<String> {
        let served = self.seen.served.lock().unwrap();
        served.get(appid).cloned().unwrap_or_default()
    }

    pub(crate) fn violations(&self) -> usize {
        self.seen.violations.lock().unwrap().len()
    }
}

struct Reader {
    number: usize,
    wechat: Arc<WeChat>,
    seen: Arc<Seen>,
    places: Arc<Mutex<Vec<Option<Place>>>>,
    ends: Arc<AtomicBool>,
}

impl Reader {
    async fn read(self) {
        let mut life = Life::default();
        for (appid, temper) in self.wechat.accounts.iter().cycle() {
            if self.ends.load(Ordering::Relaxed) {
                return;
            }
            tokio::time::sleep(PACE).await;
            let Some(place) = self.places.lock().unwrap()[self.number] else {
                continue;
            };
            if life.number != place.life {
                life = Life {
                    number: place.life,
                    ..Life::default()
                };
            }
            self.read_signature(place, appid, &mut life).await;
            self.read_token(place, appid, *temper, &mut life).await;
        }
    }

    async fn read_signature(&self, place: Place, appid: &AppId, life: &mut Life) {
        let Some(answer) = get(place.address, &signature(appid), PATIENCE).await else {
            return;
        };
        if answer.status == 200 {
            life.signed.insert(appid.clone());
            if self.wechat.accepts(appid, &answer.json()) {
                self.seen.signatures.fetch_add(1, Ordering::Relaxed);
            } else {
                self.accuse(appid, "a signature that WeChat refuses");
            }
        } else if life.signed.contains(appid) {
            // Before that it may have nothing to sign with, and says so in /readyz.
            self.accuse(appid, &format!("no signature any more: {}", answer.body));
        }
    }

    async fn read_token(&self, place: Place, appid: &AppId, temper: Temper, life: &mut Life) {
        let Some(answer) = get(place.address, &token(appid), PATIENCE).await else {
            return;
        };
        match answer.status {
            200 => {
                let body = answer.json();
                let value = body["access_token"].as_str().unwrap();
                let end = Timestamp::from_secs(body["expires_at"].as_i64().unwrap());
                if self.wechat.simulator.token_is_accepted(appid, value) {
                    self.seen.tokens.fetch_add(1, Ordering::Relaxed);
                } else if end > self.wechat.simulator.now() + LATE {
                    self.accuse(appid, "a dead token");
                }
                let name = body["fingerprint"].as_str().unwrap().to_owned();
                let mut served = self.seen.served.lock().unwrap();
                served.entry(appid.clone()).or_default().insert(name);
                drop(served);
                let generation = generation(&body);
                let former = life.generations.insert(appid.clone(), generation);
                if former.is_some_and(|former| former > generation) {
                    self.accuse(appid, &format!("generation {former:?}, then {generation}"));
                }
            }
            503 => {
                self.seen.without_token.fetch_add(1, Ordering::Relaxed);
                let lives_long = matches!(temper, Temper::Full | Temper::Stable);
                if lives_long && life.generations.contains_key(appid) {
                    self.accuse(appid, &format!("no token any more: {}", answer.body));
                }
                // What it serves next may be of any generation.
                life.generations.remove(appid);
            }
            status => self.accuse(appid, &format!("{status} for a token: {}", answer.body)),
        }
    }

    fn accuse(&self, appid: &AppId, of: &str) {
        let now = self.wechat.simulator.now().as_millis();
        let line = format!("{now} node {} {appid}: {of}", self.number);
        eprintln!("violation: {line}");
        self.seen.violations.lock().unwrap().push(line);
    }
}

/// What a reader knows of a node since it was started.
#[derive(Default)]
struct Life {
    number: usize,
    signed: HashSet<AppId>,
    generations: HashMap<AppId, u64>,
}

pub(crate) fn generation(body: &Value) -> u64 {
    body["generation"].as_u64().unwrap()
}
