//! The one-time link by which the first password is set.

use std::time::Duration;

use rand::distr::{Alphanumeric, SampleString};
use subtle::ConstantTimeEq;

use crate::client::KeyHash;
use crate::credential::Secret;

/// A link holds so long.
const LIFE: Duration = Duration::from_secs(3600);

/// A link; its secret is kept nowhere.
#[derive(Debug)]
pub(super) struct Link {
    hash: KeyHash,
    /// On the boot clock.
    until: Duration,
}

impl Link {
    /// A new link, and its secret of 190 random bits; `now` is on the boot clock.
    pub(super) fn new(now: Duration) -> (Self, Secret) {
        let secret = Alphanumeric.sample_string(&mut rand::rng(), 32);
        let link = Self {
            hash: KeyHash::of(&secret),
            until: now + LIFE,
        };
        (link, Secret::new(secret))
    }

    /// Whether `secret` is its secret, and it holds at `now`.
    pub(super) fn opens(&self, secret: &str, now: Duration) -> bool {
        bool::from(self.hash.ct_eq(&KeyHash::of(secret))) && now < self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_opens_with_its_secret_and_for_an_hour() {
        let now = Duration::from_secs(1000);
        let (link, secret) = Link::new(now);
        assert_eq!(secret.expose().len(), 32);
        assert!(link.opens(secret.expose(), now));
        assert!(!link.opens("", now) && !link.opens("x", now));
        assert!(!link.opens(secret.expose(), now + LIFE));
    }
}
