//! The ticket for coupons, which some accounts have beside the jsapi_ticket: it is renewed as that
//! one is, and whatever becomes of it, pages are signed.

use std::time::Duration;

use wxsign::account::{Account, TokenApi};
use wxsign::credential::Kind;
use wxsign::simulator::Action;

use super::world::{World, account, appid, kept};
use super::{DAY, HOUR};

const PATIENCE: Duration = Duration::from_secs(2);

/// The account of the other stories, which hands out coupons besides.
fn with_cards() -> Account {
    Account {
        wx_card: true,
        ..account(TokenApi::Classic)
    }
}

fn world_with_cards(nodes: usize) -> World {
    let world = World::of_nodes(nodes, TokenApi::Classic);
    hand_out_cards(&world);
    world
}

fn hand_out_cards(world: &World) {
    for node in world.nodes() {
        node.set_accounts(vec![with_cards()]);
    }
}

/// Whether readers have the ticket for cards; one that WeChat does not accept must not be served.
fn serves_cards(world: &World) -> bool {
    let snapshot = world.snapshot();
    let served = snapshot.served(Kind::CardTicket, world.clock.moment());
    served.is_some_and(|served| {
        let value = served.credential.value.expose();
        let is_accepted = world.simulator.card_ticket_is_accepted(&appid(), value);
        assert!(is_accepted, "{}", world.age());
        true
    })
}

#[tokio::test(start_paused = true)]
async fn a_day_of_coupons_costs_288_calls_more_and_no_token() {
    for nodes in [1, 3] {
        let world = world_with_cards(nodes);
        world.pass(DAY).await;
        let (tokens, tickets) = (world.token_calls(), world.ticket_calls());
        assert!((17..=18).contains(&tokens), "{tokens}");
        assert!((550..=600).contains(&tickets), "{tickets}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_ticket_for_cards_is_there_from_the_first_second_on_and_follows_wechats() {
    let world = world_with_cards(1);
    world.pass(1).await;
    for minute in 1..8 * 60 {
        assert!(serves_cards(&world), "{minute}");
        assert_eq!(world.signature_is_accepted(), Some(true));
        world.pass_until(60 * minute + 1).await;
    }
    let snapshot = world.snapshot();
    let (card, page) = (Kind::CardTicket, Kind::JsapiTicket);
    let value = |kind| snapshot.last(kind).unwrap().credential.value.clone();
    assert_ne!(value(card), value(page));
    assert!(snapshot.last(Kind::AgentTicket).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_node_that_starts_takes_over_the_ticket_for_cards_without_a_call() {
    let mut world = world_with_cards(1);
    world.pass(HOUR).await;
    let calls = world.ticket_calls();
    world.kill_node();
    world.add_node();
    hand_out_cards(&world);
    world.pass(2).await;
    assert!(serves_cards(&world));
    assert!(world.ticket_calls() <= calls + 2);
    let snapshot = world.snapshot();
    let ticket = snapshot.last(Kind::CardTicket).unwrap();
    assert_eq!(ticket.credential.generation, 1);
}

#[tokio::test(start_paused = true)]
async fn an_account_that_may_not_hand_out_coupons_signs_its_pages_and_says_what_is_wrong() {
    let world = world_with_cards(1);
    world.turn(|knobs| knobs.card_errcode = Some(48001));
    world.pass(DAY).await;
    assert!(!serves_cards(&world));
    assert_eq!(world.signature_is_accepted(), Some(true));
    assert!((17..=18).contains(&world.token_calls()));
    // Its own calls are an hour apart by now.
    let calls = world.ticket_calls();
    assert!((280..=340).contains(&calls), "{calls}");
    let snapshot = world.snapshot();
    assert_eq!(snapshot.trouble_with(Kind::JsapiTicket), None);
    assert_eq!(snapshot.trouble().unwrap().errcode, Some(48001));
    let overview = world.keeper().overview();
    assert_eq!((overview.signing, overview.troubled.len()), (1, 1));
    let kept = kept(world.keeper());
    let found = world.keeper().available(&kept, Kind::CardTicket, PATIENCE);
    let trouble = found.await.unwrap_err().trouble.unwrap();
    assert_eq!(trouble.errcode, Some(48001));
    // What keeps it from its cards does not keep anybody from the others.
    let found = world.keeper().available(&kept, Kind::JsapiTicket, PATIENCE);
    assert!(found.await.is_ok());

    world.mend();
    world.keeper().try_again(&kept);
    world.pass(2).await;
    assert!(serves_cards(&world));
    assert_eq!(world.snapshot().trouble(), None);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_refused_for_cards_alone_is_not_renewed_for_that() {
    let world = world_with_cards(1);
    world.turn(|knobs| knobs.card_errcode = Some(40001));
    world.pass(DAY).await;
    let tokens = world.token_calls();
    assert!((17..=18).contains(&tokens), "{tokens}");
    assert!(!world.snapshot().is_robbed());
    assert_eq!(world.signature_is_accepted(), Some(true));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_died_is_replaced_also_if_the_ticket_for_cards_finds_it_out() {
    let world = world_with_cards(1);
    world.pass(10).await;
    world.simulator.act(&appid(), Action::RevokeTokens).unwrap();
    world.pass(DAY / 24).await;
    assert!(world.serves_a_token());
    assert!(serves_cards(&world));
    assert_eq!(world.token_calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn coupons_can_begin_and_end_while_the_program_runs() {
    let world = World::new(TokenApi::Classic);
    world.pass(HOUR).await;
    assert!(!serves_cards(&world));
    hand_out_cards(&world);
    let kept = kept(world.keeper());
    let found = world.keeper().available(&kept, Kind::CardTicket, PATIENCE);
    assert!(found.await.is_ok(), "it waits for the first one");
    assert!(serves_cards(&world));

    world
        .keeper()
        .set_accounts(vec![account(TokenApi::Classic)]);
    world.pass(1).await;
    assert!(!serves_cards(&world));
    let calls = world.ticket_calls();
    world.pass(HOUR).await;
    assert!((world.ticket_calls() - calls).abs_diff(12) <= 2);
}
