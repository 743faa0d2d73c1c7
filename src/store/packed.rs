//! The row of an account, in little room.

use std::sync::Arc;

/// What a row says beside its own facts, as [`super::AccountRow`] is written. A character that no
/// JSON text holds as it is stands for each.
const WORDS: [(&str, &str); 4] = [
    (
        "\u{1}",
        r#"{"name":null,"token_api":"classic","page_hosts":[""#,
    ),
    (
        "\u{2}",
        r#"{"name":null,"token_api":"stable","page_hosts":[""#,
    ),
    ("\u{3}", r#""],"secret":""#),
    ("\u{4}", r#"","changed_at":"#),
];

/// The bytes of a row. A copy shares them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Packed(Arc<[u8]>);

impl Packed {
    pub(super) fn of(row: &[u8]) -> Self {
        let packed = std::str::from_utf8(row).ok().map(|row| {
            let replaced = |row: String, (short, word)| row.replace(word, short);
            WORDS.into_iter().fold(row.to_owned(), replaced)
        });
        let packed = packed.map(|packed| Self(packed.as_bytes().into()));
        packed
            .filter(|packed| packed.bytes() == row)
            .unwrap_or_else(|| Self([b"\0", row].concat().into()))
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        if let Some((0, raw)) = self.0.split_first() {
            return raw.to_vec();
        }
        let mut bytes = Vec::new();
        for byte in self.0.iter() {
            let word = WORDS.iter().find(|(short, _)| short.as_bytes() == [*byte]);
            match word {
                Some((_, word)) => bytes.extend(word.as_bytes()),
                None => bytes.push(*byte),
            }
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::TokenApi;
    use crate::clock::Timestamp;
    use crate::store::AccountRow;

    #[test]
    fn a_row_takes_little_room_and_comes_out_as_it_was_whatever_it_is() {
        let row = AccountRow {
            name: None,
            token_api: TokenApi::Classic,
            page_hosts: vec!["h5.example.com".to_owned()],
            secret: serde_json::from_str("\"c2VhbGVk\"").unwrap(),
            changed_at: Timestamp::from_secs(1_700_000_000),
            wx_card: false,
        };
        let written = row.encode();
        let packed = Packed::of(&written);
        assert_eq!(packed.bytes(), written);
        assert_eq!(packed.0.len() + 75, written.len());
        let others: [&[u8]; 6] = [b"", b"{}", b"\0", b"\x01\x02", b"\xff{", "微".as_bytes()];
        for bytes in others {
            assert_eq!(Packed::of(bytes).bytes(), bytes, "{bytes:?}");
        }
    }
}
