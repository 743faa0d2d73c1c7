//! Who may look at the console: whoever knows its one password, in a browser that has shown it.
//!
//! What is known is kept in the store, so that all nodes share it: the Argon2id hash of the
//! password, and for each session the SHA-256 of the random value that its browser shows. Where no
//! password is set yet, a one-time link lets the first visitor set it.

mod limiter;
mod link;
mod password;
mod session;
mod sessions;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use rand::distr::{Alphanumeric, SampleString};
use tokio::sync::Semaphore;

pub use password::{MIN_CHARS, Unfit, check};
pub use session::{IDLE, LONGEST};

use crate::client::KeyHash;
use crate::clock::{Clock, Timestamp};
use crate::credential::Secret;
use crate::store::{
    Changes, ConsoleChanges, Directory, PasswordRow, SessionRow, Store, StoreError,
};
use limiter::Attempts;

/// What others change for the console is seen so much later, at most.
const FRESH: Duration = Duration::from_secs(2);

/// A page does not wait longer for the store when something is known already.
const STORE_PATIENCE: Duration = Duration::from_secs(1);

/// Passwords that are hashed at the same time; each takes 19 MiB.
const HASHING: usize = 2;

/// Whoever waits longer for his turn is told to come again.
const HASHING_PATIENCE: Duration = Duration::from_secs(10);

/// The password and the sessions of the console.
pub struct Console {
    store: Store,
    clock: Clock,
    /// What was read last, and when, on the boot clock.
    known: ArcSwapOption<(Arc<Directory>, Duration)>,
    /// Whoever looks for news holds it: all who come meanwhile share what he finds.
    looking: tokio::sync::Mutex<()>,
    hashing: Arc<Semaphore>,
    attempts: Mutex<Attempts>,
    /// When sessions were seen here last, which is written down seldom.
    seen: Mutex<HashMap<KeyHash, Timestamp>>,
    /// The password of the configuration, until it is stored.
    configured: tokio::sync::Mutex<Option<Secret>>,
}

/// Why nobody is let in.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refused {
    /// It is not the password.
    #[error("this is not the password")]
    Wrong,
    /// There were too many tries; the next one may come after this time.
    #[error("too many wrong passwords came from this address")]
    TooMany(Duration),
    /// Too many try at the same time.
    #[error("too many passwords are being tried: try again in a moment")]
    Busy,
    /// There is no password yet.
    #[error("no password is set yet")]
    NoPassword,
    /// The link is none, has ended, or was used.
    #[error("the link does not hold any more")]
    LinkEnded,
    /// The text cannot be the password.
    #[error("the password {0}")]
    Unfit(#[from] Unfit),
    /// What is stored cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Console {
    /// The console of all processes that share `store`; a `password` of the configuration takes
    /// the place of the stored one.
    pub fn new(store: Store, clock: Clock, password: Option<Secret>) -> Self {
        Self {
            store,
            clock,
            known: ArcSwapOption::empty(),
            looking: tokio::sync::Mutex::default(),
            hashing: Arc::new(Semaphore::new(HASHING)),
            attempts: Mutex::default(),
            seen: Mutex::default(),
            configured: tokio::sync::Mutex::new(password),
        }
    }

    /// Stores the password of the configuration, if there is one and it is another than before,
    /// which ends all sessions. Where there is no password at all, returns the secret of a new
    /// one-time link that lets its visitor set it, at any node.
    ///
    /// # Errors
    /// The store cannot be reached; it is tried again when somebody signs in.
    pub async fn prepare(&self) -> Result<Option<Secret>, Refused> {
        self.take_configured().await?;
        if self.read().await?.console.password.is_some() {
            return Ok(None);
        }
        let now = self.clock.now();
        let (link, secret) = link::new(now);
        let made = self.change(|directory| {
            if directory.console.password.is_some() {
                return Err(Refused::LinkEnded);
            }
            let ended = link::ended(&directory.console.links, now);
            let ended = ended.into_iter().map(|ended| (ended, None));
            let link = (KeyHash::of(secret.expose()), Some(link));
            Ok(ConsoleChanges {
                links: ended.chain([link]).collect(),
                ..ConsoleChanges::default()
            })
        });
        match made.await {
            Ok(()) => Ok(Some(secret)),
            // Another node has taken its password meanwhile.
            Err(Refused::LinkEnded) => Ok(None),
            Err(refused) => Err(refused),
        }
    }

    /// Whether the secret is that of a one-time link that holds.
    pub async fn link_holds(&self, secret: &str) -> bool {
        let now = self.clock.now();
        opens(&*self.look(FRESH).await, secret, now) || opens(&*self.look_now().await, secret, now)
    }

    /// Whether a password is set, as far as is known, or about to be.
    pub async fn has_password(&self) -> bool {
        self.configured.lock().await.is_some() || self.look(FRESH).await.console.password.is_some()
    }

    /// Sets the first password by the secret of a one-time link, and begins a session.
    ///
    /// # Errors
    /// Why it is not set.
    pub async fn set_up(
        &self,
        secret: &str,
        password: Secret,
        user_agent: &str,
    ) -> Result<Secret, Refused> {
        if !self.link_holds(secret).await {
            return Err(Refused::LinkEnded);
        }
        check(password.expose())?;
        let hash = self.hash(password).await?;
        let (key, session) = self.new_session(user_agent);
        let now = self.clock.now();
        let changed = self.change(|directory| {
            if !opens(directory, secret, now) {
                return Err(Refused::LinkEnded);
            }
            Ok(ConsoleChanges {
                password: Some(self.row(&hash)),
                sessions: [(KeyHash::of(key.expose()), Some(session.clone()))].into(),
                links: all_ended(&directory.console.links),
            })
        });
        changed.await?;
        Ok(key)
    }

    /// Sets a password, whatever was before, and ends all sessions.
    ///
    /// # Errors
    /// It cannot be one, or the store cannot be reached.
    pub async fn reset(&self, password: Secret) -> Result<(), Refused> {
        check(password.expose())?;
        let hash = self.hash(password).await?;
        self.change(|directory| {
            Ok(ConsoleChanges {
                password: Some(self.row(&hash)),
                sessions: all_ended(&directory.console.sessions),
                links: all_ended(&directory.console.links),
            })
        })
        .await
    }

    /// Begins a session for whoever shows the password, coming from `address`; returns what his
    /// browser is to show from now on.
    ///
    /// # Errors
    /// Why he is not let in.
    pub async fn sign_in(
        &self,
        password: Secret,
        address: u64,
        user_agent: &str,
    ) -> Result<Secret, Refused> {
        let confirmed = self.confirm(password, address).await?;
        let (key, session) = self.new_session(user_agent);
        let now = self.clock.now();
        self.change(|directory| {
            // It took a while, in which the password may have been set anew: that ends all.
            if stored_hash(directory)? != confirmed {
                return Err(Refused::Wrong);
            }
            let ended = session::ended(&self.as_seen(&directory.console.sessions), now);
            let mut sessions: BTreeMap<_, _> =
                ended.into_iter().map(|session| (session, None)).collect();
            sessions.insert(KeyHash::of(key.expose()), Some(session.clone()));
            Ok(ConsoleChanges {
                sessions,
                ..ConsoleChanges::default()
            })
        })
        .await?;
        Ok(key)
    }

    /// Whether this is the password, shown from `address`; returns the hash that it fits.
    ///
    /// # Errors
    /// It is not, or cannot be tried.
    pub async fn confirm(&self, password: Secret, address: u64) -> Result<Secret, Refused> {
        self.take_configured().await?;
        let stored = stored_hash(&*self.read().await?)?;
        let now = self.clock.moment().boot;
        let wait = lock(&self.attempts).admit(address, now)?;
        let _answered = Answered(&self.attempts);
        if !wait.is_zero() {
            self.clock.sleep(wait).await;
        }
        let hash = stored.clone();
        let is_right = self.hashed(move || password::is_right(&password, &hash));
        if !is_right.await? {
            return Err(Refused::Wrong);
        }
        lock(&self.attempts).succeeded(address);
        Ok(stored)
    }

    /// Stores the password of the configuration unless it is the one that is stored.
    async fn take_configured(&self) -> Result<(), Refused> {
        let mut configured = self.configured.lock().await;
        let Some(password) = configured.clone() else {
            return Ok(());
        };
        let stored = self.read().await?.console.password.clone().flatten();
        let is_stored = match stored {
            None => false,
            Some(row) => {
                let password = password.clone();
                self.hashed(move || password::is_right(&password, &row.hash))
                    .await?
            }
        };
        if !is_stored {
            self.reset(password).await?;
        }
        *configured = None;
        Ok(())
    }

    fn row(&self, hash: &Secret) -> PasswordRow {
        PasswordRow {
            hash: hash.clone(),
            changed_at: self.clock.now(),
        }
    }

    /// What a browser is to show: 256 random bits and a few more.
    fn new_session(&self, user_agent: &str) -> (Secret, SessionRow) {
        let key = Alphanumeric.sample_string(&mut rand::rng(), 44);
        (
            Secret::new(key),
            session::begin(user_agent, self.clock.now()),
        )
    }

    async fn hash(&self, password: Secret) -> Result<Secret, Refused> {
        self.hashed(move || password::hash(&password)).await
    }

    /// Does what takes a while and much memory, with few others at the same time.
    async fn hashed<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refused> {
        let permit = Arc::clone(&self.hashing).acquire_owned();
        let permit = tokio::time::timeout(HASHING_PATIENCE, permit).await;
        let Ok(Ok(permit)) = permit else {
            return Err(Refused::Busy);
        };
        // Whoever hangs up does not make room for the next one before it is done.
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(permit);
            done
        });
        done.await.map_err(|_| Refused::Busy)
    }

    /// Changes what is stored; what others change at the same moment is read again.
    async fn change(
        &self,
        change: impl Fn(&Directory) -> Result<ConsoleChanges, Refused>,
    ) -> Result<(), Refused> {
        for _ in 0..CHANGED_MEANWHILE {
            let changed = self.store.change_directory(|directory| {
                let changes = Changes {
                    console: change(directory)?,
                    ..Changes::default()
                };
                Ok::<_, Refused>((changes, ()))
            });
            if changed.await?.is_some() {
                // It is done, whether that can be read or not.
                let _ = self.read().await;
                return Ok(());
            }
        }
        Err(Refused::Busy)
    }

    /// What is known, if it is no older than `within` or nothing newer can be had.
    async fn look(&self, within: Duration) -> Arc<Directory> {
        let now = self.clock.moment().boot;
        match self.known.load_full() {
            Some(known) if now.saturating_sub(known.1) < within => Arc::clone(&known.0),
            _ => self.look_now().await,
        }
    }

    /// What there is now, or what is known if that cannot be had.
    async fn look_now(&self) -> Arc<Directory> {
        let since = self.clock.moment().boot;
        let looking = async {
            let _one_at_a_time = self.looking.lock().await;
            let known = self.known.load_full();
            if let Some(known) = known.filter(|known| known.1 > since) {
                return Ok(Arc::clone(&known.0));
            }
            self.read().await
        };
        match tokio::time::timeout(STORE_PATIENCE, looking).await {
            Ok(Ok(directory)) => directory,
            _ => {
                let known = self.known.load_full();
                known.map(|known| Arc::clone(&known.0)).unwrap_or_default()
            }
        }
    }

    async fn read(&self) -> Result<Arc<Directory>, StoreError> {
        let began = self.clock.moment().boot;
        let directory = self.store.directory().await?;
        let read = (Arc::clone(&directory), began);
        self.known.store(Some(Arc::new(read)));
        Ok(directory)
    }
}

/// How often a change is tried again that others were faster than.
const CHANGED_MEANWHILE: usize = 4;

/// Whether the secret is that of a link that holds and may set the first password.
fn opens(directory: &Directory, secret: &str, now: Timestamp) -> bool {
    let console = &directory.console;
    let link = console.links.get(&KeyHash::of(secret));
    console.password.is_none() && link.is_some_and(|link| link::holds(link, now))
}

/// The hash of the password, if there is one that can be read.
fn stored_hash(directory: &Directory) -> Result<Secret, Refused> {
    match &directory.console.password {
        None => Err(Refused::NoPassword),
        Some(None) => Err(Refused::Wrong),
        Some(Some(row)) => Ok(row.hash.clone()),
    }
}

fn all_ended<T>(rows: &BTreeMap<KeyHash, T>) -> BTreeMap<KeyHash, Option<T>> {
    rows.keys().map(|key| (*key, None)).collect()
}

/// A try that was admitted, until it is answered or whoever made it hangs up.
struct Answered<'a>(&'a Mutex<Attempts>);

impl Drop for Answered<'_> {
    fn drop(&mut self) {
        lock(self.0).answered();
    }
}

/// What is under these locks is whole at any time.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Console(…)")
    }
}

#[cfg(test)]
mod tests;
