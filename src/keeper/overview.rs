//! How all accounts fare together.

use super::Keeper;
use crate::account::AppId;
use crate::credential::Kind;

/// How many accounts in trouble are named.
const NAMED: usize = 10;

/// How all accounts fare together.
#[derive(Debug)]
pub struct Overview {
    /// How many accounts' pages can be signed; a further ticket that is missing changes nothing
    /// about that.
    pub signing: usize,
    /// Accounts in trouble, ten at most, and what it is.
    pub troubled: Vec<(AppId, String)>,
}

impl Keeper {
    /// How all accounts fare together. Of a hundred thousand this takes some ten milliseconds.
    pub fn overview(&self) -> Overview {
        let (accounts, now) = (self.accounts(), self.shared.clock.moment());
        let (mut signing, mut troubled) = (0, Vec::new());
        for kept in accounts.iter() {
            let snapshot = kept.snapshot();
            let signs = snapshot.signer(now).is_some();
            signing += usize::from(signs);
            let what = match (snapshot.troubled(), signs) {
                // Its pages are signed.
                (Some((kind @ (Kind::CardTicket | Kind::AgentTicket), trouble)), true) => {
                    format!("there is no new {kind}: {}", trouble.what)
                }
                (Some((_, trouble)), _) => trouble.what.clone(),
                (None, false) => "there is no jsapi_ticket yet".to_owned(),
                (None, true) => continue,
            };
            if troubled.len() < NAMED {
                troubled.push((kept.account.appid.clone(), what));
            }
        }
        Overview { signing, troubled }
    }
}
