//! One step of one account: its token, then its ticket.

use std::sync::atomic::Ordering;

use tokio_util::sync::CancellationToken;

use super::accounts::Memory;
use super::policy::Policy;
use super::renewal::Renewal;
use super::{Kept, Shared};
use crate::clock::Timestamp;
use crate::credential::{Credential, Kind};
use crate::store::Key;

/// Looks at the account's credentials and renews what is due. Returns when to do so again.
pub(super) async fn step(shared: &Shared, kept: &Kept, stop: &CancellationToken) -> Timestamp {
    kept.known.nudged.store(false, Ordering::Release);
    let mut memory = kept.recall();
    let (token, ticket) = renewals(shared, kept, stop);
    if kept.known.tries_again.swap(false, Ordering::AcqRel) {
        memory.token.pardon();
        memory.ticket.pardon();
    }
    let wake = renew(&token, &ticket, &mut memory).await;
    kept.remember(memory);
    if !kept.snapshot().tried {
        kept.publish(|snapshot| snapshot.tried = true);
    }
    wake
}

/// The renewals of the account's token and of its ticket.
pub(super) fn renewals<'a>(
    shared: &'a Shared,
    kept: &'a Kept,
    stop: &'a CancellationToken,
) -> (Renewal<'a>, Renewal<'a>) {
    let credential_of = |kind| Renewal {
        shared,
        kept,
        stop,
        policy: Policy::of(kind, kept.account.token_api),
        key: Key {
            appid: kept.account.appid.clone(),
            kind,
        },
    };
    (
        credential_of(Kind::AccessToken),
        credential_of(Kind::JsapiTicket),
    )
}

async fn renew(token: &Renewal<'_>, ticket: &Renewal<'_>, memory: &mut Memory) -> Timestamp {
    let (shared, kept) = (token.shared, token.kept);
    if memory.ticket.record.credential.is_none() {
        // A stored ticket signs whatever becomes of the token.
        ticket.look(&mut memory.ticket).await;
    }
    memory.ticket.doubted |= kept.known.doubted_ticket.swap(false, Ordering::AcqRel);
    token.check_if_doubted(&mut memory.token).await;
    let mut wake = token.renew(&mut memory.token, None).await.0;
    for _ in 0..2 {
        let Some(access) = token_in_use(shared, kept) else {
            break;
        };
        if memory.token.was_replaced(access.generation) {
            memory.ticket.forget_rejection();
        }
        let (ticket_wake, rejected) = ticket.renew(&mut memory.ticket, Some(&access)).await;
        wake = wake.min(ticket_wake);
        if let Some(generation) = memory.ticket.token_worked.take() {
            memory.token.accept(generation);
        }
        if !rejected {
            break;
        }
        // The ticket needs a token that WeChat accepts: renew that one, then try once more.
        memory.token.reject(access.generation);
        wake = wake.min(token.renew(&mut memory.token, None).await.0);
        if token_in_use(shared, kept).is_none_or(|new| new.generation == access.generation) {
            break;
        }
    }
    wake
}

fn token_in_use(shared: &Shared, kept: &Kept) -> Option<Credential> {
    let now = shared.clock.moment();
    kept.snapshot()
        .token(now)
        .map(|served| served.credential.clone())
}
