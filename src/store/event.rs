//! What happened, as it is stored: bytes that only [`crate::history`] reads, each under an id that
//! says when.

use std::fmt;
use std::str::FromStr;

use rand::Rng;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Op, Store, StoreError};
use crate::account::AppId;
use crate::clock::Timestamp;

/// How many bits of an id are not its time.
const CHANCE: u32 = 80;

/// Names an event. Ids are in the order of their times, whichever node they come from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(u128);

impl EventId {
    /// A new one of that time; behind `last` if that is of the same.
    pub fn new(at: Timestamp, last: Option<Self>) -> Self {
        let first = Self::first_of(at).0;
        match last {
            Some(Self(last)) if last >> CHANCE == first >> CHANCE => Self(last.wrapping_add(1)),
            _ => {
                let mut chance = [0; 16];
                rand::rng().fill_bytes(&mut chance);
                // Half of the room is left for those that come after it.
                Self(first | u128::from_be_bytes(chance) >> (129 - CHANCE))
            }
        }
    }

    /// What comes before all ids of that time.
    pub fn first_of(at: Timestamp) -> Self {
        let millis = at.as_millis().max(0).unsigned_abs();
        Self(u128::from(millis) << CHANCE)
    }

    /// When it happened.
    pub fn at(self) -> Timestamp {
        let millis = i64::try_from(self.0 >> CHANCE);
        Timestamp::from_millis(millis.unwrap_or(i64::MAX))
    }

    pub(super) const fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    pub(super) const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for EventId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let plain = text.len() == 32 && text.bytes().all(is_hex);
        let id = plain.then(|| u128::from_str_radix(text, 16).ok()).flatten();
        id.map(Self)
            .ok_or("is no id of an event: those have 32 hexadecimal digits")
    }
}

impl Serialize for EventId {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EventId {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// An event as a [`Backend`](super::Backend) holds it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredEvent {
    /// Its name, which is its time too.
    pub id: EventId,
    /// The account that it is about, if it is about one.
    pub appid: Option<AppId>,
    /// What happened, encoded.
    pub bytes: Vec<u8>,
}

/// Events that are kept apart, so that many of the one sort push none of the other out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EventStream {
    /// What comes by itself, and what anybody can bring about.
    Course,
    /// Who changed what.
    Audit,
}

impl EventStream {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Course, Self::Audit];
}

/// No more events are forgotten at one time, for whoever calls the store meanwhile waits.
pub const PRUNED_AT_ONCE: u32 = 10_000;

/// Which events, and how many of them: the newest that match, the newest first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EventRange {
    /// Those about this account alone.
    pub appid: Option<AppId>,
    /// Those before this one.
    pub before: Option<EventId>,
    /// Those after this one.
    pub after: Option<EventId>,
    /// At most so many.
    pub limit: u32,
}

impl EventRange {
    /// The ids that bound it, neither of them in it.
    pub(super) fn bounds(&self) -> (EventId, EventId) {
        let (all, none) = (EventId(0), EventId(u128::MAX));
        (self.after.unwrap_or(all), self.before.unwrap_or(none))
    }
}

impl Store {
    /// Adds to what happened. An event that is there already is left as it is.
    ///
    /// # Errors
    /// The store cannot be reached; the events may or may not be there.
    pub async fn append_events(
        &self,
        stream: EventStream,
        events: Vec<StoredEvent>,
    ) -> Result<(), StoreError> {
        let appended = self.shared.backend.append_events(stream, events);
        self.call_beside(Op::AppendEvents, appended).await
    }

    /// What happened, of both sorts, the newest first.
    ///
    /// # Errors
    /// The store cannot be reached.
    pub async fn events(&self, range: EventRange) -> Result<Vec<StoredEvent>, StoreError> {
        let mut found = Vec::new();
        for stream in EventStream::ALL {
            let of_one = self.shared.backend.events(stream, range.clone());
            found.extend(self.call_beside(Op::Events, of_one).await?);
        }
        found.sort_unstable_by_key(|event| std::cmp::Reverse(event.id));
        found.truncate(range.limit as usize);
        Ok(found)
    }

    /// Forgets what happened before `before`, and all but the newest `most` events of the stream,
    /// in steps of [`PRUNED_AT_ONCE`].
    ///
    /// # Errors
    /// The store cannot be reached.
    pub async fn prune_events(
        &self,
        stream: EventStream,
        before: EventId,
        most: u32,
    ) -> Result<(), StoreError> {
        loop {
            let pruned = self.shared.backend.prune_events(stream, before, most);
            if self.call_beside(Op::PruneEvents, pruned).await? < PRUNED_AT_ONCE {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_in_the_order_of_their_times_and_read_as_they_are_written() {
        let at = |millis| Timestamp::from_millis(millis);
        let one = EventId::new(at(1_700_000_000_123), None);
        let two = EventId::new(at(1_700_000_000_123), Some(one));
        let three = EventId::new(at(1_700_000_000_124), Some(two));
        assert!(EventId::first_of(one.at()) <= one && one < two && two < three);
        assert_eq!(two.at(), at(1_700_000_000_123));
        assert_eq!(EventId::from_bytes(two.to_bytes()), two);
        assert_eq!(two.to_string().parse(), Ok(two));
        for wrong in [
            "",
            "1",
            &"A".repeat(32),
            &"0".repeat(33),
            "+0000000000000000000000000000001",
        ] {
            assert!(wrong.parse::<EventId>().is_err(), "{wrong}");
        }
    }
}
