//! Coupons: the ticket that they are signed with, and their two signatures.
//!
//! Whoever has a `cardExt` can put the coupon into a wallet, so only back ends have one made, with
//! the scope `ticket`: with the ticket they could make it themselves. A `cardSign` only lets a
//! visitor choose from what is in his own wallet, and pages have it made without a key, as they
//! have their signatures. But WeChat's signature does not say which of the two it is (see
//! [`crate::signer::card`]): with a `cardId` of his choice, anyone could ask for choices until one
//! can be read as that coupon. So pages name a type and a shop, of which no coupon can be made, and
//! those that must name a `cardId` ask their own back end, which asks here.

pub(super) mod choice;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::response::Response;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::auth::Asking;
use super::backend::read;
use super::openapi::{BACK_ENDS, OfCardReading, OfCards, shapes};
use super::problem::{Code, Problem};
use super::segment::Segment;
use super::status::answer;
use super::{Gate, PATIENCE};
use crate::client::Scope;
use crate::credential::{Credential, Kind};
use crate::keeper::Kept;
use crate::signer::Nonce;
use crate::signer::card::Coupon;

/// So many coupons are handed out at once.
const MOST_CARDS: usize = 20;

/// No id, code or type is longer.
const LONGEST: usize = 64;

/// No channel is named by more: WeChat takes 128 characters.
const LONGEST_OUTER: usize = 128;

/// Reads the card_ticket.
///
/// WeChat's api_ticket, which it issues for `type=wx_card`, of an account with `wx_card`. It is read
/// as the access_token is. Back ends need it only where coupons are not signed here.
#[utoipa::path(get, path = "/v1/accounts/{appid}/card-ticket", tag = BACK_ENDS,
    security(("client_key" = ["ticket"])), params(shapes::InPath, shapes::Waiting, shapes::Known),
    responses(
        (status = 200, description = "The ticket.", body = shapes::CardTicket, headers(("ETag" = String))),
        (status = 304, description = "It is the one that you have."),
        OfCardReading,
    ))]
pub(super) async fn ticket(asking: Asking, Segment(appid): Segment) -> Result<Response, Problem> {
    read(Kind::CardTicket, &asking, &appid).await
}

/// What is to be handed out.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CardsAsk {
    #[schema(inline, min_items = 1, max_items = 20)]
    cards: Vec<CardAsk>,
}

/// A coupon for a visitor.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CardAsk {
    /// Which kind of coupon, as WeChat named it when it was made.
    #[schema(
        example = "pFS7Fjg8kV1IdDz01r4SQwMkuCKc",
        min_length = 1,
        max_length = 64,
        pattern = "^[A-Za-z0-9_-]+$"
    )]
    card_id: String,
    /// Its own number, where the account issues these.
    #[schema(example = "1434008071", max_length = 64, pattern = "^[A-Za-z0-9_-]*$")]
    code: Option<String>,
    /// The one visitor who may take it.
    #[schema(example = "oABCD-123", max_length = 64, pattern = "^[A-Za-z0-9_-]*$")]
    openid: Option<String>,
    /// When another system handed it out, in seconds since the Unix epoch; not signed.
    #[serde(default, deserialize_with = "whole_seconds")]
    #[schema(example = 1_700_000_000, minimum = 0, maximum = 253_402_300_799_i64)]
    fixed_begintimestamp: Option<u64>,
    /// The channel, for WeChat's statistics; not signed.
    #[schema(example = "poster", max_length = 128)]
    outer_str: Option<String>,
}

/// A time until the year 9999. In JSON `5.0` is a whole number, too.
fn whole_seconds<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    const LAST: f64 = 253_402_300_799.0;
    let Some(seconds) = Option::<f64>::deserialize(from)? else {
        return Ok(None);
    };
    if seconds.fract() == 0.0 && (0.0..=LAST).contains(&seconds) {
        return Ok(Some(seconds as u64));
    }
    let why = "fixed_begintimestamp must be a number of whole seconds since the Unix epoch";
    Err(D::Error::custom(why))
}

/// What `wx.addCard` wants.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Handed {
    #[schema(inline)]
    card_list: Vec<Card>,
}

/// A coupon that whoever has this can put into a wallet, once.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Card {
    #[schema(example = "pFS7Fjg8kV1IdDz01r4SQwMkuCKc")]
    card_id: String,
    /// A JSON text, as `wx.addCard` wants it.
    #[schema(
        example = "{\"timestamp\":\"1700000000\",\"nonce_str\":\"Wm3WZYTPz0wzccnW\",\"signature\":\"f137ab68b7f8112d20ee528ab6074564e2796250\"}"
    )]
    card_ext: String,
}

/// What stands in a `cardExt`, all of it texts but the time of another system.
#[derive(Serialize)]
struct CardExt<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    openid: Option<&'a str>,
    timestamp: &'a str,
    nonce_str: &'a str,
    signature: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    fixed_begintimestamp: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outer_str: Option<&'a str>,
}

/// Signs coupons that a visitor is given.
///
/// The answer is what `wx.addCard` wants, once: WeChat refuses it the second time. Whoever has it
/// can take the coupon, so give it to the one visitor whom it is for.
#[utoipa::path(post, path = "/v1/accounts/{appid}/card-ext", tag = BACK_ENDS,
    security(("client_key" = ["ticket"])), params(shapes::InPath), request_body = CardsAsk,
    responses((status = 200, description = "The coupons.", body = Handed), OfCards))]
pub(super) async fn hand_out(
    asking: Asking,
    Segment(appid): Segment,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let (caller, kept) = asking.admit(Scope::Ticket, &appid)?;
    let ask: CardsAsk = parse(body, r#"{"cards": [{"card_id": "p…"}]}"#)?;
    if !(1..=MOST_CARDS).contains(&ask.cards.len()) {
        let detail = format!("cards must hold 1 to {MOST_CARDS} coupons");
        return Err(Problem::new(Code::InvalidBody, detail));
    }
    for card in &ask.cards {
        card.check().map_err(invalid_body)?;
    }
    let credential = asking.gate.card_ticket(&kept).await?;
    caller.audit(
        &kept.account.appid,
        "hand out coupons",
        Some(&credential),
        "ok",
    );
    let timestamp = asking.gate.app.keeper.clock().now().as_secs().to_string();
    let cards = ask.cards.into_iter().map(|card| {
        kept.count_signature();
        let card_ext = card.ext(&credential, &timestamp);
        let card_id = card.card_id;
        Card { card_id, card_ext }
    });
    let card_list = cards.collect();
    Ok(answer(Handed { card_list }))
}

impl CardAsk {
    fn check(&self) -> Result<(), String> {
        if self.card_id.is_empty() {
            return Err("card_id must name a kind of coupon".to_owned());
        }
        id("card_id", &self.card_id)?;
        for (name, value) in [("code", &self.code), ("openid", &self.openid)] {
            id(name, value.as_deref().unwrap_or_default())?;
        }
        let outer = self.outer_str.as_deref().unwrap_or_default();
        if outer.chars().count() > LONGEST_OUTER {
            return Err(format!(
                "outer_str may have {LONGEST_OUTER} characters: shorten it"
            ));
        }
        Ok(())
    }

    fn ext(&self, ticket: &Credential, timestamp: &str) -> String {
        let coupon = Coupon {
            card_id: &self.card_id,
            code: self.code.as_deref().unwrap_or_default(),
            openid: self.openid.as_deref().unwrap_or_default(),
        };
        let nonce = Nonce::random();
        let signature = coupon.sign(&ticket.value, nonce.as_str(), timestamp);
        let ext = CardExt {
            code: self.code.as_deref(),
            openid: self.openid.as_deref(),
            timestamp,
            nonce_str: nonce.as_str(),
            signature: signature.as_str(),
            fixed_begintimestamp: self.fixed_begintimestamp,
            outer_str: self.outer_str.as_deref(),
        };
        serde_json::to_string(&ext).expect("it has only text keys")
    }
}

/// WeChat's own ids are such, and an empty one is none: a blank at the end, or two of them in one,
/// would make a signature that it refuses.
fn id(name: &str, value: &str) -> Result<(), String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if value.len() <= LONGEST && value.bytes().all(plain) {
        return Ok(());
    }
    Err(format!(
        "{name} may have {LONGEST} letters, digits, - and _, and no blanks: take it as WeChat gave \
         it"
    ))
}

fn invalid_body(what: String) -> Problem {
    Problem::new(Code::InvalidBody, what)
}

fn parse<T: for<'a> Deserialize<'a>>(
    body: Result<Bytes, BytesRejection>,
    example: &str,
) -> Result<T, Problem> {
    let body = body.map_err(Problem::unreadable)?;
    // A list would be read as well, its items taken for the fields in their order.
    if body.trim_ascii_start().first() != Some(&b'{') {
        let detail = format!("it is not a JSON object; send {example}");
        return Err(invalid_body(detail));
    }
    serde_json::from_slice(&body).map_err(|error| invalid_body(format!("{error}; send {example}")))
}

impl Gate {
    /// The ticket that coupons are signed with now.
    async fn card_ticket(&self, kept: &Kept) -> Result<Credential, Problem> {
        let kind = Kind::CardTicket;
        kept.has(kind)?;
        let found = self.app.keeper.available(kept, kind, PATIENCE).await;
        let (snapshot, now) = found.map_err(Problem::unavailable)?;
        let served = snapshot.served(kind, now);
        Ok(served
            .expect("the snapshot holds a ticket at this moment")
            .credential
            .clone())
    }
}

impl Kept {
    /// Whether the account has credentials of `kind`.
    pub(super) fn has(&self, kind: Kind) -> Result<(), Problem> {
        if self.account.kinds().any(|of| of == kind) {
            return Ok(());
        }
        if kind == Kind::AgentTicket {
            return self.wecom().map(drop);
        }
        Err(Problem::new(
            Code::NoCardTicket,
            "the account is not set to hand out coupons: if WeChat has given it that function, set \
             wx_card = true in its [[account]], or WXSIGN_WX_CARD=true, or tick it in the console",
        ))
    }
}
