//! The choice of a visitor from his own coupons: `cardSign`, for pages and for back ends.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Extension, RawQuery, State};
use axum::response::Response;
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{id, invalid_body, parse};
use crate::client::Scope;
use crate::credential::Credential;
use crate::keeper::Kept;
use crate::server::auth::Asking;
use crate::server::client_address::Caller;
use crate::server::jsapi::{Ask, admit_account, admit_client};
use crate::server::openapi::{BACK_ENDS, OfCardSigns, OfCards, PAGES, shapes};
use crate::server::problem::{Code, Problem};
use crate::server::segment::Segment;
use crate::server::status::answer;
use crate::server::{Gate, Peer};
use crate::signer::Nonce;
use crate::signer::card::Choice;

/// What a page asks for, or a back end for it.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(in crate::server) struct ChoiceAsk {
    /// The type of coupon; may be left out.
    #[schema(example = "GROUPON", max_length = 24, pattern = "^[A-Z_]*$")]
    card_type: String,
    /// The number of the shop; may be left out.
    #[schema(example = "", max_length = 20, pattern = "^[0-9]*$")]
    shop_id: String,
    /// The kind of coupon; may be left out.
    #[schema(
        example = "pFS7Fjg8kV1IdDz01r4SQwMkuCKc",
        max_length = 64,
        pattern = "^[A-Za-z0-9_-]*$"
    )]
    card_id: String,
}

/// What `wx.chooseCard` wants.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Chosen<'a> {
    #[schema(example = "")]
    shop_id: &'a str,
    #[schema(example = "GROUPON")]
    card_type: &'a str,
    #[schema(example = "")]
    card_id: &'a str,
    /// In seconds since the Unix epoch: a number, as in WeChat's manual.
    #[schema(example = 1_700_000_000)]
    timestamp: i64,
    /// 16 random letters and digits; WeChat takes them once.
    #[schema(pattern = "^[A-Za-z0-9]{16}$", example = "Wm3WZYTPz0wzccnW")]
    nonce_str: &'a str,
    #[schema(pattern = "^SHA1$", example = "SHA1")]
    sign_type: &'static str,
    #[schema(
        pattern = "^[0-9a-f]{40}$",
        example = "2d1ed375f57cf45dd963cd40c5db5651b33622fb"
    )]
    card_sign: &'a str,
}

/// Signs a choice from a visitor's own coupons.
///
/// The answer is what `wx.chooseCard` wants, once: WeChat refuses it the second time. Which
/// `cardId` is asked for, only back ends may say: see `POST /v1/accounts/{appid}/card-sign`.
#[utoipa::path(get, path = "/jsapi/card-sign", tag = PAGES, params(shapes::ChoiceQuery),
    responses((status = 200, description = "The signature.", body = Chosen<'_>), OfCardSigns))]
pub(in crate::server) async fn get(
    State(gate): State<Arc<Gate>>,
    Extension(peer): Extension<Peer>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let now = gate.app.keeper.clock().moment();
    admit_client(&gate, Caller::of(peer.0, &headers), now)?;
    let query = query.unwrap_or_default();
    let ask = ChoiceAsk::from_query(&query)?;
    let kept = {
        let accounts = gate.app.keeper.accounts();
        Arc::clone(Ask::from_query(&query)?.account(&gate, &accounts)?)
    };
    admit_account(&gate, &kept, now)?;
    let credential = gate.card_ticket(&kept).await?;
    Ok(ask.answer(&gate, &kept, &credential))
}

/// Signs a choice from a visitor's own coupons of one kind.
///
/// As `/jsapi/card-sign`, and with a `cardId`: pass the answer on to the page.
#[utoipa::path(post, path = "/v1/accounts/{appid}/card-sign", tag = BACK_ENDS,
    security(("client_key" = ["ticket"])), params(shapes::InPath), request_body = ChoiceAsk,
    responses((status = 200, description = "The signature.", body = Chosen<'_>), OfCards))]
pub(in crate::server) async fn post(
    asking: Asking,
    Segment(appid): Segment,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let (caller, kept) = asking.admit(Scope::Ticket, &appid)?;
    let ask: ChoiceAsk = parse(body, r#"{"cardType": "GROUPON", "cardId": "p…"}"#)?;
    ask.check().map_err(invalid_body)?;
    let credential = asking.gate.card_ticket(&kept).await?;
    caller.audit(
        &kept.account.appid,
        "sign a choice of coupons",
        Some(&credential),
        "ok",
    );
    Ok(ask.answer(&asking.gate, &kept, &credential))
}

/// What a name was meant to be, as WeChat's list of what is signed has it:
/// <https://developers.weixin.qq.com/doc/offiaccount/OA_Web_Apps/JS-SDK.html>, appendix 4.
fn called_here(name: &str) -> Option<&'static str> {
    match name {
        "card_type" | "cardtype" => Some("cardType"),
        "location_id" | "shop_id" | "shopid" => Some("shopId"),
        "card_id" | "cardid" => Some("cardId"),
        _ => None,
    }
}

impl ChoiceAsk {
    /// What a page asks for. There is nothing to encode in it.
    fn from_query(query: &str) -> Result<Self, Problem> {
        let invalid = |detail: String| Problem::new(Code::InvalidQuery, detail);
        let (mut card_type, mut shop_id) = (None, None);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let slot = match name {
                "cardType" => &mut card_type,
                "shopId" => &mut shop_id,
                "cardId" if !value.is_empty() => {
                    return Err(invalid(
                        "a page may not name a cardId, for anyone could make a coupon of the \
                         signature: leave it out, or have your back end ask at \
                         /v1/accounts/{appid}/card-sign"
                            .to_owned(),
                    ));
                }
                _ => match called_here(name) {
                    Some(called) => {
                        return Err(invalid(format!("{name} is called {called} here")));
                    }
                    None => continue,
                },
            };
            if slot.replace(value).is_some() {
                return Err(invalid(format!("{name} is given twice: give it once")));
            }
        }
        let ask = Self {
            card_type: card_type.unwrap_or_default().to_owned(),
            shop_id: shop_id.unwrap_or_default().to_owned(),
            card_id: String::new(),
        };
        ask.check().map_err(invalid)?;
        Ok(ask)
    }

    /// No type and no number of a shop can be read as a `cardId`, together with what stands beside
    /// it: see the head of [`super`].
    fn check(&self) -> Result<(), String> {
        let is_type = |byte: u8| byte.is_ascii_uppercase() || byte == b'_';
        if self.card_type.len() > 24 || !self.card_type.bytes().all(is_type) {
            return Err(
                "cardType must be a type of WeChat's, such as GROUPON, or be left out".to_owned(),
            );
        }
        if self.shop_id.len() > 20 || !self.shop_id.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err("shopId must be the number of a shop, or be left out".to_owned());
        }
        id("cardId", &self.card_id)
    }

    fn answer(&self, gate: &Gate, kept: &Kept, ticket: &Credential) -> Response {
        let choice = Choice {
            shop_id: &self.shop_id,
            card_type: &self.card_type,
            card_id: &self.card_id,
        };
        let (nonce, timestamp) = (Nonce::random(), gate.app.keeper.clock().now().as_secs());
        let appid = &kept.account.appid;
        let signed = choice.sign(appid, &ticket.value, nonce.as_str(), &timestamp.to_string());
        kept.count_signature();
        answer(Chosen {
            shop_id: choice.shop_id,
            card_type: choice.card_type,
            card_id: choice.card_id,
            timestamp,
            nonce_str: nonce.as_str(),
            sign_type: "SHA1",
            card_sign: signed.as_str(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn nothing_that_a_page_asks_for_can_be_read_as_a_kind_of_coupon(
            query in "(cardType|shopId|cardId|appid)=[A-Z_0-9a-z%-]{0,30}(&(cardType|shopId|cardId)=?[A-Z0-9a-z]{0,30}){0,2}",
            anything in any::<String>(),
        ) {
            for query in [query, anything] {
                if let Ok(ask) = ChoiceAsk::from_query(&query) {
                    prop_assert_eq!(&ask.card_id, "");
                    // WeChat's ids have 28 characters, small and capital ones among them.
                    let told = format!("{}{}", ask.shop_id, ask.card_type);
                    prop_assert!(!told.contains(|c: char| c.is_ascii_lowercase() || !c.is_ascii()));
                    prop_assert!(ask.shop_id.len() <= 20 && ask.card_type.len() <= 24);
                }
            }
        }
    }
}
