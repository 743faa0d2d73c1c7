//! Days of random faults: whatever WeChat does, no reader gets a dead credential.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use wxsign::account::TokenApi;
use wxsign::simulator::{Fault, FaultRule};

use super::world::{TICKET_PATH, World};
use super::{DAY, HOUR};

const STORMS: u64 = 4;
const DAYS: u64 = 3;

#[tokio::test(start_paused = true)]
async fn in_a_storm_of_faults_nothing_dead_is_served_and_all_is_well_after_it() {
    for seed in 0..STORMS {
        let mut random = StdRng::seed_from_u64(seed);
        let token_api = [TokenApi::Classic, TokenApi::Stable][usize::from(random.random_bool(0.3))];
        let world = World::new(token_api);
        while world.age() < DAYS * DAY {
            storm(&world, &mut random, seed).await;
            calm(&world, &mut random, seed).await;
        }
    }
}

/// One fault, on one path or on all, for a while.
async fn storm(world: &World, random: &mut StdRng, seed: u64) {
    let faults = [
        Fault::Errcode(-1),
        Fault::Unreachable,
        Fault::BadGateway,
        Fault::EmptyBody,
        Fault::TruncatedJson,
        Fault::Reset,
        Fault::Hang,
        Fault::Errcode(45011),
        Fault::ExpiresIn("0".to_owned()),
    ];
    let mut rule = FaultRule::new(faults[random.random_range(0..faults.len())].clone());
    rule = match random.random_range(0..3) {
        0 => rule,
        1 => rule.on(world.token_path()),
        _ => rule.on(TICKET_PATH),
    };
    rule.probability = random.random_range(0.2..=1.0);
    world.simulator.inject(rule.clone());
    let end = world.age() + random.random_range(60..3 * HOUR);
    while world.age() < end {
        world.pass(random.random_range(1..120)).await;
        nothing_dead_is_served(world, &format!("seed {seed}, {rule:?}"));
    }
    world.mend();
}

/// Long enough for the longest wait of these faults.
async fn calm(world: &World, random: &mut StdRng, seed: u64) {
    for minute in 0..random.random_range(8..180) {
        world.pass(60).await;
        nothing_dead_is_served(world, &format!("seed {seed}, calm"));
        if minute >= 7 {
            assert!(
                world.serves_the_newest_token(),
                "seed {seed} {} s",
                world.age()
            );
            assert_eq!(world.signature_is_accepted(), Some(true), "seed {seed}");
        }
    }
}

fn nothing_dead_is_served(world: &World, when: &str) {
    world.serves_a_token();
    let age = world.age();
    assert_ne!(
        world.signature_is_accepted(),
        Some(false),
        "{when}, {age} s"
    );
}
