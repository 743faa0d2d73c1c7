//! What people are told of it: what is recorded while credentials are renewed.

use wxsign::account::TokenApi;
use wxsign::config::Retention;
use wxsign::history::{History, Query};
use wxsign::simulator::{Fault, FaultRule};
use wxsign::store::Store;

use super::world::World;
use super::{DAY, HOUR};

/// All nodes of `world` record into one store, which is returned.
fn recording(world: &World) -> (Store, Vec<History>) {
    let store = Store::memory();
    let histories = world.nodes().iter().map(|node| {
        let (clock, retention) = (world.clock.clone(), Retention::default());
        let history = History::new(retention, store.clone(), clock, node.node());
        node.record_into(history.clone());
        history
    });
    let histories = histories.collect();
    (store, histories)
}

/// What was recorded, the oldest first.
async fn told((store, histories): &(Store, Vec<History>), what: &str) -> Vec<String> {
    for history in histories {
        history.flush().await.unwrap();
    }
    let mut query = Query {
        what: Some(what.to_owned()),
        limit: Query::MOST,
        ..Query::default()
    };
    let mut lines = Vec::new();
    loop {
        let found = query.find(store, |_| true).await.unwrap();
        lines.extend(found.events.iter().map(|event| {
            assert!(event.actor.is_none() && event.appid.is_some());
            event.what.to_string()
        }));
        query.before = found.next;
        if query.before.is_none() {
            lines.reverse();
            return lines;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn each_new_credential_is_told_once_however_many_nodes_there_are() {
    let world = World::of_nodes(2, TokenApi::Classic);
    let recording = recording(&world);
    world.pass(DAY).await;
    let renewed = told(&recording, "renewal.done").await;
    let of = |kind| renewed.iter().filter(|line| line.starts_with(kind)).count() as u64;
    assert_eq!(of("access_token"), world.token_calls());
    assert!((11..=14).contains(&of("jsapi_ticket")), "{renewed:#?}");
    assert_eq!(told(&recording, "").await.len(), renewed.len());
    let snapshot = world.snapshot();
    let token = &snapshot.token(world.clock.moment()).unwrap().credential;
    let last = renewed
        .iter()
        .rfind(|line| line.starts_with("access_token"));
    let fingerprint = token.value.fingerprint().to_string();
    assert!(last.unwrap().contains(&fingerprint));
    assert!(
        renewed
            .iter()
            .all(|line| !line.contains(token.value.expose()))
    );
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_told_when_it_begins_once_an_hour_when_it_changes_and_when_it_is_over() {
    let world = World::of_nodes(2, TokenApi::Classic);
    let recording = recording(&world);
    world.pass(600).await;
    assert_eq!(told(&recording, "renewal.failed").await, [""; 0]);
    world.simulator.inject(FaultRule::new(Fault::Errcode(-1)));
    world.pass(4 * HOUR).await;
    let failed = told(&recording, "renewal.failed").await;
    let first = failed.iter().filter(|line| !line.contains(" times since"));
    assert!(first.count() <= 2, "for each kind: {failed:#?}");
    // Each node tells of what it has met itself.
    assert!((4..=16).contains(&failed.len()), "{failed:#?}");

    world.mend();
    world
        .simulator
        .inject(FaultRule::new(Fault::Errcode(40164)));
    world.pass(2 * HOUR).await;
    let changed = told(&recording, "renewal.failed")
        .await
        .split_off(failed.len());
    assert!(changed[0].contains("40164"), "{changed:#?}");
    assert_eq!(told(&recording, "renewal.recovered").await, [""; 0]);
    world.mend();
    world.pass(2 * HOUR).await;
    let recovered = told(&recording, "renewal.recovered").await;
    assert!(recovered[0].starts_with("access_token"), "{recovered:#?}");
    assert!(recovered.len() <= 2, "{recovered:#?}");
}

#[tokio::test(start_paused = true)]
async fn who_takes_tokens_is_told_of_once_and_when_he_is_gone() {
    let world = World::of_nodes(2, TokenApi::Classic);
    let recording = recording(&world);
    world.pass(600).await;
    for _ in 0..3 {
        let steal = wxsign::simulator::Action::StealToken;
        world.simulator.act(&super::appid(), steal).unwrap();
        world.pass(20 * 60).await;
    }
    assert!(world.snapshot().is_robbed());
    let noticed = told(&recording, "foreign").await;
    assert_eq!(
        noticed,
        ["another program fetches tokens with this AppSecret"]
    );
    world.pass(2 * DAY).await;
    let over = told(&recording, "foreign").await;
    assert_eq!(
        over[1..],
        ["no other program has been seen to fetch tokens for a day"]
    );
}
