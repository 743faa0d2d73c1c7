//! One server, its WeChat and its database, up to the moment at which a token is fetched.

use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use wxsign::credential::{Fingerprint, Kind};
use wxsign::simulator::{Minted, What};
use wxsign::store::{Key, Sqlite, Store, Tell};

use crate::harness::{Place, TICKET_PATH, TOKEN_PATH, WeChat, appid};
use crate::line::Line;

/// The two ways to get a token.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum TokenApi {
    Classic,
    Stable,
}

/// Which fetch is disturbed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Fetch {
    /// There is no credential yet.
    First,
    /// There is one, and it is due.
    Renewal,
}

pub(crate) struct Scene {
    pub(crate) wechat: WeChat,
    pub(crate) line: Line,
    pub(crate) place: Place,
    /// Where WeChat is asked for a token.
    pub(crate) token_path: &'static str,
    /// The calls before the fetch in question.
    earlier_calls: u64,
    earlier_ticket_calls: u64,
}

impl Scene {
    pub(crate) async fn set(api: TokenApi, fetch: Fetch) -> Self {
        let wechat = WeChat::start().await;
        let line = Line::to(&wechat.url).await;
        let (name, token_path) = match api {
            TokenApi::Classic => ("classic", TOKEN_PATH),
            TokenApi::Stable => ("stable", "/cgi-bin/stable_token"),
        };
        let place = Place::new(&line.url)
            .with_database()
            .with("WXSIGN_TOKEN_API", name);
        if fetch == Fetch::Renewal {
            let mut wxsign = place.serve().await;
            wxsign.signs().await;
            wxsign.signal(Signal::INT);
            assert_eq!(wxsign.exit_code().await, Some(0));
            // An age at which the token is due and not yet urgent.
            let age = Duration::from_secs(match api {
                TokenApi::Classic => 5_200,
                TokenApi::Stable => 6_950,
            });
            age_stored(place.path(), age).await;
            wechat.simulator.advance(age);
        }
        Self {
            earlier_calls: wechat.calls(token_path),
            earlier_ticket_calls: wechat.calls(TICKET_PATH),
            wechat,
            line,
            place,
            token_path,
        }
    }

    /// The calls for a token since the scene was set.
    pub(crate) fn calls(&self) -> u64 {
        self.wechat.calls(self.token_path) - self.earlier_calls
    }

    /// The calls for a ticket since the scene was set.
    pub(crate) fn ticket_calls(&self) -> u64 {
        self.wechat.calls(TICKET_PATH) - self.earlier_ticket_calls
    }

    /// The token that WeChat made last.
    pub(crate) fn newest(&self) -> Option<Fingerprint> {
        let events = self.wechat.simulator.events();
        events.iter().rev().find_map(|event| match event.what {
            What::Minted {
                kind: Minted::ClassicToken | Minted::StableToken,
                fingerprint,
                ..
            } => Some(fingerprint),
            _ => None,
        })
    }
}

/// Makes the stored credentials older.
async fn age_stored(place: &Path, by: Duration) {
    let store = Store::new(Sqlite::open(&place.join("wxsign.db")).unwrap());
    for kind in [Kind::AccessToken, Kind::JsapiTicket] {
        let appid = appid();
        let key = Key { appid, kind };
        let (mut record, version) = store.load(&key).await.unwrap();
        let credential = record.credential.as_mut().unwrap();
        for time in [
            &mut credential.first_seen,
            &mut credential.confirmed_at,
            &mut credential.expires_at,
            &mut credential.claimed_until,
        ] {
            *time = time.before(by);
        }
        let swapped = store
            .swap(&key, version, &record, Tell::Nobody)
            .await
            .unwrap();
        assert!(swapped.is_some());
    }
}
