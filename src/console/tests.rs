use super::*;
use crate::clock::Timestamp;

const PASSWORD: &str = "four words and more";

fn console(store: &Store, password: Option<&str>) -> Console {
    let clock = Clock::following_tokio(Timestamp::from_secs(1_700_000_000));
    Console::new(store.clone(), clock, password.map(Secret::new))
}

async fn set_up(console: &Console) -> Secret {
    let link = console.prepare().await.unwrap().unwrap();
    let password = Secret::new(PASSWORD);
    (console.set_up(link.expose(), password, "first").await).unwrap()
}

#[tokio::test]
async fn every_node_takes_every_link_until_the_first_visitor_sets_the_password() {
    let store = Store::memory();
    let (one, two) = (console(&store, None), console(&store, None));
    let (link, other) = (one.prepare().await.unwrap(), two.prepare().await.unwrap());
    let (link, other) = (link.unwrap(), other.unwrap());
    for node in [&one, &two] {
        assert!(node.link_holds(link.expose()).await && node.link_holds(other.expose()).await);
        assert!(!node.link_holds("invented").await);
    }
    let short = one.set_up(link.expose(), Secret::new("short"), "").await;
    assert_eq!(short, Err(Refused::Unfit(Unfit::TooShort)));
    let refused = one.sign_in(Secret::new(PASSWORD), 1, "").await;
    assert_eq!(refused, Err(Refused::NoPassword));
    let password = || Secret::new(PASSWORD);
    let key = two.set_up(link.expose(), password(), "a").await.unwrap();
    assert!(!two.link_holds(link.expose()).await && !two.link_holds(other.expose()).await);
    let again = one.set_up(other.expose(), password(), "b").await;
    assert_eq!(again, Err(Refused::LinkEnded));
    assert!(one.session(key.expose(), true).await.is_some());
    assert_eq!(two.prepare().await, Ok(None));
    assert!(two.sign_in(password(), 1, "c").await.is_ok());
    assert_eq!(two.sessions().await.len(), 2);
    one.sign_out(key.expose()).await.unwrap();
    assert!(one.session(key.expose(), true).await.is_none());
}

#[tokio::test]
async fn a_wrong_password_is_refused_and_after_five_the_address_has_to_wait() {
    let store = Store::memory();
    let console = console(&store, None);
    set_up(&console).await;
    let wrong = || Secret::new("four other words");
    for _ in 0..5 {
        assert_eq!(console.confirm(wrong(), 1).await, Err(Refused::Wrong));
    }
    let right = || Secret::new(PASSWORD);
    let too_many = console.confirm(right(), 1).await;
    assert!(matches!(too_many, Err(Refused::TooMany(_))), "{too_many:?}");
    assert!(console.confirm(right(), 2).await.is_ok());
}

#[tokio::test]
async fn the_password_of_the_configuration_takes_the_place_of_the_stored_one() {
    let store = Store::memory();
    let key = set_up(&console(&store, None)).await;
    // The same one: sessions go on.
    let same = console(&store, Some(PASSWORD));
    assert_eq!(same.prepare().await, Ok(None));
    assert!(same.session(key.expose(), true).await.is_some());
    let other = console(&store, Some("another password"));
    assert_eq!(other.prepare().await, Ok(None));
    assert!(other.session(key.expose(), true).await.is_none());
    let old = other.confirm(Secret::new(PASSWORD), 1).await;
    assert_eq!(old, Err(Refused::Wrong));
    let new = other.confirm(Secret::new("another password"), 1).await;
    assert!(new.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_session_goes_on_while_somebody_asks_and_not_because_a_page_looks_for_news() {
    let store = Store::memory();
    let clock = Clock::following_tokio(Timestamp::from_secs(1_700_000_000));
    let console = Console::new(store, clock.clone(), None);
    let key = set_up(&console).await;
    // Those that are seen a little later than one that was noted are kept in mind.
    for minutes in [14, 20, 29, 14, 29] {
        clock.sleep(Duration::from_secs(minutes * 60)).await;
        assert!(console.session(key.expose(), true).await.is_some());
    }
    for _ in 0..3 {
        clock.sleep(Duration::from_secs(9 * 60)).await;
        assert!(console.session(key.expose(), false).await.is_some());
    }
    clock.sleep(Duration::from_secs(9 * 60)).await;
    assert!(console.session(key.expose(), true).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn the_other_nodes_hear_of_a_visit_while_its_page_is_open_and_of_few_changes() {
    let store = Store::memory();
    let clock = Clock::following_tokio(Timestamp::from_secs(1_700_000_000));
    let [one, two] = [(); 2].map(|()| Console::new(store.clone(), clock.clone(), None));
    let key = set_up(&one).await;
    let (mut changes, mut last) = (0, store.directory().await.unwrap());
    for second in 1..=3600 {
        clock.sleep(Duration::from_secs(1)).await;
        // The page looks for news every second, its reader does something every minute.
        let session = one.session(key.expose(), second % 60 == 0).await;
        assert!(session.is_some());
        let now = store.directory().await.unwrap();
        changes += u32::from(now.console != last.console);
        last = now;
    }
    assert_eq!(changes, 4);
    clock.sleep(Duration::from_secs(16 * 60)).await;
    assert!(one.session(key.expose(), false).await.is_some());
    assert!(two.session(key.expose(), false).await.is_some());
    clock.sleep(Duration::from_secs(14 * 60)).await;
    assert!(one.session(key.expose(), true).await.is_none());
    assert!(two.session(key.expose(), true).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_new_password_ends_a_sign_in_that_is_on_its_way() {
    let store = Store::memory();
    let clock = Clock::following_tokio(Timestamp::from_secs(1_700_000_000));
    let [one, two] = [(); 2].map(|()| Console::new(store.clone(), clock.clone(), None));
    set_up(&one).await;
    for from in 0..50 {
        // A crowd, so that one has to wait.
        let _ = lock(&one.attempts).admit(100 + from, clock.moment().boot);
    }
    let signing_in = one.sign_in(Secret::new(PASSWORD), 1, "late");
    let resetting = two.reset(Secret::new("another password"));
    let (signed_in, reset) = tokio::join!(signing_in, resetting);
    assert_eq!((signed_in, reset), (Err(Refused::Wrong), Ok(())));
    assert_eq!(one.sessions().await, []);
}
