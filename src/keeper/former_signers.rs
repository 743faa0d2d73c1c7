//! What signed pages before the tickets of now, to recognise it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::account::AppId;
use crate::signer::Signer;

/// So many are kept, the latest. Whoever pastes a signature made it a moment ago, and of very many
/// accounts these would take more room than all else that readers see.
const MOST: usize = 4096;

/// The latest former signers, one of an account.
#[derive(Default)]
pub(super) struct FormerSigners(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    /// Each with its number, by which the oldest is found.
    by_appid: HashMap<AppId, (u64, Signer)>,
    taken: u64,
}

impl FormerSigners {
    /// Takes what signed the pages of an account until now.
    pub(super) fn take(&self, appid: &AppId, signer: Signer) {
        let mut kept = self.kept();
        kept.taken += 1;
        let number = kept.taken;
        kept.by_appid.insert(appid.clone(), (number, signer));
        if kept.by_appid.len() > MOST {
            let oldest = kept.by_appid.iter().min_by_key(|(_, (number, _))| *number);
            if let Some(oldest) = oldest.map(|(appid, _)| appid.clone()) {
                kept.by_appid.remove(&oldest);
            }
        }
    }

    /// What signed the pages of an account before.
    pub(super) fn of(&self, appid: &AppId) -> Option<Signer> {
        let kept = self.kept();
        kept.by_appid.get(appid).map(|(_, signer)| signer.clone())
    }

    /// What is under the lock is whole at any time.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::Secret;

    #[test]
    fn the_latest_are_kept_one_of_an_account() {
        let signers = FormerSigners::default();
        let appid = |number: usize| format!("wx{number:016x}").parse::<AppId>().unwrap();
        let signer = |ticket: &str| Signer::new(&Secret::new(ticket));
        let sign = |signer: Signer| signer.sign_text(b"n", b"1", "u").to_string();
        for number in 0..MOST {
            signers.take(&appid(number), signer("first"));
        }
        signers.take(&appid(0), signer("second"));
        assert_eq!(
            signers.of(&appid(0)).map(sign),
            Some(sign(signer("second")))
        );
        signers.take(&appid(MOST), signer("first"));
        let there = |number| signers.of(&appid(number)).is_some();
        assert_eq!([0, 1, 2, MOST].map(there), [true, false, true, true]);
    }
}
