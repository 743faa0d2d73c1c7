//! One row per way in which WeChat fails to give a token or a ticket: what readers are told, how
//! often WeChat is asked again, and that the old token is served meanwhile.

use std::ops::RangeInclusive;
use std::time::Duration;

use wxsign::account::TokenApi;
use wxsign::credential::Secret;
use wxsign::simulator::{Fault, FaultRule};
use wxsign::upstream::Class;

use super::world::{TICKET_PATH, World, kept};
use super::{DAY, HOUR};

/// A failure of the token API that lasts.
struct Failure {
    name: &'static str,
    /// Brings it about.
    begin: fn(&World),
    class: Class,
    errcode: Option<i64>,
    /// The calls in the first hour, and in the first day, that began with the failure.
    hour: RangeInclusive<u64>,
    day: RangeInclusive<u64>,
}

/// After 0 s, 10 s, 1 min, 5 min, 15 min, then hourly.
const HOPELESS: [RangeInclusive<u64>; 2] = [5..=5, 28..=28];

/// 10 tries within 3 minutes, 30 at 2 minutes, then at 5 minutes.
const PASSING: [RangeInclusive<u64>; 2] = [35..=42, 285..=350];

/// The same when each call takes 10 seconds.
const PASSING_SLOWLY: [RangeInclusive<u64>; 2] = [30..=42, 270..=350];

/// After 0 s, 5 min, then each half hour.
const NOT_LISTED: [RangeInclusive<u64>; 2] = [3..=3, 49..=49];

/// Hourly, and at midnight in China.
const USED_UP: [RangeInclusive<u64>; 2] = [1..=2, 24..=26];

/// As what passes, after 20 in a row as what a human must mend.
const UNKNOWN: [RangeInclusive<u64>; 2] = [25..=25, 47..=48];

const fn failure(
    name: &'static str,
    begin: fn(&World),
    (class, errcode): (Class, Option<i64>),
    [hour, day]: [RangeInclusive<u64>; 2],
) -> Failure {
    Failure {
        name,
        begin,
        class,
        errcode,
        hour,
        day,
    }
}

fn inject(world: &World, fault: Fault) {
    let rule = FaultRule::new(fault).on(world.token_path());
    world.simulator.inject(rule);
}

fn failures() -> Vec<Failure> {
    use Class::{Address, Ambiguous, Credentials, Quota, Transient, Unknown};
    vec![
        failure(
            "the AppSecret is wrong, as the old API says it",
            |world| inject(world, Fault::Errcode(40001)),
            (Credentials, Some(40001)),
            HOPELESS,
        ),
        failure(
            "the AppSecret is wrong",
            |world| world.change(|app| app.secret = Secret::new("another")),
            (Credentials, Some(40125)),
            HOPELESS,
        ),
        failure(
            "the AppSecret is frozen",
            |world| world.turn(|knobs| knobs.secret_frozen = true),
            (Credentials, Some(40243)),
            HOPELESS,
        ),
        failure(
            "the AppID is wrong",
            |world| inject(world, Fault::Errcode(40013)),
            (Credentials, Some(40013)),
            HOPELESS,
        ),
        failure(
            "the address is not on the list",
            |world| world.turn(|knobs| knobs.ip_list = Some(Vec::new())),
            (Address, Some(40164)),
            NOT_LISTED,
        ),
        failure(
            "the day's quota is used up",
            |world| {
                world.turn(|knobs| (knobs.quotas.token_day, knobs.quotas.stable_day) = (0, 0));
            },
            (Quota, Some(45009)),
            USED_UP,
        ),
        failure(
            "the minute's quota is used up",
            |world| inject(world, Fault::Errcode(45011)),
            (Quota, Some(45011)),
            // Each minute for ten minutes, then as what passes.
            [26..=36, 200..=345],
        ),
        failure(
            "WeChat is busy",
            |world| inject(world, Fault::Errcode(-1)),
            (Transient, Some(-1)),
            PASSING,
        ),
        failure(
            "a proxy answers 502 in HTML",
            |world| inject(world, Fault::BadGateway),
            (Transient, None),
            PASSING,
        ),
        failure(
            "the connection is refused",
            |world| inject(world, Fault::Unreachable),
            (Transient, None),
            PASSING,
        ),
        failure(
            "the JSON is cut off",
            |world| inject(world, Fault::TruncatedJson),
            (Ambiguous, None),
            PASSING,
        ),
        failure(
            "the body is empty",
            |world| inject(world, Fault::EmptyBody),
            (Ambiguous, None),
            PASSING,
        ),
        failure(
            "the connection is reset",
            |world| inject(world, Fault::Reset),
            (Ambiguous, None),
            PASSING,
        ),
        failure(
            "there is no answer",
            |world| inject(world, Fault::Hang),
            (Ambiguous, None),
            PASSING_SLOWLY,
        ),
        failure(
            "expires_in is 0",
            |world| inject(world, Fault::ExpiresIn("0".to_owned())),
            (Ambiguous, None),
            PASSING,
        ),
        failure(
            "expires_in is -1",
            |world| inject(world, Fault::ExpiresIn("-1".to_owned())),
            (Ambiguous, None),
            PASSING,
        ),
        failure(
            "expires_in is a word",
            |world| inject(world, Fault::ExpiresIn("\"abc\"".to_owned())),
            (Ambiguous, None),
            PASSING,
        ),
        failure(
            "expires_in is absent",
            |world| inject(world, Fault::ExpiresIn(String::new())),
            (Ambiguous, None),
            PASSING,
        ),
        failure(
            "the errcode is not known",
            |world| inject(world, Fault::Errcode(98765)),
            (Unknown, Some(98765)),
            UNKNOWN,
        ),
    ]
}

const APIS: [TokenApi; 2] = [TokenApi::Classic, TokenApi::Stable];

#[tokio::test(start_paused = true)]
async fn each_failure_is_told_by_its_class_and_costs_the_calls_of_its_class() {
    for token_api in APIS {
        for failure in failures() {
            let name = format!("{}, {token_api:?}", failure.name);
            let world = World::new(token_api);
            (failure.begin)(&world);
            world.pass_until(HOUR).await;
            let trouble = world.snapshot().trouble().cloned().expect(&name);
            assert_eq!(
                (trouble.class, trouble.errcode),
                (failure.class, failure.errcode),
                "{name}"
            );
            let calls = world.token_calls();
            assert!(failure.hour.contains(&calls), "{name}: {calls} in an hour");
            world.pass_until(DAY).await;
            let calls = world.token_calls();
            assert!(failure.day.contains(&calls), "{name}: {calls} in a day");
            assert_eq!(world.ticket_calls(), 0, "{name}");
            assert!(world.keeper().is_alive(), "{name}");
            recovers(&world, &name).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn during_each_failure_the_old_token_is_served_to_its_end() {
    for token_api in APIS {
        for failure in failures() {
            let name = format!("{}, {token_api:?}", failure.name);
            let world = World::new(token_api);
            world.pass(1000).await;
            let snapshot = world.snapshot();
            let token = snapshot.token(world.clock.moment()).expect(&name);
            let mut end = token.until.wall;
            (failure.begin)(&world);
            let mut failing = false;
            while world.clock.now() < end {
                assert!(world.serves_a_token(), "{name}: {} s", world.age());
                assert_eq!(world.signature_is_accepted(), Some(true), "{name}");
                world.pass(5).await;
                if !failing && world.token_calls() > 1 {
                    failing = true;
                    // Each classic token takes the life of the one before it, also one that
                    // nobody ever saw.
                    if failure.class == Class::Ambiguous && token_api == TokenApi::Classic {
                        end = world.clock.now() + Duration::from_secs(280 - 10);
                    }
                }
            }
            assert!(failing, "{name}");
            world.pass(20).await;
            assert!(!world.serves_a_token(), "{name}");
            let trouble = world.snapshot().trouble().cloned().expect(&name);
            assert_eq!(trouble.class, failure.class, "{name}");
            recovers(&world, &name).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_the_ticket_costs_the_calls_of_its_class_and_no_token() {
    use Class::{Address, Ambiguous, Credentials, Quota, Transient, Unknown};
    let failures = [
        (Fault::Errcode(-1), Transient, PASSING),
        (Fault::BadGateway, Transient, PASSING),
        (Fault::Unreachable, Transient, PASSING),
        (Fault::TruncatedJson, Ambiguous, PASSING),
        (Fault::EmptyBody, Ambiguous, PASSING),
        (Fault::Hang, Ambiguous, PASSING_SLOWLY),
        (Fault::ExpiresIn("0".to_owned()), Ambiguous, PASSING),
        (Fault::ExpiresIn(String::new()), Ambiguous, PASSING),
        (Fault::Errcode(48001), Credentials, HOPELESS),
        (Fault::Errcode(61004), Address, NOT_LISTED),
        (Fault::Errcode(45009), Quota, USED_UP),
        (Fault::Errcode(98765), Unknown, UNKNOWN),
    ];
    for token_api in APIS {
        for (fault, class, [hour, day]) in failures.clone() {
            let name = format!("{fault:?}, {token_api:?}");
            let world = World::new(token_api);
            let rule = FaultRule::new(fault).on(TICKET_PATH);
            world.simulator.inject(rule);
            world.pass_until(HOUR).await;
            let trouble = world.snapshot().trouble().cloned().expect(&name);
            assert_eq!(trouble.class, class, "{name}");
            let calls = world.ticket_calls();
            assert!(hour.contains(&calls), "{name}: {calls} in an hour");
            world.pass_until(DAY).await;
            let calls = world.ticket_calls();
            assert!(day.contains(&calls), "{name}: {calls} in a day");
            let tokens = world.token_calls();
            assert!((12..=18).contains(&tokens), "{name}: {tokens} tokens");
            recovers(&world, &name).await;
        }
    }
}

/// The longest wait is an hour.
async fn recovers(world: &World, name: &str) {
    world.mend();
    world.pass(HOUR + 60).await;
    assert!(world.serves_the_newest_token(), "{name}");
    assert_eq!(world.signature_is_accepted(), Some(true), "{name}");
    assert_eq!(world.snapshot().trouble(), None, "{name}");
}

#[tokio::test(start_paused = true)]
async fn what_a_human_has_mended_is_tried_at_once_when_he_says_so() {
    for path in ["/cgi-bin/token", TICKET_PATH] {
        let world = World::new(TokenApi::Classic);
        world.pass(HOUR).await;
        let rule = FaultRule::new(Fault::Errcode(40164)).on(path);
        world.simulator.inject(rule);
        // The token is due after 80 to 85 minutes, the ticket is asked for every 5.
        world.pass(HOUR / 2).await;
        let calls = || (world.token_calls(), world.ticket_calls());
        assert!(world.snapshot().trouble().is_some(), "{path}");
        let kept = kept(world.keeper());
        // Who says so too early gets the next refusal, and no flood of them.
        let before = calls();
        for _ in 0..5 {
            world.keeper().try_again(&kept);
            world.pass(1).await;
        }
        let (tokens, tickets) = calls();
        // The ticket may be due beside.
        assert!(tokens + tickets - before.0 - before.1 <= 6, "{path}");
        assert!(world.snapshot().trouble().is_some(), "{path}");
        world.mend();
        world.keeper().try_again(&kept);
        world.pass(2).await;
        assert!(world.snapshot().trouble().is_none(), "{path}");
    }
}
