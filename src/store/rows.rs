//! The rows of accounts, in little room: there may be very many, and few of them are asked for.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::AccountRow;
use super::packed::{self, Packed};
use crate::account::AppId;

/// Rows by AppID, in parts. Copies share them, and a change of one row writes the part that it is
/// in anew.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Rows {
    parts: Box<[Arc<Part>]>,
}

/// Rows in the order of their AppIDs, one behind the other.
///
/// Each is a hash of how it is written, the length of the AppID, that, and the [`Packed`] row.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
struct Part {
    ends: Vec<u32>,
    bytes: Vec<u8>,
}

/// A row as it is kept.
#[derive(Clone, Copy)]
struct Kept<'a> {
    whole: &'a [u8],
    hash: &'a [u8],
    appid: &'a str,
    row: Packed<'a>,
}

/// What becomes of the row of an account, as it is written.
pub(super) type Change<'a> = (AppId, Option<&'a [u8]>);

/// Of a hundred thousand rows each part has four hundred.
const PARTS: usize = 256;

const HASH: usize = 8;

impl Default for Rows {
    fn default() -> Self {
        Self {
            // All empty parts are one.
            parts: vec![Arc::default(); PARTS].into(),
        }
    }
}

impl Rows {
    /// A row as it is written.
    pub(super) fn written(&self, appid: &AppId) -> Option<Vec<u8>> {
        Some(self.parts[part_of(appid)].get(appid)?.row.bytes())
    }

    /// A row; `Some(None)` if it cannot be read.
    pub(super) fn row(&self, appid: &AppId) -> Option<Option<AccountRow>> {
        Some(self.parts[part_of(appid)].get(appid)?.row.row())
    }

    /// All rows, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, Packed<'_>)> {
        let all = self.parts.iter().flat_map(|part| part.iter());
        all.map(|kept| (kept.appid, kept.row))
    }

    /// The accounts whose rows are others than in `former`, those that are gone included.
    pub(super) fn changed_since<'a>(&'a self, former: &'a Self) -> impl Iterator<Item = AppId> {
        let parts = self.parts.iter().zip(&former.parts);
        let parts = parts.filter(|(mine, theirs)| !Arc::ptr_eq(mine, theirs));
        parts.flat_map(|(mine, theirs)| {
            let is_other = |kept: &Kept<'_>| match theirs.find(kept.appid) {
                Ok(place) => theirs.at(place).whole != kept.whole,
                Err(_) => true,
            };
            let here = mine.iter().filter(move |kept| is_other(kept));
            let gone = theirs.iter().filter(|kept| mine.find(kept.appid).is_err());
            let changed = here.chain(gone).map(|kept| kept.appid.parse());
            changed.map(|appid| appid.expect("it was an AppID"))
        })
    }

    /// Changes rows. Of those that are not among the `changes`, all stay or none.
    pub(super) fn change(&mut self, changes: Vec<Change<'_>>, others_stay: bool) {
        let changes = changes.into_iter();
        let mut changes: Vec<_> = changes.map(|change| (part_of(&change.0), change)).collect();
        changes.sort_unstable_by(|(one, (a, _)), (other, (b, _))| (one, a).cmp(&(other, b)));
        let (mut rest, mut next) = (changes.as_slice(), Part::default());
        for (number, part) in self.parts.iter_mut().enumerate() {
            let here = rest.partition_point(|(part, _)| *part <= number);
            let (changes, behind) = rest.split_at(here);
            rest = behind;
            if changes.is_empty() && (others_stay || part.ends.is_empty()) {
                continue;
            }
            part.change_into(
                &mut next,
                changes.iter().map(|(_, change)| change),
                others_stay,
            );
            if next != **part {
                // What is copied has no room to grow, and leaves no gaps from growing.
                *part = Arc::new(next.clone());
            }
        }
    }
}

impl Part {
    fn at(&self, place: usize) -> Kept<'_> {
        let begin = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        let whole = &self.bytes[begin as usize..self.ends[place] as usize];
        let (hash, rest) = whole.split_at(HASH);
        let (length, rest) = rest.split_first().expect("a length was put there");
        let (appid, row) = rest.split_at(usize::from(*length));
        Kept {
            whole,
            hash,
            appid: std::str::from_utf8(appid).expect("an AppID was put there"),
            row: Packed(row),
        }
    }

    fn iter(&self) -> impl Iterator<Item = Kept<'_>> {
        (0..self.ends.len()).map(|place| self.at(place))
    }

    /// Where the row of an account is, or where it would be.
    fn find(&self, appid: &str) -> Result<usize, usize> {
        let (mut from, mut to) = (0, self.ends.len());
        while from < to {
            let middle = usize::midpoint(from, to);
            match self.at(middle).appid.cmp(appid) {
                std::cmp::Ordering::Less => from = middle + 1,
                std::cmp::Ordering::Equal => return Ok(middle),
                std::cmp::Ordering::Greater => to = middle,
            }
        }
        Err(from)
    }

    fn get(&self, appid: &AppId) -> Option<Kept<'_>> {
        let place = self.find(appid.as_str()).ok()?;
        Some(self.at(place))
    }

    /// Makes `next` this part after `changes`, which are in the order of their AppIDs.
    fn change_into<'a>(
        &self,
        next: &mut Self,
        changes: impl Iterator<Item = &'a Change<'a>>,
        others_stay: bool,
    ) {
        next.ends.clear();
        next.bytes.clear();
        let mut mine = self.iter().peekable();
        for (appid, change) in changes {
            while let Some(other) = mine.next_if(|kept| kept.appid < appid.as_str()) {
                if others_stay {
                    next.push(&[other.whole]);
                }
            }
            let former = mine.next_if(|kept| kept.appid == appid.as_str());
            let Some(written) = change else { continue };
            let hash = hash_of(written);
            match former {
                // A row takes far longer to read than its hash to compare.
                Some(former) if former.hash == hash => next.push(&[former.whole]),
                _ => {
                    let name = appid.as_str().as_bytes();
                    let length = u8::try_from(name.len()).expect("an AppID is short");
                    next.push(&[&hash, &[length], name, &packed::pack(written)]);
                }
            }
        }
        if others_stay {
            mine.for_each(|other| next.push(&[other.whole]));
        }
    }

    fn push(&mut self, pieces: &[&[u8]]) {
        pieces
            .iter()
            .for_each(|piece| self.bytes.extend_from_slice(piece));
        let end = u32::try_from(self.bytes.len()).expect("a part is far below 4 GiB");
        self.ends.push(end);
    }
}

/// In which part an account is, in all directories.
fn part_of(appid: &AppId) -> usize {
    hash(appid.as_str().as_bytes()) as usize % PARTS
}

fn hash_of(written: &[u8]) -> [u8; HASH] {
    hash(written).to_le_bytes()
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn appid(number: u16) -> AppId {
        format!("wx{number:016x}").parse().unwrap()
    }

    #[test]
    fn a_copy_that_is_changed_leaves_the_other_as_it_was_and_shares_what_is_the_same() {
        let all = |changed: u16| {
            let rows = (0..1000).map(|number| (appid(number), Some(&b"{}"[..])));
            let mut rows: Vec<_> = rows.collect();
            rows[usize::from(changed)].1 = Some(b"{\"a\":1}");
            rows
        };
        let mut former = Rows::default();
        former.change(all(7), false);
        let mut rows = former.clone();
        rows.change(all(7), false);
        assert!((rows.parts.iter().zip(&former.parts)).all(|(one, other)| Arc::ptr_eq(one, other)));
        rows.change(vec![(appid(7), Some(b"x")), (appid(9), None)], true);
        let mut changed: Vec<_> = rows.changed_since(&former).collect();
        changed.sort();
        assert_eq!(changed, [appid(7), appid(9)]);
        assert_eq!((rows.iter().count(), former.iter().count()), (999, 1000));
        let written = [&rows, &former].map(|rows| rows.written(&appid(7)).unwrap());
        assert_eq!(written, [&b"x"[..], b"{\"a\":1}"]);
        let other = |(one, other): (&Arc<Part>, &Arc<Part>)| !Arc::ptr_eq(one, other);
        let others = rows.parts.iter().zip(&former.parts).map(other);
        assert!(others.filter(|is_other| *is_other).count() <= 2);
    }

    proptest! {
        #[test]
        fn rows_are_a_map(changes in vec((vec((0_u16..40, any::<Option<[u8; 2]>>()), 0..20), any::<bool>()), 1..8)) {
            let (mut rows, mut map) = (Rows::default(), BTreeMap::new());
            for (changes, others_stay) in &changes {
                let former = (rows.clone(), map.clone());
                let changes: BTreeMap<u16, _> = changes.iter().copied().collect();
                if !others_stay {
                    map.clear();
                }
                for (number, change) in &changes {
                    match change {
                        Some(bytes) => map.insert(appid(*number), bytes.to_vec()),
                        None => map.remove(&appid(*number)),
                    };
                }
                let changes = changes.iter();
                let changes = changes.map(|(number, change)| (appid(*number), change.as_ref().map(|bytes| &bytes[..])));
                rows.change(changes.collect(), *others_stay);
                let all = rows.iter().map(|(appid, row)| (appid.parse().unwrap(), row.bytes()));
                prop_assert_eq!(all.collect::<BTreeMap<_, _>>(), map.clone());
                let mut changed: Vec<_> = rows.changed_since(&former.0).collect();
                changed.sort();
                let numbers = (0..40).map(appid);
                let expected: Vec<_> = numbers.filter(|appid| map.get(appid) != former.1.get(appid)).collect();
                prop_assert_eq!(changed, expected);
                for number in 0..40 {
                    prop_assert_eq!(rows.written(&appid(number)), map.get(&appid(number)).cloned());
                }
            }
        }
    }
}
