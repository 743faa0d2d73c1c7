//! The rules of sessions, as pure functions over their rows.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::client::KeyHash;
use crate::clock::Timestamp;
use crate::store::SessionRow;

/// A session in which nothing was asked for so long ends.
pub const IDLE: Duration = Duration::from_secs(30 * 60);

/// A session ends so long after it began.
pub const LONGEST: Duration = Duration::from_secs(12 * 3600);

/// When a session was last seen is written down no more often: all nodes read all of the directory
/// again after it. Between, the node that has seen it knows; another one may end a session sooner,
/// but none later.
const NOTED_EVERY: Duration = Duration::from_secs(15 * 60);

/// By so much may clocks differ.
const TOLERANCE: Duration = Duration::from_secs(5 * 60);

/// So many sessions there may be; a new one ends the oldest.
const MOST: usize = 20;

/// So much of what a browser calls itself is kept.
const USER_AGENT_CHARS: usize = 120;

/// A session that begins now.
pub(super) fn begin(user_agent: &str, now: Timestamp) -> SessionRow {
    let plain = user_agent.chars().filter(|c| !c.is_control());
    SessionRow {
        created_at: now,
        seen_at: now,
        user_agent: plain.take(USER_AGENT_CHARS).collect(),
    }
}

/// Whether the session goes on at `now`. One from the future was begun under another clock.
pub(super) fn holds(session: &SessionRow, now: Timestamp) -> bool {
    let from_future = session.created_at > now + TOLERANCE || session.seen_at > now + TOLERANCE;
    !from_future && now.since(session.created_at) < LONGEST && now.since(session.seen_at) < IDLE
}

/// Whether it is to be written down at `now` that the session was seen at `seen_at`.
pub(super) fn is_to_be_noted(stored: &SessionRow, seen_at: Timestamp, now: Timestamp) -> bool {
    seen_at > stored.seen_at && now.since(stored.seen_at) >= NOTED_EVERY
}

/// Those that end when another one begins at `now`: those that have ended by themselves, and the
/// oldest if there are too many.
pub(super) fn ended(sessions: &BTreeMap<KeyHash, SessionRow>, now: Timestamp) -> Vec<KeyHash> {
    let (mut going_on, ended): (Vec<_>, Vec<_>) =
        (sessions.iter()).partition(|(_, session)| holds(session, now));
    going_on.sort_by_key(|(_, session)| session.created_at);
    let too_many = (going_on.len() + 1).saturating_sub(MOST);
    let ended = ended.into_iter().chain(going_on.into_iter().take(too_many));
    ended.map(|(key, _)| *key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

    const fn minutes(minutes: u64) -> Duration {
        Duration::from_secs(60 * minutes)
    }

    #[test]
    fn a_session_ends_when_it_is_idle_and_after_half_a_day_in_any_case() {
        let mut session = begin("Browser\n1.0", NOW);
        assert_eq!(session.user_agent, "Browser1.0");
        assert!(holds(&session, NOW) && holds(&session, NOW + minutes(29)));
        assert!(!holds(&session, NOW + minutes(30)));
        let mut now = NOW;
        for _ in 0..24 {
            now = now + minutes(29);
            assert!(holds(&session, now) && is_to_be_noted(&session, now, now));
            session.seen_at = now;
            let (soon, later) = (now + minutes(14), now + minutes(15));
            assert!(!is_to_be_noted(&session, soon, soon));
            assert!(is_to_be_noted(&session, soon, later));
            assert!(!is_to_be_noted(&session, now, later));
        }
        assert!(!holds(&session, NOW + minutes(720)));
        assert!(!holds(&session, NOW.before(minutes(10))));
    }

    #[test]
    fn of_too_many_sessions_the_oldest_goes() {
        let at = |minutes: u64| begin("", NOW + Duration::from_secs(60 * minutes));
        let sessions: BTreeMap<_, _> = (0..20)
            .map(|i| (KeyHash::of(&i.to_string()), at(i)))
            .collect();
        assert_eq!(ended(&sessions, NOW + minutes(20)), [KeyHash::of("0")]);
        assert_eq!(ended(&sessions, NOW + minutes(40)).len(), 11);
        assert_eq!(ended(&BTreeMap::new(), NOW), []);
    }
}
