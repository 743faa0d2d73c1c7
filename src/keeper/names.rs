//! The names of nodes, each kept once however many credentials they have renewed.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Of more names those that nobody uses any more are let go.
const FEW: usize = 64;

#[derive(Default)]
pub(super) struct Names(Mutex<HashSet<Arc<String>>>);

impl Names {
    /// The one copy of a name.
    pub(super) fn get(&self, name: &str) -> Arc<String> {
        // No code that can panic runs under the lock.
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let name = name.to_owned();
        if let Some(known) = names.get(&name) {
            return Arc::clone(known);
        }
        if names.len() >= FEW {
            names.retain(|name| Arc::strong_count(name) > 1);
        }
        let name = Arc::new(name);
        names.insert(Arc::clone(&name));
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_once_and_no_longer_than_it_is_used() {
        let names = Names::default();
        let used = names.get("node");
        for number in 0..10 * FEW {
            assert_eq!(*names.get(&number.to_string()), number.to_string());
        }
        assert!(Arc::ptr_eq(&used, &names.get("node")));
        assert!(names.0.lock().unwrap().len() <= FEW);
    }
}
