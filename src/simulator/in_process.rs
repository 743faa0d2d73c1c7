//! The simulator as an [`Upstream`] in the same process: no sockets, so that a test can pause
//! time.

use futures_core::future::BoxFuture;
use serde_json::json;

use super::{Effect, Request, Simulator};
use crate::account::{Account, TokenApi};
use crate::credential::{Kind, Secret};
use crate::diagnosis::percent::encode_component;
use crate::upstream::{
    Api, CALL_TIMEOUT, Failure, Issued, Upstream, UpstreamError, answer, ticket_type,
};

impl Upstream for Simulator {
    fn fetch_token<'a>(
        &'a self,
        account: &'a Account,
    ) -> BoxFuture<'a, Result<Issued, UpstreamError>> {
        Box::pin(async move {
            let (appid, secret) = (account.appid.as_str(), account.secret.expose());
            let (api, query, body) = match account.token_api {
                TokenApi::WeCom => {
                    let (corpid, secret) = (account.appid.for_config(), encode_component(secret));
                    let query = format!("corpid={corpid}&corpsecret={secret}");
                    (Api::GetToken, query, String::new())
                }
                TokenApi::Classic => {
                    let secret = encode_component(secret);
                    let query =
                        format!("grant_type=client_credential&appid={appid}&secret={secret}");
                    (Api::Token, query, String::new())
                }
                TokenApi::Stable => {
                    let body = json!({
                        "grant_type": "client_credential", "appid": appid, "secret": secret,
                    });
                    (Api::StableToken, String::new(), body.to_string())
                }
            };
            let (status, body) = self.exchange(api, &query, &body).await?;
            answer::token(api, status, &body)
        })
    }

    fn fetch_ticket<'a>(
        &'a self,
        account: &'a Account,
        kind: Kind,
        token: &'a Secret,
    ) -> BoxFuture<'a, Result<Issued, UpstreamError>> {
        Box::pin(async move {
            let api = Api::for_ticket(account.token_api, kind);
            let token = encode_component(token.expose());
            let query = match api {
                Api::GetJsapiTicket => format!("access_token={token}"),
                _ => format!("access_token={token}&type={}", ticket_type(kind)),
            };
            let (status, body) = self.exchange(api, &query, "").await?;
            answer::ticket(api, status, &body)
        })
    }

    fn verify_token<'a>(
        &'a self,
        account: &'a Account,
        token: &'a Secret,
    ) -> BoxFuture<'a, Result<(), UpstreamError>> {
        Box::pin(async move {
            let api = Api::for_probe(account.token_api);
            let query = format!("access_token={}", encode_component(token.expose()));
            let (status, body) = self.exchange(api, &query, "").await?;
            answer::probe(api, status, &body)
        })
    }
}

impl Simulator {
    async fn exchange(
        &self,
        api: Api,
        query: &str,
        body: &str,
    ) -> Result<(u16, Vec<u8>), UpstreamError> {
        let reply = self.call(&Request {
            method: if body.is_empty() { "GET" } else { "POST" },
            path: api.path(),
            query,
            body: body.as_bytes(),
            client_ip: self.client_ip,
        });
        let in_time = reply.effect != Effect::Hang && reply.delay < CALL_TIMEOUT;
        let wait = if in_time { reply.delay } else { CALL_TIMEOUT };
        // Not even for no time at all when there is no latency: a paused clock would move on.
        if !wait.is_zero() {
            self.clock.sleep(wait).await;
        }
        let failure = match reply.effect {
            _ if !in_time => Failure::Lost("no answer in time".to_owned()),
            Effect::Answer => return Ok((reply.status, reply.body)),
            Effect::Unreachable => Failure::NotSent("connection refused".to_owned()),
            Effect::CutOff { .. } => Failure::Lost("the connection ended in the body".to_owned()),
            Effect::Reset | Effect::Hang => Failure::Lost("the connection was reset".to_owned()),
        };
        Err(UpstreamError { api, failure })
    }
}
