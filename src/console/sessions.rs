//! The browsers that have shown the password: which of them go on, and when they were seen.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Console, FRESH, IDLE, Refused, lock, session};
use crate::client::KeyHash;
use crate::clock::Timestamp;
use crate::store::{ConsoleChanges, Directory, SessionRow};

impl Console {
    /// The session whose browser shows `key`, if it goes on. `is_visit` says whether a human has
    /// asked for something, which keeps it from ending.
    pub async fn session(&self, key: &str, is_visit: bool) -> Option<SessionRow> {
        let hash = KeyHash::of(key);
        let find = |directory: &Arc<Directory>| directory.console.sessions.get(&hash).cloned();
        let stored = match find(&self.look(FRESH).await) {
            Some(found) => found,
            // It may have begun at another node a moment ago.
            None => find(&self.look_now().await)?,
        };
        let now = self.clock.now();
        let mut found = stored.clone();
        self.add_seen(&hash, &mut found);
        if !session::holds(&found, now) {
            return None;
        }
        if is_visit {
            found.seen_at = found.seen_at.max(now);
            let mut seen = lock(&self.seen);
            seen.retain(|_, at| now.since(*at) < IDLE);
            seen.insert(hash, found.seen_at);
        }
        // Also when only a page looks for news: other nodes are to know of the last visit.
        if session::is_to_be_noted(&stored, found.seen_at, now) {
            self.note(hash, found.seen_at).await;
        }
        Some(found)
    }

    /// Writes down when the session was seen.
    async fn note(&self, hash: KeyHash, seen_at: Timestamp) {
        let noted = self.change(|directory| {
            let row = directory.console.sessions.get(&hash);
            let row = row.map(|row| SessionRow {
                seen_at: row.seen_at.max(seen_at),
                ..row.clone()
            });
            let row = row.map(|row| (hash, Some(row)));
            Ok(ConsoleChanges {
                sessions: row.into_iter().collect(),
                ..ConsoleChanges::default()
            })
        });
        if let Err(error) = noted.await {
            tracing::debug!(%error, "when a session was seen could not be noted");
        }
    }

    fn add_seen(&self, hash: &KeyHash, session: &mut SessionRow) {
        if let Some(seen_at) = lock(&self.seen).get(hash) {
            session.seen_at = session.seen_at.max(*seen_at);
        }
    }

    /// The sessions, with when they were seen here.
    pub(super) fn as_seen(
        &self,
        stored: &BTreeMap<KeyHash, SessionRow>,
    ) -> BTreeMap<KeyHash, SessionRow> {
        let mut sessions = stored.clone();
        for (hash, session) in &mut sessions {
            self.add_seen(hash, session);
        }
        sessions
    }

    /// The sessions that go on, as far as is known.
    pub async fn sessions(&self) -> Vec<SessionRow> {
        let (directory, now) = (self.look(FRESH).await, self.clock.now());
        let sessions = self.as_seen(&directory.console.sessions).into_values();
        sessions
            .filter(|session| session::holds(session, now))
            .collect()
    }

    /// Ends the session whose browser shows `key`.
    ///
    /// # Errors
    /// The store cannot be reached.
    pub async fn sign_out(&self, key: &str) -> Result<(), Refused> {
        let ended = [(KeyHash::of(key), None)];
        self.change(|_| {
            Ok(ConsoleChanges {
                sessions: ended.clone().into(),
                ..ConsoleChanges::default()
            })
        })
        .await
    }
}
