//! What is known of one account at WeChat.

use super::*;

pub(super) const TICKET_PATH: &str = "/cgi-bin/ticket/getticket";

#[derive(Default)]
pub(super) struct Account {
    /// The tokens as they became the newest, and when.
    pub(super) tokens: Vec<(Timestamp, Secret)>,
    /// The tokens that nodes served last, and the first look after the last one at which WeChat
    /// accepted them.
    pub(super) alive: Vec<(Timestamp, Secret)>,
    /// A stranger fetched a token, or WeChat ended all tokens, and this was not mended yet.
    pub(super) broken: Option<Timestamp>,
    /// Tickets that died without a word, and when.
    pub(super) dead_tickets: Vec<(Timestamp, Secret)>,
    /// The tickets as they became the newest, and when.
    pub(super) tickets: Vec<(Timestamp, Secret)>,
    /// By when all is to be well.
    pub(super) well_by: Timestamp,
    pub(super) issued: u64,
    pub(super) bill: Bill,
    pub(super) counted_at: Timestamp,
    pub(super) day: Calls,
}

/// Calls up to the beginning of a day.
#[derive(Clone, Copy, Default)]
pub(super) struct Calls {
    pub(super) day: i64,
    pub(super) token: u64,
    pub(super) ticket: u64,
}

impl Account {
    /// All tickets up to now are dead, and nobody is told.
    pub(super) fn tickets_die(&mut self, now: Timestamp) {
        for (_, ticket) in self.tickets.drain(..) {
            self.dead_tickets.insert(0, (now, ticket));
        }
        self.dead_tickets.truncate(8);
    }

    /// When the ticket, which came at `came`, died without a word.
    pub(super) fn death_of(&self, (ticket, came): &(Secret, Timestamp)) -> Option<Timestamp> {
        let known = |(_, known): &&(Timestamp, Secret)| known == ticket;
        if let Some((at, _)) = self.dead_tickets.iter().find(known) {
            return Some(*at);
        }
        // One that nobody looked at while it lived died with those that did; with which of them is
        // not known for sure, when clocks are wrong.
        let lives = self.tickets.iter().any(|known_one| known(&known_one));
        let deaths = self.dead_tickets.iter().rev().map(|(at, _)| *at);
        deaths.filter(|at| !lives && at >= came).max()
    }

    /// Notes that WeChat accepts a token now. If it is dead at the next look, it died before that.
    pub(super) fn is_alive(&mut self, token: &Secret, next_look: Timestamp) {
        match self.alive.iter_mut().find(|(_, known)| known == token) {
            Some((at, _)) => *at = next_look,
            None => {
                self.alive.truncate(31);
                self.alive.insert(0, (next_look, token.clone()));
            }
        }
    }
}

pub(super) fn token_path(world: &World, number: usize) -> &'static str {
    match world.accounts[number].token_api {
        TokenApi::Classic => "/cgi-bin/token",
        TokenApi::Stable => "/cgi-bin/stable_token",
        TokenApi::WeCom => "/cgi-bin/gettoken",
    }
}
