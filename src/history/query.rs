//! What is looked for in the history.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Event;
use crate::account::AppId;
use crate::clock::Timestamp;
use crate::store::{EventId, EventRange, Store, StoreError};

/// What is looked for; the newest that match are found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Query {
    /// Events about this account alone.
    pub appid: Option<AppId>,
    /// What their names begin with, as `renewal` or `renewal.failed`.
    pub what: Option<String>,
    /// What their lines contain, in capitals or not.
    pub text: Option<String>,
    /// Those before this one: for the next page.
    pub before: Option<EventId>,
    /// Those after this one.
    pub after: Option<EventId>,
    /// At most so many, and never more than [`Query::MOST`].
    pub limit: u32,
}

impl Default for Query {
    fn default() -> Self {
        Self {
            appid: None,
            what: None,
            text: None,
            before: None,
            after: None,
            limit: 50,
        }
    }
}

/// What was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// The events, the newest first.
    pub events: Vec<Event>,
    /// Where to look on, as [`Query::before`], if there may be more.
    pub next: Option<EventId>,
}

/// So many events are read at once where not all of them match.
const PAGE: u32 = 1000;

/// After so many a search stops, and says where to look on.
const LOOKED_AT: u32 = 20_000;

impl Query {
    /// No more events are found at one time.
    pub const MOST: u32 = 200;

    /// Finds the newest events in `store` that match and that `may` be seen.
    ///
    /// # Errors
    /// The store cannot be reached.
    pub async fn find(
        &self,
        store: &Store,
        may: impl Fn(&Event) -> bool,
    ) -> Result<Found, StoreError> {
        let wanted = self.limit.clamp(1, Self::MOST);
        let mut range = EventRange {
            appid: self.appid.clone(),
            before: self.before,
            after: self.after,
            limit: if self.what.is_none() && self.text.is_none() {
                wanted
            } else {
                PAGE
            },
        };
        let text = self.text.as_deref().map(str::to_lowercase);
        let (mut events, mut looked_at) = (Vec::new(), 0);
        loop {
            let page = store.events(range.clone()).await?;
            let is_last = page.len() < range.limit as usize;
            for stored in page {
                looked_at += 1;
                range.before = Some(stored.id);
                let event = Event::read(stored);
                events.extend(
                    event.filter(|event| self.matches(event, text.as_deref()) && may(event)),
                );
                if events.len() == wanted as usize {
                    let next = range.before;
                    return Ok(Found { events, next });
                }
            }
            if is_last || looked_at >= LOOKED_AT {
                let next = range.before.filter(|_| !is_last);
                return Ok(Found { events, next });
            }
            range.limit = PAGE;
        }
    }

    /// Whether an event is what is looked for, where in time it may be.
    pub fn accepts(&self, event: &Event) -> bool {
        let text = self.text.as_deref().map(str::to_lowercase);
        (self.appid.is_none() || self.appid == event.appid) && self.matches(event, text.as_deref())
    }

    fn matches(&self, event: &Event, text: Option<&str>) -> bool {
        let what = self.what.as_deref();
        what.is_none_or(|what| event.what.name().starts_with(what))
            && text.is_none_or(|text| {
                let line = format!("{event} {}", event.node);
                line.to_lowercase().contains(text)
            })
    }
}

/// Goes on finding what happens, whichever node it happens on.
///
/// A node writes down what happens on it a moment later: so it is looked back a little, and what
/// was found already is not found again.
#[derive(Debug)]
pub struct Following {
    query: Query,
    found: BTreeSet<EventId>,
}

/// What happens is found if it is written down no later than this: a second after it happened, and
/// whatever the clocks of the nodes differ by.
const LATE: Duration = Duration::from_secs(15);

impl Following {
    /// Finds what matches `query` and is written down from `now` on. What happened a moment ago is
    /// found too: whoever does not want that asks once, or says what is [known](Self::know).
    pub fn new(query: Query, now: Timestamp) -> Self {
        let look_from = EventId::first_of(now.before(LATE));
        Self {
            query: Query {
                after: query.after.max(Some(look_from)),
                ..query
            },
            found: BTreeSet::new(),
        }
    }

    /// Takes an event for found.
    pub fn know(&mut self, id: EventId) {
        self.found.insert(id);
    }

    /// What has happened since it was asked last, the oldest first; it is `now`.
    ///
    /// # Errors
    /// The store cannot be reached; it is found the next time.
    pub async fn next(
        &mut self,
        store: &Store,
        now: Timestamp,
        may: impl Fn(&Event) -> bool,
    ) -> Result<Vec<Event>, StoreError> {
        let mut query = Query {
            before: None,
            limit: Query::MOST,
            ..self.query.clone()
        };
        let mut new = Vec::new();
        loop {
            let found = query.find(store, &may).await?;
            let events = found.events.into_iter();
            new.extend(events.filter(|event| !self.found.contains(&event.id)));
            query.before = found.next;
            if query.before.is_none() {
                break;
            }
        }
        self.found.extend(new.iter().map(|event| event.id));
        // One node whose clock is ahead does not hide what the others write.
        let newest = self.found.last().map(|id| id.at().min(now).before(LATE));
        if let Some(look_from) = newest.map(EventId::first_of) {
            self.query.after = self.query.after.max(Some(look_from));
            self.found = self.found.split_off(&look_from);
        }
        new.reverse();
        Ok(new)
    }
}
