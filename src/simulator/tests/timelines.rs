//! How tokens and tickets live and die.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_classic_token_lives_five_minutes_beside_its_successor() {
    let world = World::new();
    let first = world.token();
    let second = world.at(5000).token();
    assert_ne!(first, second);
    assert_eq!(world.at(5299).probe(&first), 0);
    assert_eq!(world.at(5300).probe(&first), 40001);
    assert_eq!(world.at(7200).probe(&first), 40001);
    assert_eq!(world.at(12_199).probe(&second), 0);
    assert_eq!(world.at(12_200).probe(&second), 42001);
}

#[tokio::test(start_paused = true)]
async fn a_token_superseded_near_its_end_dies_at_its_own_end() {
    let world = World::new();
    let first = world.token();
    world.at(7000).token();
    assert_eq!(world.at(7199).probe(&first), 0);
    assert_eq!(world.at(7200).probe(&first), 42001);
}

#[tokio::test(start_paused = true)]
async fn a_stable_token_stays_the_same_until_its_last_minutes() {
    let world = World::new();
    let (first, expires_in) = world.stable(false);
    assert_eq!(expires_in, 7200);
    assert_eq!(world.at(6000).stable(false), (first.clone(), 1200));
    assert_eq!(world.at(6895).stable(false), (first.clone(), 305));
    let (second, expires_in) = world.at(6901).stable(false);
    assert_ne!(second, first);
    assert_eq!(expires_in, 7200);
    assert_eq!(world.at(7199).probe(&first), 0);
    assert_eq!(world.at(7200).probe(&first), 42001);
    assert_eq!(world.probe(&second), 0);
}

#[tokio::test(start_paused = true)]
async fn a_forced_stable_token_kills_the_former_and_cannot_be_forced_again_at_once() {
    let world = World::new();
    let (first, _) = world.stable(false);
    let (second, _) = world.at(1000).stable(true);
    assert_ne!(second, first);
    assert_eq!(world.probe(&first), 40001);
    assert_eq!(world.at(1020).stable(true), (second.clone(), 7180));
    let (third, _) = world.at(1030).stable(true);
    assert_ne!(third, second);
}

#[tokio::test(start_paused = true)]
async fn the_two_token_apis_leave_each_other_alone() {
    let world = World::new();
    let classic = world.token();
    let (stable, _) = world.stable(false);
    world.at(400).token();
    world.stable(true);
    assert_eq!(world.probe(&classic), 0);
    assert_eq!(world.probe(&stable), 40001);
}

#[tokio::test(start_paused = true)]
async fn a_ticket_stays_the_same_for_its_period_and_always_says_7200() {
    let world = World::new();
    let (first, expires_in) = world.at(10).ticket(&world.token());
    assert_eq!(expires_in, 7200);
    // Another token, an hour later: the same ticket.
    assert_eq!(world.at(7100).ticket(&world.token()), (first.clone(), 7200));
    let (second, expires_in) = world.at(7201).ticket(&world.token());
    assert_ne!(second, first);
    assert_eq!(expires_in, 7200);
    let accepted = |ticket: &str| world.simulator.ticket_is_accepted(&world.appid, ticket);
    assert!(accepted(&second));
    assert!(
        world
            .at(14_399)
            .simulator
            .ticket_is_accepted(&world.appid, &first)
    );
    world.at(14_400);
    assert!(!accepted(&first));
}

#[tokio::test(start_paused = true)]
async fn a_hostile_ticket_dies_when_it_changes_although_it_said_7200() {
    let world = World::new().with(|knobs| knobs.ticket_mode = TicketMode::Hostile);
    let (first, expires_in) = world.at(7100).ticket(&world.token());
    assert_eq!(expires_in, 7200);
    assert!(
        world
            .at(7199)
            .simulator
            .ticket_is_accepted(&world.appid, &first)
    );
    assert!(
        !world
            .at(7200)
            .simulator
            .ticket_is_accepted(&world.appid, &first)
    );
}

#[tokio::test(start_paused = true)]
async fn an_honest_ticket_says_what_remains() {
    let world = World::new().with(|knobs| knobs.ticket_mode = TicketMode::Remaining);
    let (_, expires_in) = world.at(7100).ticket(&world.token());
    assert_eq!(expires_in, 100);
}

#[tokio::test(start_paused = true)]
async fn a_fresh_ticket_is_a_new_one_each_time() {
    let world = World::new().with(|knobs| {
        knobs.ticket_mode = TicketMode::Fresh;
        knobs.ticket_overlap = Duration::from_secs(60);
    });
    let token = world.token();
    let (first, _) = world.ticket(&token);
    let (second, _) = world.at(1).ticket(&token);
    assert_ne!(first, second);
    assert!(
        world
            .at(60)
            .simulator
            .ticket_is_accepted(&world.appid, &first)
    );
    assert!(
        !world
            .at(61)
            .simulator
            .ticket_is_accepted(&world.appid, &first)
    );
    assert!(world.simulator.ticket_is_accepted(&world.appid, &second));
}

#[tokio::test(start_paused = true)]
async fn the_ticket_for_cards_is_another_one() {
    let world = World::new();
    let token = world.token();
    let card = world.get(&format!(
        "/cgi-bin/ticket/getticket?access_token={token}&type=wx_card"
    ));
    assert_ne!(text(&card["ticket"]), world.ticket(&token).0);
}

#[tokio::test(start_paused = true)]
async fn a_stolen_token_supersedes_ours() {
    let world = World::new();
    let ours = world.token();
    world
        .simulator
        .act(&world.appid, Action::StealToken)
        .unwrap();
    assert_eq!(world.at(299).probe(&ours), 0);
    assert_eq!(world.at(300).probe(&ours), 40001);
    let newest = world.simulator.newest_token(&world.appid).unwrap();
    assert!(newest.expose() != ours);
}

#[tokio::test(start_paused = true)]
async fn revoked_and_expired_tokens_differ_in_their_errcode() {
    let world = World::new();
    let token = world.token();
    world
        .simulator
        .act(&world.appid, Action::RevokeTokens)
        .unwrap();
    assert_eq!(world.probe(&token), 40001);
    let (stable, _) = world.stable(false);
    world
        .simulator
        .act(&world.appid, Action::ExpireTokens)
        .unwrap();
    assert_eq!(world.probe(&stable), 42001);
    assert_ne!(world.stable(false).0, stable);
}

#[tokio::test(start_paused = true)]
async fn a_rotated_ticket_leaves_the_former_alive_and_an_expired_one_does_not() {
    let world = World::new();
    let token = world.token();
    let (first, _) = world.ticket(&token);
    world
        .simulator
        .act(&world.appid, Action::RotateTicket)
        .unwrap();
    let (second, _) = world.ticket(&token);
    assert_ne!(second, first);
    assert!(world.simulator.ticket_is_accepted(&world.appid, &first));
    world
        .simulator
        .act(&world.appid, Action::ExpireTicket)
        .unwrap();
    let (third, _) = world.ticket(&token);
    for dead in [&first, &second] {
        assert!(!world.simulator.ticket_is_accepted(&world.appid, dead));
    }
    assert!(world.simulator.ticket_is_accepted(&world.appid, &third));
}

#[tokio::test(start_paused = true)]
async fn a_new_token_may_be_unknown_for_a_moment() {
    let world = World::new().with(|knobs| knobs.token_visible_after = Duration::from_secs(2));
    let token = world.token();
    assert_eq!(world.at(1).probe(&token), 40001);
    assert_eq!(world.at(2).probe(&token), 0);
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_values() {
    let (one, two) = (World::new(), World::new());
    assert_eq!(one.classic(), two.classic());
    assert_eq!(one.ticket(&one.token()), two.ticket(&two.token()));
    assert_eq!(
        one.reply("GET", "/cgi-bin/menu/get", "").body,
        two.reply("GET", "/cgi-bin/menu/get", "").body
    );
}

#[tokio::test(start_paused = true)]
async fn a_month_of_polling_keeps_a_ticket_alive_in_every_mode() {
    for mode in [
        TicketMode::Rotate,
        TicketMode::Hostile,
        TicketMode::Remaining,
        TicketMode::Fresh,
    ] {
        let world = World::new().with(|knobs| knobs.ticket_mode = mode);
        for hour in 0..720 {
            let (ticket, _) = world.at(hour * 3600).ticket(&world.token());
            assert!(world.simulator.ticket_is_accepted(&world.appid, &ticket));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_ledger_tells_who_made_each_value_and_shows_none() {
    let world = World::new();
    let token = world.token();
    let (ticket, _) = world.ticket(&token);
    world
        .simulator
        .act(&world.appid, Action::StealToken)
        .unwrap();
    let minted: Vec<_> = world
        .simulator
        .events()
        .into_iter()
        .filter_map(|event| match event.what {
            What::Minted { kind, by, .. } => Some((kind, by)),
            _ => None,
        })
        .collect();
    assert_eq!(
        minted,
        [
            (Minted::ClassicToken, By::Caller),
            (Minted::JsapiTicket, By::WeChat),
            (Minted::ClassicToken, By::Stranger),
        ]
    );
    let written = serde_json::to_string(&world.simulator.events()).unwrap();
    for secret in [token.as_str(), &ticket, SECRET] {
        assert!(!written.contains(secret));
    }
}
