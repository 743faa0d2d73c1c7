//! A map of many entries of which a changed copy costs little.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// A map in parts. Copies share them, and a change of one entry copies the part that it is in.
#[derive(Clone, Debug)]
pub(crate) struct Sharded<K, V> {
    parts: Box<[Arc<HashMap<K, V>>]>,
    len: usize,
}

/// Of a hundred thousand entries each part has four hundred.
const PARTS: usize = 256;

impl<K, V> Default for Sharded<K, V> {
    fn default() -> Self {
        Self {
            // All empty parts are one.
            parts: vec![Arc::default(); PARTS].into(),
            len: 0,
        }
    }
}

impl<K: Eq + Hash, V> Sharded<K, V> {
    /// How many entries there are.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// What is under `key`.
    pub(crate) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.parts[part_of(key)].get(key)
    }

    /// The same, and the key as it is there.
    pub(crate) fn get_key_value<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<(&K, &V)>
    where
        K: Borrow<Q>,
    {
        self.parts[part_of(key)].get_key_value(key)
    }

    /// All entries, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.parts.iter().flat_map(|part| part.iter())
    }
}

/// In which part a key is, in every map.
fn part_of<Q: Hash + ?Sized>(key: &Q) -> usize {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish() as usize % PARTS
}

impl<K: Clone + Eq + Hash, V: Clone> Sharded<K, V> {
    /// Puts `value` under `key`, and returns what was there.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        let part = part_of(&key);
        let former = Arc::make_mut(&mut self.parts[part]).insert(key, value);
        self.len += usize::from(former.is_none());
        former
    }

    /// Takes away what is under `key`, and returns it.
    pub(crate) fn remove<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let part = part_of(key);
        self.parts[part].get(key)?;
        let former = Arc::make_mut(&mut self.parts[part]).remove(key);
        self.len -= usize::from(former.is_some());
        former
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(range: std::ops::Range<u32>) -> Sharded<u32, u32> {
        let mut map = Sharded::default();
        for number in range {
            map.insert(number, number);
        }
        map
    }

    #[test]
    fn a_copy_that_is_changed_leaves_the_other_as_it_was() {
        let former = numbers(0..1000);
        let mut map = former.clone();
        assert_eq!(map.insert(7, 70), Some(7));
        assert_eq!(map.insert(1000, 1000), None);
        assert_eq!(map.remove(&9), Some(9));
        assert_eq!(map.remove(&9), None);
        assert_eq!((map.get(&7), map.get(&9)), (Some(&70), None));
        assert_eq!((former.get(&7), former.get(&9)), (Some(&7), Some(&9)));
        assert_eq!((map.len(), former.len()), (1000, 1000));
        assert_eq!((map.iter().count(), former.iter().count()), (1000, 1000));
    }
}
