//! How the server ends, and when it does not even begin.

use std::time::Duration;

use rustix::process::Signal;
use tokio::time::timeout;
use wxsign::credential::Kind;
use wxsign::simulator::{Fault, FaultRule};

use crate::harness::{Place, TICKET_PATH, TOKEN_PATH, WeChat, Wxsign, appid, eventually};

/// The longest that an orderly end may take.
const END: Duration = Duration::from_secs(25);

async fn ends_in_order(wxsign: &mut Wxsign) {
    let code = timeout(END, wxsign.exit_code()).await;
    assert_eq!(code, Ok(Some(0)), "{}", wxsign.log());
}

#[tokio::test]
async fn sigterm_first_sends_the_balancer_away_and_answers_on() {
    let wechat = WeChat::start().await;
    let mut wxsign = Place::new(&wechat.url).serve().await;
    wxsign.signs().await;
    assert_eq!(wxsign.get("/readyz").await.status, 200);
    wxsign.signal(Signal::TERM);
    eventually("/readyz says 503", async || {
        (wxsign.get("/readyz").await.status == 503).then_some(())
    })
    .await;
    assert_eq!(wxsign.get("/livez").await.status, 200);
    let answer = wxsign.sign().await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(wechat.accepts(&answer.json));
    ends_in_order(&mut wxsign).await;
}

#[tokio::test]
async fn sigint_ends_at_once() {
    let wechat = WeChat::start().await;
    let mut wxsign = Place::new(&wechat.url).serve().await;
    wxsign.signs().await;
    wxsign.signal(Signal::INT);
    // Less than the time that SIGTERM gives to balancers.
    let code = timeout(Duration::from_secs(4), wxsign.exit_code()).await;
    assert_eq!(code, Ok(Some(0)));
}

#[tokio::test]
async fn a_second_signal_ends_on_the_spot() {
    for second in [Signal::TERM, Signal::INT] {
        let wechat = WeChat::start().await;
        let mut wxsign = Place::new(&wechat.url).serve().await;
        wxsign.signs().await;
        wxsign.signal(Signal::TERM);
        wxsign.logs("a second signal ends at once").await;
        wxsign.signal(second);
        let code = timeout(Duration::from_secs(4), wxsign.exit_code()).await;
        assert_eq!(code, Ok(Some(1)), "{second:?}");
    }
}

#[tokio::test]
async fn a_fetch_that_runs_at_sigterm_is_stored_and_no_other_is_begun() {
    let wechat = WeChat::start().await;
    wechat.turn(|knobs| knobs.latency = Duration::from_secs(2));
    let place = Place::new(&wechat.url).with_database();
    let mut wxsign = place.serve().await;
    eventually("the token is asked for", async || {
        (wechat.calls(TOKEN_PATH) == 1).then_some(())
    })
    .await;
    wxsign.signal(Signal::TERM);
    ends_in_order(&mut wxsign).await;
    let record = place.stored(Kind::AccessToken).await;
    let token = record.credential.expect("the token was stored");
    assert_eq!(Some(token.value), wechat.simulator.newest_token(&appid()));
    assert_eq!(record.lease, None);
    assert_eq!(wechat.fetches(), (1, 0));

    // The next server goes on from there.
    let wxsign = place.serve().await;
    wxsign.signs().await;
    assert_eq!(wechat.fetches(), (1, 1));
}

#[tokio::test]
async fn a_fetch_that_hangs_at_sigterm_does_not_hold_up_the_end_and_is_remembered() {
    let wechat = WeChat::start().await;
    let hang = FaultRule::new(Fault::Hang).on(TOKEN_PATH);
    wechat.simulator.inject(hang);
    let place = Place::new(&wechat.url).with_database();
    let mut wxsign = place.serve().await;
    eventually("the token is asked for", async || {
        (wechat.calls(TOKEN_PATH) == 1).then_some(())
    })
    .await;
    wxsign.signal(Signal::TERM);
    ends_in_order(&mut wxsign).await;
    let record = place.stored(Kind::AccessToken).await;
    assert_eq!(record.lease, None);
    assert_eq!((record.strays, record.settled), (1, 0));
    wxsign.logs("no answer in time").await;
    assert_eq!(wechat.calls(TICKET_PATH), 0);
}

#[tokio::test]
async fn a_page_that_waits_for_the_first_ticket_at_sigterm_gets_it_or_is_told_why_not() {
    let wechat = WeChat::start().await;
    wechat.turn(|knobs| knobs.latency = Duration::from_secs(1));
    let mut wxsign = Place::new(&wechat.url).serve().await;
    let waits = async {
        let answer = wxsign.sign().await;
        assert!([200, 503].contains(&answer.status), "{answer:?}");
    };
    let stops = async {
        eventually("the ticket is asked for", async || {
            (wechat.calls(TICKET_PATH) == 1).then_some(())
        })
        .await;
        wxsign.signal(Signal::TERM);
    };
    tokio::join!(waits, stops);
    ends_in_order(&mut wxsign).await;
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    let mut wxsign = Place::new("http://127.0.0.1:9").start("serve", &taken);
    assert_eq!(wxsign.exit_code().await, Some(1));
    wxsign.logs(&format!("cannot listen on {taken}")).await;
}

#[tokio::test]
async fn a_database_that_cannot_be_written_is_named() {
    let place = Place::new("http://127.0.0.1:9");
    let directory = place.path().join("directory");
    std::fs::create_dir(&directory).unwrap();
    let text = place.path().join("text");
    std::fs::write(&text, "this is a text and no database").unwrap();
    let absent = place.path().join("no/such/directory/wxsign.db");
    for path in [directory, text, absent] {
        let path = path.to_str().unwrap();
        let place =
            Place::new("http://127.0.0.1:9").with("WXSIGN_STORE", &format!("sqlite:{path}"));
        let mut wxsign = place.start("serve", "127.0.0.1:0");
        assert_eq!(wxsign.exit_code().await, Some(1), "{path}");
        wxsign.logs(path).await;
        wxsign.logs("--store sqlite:PATH").await;
    }
}
