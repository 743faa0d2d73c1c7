//! What is particular to tickets.

use super::*;

#[test]
fn a_ticket_that_names_its_end_is_asked_for_again_at_that_end() {
    let (mut node, mut store) = (Node::new(Policy::Ticket), Record::default());
    let attempt = node.lease(&mut store, at(0));
    let short = Issued {
        lifetime: Duration::from_secs(20),
        ..issued("one")
    };
    store = commit(Policy::Ticket, &store, attempt, at(0).wall, &short).unwrap();
    assert_eq!(wait_of(node.look(&mut store, at(19)), at(19)), 30 - 19);
    let last_seconds = at(20).wall.before(Duration::from_millis(10));
    let now = Moment {
        wall: last_seconds,
        ..at(19)
    };
    let Plan::Wait(until) = node.look(&mut store, now) else {
        panic!("asked before the end");
    };
    assert_eq!(until, at(20).wall);
}

#[test]
fn a_ticket_that_comes_again_is_confirmed_and_keeps_its_age() {
    let mut store = Record::default();
    let mut node = Node::new(Policy::Ticket);
    node.renew(&mut store, at(0), "ticket");
    node.renew(&mut store, at(400), "ticket");
    let credential = store.credential.as_ref().unwrap();
    assert_eq!(credential.generation, 1);
    assert_eq!(
        (credential.first_seen, credential.confirmed_at),
        (T0, at(400).wall)
    );
    assert_eq!(credential.expires_at, at(7200).wall);
    assert_eq!(credential.claimed_until, at(7600).wall);
    node.renew(&mut store, at(800), "another");
    let credential = store.credential.as_ref().unwrap();
    assert_eq!(
        (credential.generation, credential.first_seen),
        (2, at(800).wall)
    );
}

#[test]
fn a_ticket_that_pages_complain_about_is_asked_for_again_once_and_after_a_minute() {
    let (mut node, mut store) = (Node::new(Policy::Ticket), Record::default());
    node.renew(&mut store, at(0), "ticket");
    node.local.doubted = true;
    assert_eq!(wait_of(node.look(&mut store, at(40)), at(40)), 20);
    let plan = node.look(&mut store, at(60));
    assert_eq!(plan, Plan::Fetch(Purpose::Renewal));
    node.renew(&mut store, at(60), "ticket");
    assert!(wait_of(node.look(&mut store, at(130)), at(130)) > 150);
}

#[test]
fn a_ticket_waits_no_longer_once_the_token_that_wechat_rejected_is_replaced() {
    for (errcode, is_over) in [(40001, true), (-1, false)] {
        let error = UpstreamError {
            api: Api::GetTicket,
            ..refused(errcode)
        };
        let (mut node, mut store) = (Node::new(Policy::Ticket), Record::default());
        for time in (0..).step_by(60).take(6) {
            let attempt = node.lease(&mut store, at(time));
            store = fail(&store, attempt, &error, caller(), at(time).wall, 0.5);
        }
        assert!(wait_of(node.look(&mut store, at(301)), at(301)) > 10);
        node.local.forget_rejection();
        let plan = node.look(&mut store, at(301));
        assert_eq!(plan == Plan::Fetch(Purpose::Renewal), is_over, "{errcode}");
    }
}

#[test]
fn the_token_behind_a_rejection_is_replaced_when_another_is_in_use_and_only_once() {
    let mut local = Local::default();
    assert!(!local.was_replaced(2));
    local.reject(1);
    assert!(!local.was_replaced(1));
    assert!(local.was_replaced(2));
    assert!(!local.was_replaced(2));
}
