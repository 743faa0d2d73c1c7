//! The console's password, from the first start to the day on which it is forgotten.

use std::fs;

use crate::harness::{Place, WeChat, Wxsign};

const PASSWORD: &str = "four words and more";

/// The status of the answer to a password.
async fn shows(wxsign: &Wxsign, password: &str) -> u16 {
    let form: String = form_urlencoded::byte_serialize(password.as_bytes()).collect();
    let form = format!("password={form}");
    let head = format!(
        "POST /console/login HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: same-origin\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{form}",
        form.len()
    );
    wxsign.exchange(&head).await.status
}

#[tokio::test]
async fn the_first_start_prints_a_link_and_a_password_ends_that() {
    let wechat = WeChat::start().await;
    let place = Place::new(&wechat.url).with_database();
    let wxsign = place.serve().await;
    wxsign.prints("/console/setup?token=").await;
    assert_eq!(shows(&wxsign, PASSWORD).await, 409);
    let ran = place
        .run(&["console", "password"], &format!("{PASSWORD}\n"))
        .await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(shows(&wxsign, PASSWORD).await, 303);
    assert_eq!(shows(&wxsign, "another password").await, 403);
    drop(wxsign);
    let wxsign = place.serve().await;
    assert_eq!(shows(&wxsign, PASSWORD).await, 303);
    assert!(
        !wxsign.said().contains("/console/setup"),
        "{}",
        wxsign.said()
    );
}

#[tokio::test]
async fn a_file_holds_the_password_and_must_hold_a_good_one() {
    let wechat = WeChat::start().await;
    let mut place = Place::new(&wechat.url).with_database();
    let file = place.path().join("password");
    place.set("WXSIGN_CONSOLE_PASSWORD_FILE", file.to_str().unwrap());
    fs::write(&file, "short\n").unwrap();
    let ran = place.run(&["config", "check"], "").await;
    assert_eq!(ran.code, Some(78), "{ran:?}");
    assert!(ran.stderr.contains("fewer than 12 characters"), "{ran:?}");
    fs::write(&file, format!("{PASSWORD}\n")).unwrap();
    let wxsign = place.serve().await;
    assert_eq!(shows(&wxsign, PASSWORD).await, 303);
    let ran = place.run(&["console", "password"], "too short\n").await;
    assert_eq!(ran.code, Some(2), "{ran:?}");
}
