//! The secrets of these tests, and the search for them in everything that a server says.

use std::sync::LazyLock;
use std::time::Duration;

use serde_json::{Value, json};
use wxsign::clock::{Clock, Timestamp};
use wxsign::credential::Secret;
use wxsign::simulator::{Action, App, Request, Simulator};

use crate::harness::{TICKET_PATH, TOKEN_PATH, appid};

pub(crate) const APP_SECRET: &str = "5ec4e7c0ffee5ec4e7c0ffee5ec4e7c0";

/// All values derive from this: so they are known before they are issued.
const SEED: u64 = 20_261_121;

/// More tokens and tickets than a test ever fetches.
const ISSUED: usize = 24;

/// A part of a secret is a leak too: 31 characters in a row hold one of these pieces.
const PIECE: usize = 16;

/// The simulator of these tests.
pub(crate) fn simulator(clock: Clock) -> Simulator {
    let simulator = Simulator::new(clock, SEED);
    let mut app = App::new(appid(), Secret::new(APP_SECRET));
    app.domains = vec!["h5.example.com".to_owned()];
    simulator.add_app(app);
    simulator
}

/// Asserts that `text` shows no secret, nor a part of one.
pub(crate) fn assert_none_in(text: &str) {
    for piece in &*PIECES {
        if let Some(at) = text.find(piece) {
            // What stands before it is enough to find the place, and is no secret itself.
            let before: String = text[..at].chars().rev().take(80).collect();
            let before: String = before.chars().rev().collect();
            panic!("a secret was shown after: {before}");
        }
    }
}

static PIECES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut secrets = vec![APP_SECRET.to_owned()];
    let simulator = simulator(Clock::system());
    simulator
        .change_app(&appid(), |app| app.knobs.overlap_token = Duration::MAX)
        .unwrap();
    for _ in 0..ISSUED {
        let query = format!(
            "grant_type=client_credential&appid={}&secret={APP_SECRET}",
            appid()
        );
        let token = call(&simulator, TOKEN_PATH, &query, "", "access_token");
        let query = format!("type=jsapi&access_token={token}");
        secrets.push(call(&simulator, TICKET_PATH, &query, "", "ticket"));
        let body = json!({
            "grant_type": "client_credential", "appid": appid(), "secret": APP_SECRET,
        });
        let path = "/cgi-bin/stable_token";
        secrets.push(call(
            &simulator,
            path,
            "",
            &body.to_string(),
            "access_token",
        ));
        secrets.push(token);
        simulator.advance(Duration::from_secs(7200));
    }
    let pieces = secrets.iter().flat_map(|secret| {
        let pieces = secret.as_bytes().chunks_exact(PIECE);
        pieces.map(|piece| String::from_utf8_lossy(piece).into_owned())
    });
    pieces.collect()
});

fn call(simulator: &Simulator, path: &str, query: &str, body: &str, take: &str) -> String {
    let reply = simulator.call(&Request {
        method: if body.is_empty() { "GET" } else { "POST" },
        path,
        query,
        body: body.as_bytes(),
        client_ip: [127, 0, 0, 1].into(),
    });
    let answer: Value = serde_json::from_slice(&reply.body).unwrap();
    answer[take]
        .as_str()
        .unwrap_or_else(|| panic!("{answer}"))
        .to_owned()
}

#[tokio::test]
async fn the_canaries_are_the_values_that_the_simulator_issues() {
    let simulator = simulator(Clock::following_tokio(Timestamp::from_secs(1_700_000_000)));
    let query = format!(
        "grant_type=client_credential&appid={}&secret={APP_SECRET}",
        appid()
    );
    for _ in 0..3 {
        let token = call(&simulator, TOKEN_PATH, &query, "", "access_token");
        let query = format!("type=jsapi&access_token={token}");
        let ticket = call(&simulator, TICKET_PATH, &query, "", "ticket");
        for secret in [&token, &ticket] {
            for part in [&secret[..31], &secret[20..60]] {
                let shown = std::panic::catch_unwind(|| assert_none_in(&format!("… {part} …")));
                assert!(shown.is_err(), "{part}");
            }
        }
        simulator.act(&appid(), Action::ExpireTicket).unwrap();
    }
    assert_none_in("a signature, a fingerprint and a nonce are no secrets");
}
