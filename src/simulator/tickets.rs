//! The tickets of one account and one type, in the modes of [`TicketMode`].

use std::collections::VecDeque;
use std::time::Duration;

use super::app::{Knobs, TicketMode};
use super::seed::Seed;
use crate::clock::Timestamp;
use crate::credential::Secret;

/// What WeChat says for `expires_in`, however old the ticket is.
const REPORTED_LIFE: Duration = Duration::from_secs(7200);

/// Dead tickets are forgotten beyond this many.
const REMEMBERED: usize = 32;

/// A ticket as it was issued.
pub(super) struct Ticket {
    /// Grows by one with each ticket.
    pub(super) epoch: u64,
    pub(super) value: Secret,
    valid_from: Timestamp,
    /// Its end, once that is known.
    dies_at: Option<Timestamp>,
}

impl Ticket {
    pub(super) fn lives(&self, now: Timestamp) -> bool {
        self.dies_at.is_none_or(|end| now < end)
    }
}

/// All tickets of one account and one type, the newest last. The first one is always a dead one,
/// from before the simulator started: so there is a stale ticket to be caught with at any time.
pub(super) struct Tickets {
    label: String,
    seed: Seed,
    history: VecDeque<Ticket>,
}

impl Tickets {
    pub(super) fn new(label: String, seed: Seed, now: Timestamp) -> Self {
        let mut tickets = Self {
            label,
            seed,
            history: VecDeque::new(),
        };
        tickets.mint(now);
        tickets.expire(now);
        tickets
    }

    /// Brings the tickets up to `now`: the newest one becomes the one that WeChat would return.
    /// Returns it if it is new.
    pub(super) fn settle(&mut self, now: Timestamp, knobs: &Knobs) -> Option<&Ticket> {
        let boundary = period_start(now, knobs.ticket_period);
        let newest = self.newest();
        let lasts = knobs.ticket_mode == TicketMode::Lasting;
        if !newest.lives(now) {
            self.mint(now);
            if lasts {
                self.begin_life(now, knobs);
            }
            return Some(self.newest());
        }
        if lasts {
            return None;
        }
        // A ticket of a period that nobody asked in was never seen by anyone, so it is left out.
        if knobs.ticket_mode != TicketMode::Fresh && newest.valid_from < boundary {
            let end = period_start(newest.valid_from, knobs.ticket_period) + knobs.ticket_period;
            self.supersede(end, knobs);
            return Some(self.mint(boundary));
        }
        None
    }

    /// Changes the ticket now; the former one lives on for the overlap.
    pub(super) fn rotate(&mut self, now: Timestamp, knobs: &Knobs) -> &Ticket {
        self.supersede(now, knobs);
        self.mint(now);
        if knobs.ticket_mode == TicketMode::Lasting {
            self.begin_life(now, knobs);
        }
        self.newest()
    }

    fn begin_life(&mut self, now: Timestamp, knobs: &Knobs) {
        if let Some(newest) = self.history.back_mut() {
            newest.dies_at = Some(now + knobs.ticket_period);
        }
    }

    /// Ends all tickets now.
    pub(super) fn expire(&mut self, now: Timestamp) {
        for ticket in &mut self.history {
            ticket.dies_at = Some(ticket.dies_at.map_or(now, |end| end.min(now)));
        }
    }

    /// What getticket says for `expires_in`.
    pub(super) fn reported_life(&self, now: Timestamp, knobs: &Knobs) -> Duration {
        match knobs.ticket_mode {
            TicketMode::Rotate | TicketMode::Hostile => REPORTED_LIFE,
            TicketMode::Remaining => {
                (period_start(now, knobs.ticket_period) + knobs.ticket_period).since(now)
            }
            TicketMode::Lasting if knobs.wecom_remaining => {
                let end = self.newest().dies_at;
                end.map_or(knobs.ticket_period, |end| end.since(now))
            }
            TicketMode::Fresh | TicketMode::Lasting => knobs.ticket_period,
        }
    }

    pub(super) fn newest(&self) -> &Ticket {
        self.history
            .back()
            .expect("there is a ticket from the start")
    }

    /// Whether what is signed with this one is right now.
    pub(super) fn accepts(&self, ticket: &str, now: Timestamp) -> bool {
        self.iter()
            .any(|known| known.value.expose() == ticket && known.lives(now))
    }

    /// All that are remembered, the newest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Ticket> {
        self.history.iter().rev()
    }

    fn supersede(&mut self, at: Timestamp, knobs: &Knobs) {
        let overlap = match knobs.ticket_mode {
            TicketMode::Hostile | TicketMode::Lasting => Duration::ZERO,
            _ => knobs.ticket_overlap,
        };
        if let Some(newest) = self.history.back_mut() {
            let end = at + overlap;
            newest.dies_at = Some(newest.dies_at.map_or(end, |known| known.min(end)));
        }
    }

    fn mint(&mut self, now: Timestamp) -> &Ticket {
        if self.history.len() >= REMEMBERED {
            let dead = self.history.iter().skip(1).position(|t| !t.lives(now));
            dead.and_then(|position| self.history.remove(position + 1));
        }
        let epoch = self.history.back().map_or(0, |newest| newest.epoch + 1);
        // Tickets of different accounts begin alike, so that nobody tells them apart by that.
        let own = format!("{}/{epoch}", self.label);
        let value = self.seed.text("tickets", 22) + &self.seed.unmarked_text(&own, 64);
        self.history.push_back(Ticket {
            epoch,
            value: Secret::new(value),
            valid_from: now,
            dies_at: None,
        });
        self.newest()
    }
}

fn period_start(at: Timestamp, period: Duration) -> Timestamp {
    let period = i64::try_from(period.as_millis()).unwrap_or(i64::MAX).max(1);
    Timestamp::from_millis(at.as_millis().div_euclid(period) * period)
}
