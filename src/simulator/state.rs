//! All that the simulator remembers. It is gone when the process ends.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use super::Action;
use super::answer::{Answer, Refusal};
use super::app::{App, TicketMode};
use super::faults::Faults;
use super::ledger::{By, Ledger, Minted};
use super::quota::Usage;
use super::seed::Seed;
use super::tickets::Tickets;
use super::tokens::{Chain, Lives, Standing};
use crate::account::AppId;
use crate::clock::Timestamp;

/// Two `force_refresh` closer to each other than this: the second one does nothing
/// (<https://developers.weixin.qq.com/doc/service/api/base/api_getstableaccesstoken.html>).
const FORCE_INTERVAL: Duration = Duration::from_secs(30);

/// The whole state, behind the simulator's one lock.
pub(super) struct State {
    pub(super) seed: Seed,
    /// How far the simulator's time is ahead of the clock.
    pub(super) ahead: Duration,
    /// All requests so far.
    pub(super) requests: u64,
    pub(super) accounts: BTreeMap<AppId, Account>,
    pub(super) faults: Faults,
    pub(super) ledger: Ledger,
}

/// Where a transition takes place.
pub(super) struct Scene<'a> {
    pub(super) now: Timestamp,
    pub(super) seed: Seed,
    pub(super) ledger: &'a mut Ledger,
}

/// An account with everything that was issued to it.
pub(super) struct Account {
    pub(super) app: App,
    pub(super) classic: Chain,
    /// Those of the API that returns the same one again; a WeCom app has no others.
    pub(super) stable: Chain,
    pub(super) jsapi: Tickets,
    pub(super) card: Tickets,
    /// What coupons were signed with before.
    pub(super) card_nonces: HashSet<String>,
    pub(super) agent: Tickets,
    pub(super) usage: Usage,
}

/// The types of ticket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum TicketType {
    Jsapi,
    Card,
    Agent,
}

impl Account {
    pub(super) fn new(app: App, seed: Seed, now: Timestamp) -> Self {
        let label = |kind: &str| format!("{}/{kind}", app.appid);
        Self {
            classic: Chain::new(label("token")),
            stable: Chain::new(label("stable_token")),
            jsapi: Tickets::new(label("jsapi"), seed, now),
            card: Tickets::new(label("wx_card"), seed, now),
            card_nonces: HashSet::new(),
            agent: Tickets::new(label("agent_config"), seed, now),
            usage: Usage::default(),
            app,
        }
    }

    /// What a call with `token` meets, or `None` if the token is none of this account's.
    pub(super) fn standing(&self, token: &str, now: Timestamp) -> Option<Standing> {
        self.classic
            .find(token)
            .or_else(|| self.stable.find(token))
            .map(|token| token.standing(now))
    }

    /// `/cgi-bin/token`: each call supersedes the token before.
    pub(super) fn fetch_classic(&mut self, by: By, scene: &mut Scene<'_>) -> Answer {
        let knobs = &self.app.knobs;
        let lives = Lives {
            life: knobs.life_token,
            overlap: knobs.overlap_token,
            visible_after: knobs.token_visible_after,
        };
        let value = self
            .classic
            .mint(scene.now, scene.seed, knobs.token_bytes, &lives);
        scene
            .ledger
            .minted(scene.now, &self.app.appid, Minted::ClassicToken, &value, by);
        Answer::Token(value, knobs.life_token)
    }

    /// `/cgi-bin/stable_token`: the same token until its last minutes, or until it is forced.
    ///
    /// # Errors
    /// When it was forced too often.
    pub(super) fn fetch_stable(
        &mut self,
        force: bool,
        scene: &mut Scene<'_>,
    ) -> Result<Answer, Refusal> {
        let (knobs, now) = (&self.app.knobs, scene.now);
        let held = self.stable.current(now).map(|token| {
            let left = token.expires_at.since(now);
            (token.value.clone(), left)
        });
        let forced_lately =
            |at: Option<Timestamp>| at.is_some_and(|at| now.since(at) < FORCE_INTERVAL);
        let force = force && held.is_some() && !forced_lately(self.stable.forced_at);
        let overlap = match held {
            Some((value, left)) if !force && left > knobs.renew_window => {
                return Ok(Answer::Token(value, left));
            }
            _ if force => {
                self.usage.force(&knobs.quotas, now)?;
                self.stable.forced_at = Some(now);
                knobs.overlap_forced
            }
            _ => knobs.overlap_token,
        };
        let lives = Lives {
            life: knobs.life_stable,
            overlap,
            visible_after: knobs.token_visible_after,
        };
        let value = self.stable.mint(now, scene.seed, knobs.token_bytes, &lives);
        scene.ledger.minted(
            now,
            &self.app.appid,
            Minted::StableToken,
            &value,
            By::Caller,
        );
        Ok(Answer::Token(value, knobs.life_stable))
    }

    /// WeCom's `/cgi-bin/gettoken`: the same token until its end.
    pub(super) fn fetch_wecom(&mut self, scene: &mut Scene<'_>) -> Answer {
        let (knobs, now) = (&self.app.knobs, scene.now);
        if let Some(token) = self.stable.current(now) {
            let named = if knobs.wecom_remaining {
                token.expires_at.since(now)
            } else {
                knobs.life_stable
            };
            return Answer::Token(token.value.clone(), named);
        }
        let lives = Lives {
            life: knobs.life_stable,
            overlap: Duration::ZERO,
            visible_after: knobs.token_visible_after,
        };
        let value = self.stable.mint(now, scene.seed, knobs.token_bytes, &lives);
        let appid = &self.app.appid;
        (scene.ledger).minted(now, appid, Minted::WecomToken, &value, By::Caller);
        Answer::Token(value, knobs.life_stable)
    }

    /// `/cgi-bin/ticket/getticket`, and WeCom's two.
    pub(super) fn fetch_ticket(&mut self, of: TicketType, scene: &mut Scene<'_>) -> Answer {
        self.settle(of, scene);
        let knobs = &self.app.knobs;
        let (tickets, kind) = match of {
            TicketType::Jsapi => (&mut self.jsapi, Minted::JsapiTicket),
            TicketType::Card => (&mut self.card, Minted::CardTicket),
            TicketType::Agent => (&mut self.agent, Minted::AgentTicket),
        };
        if knobs.ticket_mode == TicketMode::Fresh {
            let value = &tickets.rotate(scene.now, knobs).value;
            scene
                .ledger
                .minted(scene.now, &self.app.appid, kind, value, By::Caller);
        }
        let life = tickets.reported_life(scene.now, knobs);
        Answer::Ticket(tickets.newest().value.clone(), life)
    }

    /// Lets time have its effect on the tickets.
    pub(super) fn settle(&mut self, of: TicketType, scene: &mut Scene<'_>) {
        let (tickets, kind) = match of {
            TicketType::Jsapi => (&mut self.jsapi, Minted::JsapiTicket),
            TicketType::Card => (&mut self.card, Minted::CardTicket),
            TicketType::Agent => (&mut self.agent, Minted::AgentTicket),
        };
        if let Some(ticket) = tickets.settle(scene.now, &self.app.knobs) {
            let value = &ticket.value;
            scene
                .ledger
                .minted(scene.now, &self.app.appid, kind, value, By::WeChat);
        }
    }

    /// What the control interface orders.
    pub(super) fn act(&mut self, action: Action, scene: &mut Scene<'_>) {
        let appid = self.app.appid.clone();
        scene
            .ledger
            .write(scene.now, Some(&appid), super::What::Acted { action });
        match action {
            Action::StealToken => {
                self.fetch_classic(By::Stranger, scene);
            }
            Action::RevokeTokens => {
                self.classic.revoke(scene.now);
                self.stable.revoke(scene.now);
            }
            Action::ExpireTokens => {
                self.classic.expire(scene.now);
                self.stable.expire(scene.now);
            }
            Action::RotateTicket => {
                self.settle(TicketType::Jsapi, scene);
                let value = &self.jsapi.rotate(scene.now, &self.app.knobs).value;
                scene
                    .ledger
                    .minted(scene.now, &appid, Minted::JsapiTicket, value, By::WeChat);
            }
            Action::ExpireTicket => {
                self.jsapi.expire(scene.now);
                self.agent.expire(scene.now);
                self.settle(TicketType::Jsapi, scene);
            }
        }
    }
}
