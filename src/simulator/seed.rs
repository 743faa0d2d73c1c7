//! Where every value of the simulator comes from: the same seed, the same values.

use sha2::{Digest, Sha256};

/// The characters of WeChat's tokens and tickets.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// How every value begins, so that nobody takes it for a real one, and a log that holds one is
/// easily found.
const MARK: &str = "SIMULATED-";

/// A source of values that look random. It holds no position: each label has its own value,
/// whatever was asked before.
#[derive(Clone, Copy)]
pub(super) struct Seed(pub(super) u64);

impl Seed {
    /// `length` characters of base64url, the first of them [`MARK`].
    pub(super) fn text(self, label: &str, length: usize) -> String {
        let rest = length.saturating_sub(MARK.len());
        (MARK.to_owned() + &self.unmarked_text(label, rest))
            .chars()
            .take(length)
            .collect()
    }

    /// `length` characters of base64url.
    pub(super) fn unmarked_text(self, label: &str, length: usize) -> String {
        (0..length.div_ceil(32))
            .flat_map(|block| self.block(label, block))
            .map(|byte| char::from(ALPHABET[usize::from(byte % 64)]))
            .take(length)
            .collect()
    }

    /// A number of 64 bits.
    pub(super) fn number(self, label: &str) -> u64 {
        self.block(label, 0)
            .iter()
            .take(8)
            .fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    /// A number from 0 up to but not including 1.
    pub(super) fn fraction(self, label: &str) -> f64 {
        f64::from(u32::try_from(self.number(label) >> 32).expect("32 bits are left"))
            / (f64::from(u32::MAX) + 1.0)
    }

    fn block(self, label: &str, block: usize) -> [u8; 32] {
        Sha256::digest(format!("{}/{label}/{block}", self.0)).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_depend_on_seed_and_label_only() {
        assert_eq!(Seed(1).text("a", 86), Seed(1).text("a", 86));
        assert_ne!(Seed(1).text("a", 86), Seed(2).text("a", 86));
        assert_ne!(Seed(1).text("a", 86), Seed(1).text("b", 86));
        assert_eq!(Seed(1).text("a", 600).len(), 600);
        assert!((0..1000).all(|n| Seed(n).fraction("x") < 1.0));
    }
}
