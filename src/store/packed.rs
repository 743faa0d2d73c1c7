//! The row of an account, in little room.

use super::AccountRow;
use crate::account::TokenApi;
use crate::clock::Timestamp;
use crate::vault::Sealed;

/// A row.
///
/// Behind a byte that says which token API it is stand the time of the change, the length of the
/// AppSecret, that as it is sealed, and the name and the page hosts in lines. What such a row would
/// not be written as stands behind a [`RAW`] as it is, and so do the few WeCom apps and those that
/// hand out coupons.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Packed<'a>(pub(super) &'a [u8]);

const RAW: u8 = 0;
const CLASSIC: u8 = 1;
const STABLE: u8 = 2;

/// What is kept of a row that is written so.
pub(super) fn pack(written: &[u8]) -> Vec<u8> {
    let packed = AccountRow::decode(written).and_then(|row| packed(&row));
    packed
        .filter(|packed| Packed(packed).bytes() == written)
        .unwrap_or_else(|| [&[RAW], written].concat())
}

impl Packed<'_> {
    /// The row as it is written.
    pub(super) fn bytes(self) -> Vec<u8> {
        match self.0.split_first() {
            Some((&RAW, written)) => written.to_vec(),
            _ => self.row().map_or_else(Vec::new, |row| row.encode()),
        }
    }

    /// The row; `None` if it cannot be read.
    pub(super) fn row(self) -> Option<AccountRow> {
        let (kind, rest) = self.0.split_first()?;
        let token_api = match *kind {
            CLASSIC => TokenApi::Classic,
            STABLE => TokenApi::Stable,
            _ => return AccountRow::decode(rest),
        };
        let (changed_at, rest) = rest.split_first_chunk()?;
        let (length, rest) = rest.split_first()?;
        let (secret, text) = rest.split_at_checked(usize::from(*length))?;
        let mut lines = std::str::from_utf8(text).ok()?.split('\n');
        let name = lines.next().filter(|name| !name.is_empty());
        Some(AccountRow {
            name: name.map(str::to_owned),
            token_api,
            page_hosts: lines.map(str::to_owned).collect(),
            secret: Sealed::from_bytes(secret),
            changed_at: Timestamp::from_millis(i64::from_le_bytes(*changed_at)),
            wx_card: false,
        })
    }
}

fn packed(row: &AccountRow) -> Option<Vec<u8>> {
    let secret = row.secret.as_bytes();
    let kind = match row.token_api {
        TokenApi::Classic => CLASSIC,
        TokenApi::Stable => STABLE,
        TokenApi::WeCom => return None,
    };
    let mut packed = vec![kind];
    packed.extend(row.changed_at.as_millis().to_le_bytes());
    packed.push(secret.len().try_into().ok()?);
    packed.extend(secret);
    packed.extend(row.name.as_deref().unwrap_or_default().as_bytes());
    for host in &row.page_hosts {
        packed.push(b'\n');
        packed.extend(host.as_bytes());
    }
    Some(packed)
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
        let packed = pack(&written);
        assert_eq!(packed.len() + 83, written.len());
        let packed = Packed(&packed);
        assert_eq!(packed.bytes(), written);
        assert_eq!(packed.row().as_ref(), Some(&row));
        let changes: [fn(&mut AccountRow); 7] = [
            |row| row.token_api = TokenApi::WeCom,
            |row| row.wx_card = true,
            |row| row.name = Some("商城".to_owned()),
            |row| row.name = Some(String::new()),
            |row| row.token_api = TokenApi::Stable,
            |row| row.page_hosts = Vec::new(),
            |row| row.page_hosts = vec!["a".to_owned(), "b\nc".to_owned()],
        ];
        for change in changes {
            let mut row = row.clone();
            change(&mut row);
            let packed = pack(&row.encode());
            let packed = Packed(&packed);
            assert_eq!(packed.bytes(), row.encode());
            assert_eq!(packed.row(), Some(row));
        }
        let others: [&[u8]; 6] = [b"", b"{}", b"\0", b"\x01\x02", b"\xff{", "微".as_bytes()];
        for bytes in others {
            let packed = pack(bytes);
            assert_eq!(Packed(&packed).bytes(), bytes, "{bytes:?}");
            assert_eq!(Packed(&packed).row(), None);
        }
    }
}
