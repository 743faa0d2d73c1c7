//! The one-time links by which the first password is set.
//!
//! Each node that starts without a password makes one of its own and prints it; what is stored of
//! them lets every node take every link, until the first one is used.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::distr::{Alphanumeric, SampleString};

use crate::client::KeyHash;
use crate::clock::Timestamp;
use crate::credential::Secret;
use crate::store::LinkRow;

/// A link holds so long.
const LIFE: Duration = Duration::from_secs(3600);

/// So many there may be; a new one ends the oldest.
const MOST: usize = 20;

/// A new link, and its secret of 190 random bits, which is kept nowhere.
pub(super) fn new(now: Timestamp) -> (LinkRow, Secret) {
    let secret = Alphanumeric.sample_string(&mut rand::rng(), 32);
    let ends_at = now + LIFE;
    (LinkRow { ends_at }, Secret::new(secret))
}

/// Whether the link holds at `now`; one that holds longer than any was made under another clock.
pub(super) fn holds(link: &LinkRow, now: Timestamp) -> bool {
    now < link.ends_at && link.ends_at.since(now) <= LIFE * 2
}

/// Those that end when another one is made at `now`: those that hold no more, and the oldest if
/// there are too many.
pub(super) fn ended(links: &BTreeMap<KeyHash, LinkRow>, now: Timestamp) -> Vec<KeyHash> {
    let (mut holding, ended): (Vec<_>, Vec<_>) =
        links.iter().partition(|(_, link)| holds(link, now));
    holding.sort_by_key(|(_, link)| link.ends_at);
    let too_many = (holding.len() + 1).saturating_sub(MOST);
    let ended = ended.into_iter().chain(holding.into_iter().take(too_many));
    ended.map(|(key, _)| *key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

    #[test]
    fn a_link_holds_for_an_hour() {
        let (link, secret) = new(NOW);
        assert_eq!(secret.expose().len(), 32);
        assert!(holds(&link, NOW) && holds(&link, NOW + LIFE / 2));
        assert!(!holds(&link, NOW + LIFE));
        assert!(!holds(&link, NOW.before(LIFE * 2)));
    }

    #[test]
    fn of_too_many_links_the_oldest_goes() {
        let at = |minutes: u64| new(NOW + Duration::from_secs(60 * minutes)).0;
        let links: BTreeMap<_, _> = (0..20)
            .map(|i| (KeyHash::of(&i.to_string()), at(i)))
            .collect();
        let now = NOW + Duration::from_secs(60 * 20);
        assert_eq!(ended(&links, now), [KeyHash::of("0")]);
        assert_eq!(ended(&BTreeMap::new(), now), []);
    }
}
