//! The access_tokens of one account and one API: a chain in which each new one supersedes those
//! before it.

use std::collections::VecDeque;
use std::time::Duration;

use super::seed::Seed;
use crate::clock::Timestamp;
use crate::credential::Secret;

/// Dead tokens are forgotten beyond this many; forgotten and superseded look the same outside.
const REMEMBERED: usize = 64;

/// The longest token that the knob can ask for.
const MAX_TOKEN_BYTES: usize = 64 * 1024;

/// A token as it was issued.
pub(super) struct Token {
    pub(super) value: Secret,
    /// From here on it is known where it is used.
    visible_at: Timestamp,
    /// Its natural end.
    pub(super) expires_at: Timestamp,
    /// Its real end: earlier when it was superseded or revoked.
    dies_at: Timestamp,
}

/// What happens to a call with a token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Standing {
    Accepted,
    /// Not known yet, superseded or revoked: 40001.
    NotLatest,
    /// Past its natural end: 42001.
    Expired,
}

impl Token {
    pub(super) fn standing(&self, now: Timestamp) -> Standing {
        if now < self.visible_at {
            Standing::NotLatest
        } else if now < self.dies_at {
            Standing::Accepted
        } else if self.dies_at < self.expires_at {
            Standing::NotLatest
        } else {
            Standing::Expired
        }
    }
}

/// How long the tokens of a chain live; see [`super::Knobs`].
pub(super) struct Lives {
    pub(super) life: Duration,
    pub(super) overlap: Duration,
    pub(super) visible_after: Duration,
}

/// All tokens of one account and one API, the newest last.
pub(super) struct Chain {
    label: String,
    minted: u64,
    tokens: VecDeque<Token>,
    /// The last `force_refresh` that did something.
    pub(super) forced_at: Option<Timestamp>,
}

impl Chain {
    pub(super) const fn new(label: String) -> Self {
        Self {
            label,
            minted: 0,
            tokens: VecDeque::new(),
            forced_at: None,
        }
    }

    /// Makes a token of `bytes` characters; those before it live on for the overlap at most.
    pub(super) fn mint(
        &mut self,
        now: Timestamp,
        seed: Seed,
        bytes: usize,
        lives: &Lives,
    ) -> Secret {
        for token in &mut self.tokens {
            token.dies_at = token.dies_at.min(now + lives.overlap);
        }
        if self.tokens.len() >= REMEMBERED
            && let Some(dead) = self.tokens.iter().position(|token| token.dies_at <= now)
        {
            self.tokens.remove(dead);
        }
        self.minted += 1;
        let label = format!("{}/{}", self.label, self.minted);
        let value = Secret::new(format!(
            "98_{}",
            seed.text(&label, bytes.clamp(16, MAX_TOKEN_BYTES) - 3)
        ));
        self.tokens.push_back(Token {
            value: value.clone(),
            visible_at: now + lives.visible_after,
            expires_at: now + lives.life,
            dies_at: now + lives.life,
        });
        value
    }

    /// The newest token while it lives.
    pub(super) fn current(&self, now: Timestamp) -> Option<&Token> {
        self.tokens.back().filter(|token| now < token.dies_at)
    }

    pub(super) fn find(&self, value: &str) -> Option<&Token> {
        self.iter().find(|token| token.value.expose() == value)
    }

    /// All that are remembered, dead or alive, the newest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Token> {
        self.tokens.iter().rev()
    }

    /// Ends all tokens before their time.
    pub(super) fn revoke(&mut self, now: Timestamp) {
        for token in &mut self.tokens {
            token.dies_at = token.dies_at.min(now);
        }
    }

    /// Ends all tokens as if their time were over.
    pub(super) fn expire(&mut self, now: Timestamp) {
        for token in self.tokens.iter_mut().filter(|token| now < token.dies_at) {
            token.dies_at = now;
            token.expires_at = now;
        }
    }
}
