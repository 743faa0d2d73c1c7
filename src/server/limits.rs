//! How often one caller may ask: a leaking bucket per key, in a table of fixed size.
//!
//! Each key has a cell in each of two rows, chosen by a secret hash, and is refused only when
//! both cells are full. So memory stays the same whatever the number of keys, nothing needs to be
//! swept, and two keys disturb each other only if they meet in both rows.

use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Cells in a row.
const CELLS: usize = 1 << 14;

/// How many seconds' worth of requests may come at once.
const BURST_SECONDS: u64 = 5;

/// A limit of requests a second for each key.
pub(super) struct Limit {
    /// Made for the first request.
    table: OnceLock<Table>,
    /// The time that one request takes up, in nanoseconds.
    cost: u64,
}

struct Table {
    hasher: RandomState,
    /// For each cell the time at which it will be empty, in nanoseconds on the boot clock.
    rows: [Box<[AtomicU64]>; 2],
}

impl Table {
    fn new() -> Self {
        let row = |_| (0..CELLS).map(|_| AtomicU64::new(0)).collect();
        Self {
            hasher: RandomState::new(),
            rows: [0, 1].map(row),
        }
    }

    /// One hash is long enough for both rows.
    fn cells(&self, key: impl Hash) -> [&AtomicU64; 2] {
        let hash = self.hasher.hash_one(key);
        [0, 1].map(|row: usize| {
            let half = (hash >> (32 * row)) as u32;
            &self.rows[row][half as usize % CELLS]
        })
    }
}

impl Limit {
    /// A limit of `per_second` requests a second; 0 sets none.
    pub(super) fn per_second(per_second: u32) -> Option<Self> {
        (per_second > 0).then(|| Self {
            table: OnceLock::new(),
            cost: 1_000_000_000 / u64::from(per_second),
        })
    }

    /// Counts a request of `key` at `now` on the boot clock.
    ///
    /// # Errors
    /// It is one too many; the time after which the next may come.
    pub(super) fn admit(&self, key: impl Hash, now: Duration) -> Result<(), Duration> {
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let cells = self.table.get_or_init(Table::new).cells(key);
        let empty_at = cells
            .iter()
            .map(|cell| cell.load(Ordering::Relaxed))
            .min()
            .unwrap_or_default();
        let full_until = empty_at.saturating_sub(BURST_SECONDS * 1_000_000_000);
        if full_until > now {
            return Err(Duration::from_nanos(full_until - now));
        }
        let filled = empty_at.max(now).saturating_add(self.cost);
        for cell in cells {
            cell.fetch_max(filled, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// What a client address counts as: a network of IPv6 is one client, for it is given out whole.
pub(super) fn client_key(address: IpAddr) -> u64 {
    match address.to_canonical() {
        IpAddr::V4(v4) => u64::from(v4.to_bits()),
        // Not a /64 that could be mistaken for an IPv4 address: those begin with zeros.
        IpAddr::V6(v6) => u64::try_from(v6.to_bits() >> 64).expect("64 bits are left") | 1 << 63,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_000_000);

    #[test]
    fn a_burst_goes_through_and_then_the_rate_holds() {
        let limit = Limit::per_second(10).unwrap();
        let burst = (0..1000)
            .take_while(|_| limit.admit(1, NOW).is_ok())
            .count();
        assert_eq!(burst, 51);
        let wait = limit.admit(1, NOW).unwrap_err();
        assert!(wait <= Duration::from_millis(100), "{wait:?}");
        assert!(limit.admit(1, NOW + wait).is_ok());
        let later = NOW + Duration::from_secs(100);
        let admitted = (0..1000_u64)
            .filter(|i| {
                limit
                    .admit(1, later + Duration::from_millis(10 * i))
                    .is_ok()
            })
            .count();
        assert!((150..=152).contains(&admitted), "{admitted}");
    }

    #[test]
    fn one_caller_does_not_use_up_the_share_of_another() {
        let limit = Limit::per_second(1).unwrap();
        while limit.admit("greedy", NOW).is_ok() {}
        assert!(limit.admit("modest", NOW).is_ok());
    }

    #[test]
    fn a_thousand_greedy_callers_disturb_few_others() {
        let limit = Limit::per_second(1).unwrap();
        for caller in 0..1000 {
            while limit.admit(caller, NOW).is_ok() {}
        }
        let refused = (1000..11_000)
            .filter(|c| limit.admit(c, NOW).is_err())
            .count();
        assert!(refused < 200, "{refused}");
    }

    #[test]
    fn a_million_addresses_in_a_second_do_not_stand_in_for_each_other() {
        let limit = Limit::per_second(50).unwrap();
        let network = |number: u64| client_key(IpAddr::V6((u128::from(number) << 64).into()));
        let refused = (0..1_000_000)
            .filter(|number| {
                let now = NOW + Duration::from_micros(*number);
                limit.admit(network(*number), now).is_err()
            })
            .count();
        assert_eq!(refused, 0);
    }

    #[test]
    fn no_limit_is_no_limit() {
        assert!(Limit::per_second(0).is_none());
    }

    #[test]
    fn an_ipv6_network_is_one_client() {
        let key = |text: &str| client_key(text.parse().unwrap());
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:1"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
        assert_eq!(key("::ffff:1.2.3.4"), key("1.2.3.4"));
        assert_ne!(key("1.2.3.4"), key("1.2.3.5"));
        assert_ne!(key("::1"), key("0.0.0.0"));
    }
}
