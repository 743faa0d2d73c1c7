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
