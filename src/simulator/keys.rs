//! What an account's signatures may have been made with: the simulator knows every ticket.

use super::state::{Account, State};
use crate::clock::Timestamp;
use crate::diagnosis::{Key, Keys, Mistake};

/// So many dead tickets of an account are tried.
const DEAD_TICKETS: usize = 16;

/// So many other values of each kind are tried.
const OTHER_KEYS: usize = 2;

/// All that `account` has, and a little of what others have.
pub(super) fn keys(state: &State, account: &Account, now: Timestamp) -> Keys {
    let (right, dead): (Vec<_>, Vec<_>) =
        account.jsapi.iter().partition(|ticket| ticket.lives(now));
    let cards = account.card.iter().take(OTHER_KEYS);
    let classic = account.classic.iter().take(OTHER_KEYS);
    let stable = account.stable.iter().take(OTHER_KEYS);
    let others = state
        .accounts
        .values()
        .filter(|other| other.app.appid != account.app.appid)
        .flat_map(|other| other.jsapi.iter().take(OTHER_KEYS));
    let dead = dead.into_iter().take(DEAD_TICKETS);
    let wrong = (dead.map(|ticket| (Mistake::StaleTicket, &ticket.value)))
        .chain(cards.map(|ticket| (Mistake::CardTicket, &ticket.value)))
        .chain(classic.map(|token| (Mistake::AccessTokenAsTicket, &token.value)))
        .chain(stable.map(|token| (Mistake::AccessTokenAsTicket, &token.value)))
        .chain(others.map(|ticket| (Mistake::OtherAppTicket, &ticket.value)));
    let right = right.iter().map(|ticket| Key::text(&ticket.value));
    Keys {
        right: right.map(|key| (None, key)).collect(),
        wrong: wrong
            .map(|(m, value)| (Some(m), Key::text(value)))
            .collect(),
    }
}
