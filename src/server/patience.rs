//! How long a connection may do nothing.
//!
//! What happens on it is only counted; a look at the counts every few seconds finds out who has
//! kept the server waiting for too long. So a request costs no timer and no reading of a clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

/// How often a connection is looked at. Each limit may be exceeded by so much.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The head of a request must be there so long after its first byte, the first one so long after
/// the connection began.
pub(super) const FOR_HEAD: Duration = Duration::from_secs(10);

/// Between two requests. Proxies keep idle connections for 60 seconds and take it ill if they are
/// closed before.
const FOR_NEXT: Duration = Duration::from_secs(75);

/// The same while connections are scarce.
const FOR_NEXT_WHEN_SCARCE: Duration = Duration::from_secs(5);

/// What happens on a connection; cheap to clone.
#[derive(Clone)]
pub(super) struct Activity(Arc<Counts>);

struct Counts {
    /// Requests that have no answer yet.
    answering: AtomicU32,
    /// Bytes of the next request have come.
    head_begun: AtomicBool,
    /// Changes whenever something was brought to its end.
    progress: AtomicU32,
}

impl Activity {
    /// A connection that has just begun: its first request is to come.
    pub(super) fn new() -> Self {
        Self(Arc::new(Counts {
            answering: AtomicU32::new(0),
            head_begun: AtomicBool::new(true),
            progress: AtomicU32::new(0),
        }))
    }

    /// Bytes have come in.
    pub(super) fn received(&self) {
        let begins = self.0.answering.load(Ordering::Relaxed) == 0
            && !self.0.head_begun.swap(true, Ordering::Relaxed);
        if begins {
            self.progresses();
        }
    }

    /// Bytes have gone out, or are about to.
    pub(super) fn sent(&self) {
        self.progresses();
    }

    /// The head of a request has come and was answered at once.
    pub(super) fn answered(&self) {
        self.0.head_begun.store(false, Ordering::Relaxed);
        self.progresses();
    }

    /// The head of a request has come: it is being answered as long as the guard lives.
    pub(super) fn answering(&self) -> Answering {
        self.0.answering.fetch_add(1, Ordering::Relaxed);
        self.0.head_begun.store(false, Ordering::Relaxed);
        Answering(Self(Arc::clone(&self.0)))
    }

    fn progresses(&self) {
        self.0.progress.fetch_add(1, Ordering::Relaxed);
    }
}

/// A request that is being answered.
pub(super) struct Answering(Activity);

impl Answering {
    pub(super) fn activity(&self) -> &Activity {
        &self.0
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.0.answering.fetch_sub(1, Ordering::Relaxed);
        self.0.progresses();
    }
}

/// Looks at a connection from time to time.
pub(super) struct Patience {
    activity: Activity,
    seen: u32,
    waited: Duration,
}

impl Patience {
    pub(super) const fn new(activity: Activity) -> Self {
        Self {
            activity,
            seen: 0,
            waited: Duration::ZERO,
        }
    }

    /// Whether nothing has happened since the last look, and the client is waited for.
    pub(super) fn is_stalled(&mut self) -> bool {
        let counts = &self.activity.0;
        let progress = counts.progress.load(Ordering::Relaxed);
        let stalled = progress == self.seen && counts.answering.load(Ordering::Relaxed) == 0;
        self.seen = progress;
        stalled
    }

    /// Looks, [`LOOK_EVERY`] after the last time; whether the connection has been waited for too
    /// long.
    pub(super) fn is_lost(&mut self, scarce: bool) -> bool {
        if !self.is_stalled() {
            self.waited = Duration::ZERO;
            return false;
        }
        self.waited += LOOK_EVERY;
        let limit = if self.activity.0.head_begun.load(Ordering::Relaxed) {
            FOR_HEAD
        } else if scarce {
            FOR_NEXT_WHEN_SCARCE
        } else {
            FOR_NEXT
        };
        self.waited >= limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After how many looks patience is lost, while `each` happens between them.
    fn looks(activity: &Activity, scarce: bool, mut each: impl FnMut()) -> Option<u32> {
        let mut patience = Patience::new(activity.clone());
        (1..=100).find(|_| {
            each();
            patience.is_lost(scarce)
        })
    }

    fn idle() -> Activity {
        let activity = Activity::new();
        activity.answered();
        activity
    }

    #[test]
    fn who_says_nothing_is_cut_off_after_ten_seconds() {
        assert_eq!(looks(&Activity::new(), false, || {}), Some(2));
    }

    #[test]
    fn a_head_that_comes_byte_by_byte_gains_nothing_by_it() {
        let activity = Activity::new();
        assert_eq!(looks(&activity, false, || activity.received()), Some(2));
        let second = idle();
        // The look that sees it begin, and two more.
        assert_eq!(looks(&second, false, || second.received()), Some(3));
    }

    #[test]
    fn between_requests_there_is_time_unless_connections_are_scarce() {
        assert_eq!(looks(&idle(), false, || {}), Some(16));
        assert_eq!(looks(&idle(), true, || {}), Some(2));
    }

    #[test]
    fn who_is_served_is_never_cut_off() {
        let activity = idle();
        let answering = activity.answering();
        assert_eq!(looks(&activity, true, || activity.received()), None);
        drop(answering);
        assert_eq!(looks(&activity, false, || activity.sent()), None);
        assert_eq!(looks(&activity, false, || drop(activity.answering())), None);
    }
}
