//! The only source of time.
//!
//! `now` and `sleep` come from one place, so that a test which moves one moves the other:
//! [`Clock::following_tokio`] under paused Tokio time drives months in milliseconds.

use std::fmt;
use std::ops::Add;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A point on the wall clock, in milliseconds since the Unix epoch.
#[derive(
    Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The given number of seconds after the Unix epoch.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// The given number of milliseconds after the Unix epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Whole seconds since the Unix epoch, as WeChat counts.
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// The time from `earlier` to `self`; zero when `earlier` is the later one.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0).max(0).unsigned_abs())
    }

    /// This point moved back by `duration`.
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// One reading of both clocks.
///
/// The wall clock can be set; the boot clock cannot, and it runs on while the machine is
/// suspended. A deadline has passed as soon as either of them says so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Moment {
    /// The wall clock.
    pub wall: Timestamp,
    /// Time since the machine started, suspended time included.
    pub boot: Duration,
}

impl Moment {
    /// How long it is until then, by the clock that says less.
    pub fn left(self, now: Self) -> Duration {
        let by_boot = self.boot.saturating_sub(now.boot);
        self.wall.since(now.wall).min(by_boot)
    }
}

/// A [`Moment`] to come, in less room: there may be very many.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Deadline {
    /// On the wall clock.
    pub wall: Timestamp,
    /// On the boot clock, in nanoseconds.
    boot: u64,
}

impl Deadline {
    /// How long it is until then, by the clock that says less.
    pub fn left(self, now: Moment) -> Duration {
        self.moment().left(now)
    }

    /// The moment itself.
    pub const fn moment(self) -> Moment {
        Moment {
            wall: self.wall,
            boot: Duration::from_nanos(self.boot),
        }
    }
}

impl From<Moment> for Deadline {
    fn from(at: Moment) -> Self {
        Self {
            wall: at.wall,
            boot: u64::try_from(at.boot.as_nanos()).unwrap_or(u64::MAX),
        }
    }
}

/// Tells the time and sleeps.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    System,
    Tokio {
        epoch: Timestamp,
        start: tokio::time::Instant,
        /// How far a test has set the wall clock off, in milliseconds.
        skew: Arc<AtomicI64>,
        /// How long a test has had the machine suspended, in milliseconds.
        suspended: Arc<AtomicU64>,
    },
}

impl Clock {
    /// The clocks of the machine.
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that reads `epoch` now and follows Tokio's time, paused or not.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is where the clock is made from Tokio's"
    )]
    pub fn following_tokio(epoch: Timestamp) -> Self {
        Self(Source::Tokio {
            epoch,
            start: tokio::time::Instant::now(),
            skew: Arc::default(),
            suspended: Arc::default(),
        })
    }

    /// The wall clock.
    pub fn now(&self) -> Timestamp {
        self.moment().wall
    }

    /// Both clocks at once.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is where the wall clock is read"
    )]
    pub fn moment(&self) -> Moment {
        let boot = self.boot();
        let wall = match &self.0 {
            // A clock before 1970 reads as the epoch: everything stored then lies in the
            // future and is distrusted, which is the right outcome.
            Source::System => {
                Timestamp::default()
                    + SystemTime::now()
                        .duration_since(UNIX_EPOCH)
                        .unwrap_or_default()
            }
            Source::Tokio { epoch, skew, .. } => Timestamp(
                (*epoch + boot)
                    .0
                    .saturating_add(skew.load(Ordering::Relaxed)),
            ),
        };
        Moment { wall, boot }
    }

    fn boot(&self) -> Duration {
        match &self.0 {
            Source::System => boot_time(),
            Source::Tokio {
                start, suspended, ..
            } => start.elapsed() + Duration::from_millis(suspended.load(Ordering::Relaxed)),
        }
    }

    /// Waits for `duration`.
    pub async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    /// Sets the wall clock of a test off by so many milliseconds more; the machine's own
    /// clock cannot be moved.
    pub fn skew_wall(&self, millis: i64) {
        if let Source::Tokio { skew, .. } = &self.0 {
            skew.fetch_add(millis, Ordering::Relaxed);
        }
    }

    /// Suspends the machine of a test: both clocks move on by so much at once, and who sleeps
    /// sleeps as long as before.
    pub fn suspend(&self, duration: Duration) {
        if let Source::Tokio { suspended, .. } = &self.0 {
            let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
            suspended.fetch_add(millis, Ordering::Relaxed);
        }
    }
}

/// `CLOCK_BOOTTIME`: monotonic, and it counts the time that the machine was suspended
/// (<https://man7.org/linux/man-pages/man2/clock_gettime.2.html>).
fn boot_time() -> Duration {
    #[cfg(target_os = "linux")]
    let clock = rustix::time::ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    let clock = rustix::time::ClockId::Monotonic;
    let time = rustix::time::clock_gettime(clock);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Source::System => "Clock::system",
            Source::Tokio { .. } => "Clock::following_tokio",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_sleep_moves_both_clocks() {
        let clock = Clock::following_tokio(Timestamp::from_secs(1_000));
        let before = clock.moment();
        clock.sleep(Duration::from_secs(30 * 86_400)).await;
        let after = clock.moment();
        assert_eq!(after.wall.since(before.wall).as_secs(), 30 * 86_400);
        assert_eq!((after.boot - before.boot).as_secs(), 30 * 86_400);
    }

    #[tokio::test(start_paused = true)]
    async fn a_set_wall_clock_leaves_the_boot_clock_alone() {
        let clock = Clock::following_tokio(Timestamp::from_secs(1_000));
        let before = clock.moment();
        clock.skew_wall(-3_600_000);
        assert_eq!(clock.now(), Timestamp::from_secs(1_000 - 3_600));
        assert_eq!(clock.moment().boot, before.boot);
    }

    #[tokio::test(start_paused = true)]
    async fn a_suspended_machine_finds_both_clocks_moved_on() {
        let clock = Clock::following_tokio(Timestamp::from_secs(1_000));
        let before = clock.moment();
        clock.suspend(Duration::from_secs(10_800));
        let after = clock.moment();
        assert_eq!(after.wall.since(before.wall).as_secs(), 10_800);
        assert_eq!((after.boot - before.boot).as_secs(), 10_800);
    }

    #[test]
    fn the_system_clocks_run() {
        let clock = Clock::system();
        let first = clock.moment();
        assert!(first.wall > Timestamp::from_secs(1_700_000_000));
        assert!(clock.moment().boot >= first.boot);
        assert!(first.boot > Duration::ZERO);
    }

    #[test]
    fn differences_never_go_below_zero() {
        let early = Timestamp::from_secs(10);
        let late = early + Duration::from_millis(1_500);
        assert_eq!(late.since(early), Duration::from_millis(1_500));
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(late.before(Duration::from_millis(1_500)), early);
        assert_eq!(Timestamp::from_millis(-1).as_secs(), -1);
    }
}
