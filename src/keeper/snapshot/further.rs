//! The ticket that few accounts have beside their jsapi_ticket.

use super::{Snapshot, Standing};
use crate::credential::Kind;

/// How a ticket beside the jsapi_ticket stands.
#[derive(Clone, Debug)]
pub(super) struct Further {
    kind: Kind,
    pub(super) standing: Standing,
    /// Whether a step has come to its end since the account has it.
    tried: bool,
}

impl Snapshot {
    pub(super) fn standing(&self, kind: Kind) -> &Standing {
        match kind {
            Kind::AccessToken => &self.token,
            Kind::JsapiTicket => &self.ticket,
            Kind::CardTicket | Kind::AgentTicket => self
                .further()
                .filter(|further| further.kind == kind)
                .map_or(&NOTHING, |further| &further.standing),
        }
    }

    pub(super) fn standing_mut(&mut self, kind: Kind) -> &mut Standing {
        match kind {
            Kind::AccessToken => &mut self.token,
            Kind::JsapiTicket => &mut self.ticket,
            Kind::CardTicket | Kind::AgentTicket => &mut self.further_mut(kind).standing,
        }
    }

    fn further(&self) -> Option<&Further> {
        self.seldom.as_ref()?.further.as_ref()
    }

    /// The further ticket, which is of `kind` from now on.
    fn further_mut(&mut self, kind: Kind) -> &mut Further {
        let known = &mut self.seldom.get_or_insert_default().further;
        known.take_if(|further| further.kind != kind);
        known.get_or_insert_with(|| Further {
            kind,
            standing: Standing::default(),
            tried: false,
        })
    }

    /// Whether a step has come to its end, with the account's `further` ticket or without one.
    pub(in crate::keeper) fn is_settled(&self, further: Option<Kind>) -> bool {
        let known = self.further();
        self.tried && known.map(|of| (of.kind, of.tried)) == further.map(|kind| (kind, true))
    }

    /// Notes that a step has come to its end; what is known of another `further` ticket than the
    /// account has is dropped.
    pub(in crate::keeper) fn settle(&mut self, further: Option<Kind>) {
        self.tried = true;
        match further {
            Some(kind) => self.further_mut(kind).tried = true,
            None => {
                if let Some(seldom) = &mut self.seldom {
                    seldom.further = None;
                }
            }
        }
    }

    /// Whether a step has come to its end since the account has had a credential of `kind`.
    pub(in crate::keeper) fn has_tried(&self, kind: Kind) -> bool {
        match kind {
            Kind::AccessToken | Kind::JsapiTicket => self.tried,
            Kind::CardTicket | Kind::AgentTicket => {
                let further = self.further();
                further.is_some_and(|further| further.kind == kind && further.tried)
            }
        }
    }
}

/// How a credential stands that the account does not have.
static NOTHING: Standing = Standing {
    served: None,
    aside: None,
};
