//! One step of one account: its token, then its tickets.

use std::sync::atomic::Ordering;

use tokio_util::sync::CancellationToken;

use super::accounts::Memory;
use super::local::Local;
use super::renewal::Renewal;
use super::{Kept, Shared};
use crate::clock::Timestamp;
use crate::credential::{Credential, Kind};
use crate::store::Key;

/// Looks at the account's credentials and renews what is due. Returns when to do so again.
pub(super) async fn step(shared: &Shared, kept: &Kept, stop: &CancellationToken) -> Timestamp {
    // Whoever nudges has said before what for: all of that is read behind this.
    kept.known.nudged.swap(false, Ordering::AcqRel);
    let mut memory = kept.recall();
    let renewals = Renewals::new(shared, kept, stop);
    if kept.known.tries_again.swap(false, Ordering::AcqRel) {
        memory.token.pardon();
        memory.ticket.pardon();
        memory.further.pardon();
    }
    let wake = renewals.renew(&mut memory).await;
    kept.remember(memory);
    let further = kept.account.further_ticket();
    if !kept.snapshot().is_settled(further) {
        kept.publish(|snapshot| snapshot.settle(further));
    }
    wake
}

/// The renewals of an account's credentials.
pub(super) struct Renewals<'a> {
    pub(super) token: Renewal<'a>,
    pub(super) ticket: Renewal<'a>,
    /// Of the ticket that it has beside that one.
    pub(super) further: Option<Renewal<'a>>,
}

/// What is remembered of one of the tickets.
type OfTicket = fn(&mut Memory) -> &mut Local;

impl<'a> Renewals<'a> {
    pub(super) fn new(shared: &'a Shared, kept: &'a Kept, stop: &'a CancellationToken) -> Self {
        let credential_of = |kind| Renewal {
            shared,
            kept,
            stop,
            policy: shared.policy(kept, kind),
            key: Key {
                appid: kept.account.appid.clone(),
                kind,
            },
        };
        Self {
            token: credential_of(Kind::AccessToken),
            ticket: credential_of(Kind::JsapiTicket),
            further: kept.account.further_ticket().map(credential_of),
        }
    }

    async fn renew(&self, memory: &mut Memory) -> Timestamp {
        let known = &self.token.kept.known;
        // A stored ticket signs whatever becomes of the token.
        if memory.ticket.record.credential.is_none() {
            self.ticket.look(&mut memory.ticket).await;
        }
        if let Some(further) = &self.further
            && memory.further.record.credential.is_none()
        {
            further.look(&mut memory.further).await;
        }
        let doubted = known.doubted_ticket.swap(false, Ordering::AcqRel);
        memory.ticket.doubted |= doubted;
        memory.further.doubted |= doubted;
        self.token.check_if_doubted(&mut memory.token).await;
        let mut wake = self.token.renew(&mut memory.token, None).await.0;
        let of_ticket: OfTicket = |memory| &mut memory.ticket;
        wake = wake.min(
            self.renew_ticket(&self.ticket, of_ticket, memory, wake)
                .await,
        );
        if let Some(further) = &self.further {
            let of_further: OfTicket = |memory| &mut memory.further;
            wake = wake.min(self.renew_ticket(further, of_further, memory, wake).await);
        }
        wake
    }

    /// Renews a ticket with the token, and once more with another one if WeChat rejects that.
    /// Returns when to look again, which is no later than `wake`.
    async fn renew_ticket(
        &self,
        ticket: &Renewal<'_>,
        local: OfTicket,
        memory: &mut Memory,
        mut wake: Timestamp,
    ) -> Timestamp {
        for _ in 0..2 {
            let Some(access) = self.token_in_use() else {
                break;
            };
            if memory.token.was_replaced(access.generation) {
                memory.ticket.forget_rejection();
                memory.further.forget_rejection();
            }
            let (ticket_wake, rejected) = ticket.renew(local(memory), Some(&access)).await;
            wake = wake.min(ticket_wake);
            if let Some(generation) = local(memory).token_worked.take() {
                memory.token.accept(generation);
            }
            if !rejected {
                break;
            }
            // The ticket needs a token that WeChat accepts: renew that one, then try once more.
            if ticket.key.kind == Kind::JsapiTicket {
                memory.token.reject(access.generation);
            } else {
                // What only some accounts may ask for may be refused though the token is good, and
                // to renew it then would take the token of all again and again.
                let doubted = &ticket.kept.known.doubted_token;
                doubted.store(access.generation, Ordering::Release);
                self.token.check_if_doubted(&mut memory.token).await;
            }
            wake = wake.min(self.token.renew(&mut memory.token, None).await.0);
            let in_use = self.token_in_use();
            if in_use.is_none_or(|new| new.generation == access.generation) {
                break;
            }
        }
        wake
    }

    fn token_in_use(&self) -> Option<Credential> {
        let now = self.token.shared.clock.moment();
        let snapshot = self.token.kept.snapshot();
        snapshot.token(now).map(|served| served.credential.clone())
    }
}
