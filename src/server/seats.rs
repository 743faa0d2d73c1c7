//! How many connections there may be: in all, and from one client address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::limits::client_key;
use crate::config::Limits;

/// The connections of one listener.
#[derive(Default)]
pub(super) struct Seats(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// 0 for any number.
    most: usize,
    /// 0 for any number.
    most_per_client: usize,
    /// Who connects for many clients.
    exempt: Vec<IpNet>,
    taken: AtomicUsize,
    /// No more entries than connections.
    by_client: Mutex<HashMap<u64, usize>>,
}

/// Programs on this machine.
const LOCAL: [IpNet; 2] = [
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8)),
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128)),
];

/// The right to one connection, as long as it lives.
pub(super) struct Seat {
    shared: Arc<Shared>,
    client: Option<u64>,
}

impl Seats {
    /// As many as `limits` allow; `proxies` may have any number, and so may programs on this
    /// machine, which a proxy mostly is.
    pub(super) fn new(limits: &Limits, proxies: &[IpNet]) -> Self {
        Self::exempting([proxies, &LOCAL].concat(), limits)
    }

    /// The same, where `exempt` may have any number and nobody else.
    pub(super) fn exempting(exempt: Vec<IpNet>, limits: &Limits) -> Self {
        let number = |limit: u32| usize::try_from(limit).unwrap_or(usize::MAX);
        Self(Arc::new(Shared {
            most: number(limits.connections),
            most_per_client: number(limits.connections_per_address),
            exempt,
            ..Shared::default()
        }))
    }

    /// Takes a seat for a connection from `peer`, if one is free.
    pub(super) fn take(&self, peer: IpAddr) -> Option<Seat> {
        let shared = &self.0;
        if shared.most > 0 && shared.taken.load(Ordering::Relaxed) >= shared.most {
            return None;
        }
        let peer = peer.to_canonical();
        let counts =
            shared.most_per_client > 0 && !shared.exempt.iter().any(|net| net.contains(&peer));
        let client = counts.then(|| client_key(peer));
        if let Some(client) = client {
            let mut by_client = shared.by_client();
            let taken = by_client.entry(client).or_default();
            if *taken >= shared.most_per_client {
                return None;
            }
            *taken += 1;
        }
        shared.taken.fetch_add(1, Ordering::Relaxed);
        let shared = Arc::clone(shared);
        Some(Seat { shared, client })
    }
}

impl Seat {
    /// Whether more than three quarters of all seats are taken, or of those of its client, so that
    /// who does nothing has to leave sooner. Behind one address there can be a whole town.
    pub(super) fn is_wanted(&self) -> bool {
        let Shared {
            most,
            most_per_client,
            taken,
            ..
        } = &*self.shared;
        let by_client = || {
            let taken = self.client.map(|client| {
                let by_client = self.shared.by_client();
                by_client.get(&client).copied().unwrap_or_default()
            });
            taken.is_some_and(|taken| is_scarce(taken, *most_per_client))
        };
        is_scarce(taken.load(Ordering::Relaxed), *most) || by_client()
    }
}

const fn is_scarce(taken: usize, most: usize) -> bool {
    most > 0 && taken > most - most / 4
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.shared.taken.fetch_sub(1, Ordering::Relaxed);
        let Some(client) = self.client else { return };
        let mut by_client = self.shared.by_client();
        if let Some(taken) = by_client.get_mut(&client) {
            *taken -= 1;
            if *taken == 0 {
                by_client.remove(&client);
            }
        }
    }
}

impl Shared {
    fn by_client(&self) -> MutexGuard<'_, HashMap<u64, usize>> {
        self.by_client
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seats(connections: u32, connections_per_address: u32) -> Seats {
        let limits = Limits {
            connections,
            connections_per_address,
            ..Limits::default()
        };
        Seats::new(&limits, &["10.0.0.0/8".parse().unwrap()])
    }

    fn take(seats: &Seats, peer: &str, wanted: usize) -> Vec<Seat> {
        let peer = peer.parse().unwrap();
        (0..wanted).map_while(|_| seats.take(peer)).collect()
    }

    #[test]
    fn one_address_cannot_have_them_all() {
        let seats = seats(1000, 10);
        let mine = take(&seats, "203.0.113.1", 50);
        assert_eq!(mine.len(), 10);
        assert_eq!(take(&seats, "203.0.113.2", 5).len(), 5);
        drop(mine);
        assert_eq!(take(&seats, "203.0.113.1", 50).len(), 10);
        assert_eq!(seats.0.taken.load(Ordering::Relaxed), 0);
        assert!(seats.0.by_client().is_empty());
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one_address() {
        let seats = seats(1000, 10);
        let _six = take(&seats, "2001:db8::1", 6);
        assert_eq!(take(&seats, "2001:db8::ffff:1", 6).len(), 4);
        assert_eq!(take(&seats, "2001:db8:0:1::1", 6).len(), 6);
    }

    #[test]
    fn proxies_and_programs_of_this_machine_have_as_many_as_there_are() {
        let seats = seats(100, 10);
        let _proxy = take(&seats, "10.1.2.3", 40);
        let _local = take(&seats, "127.0.0.1", 40);
        assert_eq!(take(&seats, "::ffff:10.1.2.3", 40).len(), 20);
    }

    #[test]
    fn seats_are_wanted_when_few_are_left() {
        let seats = seats(8, 0);
        let mut taken = take(&seats, "203.0.113.1", 6);
        assert!(!taken[0].is_wanted());
        taken.extend(seats.take("203.0.113.1".parse().unwrap()));
        assert!(taken[0].is_wanted());
    }

    #[test]
    fn the_seats_of_one_address_are_wanted_before_all_are() {
        let seats = seats(1000, 8);
        let mine = take(&seats, "203.0.113.1", 7);
        let other = take(&seats, "203.0.113.2", 1);
        assert!(mine[0].is_wanted() && !other[0].is_wanted());
    }

    #[test]
    fn no_limit_is_no_limit() {
        let seats = seats(0, 0);
        let taken = take(&seats, "203.0.113.1", 10_000);
        assert_eq!(taken.len(), 10_000);
        assert!(!taken[0].is_wanted());
    }
}
