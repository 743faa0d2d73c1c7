//! Who may look at the console: whoever knows its one password, in a browser that has shown it.
//!
//! What is known is kept in the store, so that all nodes share it: the Argon2id hash of the
//! password, and for each session the SHA-256 of the random value that its browser shows. Where no
//! password is set yet, a one-time link lets the first visitor set it.

mod limiter;
mod link;
mod password;
mod session;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use rand::distr::{Alphanumeric, SampleString};
use tokio::sync::Semaphore;

pub use password::{MIN_CHARS, Unfit, check};
pub use session::{IDLE, LONGEST};

use crate::client::KeyHash;
use crate::clock::Clock;
use crate::credential::Secret;
use crate::store::{
    Changes, ConsoleChanges, Directory, PasswordRow, SessionRow, Store, StoreError,
};
use limiter::Attempts;
use link::Link;

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
    link: Mutex<Option<Link>>,
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
            link: Mutex::default(),
            configured: tokio::sync::Mutex::new(password),
        }
    }

    /// Stores the password of the configuration, if there is one and it is another than before,
    /// which ends all sessions. Where there is no password at all, returns the secret of a new
    /// one-time link that lets its visitor set it.
    ///
    /// # Errors
    /// The store cannot be reached; it is tried again when somebody signs in.
    pub async fn prepare(&self) -> Result<Option<Secret>, Refused> {
        self.take_configured().await?;
        if self.read().await?.console.password.is_some() {
            return Ok(None);
        }
        let (link, secret) = Link::new(self.clock.moment().boot);
        *lock(&self.link) = Some(link);
        Ok(Some(secret))
    }

    /// Whether the secret is that of a one-time link that holds.
    pub fn link_holds(&self, secret: &str) -> bool {
        let now = self.clock.moment().boot;
        lock(&self.link)
            .as_ref()
            .is_some_and(|link| link.opens(secret, now))
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
        if !self.link_holds(secret) {
            return Err(Refused::LinkEnded);
        }
        check(password.expose())?;
        let hash = self.hash(password).await?;
        let (key, session) = self.new_session(user_agent);
        let changed = self.change(|directory| {
            if directory.console.password.is_some() {
                return Err(Refused::LinkEnded);
            }
            Ok(ConsoleChanges {
                password: Some(self.row(&hash)),
                sessions: [(KeyHash::of(key.expose()), Some(session.clone()))].into(),
            })
        });
        changed.await?;
        *lock(&self.link) = None;
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
            let sessions = directory.console.sessions.keys();
            Ok(ConsoleChanges {
                password: Some(self.row(&hash)),
                sessions: sessions.map(|session| (*session, None)).collect(),
            })
        })
        .await?;
        *lock(&self.link) = None;
        Ok(())
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
        self.confirm(password, address).await?;
        let (key, session) = self.new_session(user_agent);
        let now = self.clock.now();
        self.change(|directory| {
            let ended = session::ended(&directory.console.sessions, now);
            let mut sessions: std::collections::BTreeMap<_, _> =
                ended.into_iter().map(|session| (session, None)).collect();
            sessions.insert(KeyHash::of(key.expose()), Some(session.clone()));
            Ok(ConsoleChanges {
                password: None,
                sessions,
            })
        })
        .await?;
        Ok(key)
    }

    /// Whether this is the password, shown from `address`.
    ///
    /// # Errors
    /// It is not, or cannot be tried.
    pub async fn confirm(&self, password: Secret, address: u64) -> Result<(), Refused> {
        self.take_configured().await?;
        let stored = match &self.read().await?.console.password {
            None => return Err(Refused::NoPassword),
            Some(None) => return Err(Refused::Wrong),
            Some(Some(row)) => row.hash.clone(),
        };
        let now = self.clock.moment().boot;
        let admitted = lock(&self.attempts).admit(address, now);
        let wait = admitted.map_err(Refused::TooMany)?;
        if !wait.is_zero() {
            self.clock.sleep(wait).await;
        }
        let is_right = self.hashed(move || password::is_right(&password, &stored));
        if !is_right.await? {
            return Err(Refused::Wrong);
        }
        lock(&self.attempts).succeeded(address);
        Ok(())
    }

    /// The session whose browser shows `key`, if it goes on. `is_visit` says whether a human has
    /// asked for something, which keeps it from ending.
    pub async fn session(&self, key: &str, is_visit: bool) -> Option<SessionRow> {
        let hash = KeyHash::of(key);
        let find = |directory: &Arc<Directory>| directory.console.sessions.get(&hash).cloned();
        let found = match find(&self.look(FRESH).await) {
            Some(found) => found,
            // It may have begun at another node a moment ago.
            None => find(&self.look_now().await)?,
        };
        let now = self.clock.now();
        if !session::holds(&found, now) {
            return None;
        }
        if is_visit && session::is_to_be_noted(&found, now) {
            let noted = self.change(|directory| {
                let row = directory.console.sessions.get(&hash);
                let row = row.map(|row| SessionRow {
                    seen_at: now,
                    ..row.clone()
                });
                let row = row.map(|row| (hash, Some(row)));
                Ok(ConsoleChanges {
                    password: None,
                    sessions: row.into_iter().collect(),
                })
            });
            if let Err(error) = noted.await {
                tracing::debug!(%error, "when a session was seen could not be noted");
            }
        }
        Some(found)
    }

    /// The sessions that go on, as far as is known.
    pub async fn sessions(&self) -> Vec<SessionRow> {
        let (directory, now) = (self.look(FRESH).await, self.clock.now());
        let sessions = directory.console.sessions.values();
        let going_on = sessions.filter(|session| session::holds(session, now));
        going_on.cloned().collect()
    }

    /// Ends the session whose browser shows `key`.
    ///
    /// # Errors
    /// The store cannot be reached.
    pub async fn sign_out(&self, key: &str) -> Result<(), Refused> {
        let ended = [(KeyHash::of(key), None)];
        self.change(|_| {
            Ok(ConsoleChanges {
                password: None,
                sessions: ended.clone().into(),
            })
        })
        .await
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
