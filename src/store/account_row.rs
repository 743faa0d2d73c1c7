//! What is stored about an account that was added at run time.

use serde::{Deserialize, Serialize};

use crate::account::TokenApi;
use crate::clock::Timestamp;
use crate::vault::Sealed;

/// An account that was added at run time; its AppID is the key under which it is stored.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AccountRow {
    /// What people call it.
    pub name: Option<String>,
    /// Which token API it uses.
    pub token_api: TokenApi,
    /// The hosts of the pages that it may sign for, as they are written in `page_hosts`.
    pub page_hosts: Vec<String>,
    /// Its AppSecret, which takes the master key to be read.
    pub secret: Sealed,
    /// When it was put here.
    pub changed_at: Timestamp,
    /// Whether it hands out coupons.
    #[serde(default, skip_serializing_if = "is_false")]
    pub wx_card: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
const fn is_false(of: &bool) -> bool {
    !*of
}

impl AccountRow {
    pub(super) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("it has only text keys")
    }

    /// `None` if it cannot be read.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_a_version_without_coupons_is_read_and_written_as_it_was() {
        let text = r#"{"name":null,"token_api":"classic","page_hosts":["h5.example.com"],"secret":"c2VhbGVk","changed_at":1700000000000}"#;
        let mut row = AccountRow::decode(text.as_bytes()).unwrap();
        assert!(!row.wx_card);
        assert_eq!(row.encode(), text.as_bytes());
        row.wx_card = true;
        assert_eq!(AccountRow::decode(&row.encode()), Some(row));
    }
}
