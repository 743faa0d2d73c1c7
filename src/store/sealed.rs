//! Records that only the one who has the master key can read.

use super::{Key, StoreError};
use crate::vault::Vault;

/// What sealed bytes begin with. A record that is not sealed begins with a brace.
const MARK: u8 = 1;

/// Whether what is stored takes a master key to be read.
pub(super) fn is_sealed(stored: &[u8]) -> bool {
    stored.first() == Some(&MARK)
}

/// The record as it is stored: sealed, if there is a vault.
pub(super) fn seal(vault: Option<&Vault>, key: &Key, record: Vec<u8>) -> Vec<u8> {
    let Some(vault) = vault else {
        return record;
    };
    let mut sealed = vault.seal_bytes(&key.to_string(), &record);
    sealed.insert(0, MARK);
    sealed
}

/// The record as it was before it was stored. One that was stored without a master key is taken
/// as it is.
///
/// # Errors
/// The master key is missing or another one. That is no damage: whoever wrote it goes on using it.
pub(super) fn open(
    vault: Option<&Vault>,
    key: &Key,
    stored: Vec<u8>,
) -> Result<Vec<u8>, StoreError> {
    let Some((&MARK, sealed)) = stored.split_first() else {
        return Ok(stored);
    };
    let Some(vault) = vault else {
        return Err(StoreError(format!(
            "the record {key} is sealed and WXSIGN_MASTER_KEY is not set: set the one that the \
             others have"
        )));
    };
    vault.open_bytes(&key.to_string(), sealed).map_err(|_| {
        StoreError(format!(
            "the record {key} is sealed with another master key: WXSIGN_MASTER_KEY must be the \
             same everywhere"
        ))
    })
}
