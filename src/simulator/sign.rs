//! A home-made signer with a mistake: shows what failure looks like.

use serde::{Deserialize, Deserializer, Serialize};

use super::preverify::Preverify;
use super::state::{Account, Scene, TicketType};
use crate::account::AppId;
use crate::diagnosis::{Form, Mistake, Pages, without_fragment, wrong_forms, wrong_urls};

/// What is to be signed, and which mistake is to be made.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MistakenSigning {
    /// The account.
    pub appid: AppId,
    /// The page's address, `location.href`.
    pub url: String,
    /// The mistake; none when absent or `"none"`.
    #[serde(default, deserialize_with = "mistake_or_none")]
    pub mistake: Option<Mistake>,
}

/// The parameters of `wx.config` with the mistake in them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MistakenConfig {
    /// `appId`.
    pub app_id: AppId,
    /// `timestamp`, in seconds.
    pub timestamp: i64,
    /// `nonceStr`.
    pub nonce_str: String,
    /// `signature`.
    pub signature: String,
    /// The address that was signed.
    pub url: String,
}

/// Signs with the mistake; `None` when it cannot be made with this address.
pub(super) fn sign(
    ask: &MistakenSigning,
    account: &mut Account,
    scene: &mut Scene<'_>,
) -> Option<MistakenConfig> {
    account.settle(TicketType::Jsapi, scene);
    account.settle(TicketType::Card, scene);
    let config = Preverify {
        timestamp: scene.now.as_secs().to_string(),
        nonce_str: nonce(scene),
        urls: vec![ask.url.clone()],
        ..Preverify::default()
    };
    let page = without_fragment(&ask.url);
    let pages = Pages {
        counted: vec![page],
        others: Vec::new(),
    };
    let case = config.case(&pages, &account.app.domains);
    let dead = || account.jsapi.iter().find(|ticket| !ticket.lives(scene.now));
    let mut ticket = &account.jsapi.newest().value;
    let mut url = page.to_owned();
    let mut form = Form::Right;
    match ask.mistake {
        None | Some(Mistake::UpperCaseHex) => {}
        Some(Mistake::StaleTicket) => ticket = &dead()?.value,
        Some(Mistake::CardTicket) => ticket = &account.card.newest().value,
        Some(Mistake::AccessTokenAsTicket) => ticket = &account.classic.iter().next()?.value,
        Some(Mistake::TimestampMilliseconds) => {
            form = Form::Timestamp(scene.now.as_millis().to_string());
        }
        Some(mistake) => {
            let mut urls = wrong_urls(&case).into_iter();
            let mut forms = wrong_forms(&case).into_iter();
            if let Some((_, wrong)) = urls.find(|(made, _)| *made == mistake) {
                url = wrong;
            } else {
                form = forms.find(|(made, _)| *made == Some(mistake))?.1;
            }
        }
    }
    let signature = form.signature(ticket.expose(), &case, &url);
    Some(MistakenConfig {
        app_id: ask.appid.clone(),
        timestamp: scene.now.as_secs(),
        nonce_str: config.nonce_str,
        signature: match ask.mistake {
            Some(Mistake::UpperCaseHex) => signature.to_ascii_uppercase(),
            _ => signature,
        },
        url,
    })
}

fn nonce(scene: &Scene<'_>) -> String {
    let label = format!("nonce/{}", scene.now.as_millis());
    let text = scene.seed.text(&label, 64);
    text.chars()
        .filter(char::is_ascii_alphanumeric)
        .take(16)
        .collect()
}

fn mistake_or_none<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Mistake>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Given {
        Mistake(Mistake),
        Nothing(Nothing),
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Nothing {
        None,
    }
    Ok(match Option::deserialize(from)? {
        Some(Given::Mistake(mistake)) => Some(mistake),
        Some(Given::Nothing(Nothing::None)) | None => None,
    })
}
