//! A machine's way to WeChat, which may be as slow as a machine that stands still.

use std::sync::Arc;
use std::time::Duration;

use futures_core::future::BoxFuture;
use wxsign::account::Account;
use wxsign::credential::{Kind, Secret};
use wxsign::store::Key;
use wxsign::upstream::{Class, Issued, Upstream, UpstreamError};

use super::Machine;
use crate::plan::Point;
use crate::shared::What;

/// A machine's way to WeChat.
pub(crate) struct Line(pub(crate) Arc<Machine>);

impl Line {
    /// Sends the request that polling `call` sends.
    async fn call(&self, account: &Account, kind: Kind, call: Call) -> Answer {
        let (machine, shared) = (&self.0, &self.0.shared);
        let key = Key {
            appid: account.appid.clone(),
            kind,
        };
        let asked_at = shared.now();
        machine.strike(Point::BeforeSend, &key);
        // On its own: who gives up meanwhile cannot call back what a paused machine will send.
        let sending = tokio::spawn(send(Arc::clone(machine), key.clone(), call));
        let answer = match sending.await {
            Ok(answer) => answer,
            Err(_) => std::future::pending().await,
        };
        let word = match &answer {
            Ok(_) => "ok",
            Err(error) if error.class() == Class::Ambiguous => "lost",
            Err(_) => "fails",
        };
        shared.note(Some(machine.number), What::Answered(key.clone(), word));
        machine.reach(Point::AfterAnswer, &key).await;
        match &answer {
            Ok(issued) => {
                shared.bill(&key, |bill| bill.delivered += 1);
                let value = issued.value.clone();
                machine.state().in_hand.push((key, value, asked_at));
            }
            Err(error) if error.class() == Class::TokenRejected => {
                let token = Key {
                    kind: Kind::AccessToken,
                    ..key
                };
                shared.bill(&token, |bill| bill.rejected += 1);
            }
            Err(_) => {}
        }
        answer
    }
}

type Answer = Result<Issued, UpstreamError>;
type Call = BoxFuture<'static, Answer>;

async fn send(machine: Arc<Machine>, key: Key, call: Call) -> Answer {
    machine.wait_while_paused(Duration::ZERO).await;
    if !machine.is_alive() {
        std::future::pending::<()>().await;
    }
    machine
        .shared
        .note(Some(machine.number), What::Sends(key.clone()));
    if !machine.has_lease(&key) {
        machine.state().sent_late.push(key);
    }
    call.await
}

impl Upstream for Line {
    fn fetch_token<'a>(
        &'a self,
        account: &'a Account,
    ) -> BoxFuture<'a, Result<Issued, UpstreamError>> {
        Box::pin(async move {
            let (wechat, of) = (self.0.shared.simulator.clone(), account.clone());
            let call = Box::pin(async move { wechat.fetch_token(&of).await });
            self.call(account, Kind::AccessToken, call).await
        })
    }

    fn fetch_ticket<'a>(
        &'a self,
        account: &'a Account,
        kind: Kind,
        token: &'a Secret,
    ) -> BoxFuture<'a, Result<Issued, UpstreamError>> {
        Box::pin(async move {
            let wechat = self.0.shared.simulator.clone();
            let (of, with) = (account.clone(), token.clone());
            let call = Box::pin(async move { wechat.fetch_ticket(&of, kind, &with).await });
            self.call(account, kind, call).await
        })
    }

    fn verify_token<'a>(
        &'a self,
        account: &'a Account,
        token: &'a Secret,
    ) -> BoxFuture<'a, Result<(), UpstreamError>> {
        self.0.shared.simulator.verify_token(account, token)
    }
}
