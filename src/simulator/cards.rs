//! Whether WeChat takes what a page says to `wx.addCard` and `wx.chooseCard`, by code of its own.
//!
//! A signature is good once: WeChat refuses a nonce that comes again (JS-SDK manual, appendix 4,
//! <https://developers.weixin.qq.com/doc/offiaccount/OA_Web_Apps/JS-SDK.html>).

use serde::{Deserialize, Serialize};

use super::sha1;
use super::state::{Account, Scene, TicketType};
use crate::account::AppId;

/// Used nonces are forgotten beyond this many.
const REMEMBERED: usize = 10_000;

/// What a page says to `wx.addCard`.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AddCard {
    /// The account that `wx.config` named.
    pub appid: AppId,
    /// `cardList`.
    pub card_list: Vec<ListedCard>,
}

/// A coupon in a `cardList`.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListedCard {
    /// `cardId`.
    pub card_id: String,
    /// `cardExt`, a JSON text.
    pub card_ext: String,
}

/// What a page says to `wx.chooseCard`.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChooseCard {
    /// The account that `wx.config` named.
    pub appid: AppId,
    /// `shopId`.
    #[serde(default)]
    pub shop_id: String,
    /// `cardType`.
    #[serde(default)]
    pub card_type: String,
    /// `cardId`.
    #[serde(default)]
    pub card_id: String,
    /// `timestamp`.
    pub timestamp: i64,
    /// `nonceStr`.
    pub nonce_str: String,
    /// `signType`.
    pub sign_type: String,
    /// `cardSign`.
    pub card_sign: String,
}

/// How WeChat takes it. What it says in `errmsg` is not documented.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct CardVerdict {
    /// It does.
    pub ok: bool,
    /// `ok`, or why not.
    pub errmsg: String,
}

impl From<Result<(), &'static str>> for CardVerdict {
    fn from(judged: Result<(), &'static str>) -> Self {
        Self {
            ok: judged.is_ok(),
            errmsg: judged.err().unwrap_or("ok").to_owned(),
        }
    }
}

/// What a `cardExt` says that is signed.
#[derive(Deserialize)]
struct CardExt {
    #[serde(default)]
    code: String,
    #[serde(default)]
    openid: String,
    timestamp: String,
    #[serde(default)]
    nonce_str: String,
    signature: String,
}

pub(super) fn add(
    ask: &AddCard,
    account: &mut Account,
    scene: &mut Scene<'_>,
) -> Result<(), &'static str> {
    if ask.card_list.is_empty() {
        return Err("invalid args");
    }
    for card in &ask.card_list {
        let ext = serde_json::from_str::<CardExt>(&card.card_ext);
        let ext = ext.map_err(|_| "invalid cardExt")?;
        let (nonce, timestamp) = (&ext.nonce_str, &ext.timestamp);
        let values = [&card.card_id, &ext.code, &ext.openid, nonce, timestamp];
        let values = values.map(String::as_str);
        judge(account, scene, &values, (nonce, timestamp), &ext.signature)?;
    }
    Ok(())
}

pub(super) fn choose(
    ask: &ChooseCard,
    account: &mut Account,
    scene: &mut Scene<'_>,
) -> Result<(), &'static str> {
    if ask.sign_type != "SHA1" {
        return Err("invalid signType");
    }
    let timestamp = ask.timestamp.to_string();
    let (appid, nonce) = (ask.appid.as_str(), ask.nonce_str.as_str());
    let values = [
        appid,
        &ask.shop_id,
        &ask.card_type,
        &ask.card_id,
        nonce,
        &timestamp,
    ];
    judge(account, scene, &values, (nonce, &timestamp), &ask.card_sign)
}

fn judge(
    account: &mut Account,
    scene: &mut Scene<'_>,
    values: &[&str],
    (nonce, timestamp): (&str, &str),
    signature: &str,
) -> Result<(), &'static str> {
    account.settle(TicketType::Card, scene);
    if timestamp.parse::<u32>().is_err() {
        return Err("invalid timestamp");
    }
    let live = account.card.iter().filter(|known| known.lives(scene.now));
    let is_right = live.into_iter().any(|ticket| {
        let mut all = vec![ticket.value.expose()];
        all.extend(values);
        all.sort_unstable_by_key(|value| value.as_bytes());
        sha1::hex(all.concat().as_bytes()) == signature
    });
    if !is_right {
        return Err("invalid signature");
    }
    if account.card_nonces.len() >= REMEMBERED {
        account.card_nonces.clear();
    }
    if account.card_nonces.insert(nonce.to_owned()) {
        Ok(())
    } else {
        Err("the nonce was used before")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn every_vector_holds() {
        let vectors = include_str!("../../tests/vectors/card.json");
        let vectors: Vec<Value> = serde_json::from_str(vectors).unwrap();
        assert_eq!(vectors.len(), 5);
        for vector in vectors {
            let string = vector["string"].as_str().unwrap();
            assert_eq!(
                sha1::hex(string.as_bytes()),
                vector["signature"],
                "{vector}"
            );
        }
    }
}
