//! Another program that fetches tokens with the same AppSecret.

use super::*;

/// WeChat rejects the node's token, and the node fetches the next one.
fn loses_its_token(node: &mut Node, store: &mut Record, now: Moment, next: &str) {
    let generation = node.local.generation().unwrap();
    node.local.reject(generation);
    node.renew(store, now, next);
}

#[test]
fn two_tokens_that_die_young_within_a_day_were_taken_by_another_program() {
    let mut store = Record::default();
    let mut node = Node::new(CLASSIC);
    node.renew(&mut store, at(0), "one");
    loses_its_token(&mut node, &mut store, at(1000), "two");
    assert!(!is_robbed(&store, at(1000).wall));
    loses_its_token(&mut node, &mut store, at(3999), "three");
    assert!(is_robbed(&store, at(3999).wall));
    // A day after the first of them it is one within a day again.
    assert!(is_robbed(&store, at(1000 + 86_399).wall));
    assert!(!is_robbed(&store, at(1000 + 86_400).wall));
}

#[test]
fn tokens_that_died_long_ago_are_forgotten() {
    let mut store = Record::default();
    let mut node = Node::new(CLASSIC);
    node.renew(&mut store, at(0), "one");
    loses_its_token(&mut node, &mut store, at(1000), "two");
    node.renew(&mut store, at(89_000), "three");
    loses_its_token(&mut node, &mut store, at(90_000), "four");
    assert_eq!(store.died_young, [at(90_000).wall]);
}

#[test]
fn a_token_of_fifty_minutes_did_not_die_young() {
    let mut store = Record::default();
    let mut node = Node::new(CLASSIC);
    node.renew(&mut store, at(0), "one");
    loses_its_token(&mut node, &mut store, at(3000), "two");
    assert_eq!(store.died_young, []);
    loses_its_token(&mut node, &mut store, at(5999), "three");
    assert_eq!(store.died_young, [at(5999).wall]);
}

#[test]
fn a_token_that_a_stray_of_ours_took_was_not_robbed() {
    let mut store = Record::default();
    let mut node = Node::new(CLASSIC);
    node.renew(&mut store, at(0), "one");
    store.count_stray(at(900).wall);
    loses_its_token(&mut node, &mut store, at(1000), "two");
    assert_eq!((store.strays, store.settled), (1, 1));
    assert_eq!(store.died_young, []);
}

#[test]
fn a_stable_token_is_not_taken_by_another_fetch() {
    let mut store = Record::default();
    let mut node = Node::new(Policy::StableToken);
    node.renew(&mut store, at(0), "one");
    loses_its_token(&mut node, &mut store, at(1000), "two");
    assert_eq!(store.died_young, []);
}

#[test]
fn a_token_whose_renewal_fails_again_and_again_died_once() {
    let mut store = Record::default();
    let mut node = Node::new(CLASSIC);
    node.renew(&mut store, at(0), "one");
    node.local.reject(1);
    for second in [1000, 1100, 1200] {
        let attempt = node.lease(&mut store, at(second));
        let now = at(second).wall;
        store = fail(&store, attempt, &refused(-1), caller(), now, 0.5);
    }
    assert_eq!(store.died_young, [at(1000).wall]);
    node.renew(&mut store, at(1300), "two");
    loses_its_token(&mut node, &mut store, at(2300), "three");
    assert_eq!(store.died_young, [at(1000).wall, at(2300).wall]);
}
