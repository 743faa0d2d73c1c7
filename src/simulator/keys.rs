//! What an account's signatures may have been made with: the simulator knows every ticket.

use super::state::{Account, State};
use crate::clock::Timestamp;
use crate::credential::Secret;
use crate::diagnosis::{Key, Keys, Mistake};

/// So many dead tickets of an account are tried.
const DEAD_TICKETS: usize = 16;

/// So many other values of each kind are tried.
const OTHER_KEYS: usize = 2;

/// All that `account` has, and a little of what others have; of a WeCom app what is right for
/// `wx.agentConfig` is wrong for `wx.config`, and the other way about.
pub(super) fn keys(state: &State, account: &Account, of_agent: bool, now: Timestamp) -> Keys {
    let (right, mixed) = if of_agent {
        (&account.agent, &account.jsapi)
    } else {
        (&account.jsapi, &account.agent)
    };
    let mixed = mixed.iter().filter(|ticket| ticket.lives(now));
    let mixed = mixed
        .filter(|_| account.is_wecoms())
        .map(|ticket| (Mistake::TicketsMixed, ticket.value.clone()));
    let right = right.iter().filter(|ticket| ticket.lives(now));
    let right = right.map(|ticket| (None, Key::text(&ticket.value)));
    let tokens = (account.classic.iter().take(OTHER_KEYS))
        .chain(account.stable.iter().take(OTHER_KEYS))
        .map(|token| (Mistake::AccessTokenAsTicket, token.value.clone()));
    let others = state
        .accounts
        .values()
        .filter(|other| other.app.appid != account.app.appid)
        .flat_map(|other| other.jsapi.iter().take(OTHER_KEYS))
        .map(|ticket| (Mistake::OtherAppTicket, ticket.value.clone()));
    let wrong = wrong_tickets(account, now).into_iter();
    let wrong = mixed.chain(wrong).chain(tokens).chain(others);
    Keys {
        right: right.collect(),
        wrong: wrong
            .map(|(m, value)| (Some(m), Key::text(&value)))
            .collect(),
    }
}

/// Its former tickets, and those for cards.
pub(super) fn wrong_tickets(account: &Account, now: Timestamp) -> Vec<(Mistake, Secret)> {
    let dead = account.jsapi.iter().filter(|ticket| !ticket.lives(now));
    let dead = dead
        .take(DEAD_TICKETS)
        .map(|ticket| (Mistake::StaleTicket, ticket.value.clone()));
    let cards = account.card.iter().take(OTHER_KEYS);
    let cards = cards.map(|ticket| (Mistake::CardTicket, ticket.value.clone()));
    dead.chain(cards).collect()
}
