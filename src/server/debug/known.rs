//! What the debugger may try: the tickets of the accounts that the viewer may see.

use std::sync::Arc;

use super::Viewer;
use crate::clock::Moment;
use crate::credential::{Kind, Secret};
use crate::debugger::{Known, KnownAccount, Pasted};
use crate::diagnosis::Mistake;
use crate::keeper::{Accounts, Kept};
use crate::server::Gate;
use crate::signer::Signer;

/// The tickets of so many other accounts are tried.
const MAX_OTHERS: usize = 16;

/// So many hosts of each account are tried.
const MAX_HOSTS: usize = 16;

/// What the search may use.
pub(super) fn known(gate: &Gate, viewer: &Viewer, pasted: &Pasted) -> Known {
    let accounts = gate.app.keeper.accounts();
    let now = gate.app.keeper.clock().moment();
    let visible = |kept: &&Arc<Kept>| viewer.may_see(kept);
    let mut named = named(&accounts, pasted);
    named.retain(visible);
    let right = right(pasted);
    let account = named.first().map(|first| {
        let mut account = KnownAccount::default();
        for kept in &named {
            account.tickets.extend(value(kept, right, now));
            account.tokens.extend(value(kept, Kind::AccessToken, now));
            account.hosts.extend(hosts(kept));
            account.wrong.extend(wrong(gate, kept, pasted, now));
        }
        // The ticket of the corporation may be the one that another app fetched.
        if pasted.is_of_agent() {
            let corpid = first.account.appid.for_config();
            let is_sibling = |kept: &&Arc<Kept>| kept.account.appid.for_config() == corpid;
            let siblings = accounts.iter().filter(is_sibling).filter(visible);
            let mixed = siblings.filter_map(|kept| value(kept, Kind::JsapiTicket, now));
            let mixed = mixed.map(|ticket| (Mistake::TicketsMixed, Signer::new(&ticket)));
            account.wrong.extend(mixed);
        }
        account
    });
    let is_named = |kept: &Arc<Kept>| named.iter().any(|named| Arc::ptr_eq(named, kept));
    let others = accounts.iter().filter(|kept| !is_named(kept));
    let others = others.filter(visible).filter_map(|other| {
        let ticket = value(other, right, now)?;
        Some((other.account.appid.clone(), Signer::new(&ticket)))
    });
    Known {
        account,
        others: others.take(MAX_OTHERS).collect(),
    }
}

/// The accounts whose tickets are right: at WeCom a `wx.config` names the corporation alone.
fn named<'a>(accounts: &'a Accounts, pasted: &Pasted) -> Vec<&'a Arc<Kept>> {
    let is_meant = |kept: &&Arc<Kept>| pasted.is_of(&kept.account.appid);
    let one = match pasted.app_id() {
        "" => return accounts.only().filter(is_meant).into_iter().collect(),
        appid => accounts.get(appid).filter(is_meant),
    };
    one.map_or_else(
        || accounts.iter().filter(is_meant).collect(),
        |one| vec![one],
    )
}

/// Which ticket signs it.
const fn right(pasted: &Pasted) -> Kind {
    if pasted.is_of_agent() {
        Kind::AgentTicket
    } else {
        Kind::JsapiTicket
    }
}

fn value(kept: &Kept, kind: Kind, now: Moment) -> Option<Secret> {
    let snapshot = kept.snapshot();
    let served = snapshot.served(kind, now)?;
    Some(served.credential.value.clone())
}

/// What an account has that does not sign this.
fn wrong(gate: &Gate, kept: &Kept, pasted: &Pasted, now: Moment) -> Vec<(Mistake, Signer)> {
    let simulator = gate.app.simulator.as_ref();
    // The simulated WeChat knows which tickets it takes no more; the former one may live on.
    let former = gate.app.keeper.former_signer(&kept.account.appid);
    let former = former.filter(|_| simulator.is_none() && !pasted.is_of_agent());
    let former = former.map(|signer| (Mistake::FormerTicket, signer));
    let further = [
        (Mistake::CardTicket, Kind::CardTicket),
        (Mistake::TicketsMixed, Kind::AgentTicket),
    ];
    let further = further
        .into_iter()
        .filter(|(_, kind)| *kind != right(pasted));
    let further = further.filter_map(|(mistake, kind)| Some((mistake, value(kept, kind, now)?)));
    let appid = &kept.account.appid;
    let simulated = simulator.into_iter();
    let simulated = simulated.flat_map(|simulator| simulator.wrong_tickets(appid));
    let tickets = further.chain(simulated);
    let tickets = tickets.map(|(mistake, ticket)| (mistake, Signer::new(&ticket)));
    former.into_iter().chain(tickets).collect()
}

/// The hosts of an account's pages, without patterns and ports.
fn hosts(kept: &Kept) -> Vec<String> {
    let patterns = kept.account.page_hosts.patterns().into_iter();
    let names = patterns.filter(|pattern| !pattern.contains(['*', ':']));
    names.take(MAX_HOSTS).collect()
}
