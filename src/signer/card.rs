//! Signs coupons: the `signature` in the `cardExt` of `wx.addCard`, and the `cardSign` of
//! `wx.chooseCard`.
//!
//! Both are the SHA-1 of the values alone, the ticket among them, sorted as bytes and written one
//! behind the other; an empty one vanishes (JS-SDK manual, appendix 4,
//! <https://developers.weixin.qq.com/doc/offiaccount/OA_Web_Apps/JS-SDK.html>). Nothing says where
//! a value ends or what it is, so one signature can be read in several ways: whoever may choose all
//! values of a [`Choice`] can make a [`Coupon`] of it.

use sha1::{Digest, Sha1};

use super::Signature;
use crate::account::AppId;
use crate::credential::Secret;

/// A coupon that is put into a visitor's wallet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Coupon<'a> {
    /// Which kind of coupon, `card_id`.
    pub card_id: &'a str,
    /// Its own number, where the account issues these; else empty.
    pub code: &'a str,
    /// The one visitor who may take it; empty for anyone.
    pub openid: &'a str,
}

/// Which of a visitor's own coupons are shown for him to choose from; what is empty is not asked
/// for.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Choice<'a> {
    /// The shop where they are good: `shopId`, signed as `location_id`.
    pub shop_id: &'a str,
    /// The type that they are of, such as `GROUPON`.
    pub card_type: &'a str,
    /// The kind that they are of.
    pub card_id: &'a str,
}

impl Coupon<'_> {
    /// The `signature` in its `cardExt`; `timestamp` is in seconds since the Unix epoch. WeChat
    /// takes a nonce once.
    pub fn sign(&self, ticket: &Secret, nonce: &str, timestamp: &str) -> Signature {
        let ticket = ticket.expose();
        sign([
            ticket,
            timestamp,
            self.card_id,
            self.code,
            self.openid,
            nonce,
        ])
    }
}

impl Choice<'_> {
    /// The `cardSign`; `timestamp` is in seconds since the Unix epoch. WeChat takes a nonce once.
    pub fn sign(&self, appid: &AppId, ticket: &Secret, nonce: &str, timestamp: &str) -> Signature {
        sign([
            ticket.expose(),
            appid.as_str(),
            self.shop_id,
            timestamp,
            nonce,
            self.card_id,
            self.card_type,
        ])
    }
}

fn sign<const N: usize>(mut values: [&str; N]) -> Signature {
    values.sort_unstable();
    let mut state = Sha1::new();
    for value in values {
        state.update(value);
    }
    Signature::from_digest(state.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Vector {
        name: String,
        values: Values,
        string: String,
        signature: String,
    }

    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Values {
        api_ticket: Secret,
        timestamp: String,
        nonce_str: String,
        card_id: String,
        #[serde(default)]
        code: String,
        #[serde(default)]
        openid: String,
        app_id: Option<AppId>,
        #[serde(default)]
        location_id: String,
        #[serde(default)]
        card_type: String,
    }

    impl Values {
        fn sign(&self) -> Signature {
            let (ticket, nonce, timestamp) = (&self.api_ticket, &self.nonce_str, &self.timestamp);
            match &self.app_id {
                None => {
                    let coupon = Coupon {
                        card_id: &self.card_id,
                        code: &self.code,
                        openid: &self.openid,
                    };
                    coupon.sign(ticket, nonce, timestamp)
                }
                Some(appid) => {
                    let choice = Choice {
                        shop_id: &self.location_id,
                        card_type: &self.card_type,
                        card_id: &self.card_id,
                    };
                    choice.sign(appid, ticket, nonce, timestamp)
                }
            }
        }
    }

    fn vectors() -> Vec<Vector> {
        let vectors = include_str!("../../tests/vectors/card.json");
        let vectors: Vec<Vector> = serde_json::from_str(vectors).unwrap();
        assert_eq!(vectors.len(), 5);
        vectors
    }

    #[test]
    fn every_vector_holds() {
        for vector in vectors() {
            let signature = vector.values.sign();
            assert_eq!(signature.as_str(), vector.signature, "{}", vector.name);
            assert_eq!(sign([&vector.string]), signature, "{}", vector.name);
        }
    }

    /// The manual of 2015 printed a signature that holds only with a slip in it: a blank behind the
    /// ticket. No blank is cut here, and none is added.
    #[test]
    fn a_blank_behind_the_ticket_makes_another_signature() {
        let vectors = vectors();
        let of = |name: &str| {
            let vector = vectors.iter().find(|vector| vector.name == name).unwrap();
            &vector.values
        };
        let slip = of("official-cardext-2015-with-trailing-space");
        let right = of("older-example-without-the-space");
        let ticket = slip.api_ticket.expose();
        assert_eq!(ticket.trim_end(), right.api_ticket.expose());
        assert_ne!(slip.sign(), right.sign());
    }

    /// Why not everyone may have any [`Choice`] signed: with luck in its nonce, this one is a
    /// coupon for anybody.
    #[test]
    fn a_choice_can_be_read_as_a_coupon() {
        let (ticket, appid) = (
            Secret::new("ojZ8YtyVyr30HheH3CM73y7h4jJE"),
            "wx1234567890abcdef",
        );
        let choice = Choice {
            card_id: "pjZ8Yt1XGILfi-FUsewpnnolGgZk",
            ..Choice::default()
        };
        let (nonce, timestamp) = ("qduhi12345678901", "1430000000");
        let chosen = choice.sign(&appid.parse().unwrap(), &ticket, nonce, timestamp);
        let coupon = Coupon {
            card_id: choice.card_id,
            code: "",
            openid: "",
        };
        let read_as = coupon.sign(&ticket, &format!("{nonce}{appid}"), timestamp);
        assert_eq!(chosen, read_as);
    }
}
