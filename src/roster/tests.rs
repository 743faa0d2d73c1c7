mod clients;
mod contested;

use std::time::Duration;

use contested::{Contested, Failing};

use tokio_util::sync::{CancellationToken, DropGuard};

use super::*;
use crate::clock::{Clock, Timestamp};
use crate::simulator::{self, Fault, FaultRule, Simulator};
use crate::store::{AccountRows, Memory, Sqlite, StoreError};
use crate::vault::MasterKey;

const CONFIGURED: &str = "wx0000000000000001";
const ADDED: &str = "wx0000000000000002";
const SECRET: &str = "0123456789abcdef0123456789abcdef";
const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const OTHER_KEY: &str = "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// WeChat, which knows two accounts, and a store.
struct World {
    clock: Clock,
    simulator: Simulator,
    store: Store,
}

/// A node with one account in its configuration, and its queue at work.
struct Node {
    roster: Roster,
    keeper: Keeper,
    _stop: DropGuard,
}

impl World {
    fn new() -> Self {
        let clock = Clock::following_tokio(Timestamp::from_secs(1_700_000_000));
        let simulator = Simulator::new(clock.clone(), 7);
        for appid in [CONFIGURED, ADDED] {
            simulator.add_app(simulator::App::new(appid_of(appid), Secret::new(SECRET)));
        }
        Self {
            clock,
            simulator,
            store: Store::memory(),
        }
    }

    async fn node(&self, key: Option<&str>) -> Node {
        self.node_with(key, Vec::new()).await
    }

    /// A node that has these clients in its configuration besides.
    async fn node_with(&self, key: Option<&str>, clients: Vec<Client>) -> Node {
        let configured = Account {
            appid: appid_of(CONFIGURED),
            name: None,
            secret: Secret::new(SECRET),
            token_api: TokenApi::Classic,
            page_hosts: "h5.example.com".parse().unwrap(),
            wx_card: false,
        };
        let upstream: Arc<dyn Upstream> = Arc::new(self.simulator.clone());
        let (keeper, queue) = Keeper::new(
            self.clock.clone(),
            self.store.clone(),
            Arc::clone(&upstream),
            "node".to_owned(),
            vec![configured.clone()],
        );
        let stop = CancellationToken::new();
        tokio::spawn(queue.run(stop.clone()));
        let vault = key.map(vault);
        let (configured, store) = (vec![configured], self.store.clone());
        let roster = Roster::new(configured, clients, vault, store, upstream, keeper.clone());
        roster.reload().await;
        Node {
            roster,
            keeper,
            _stop: stop.drop_guard(),
        }
    }

    /// Puts a row there as another program does.
    async fn put(&self, appid: &str, row: AccountRow) {
        let accounts = [(appid_of(appid), Some(row))].into();
        let changed = self.store.change_directory(|_| {
            Ok((
                Changes {
                    accounts,
                    ..Changes::default()
                },
                (),
            ))
        });
        assert_eq!(changed.await, Ok::<_, StoreError>(Some(())));
    }

    async fn rows(&self) -> AccountRows {
        self.store.directory().await.unwrap().accounts()
    }

    fn trials(&self, appid: &str) -> u64 {
        let path = "/cgi-bin/stable_token";
        self.simulator.counter(&appid_of(appid), path).requests
    }
}

impl Node {
    fn served(&self) -> Vec<String> {
        let accounts = self.keeper.accounts();
        let mut appids: Vec<_> = accounts
            .iter()
            .map(|kept| kept.account.appid.to_string())
            .collect();
        appids.sort();
        appids
    }
}

fn appid_of(text: &str) -> AppId {
    text.parse().unwrap()
}

fn vault(key: &str) -> Vault {
    Vault::new(&key.parse::<MasterKey>().unwrap())
}

fn draft(appid: &str) -> Draft {
    Draft {
        appid: appid_of(appid),
        name: Some("shop".to_owned()),
        token_api: Some(TokenApi::Classic),
        page_hosts: "*.example.com".parse().unwrap(),
        secret: Some(Secret::new(SECRET)),
        unchecked: false,
        wx_card: None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_wecom_app_is_not_added_with_coupons() {
    let node = World::new().node(Some(KEY)).await;
    let put = node.roster.put(Draft {
        token_api: None,
        wx_card: Some(true),
        ..draft("ww0123456789abcdef-1000002")
    });
    assert_eq!(put.await.map(drop), Err(RosterError::CouponsOfWeCom));
}

#[tokio::test(start_paused = true)]
async fn an_account_that_is_added_is_served_by_all_nodes_and_after_a_restart() {
    let world = World::new();
    let (one, two) = (world.node(Some(KEY)).await, world.node(Some(KEY)).await);
    assert_eq!(one.served(), [CONFIGURED]);
    assert!(one.roster.put(draft(ADDED)).await.unwrap().is_new);
    assert_eq!(one.served(), [CONFIGURED, ADDED]);
    two.roster.reload().await;
    let restarted = world.node(Some(KEY)).await;
    for node in [&two, &restarted] {
        assert_eq!(node.served(), [CONFIGURED, ADDED]);
        let accounts = node.keeper.accounts();
        let account = &accounts.get(ADDED).unwrap().account;
        assert_eq!(account.secret, Secret::new(SECRET));
        assert_eq!(account.page_hosts.patterns(), ["*.example.com"]);
    }
    one.roster.remove(&appid_of(ADDED)).await.unwrap();
    assert_eq!(one.served(), [CONFIGURED]);
    let unknown = one.roster.remove(&appid_of(ADDED)).await;
    assert_eq!(unknown, Err(RosterError::Unknown(appid_of(ADDED))));
    two.roster.reload().await;
    assert_eq!(two.served(), [CONFIGURED]);
}

#[tokio::test(start_paused = true)]
async fn what_is_left_out_stays_and_a_secret_is_tried_only_when_it_is_new() {
    let world = World::new();
    let node = world.node(Some(KEY)).await;
    node.roster.put(draft(ADDED)).await.unwrap();
    assert_eq!(world.trials(ADDED), 1);
    let unchanged = [None, Some(Secret::new(SECRET))];
    for secret in unchanged {
        let change = Draft {
            name: None,
            token_api: None,
            secret,
            ..draft(ADDED)
        };
        assert!(!node.roster.put(change).await.unwrap().is_new);
    }
    assert_eq!(world.trials(ADDED), 1);
    let account = node.keeper.accounts().get(ADDED).unwrap().account.clone();
    assert_eq!(account.name.as_deref(), Some("shop"));
    assert_eq!(account.secret, Secret::new(SECRET));
}

#[tokio::test(start_paused = true)]
async fn what_wechat_refuses_or_cannot_be_asked_about_is_not_stored() {
    let world = World::new();
    let node = world.node(Some(KEY)).await;
    let wrong = || Draft {
        secret: Some(Secret::new("wrong")),
        ..draft(ADDED)
    };
    let refused = node.roster.put(wrong()).await.unwrap_err();
    let told = refused.to_string();
    assert!(matches!(
        refused,
        RosterError::Refused { errcode: 40125, .. }
    ));
    assert!(told.contains("errcode 40125, invalid appsecret"), "{told}");
    assert!(told.contains("copy it again"), "{told}");
    let answers = [-1, 40164, 45009, 45011].map(Fault::Errcode);
    for fault in [Fault::Unreachable, Fault::Hang].into_iter().chain(answers) {
        world.simulator.clear_faults();
        world.simulator.inject(FaultRule::new(fault.clone()));
        let error = node.roster.put(draft(ADDED)).await.unwrap_err();
        let not_checked = matches!(error, RosterError::NotChecked(_));
        assert!(not_checked, "{fault:?} {error:?}");
        let tells_the_way = error.to_string().contains("IP white list");
        assert_eq!(tells_the_way, fault == Fault::Errcode(40164), "{error}");
    }
    assert_eq!(world.rows().await.len(), 0);
    let unchecked = Draft {
        unchecked: true,
        ..wrong()
    };
    node.roster.put(unchecked).await.unwrap();
    assert_eq!(world.rows().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_configured_account_is_changed_in_the_configuration_alone() {
    let world = World::new();
    let node = world.node(Some(KEY)).await;
    let (put, removed) = (
        node.roster.put(draft(CONFIGURED)).await.map(drop),
        node.roster.remove(&appid_of(CONFIGURED)).await,
    );
    let configured = Err(RosterError::Configured(appid_of(CONFIGURED)));
    assert_eq!((put, removed), (configured.clone(), configured));
    // It was added first, and came into the configuration later.
    let row = AccountRow {
        name: Some("added".to_owned()),
        token_api: TokenApi::Stable,
        page_hosts: vec!["other.example.com".to_owned()],
        secret: vault(KEY).seal(&appid_of(CONFIGURED), &Secret::new("other")),
        changed_at: world.clock.now(),
        wx_card: false,
    };
    world.put(CONFIGURED, row).await;
    node.roster.reload().await;
    let account = node.keeper.accounts().only().unwrap().account.clone();
    assert_eq!(account.secret, Secret::new(SECRET));
    let listed = node.roster.list().await.unwrap();
    let states: Vec<_> = listed.iter().map(|listed| listed.state).collect();
    assert_eq!(states, [State::Served, State::Overridden]);
    assert_eq!(node.roster.remove(&appid_of(CONFIGURED)).await, Ok(()));
    assert_eq!(node.served(), [CONFIGURED]);
}

#[tokio::test(start_paused = true)]
async fn without_its_master_key_an_account_is_left_as_it_is_and_the_others_are_served() {
    let world = World::new();
    let node = world.node(Some(KEY)).await;
    node.roster.put(draft(ADDED)).await.unwrap();
    let stored = world.rows().await;
    let third = || draft("wx0000000000000003");
    let wrong = world.node(Some(OTHER_KEY)).await;
    let locked = wrong.roster.put(third()).await.unwrap_err();
    assert!(matches!(locked, RosterError::Locked(_)), "{locked:?}");
    assert!(locked.to_string().contains(ADDED), "{locked}");
    let none = world.node(None).await;
    let no_key = none.roster.put(third()).await.unwrap_err();
    assert_eq!(no_key, RosterError::NoMasterKey);
    for node in [wrong, none] {
        assert_eq!(node.served(), [CONFIGURED]);
        assert_eq!(node.roster.list().await.unwrap()[1].state, State::Locked);
    }
    assert_eq!(world.rows().await, stored);
}

#[tokio::test]
async fn a_new_master_key_takes_the_place_of_the_old_one_for_all_accounts_or_for_none() {
    let directory = tempfile::tempdir().unwrap();
    let mut world = World::new();
    world.store = Store::new(Sqlite::open(&directory.path().join("wxsign.db")).unwrap());
    let node = world.node(Some(KEY)).await;
    node.roster.put(draft(ADDED)).await.unwrap();
    assert_eq!(node.roster.rekey(&vault(OTHER_KEY)).await, Ok(1));

    // A server that runs goes on with what it knows, and can add none.
    node.roster.reload().await;
    assert_eq!(node.served(), [CONFIGURED, ADDED]);
    let locked = node.roster.put(draft("wx0000000000000003")).await;
    assert!(matches!(locked, Err(RosterError::Locked(_))), "{locked:?}");
    let restarted = world.node(Some(OTHER_KEY)).await;
    assert_eq!(restarted.served(), [CONFIGURED, ADDED]);

    // One row of the old key keeps all from being changed.
    let row = AccountRow {
        secret: vault(KEY).seal(&appid_of(CONFIGURED), &Secret::new(SECRET)),
        ..world.rows().await[&appid_of(ADDED)].clone().unwrap()
    };
    world.put(CONFIGURED, row).await;
    let before = world.rows().await;
    let locked = restarted.roster.rekey(&vault(KEY)).await;
    assert!(matches!(locked, Err(RosterError::Locked(_))), "{locked:?}");
    assert_eq!(world.rows().await, before);
}

#[tokio::test(start_paused = true)]
async fn what_others_do_while_wechat_is_asked_is_not_undone() {
    let world = World::new();
    let node = world.node(Some(KEY)).await;
    node.roster.put(draft(ADDED)).await.unwrap();
    let slow = Fault::Delay(Duration::from_secs(5));
    world.simulator.inject(FaultRule::new(slow));
    let third = draft("wx0000000000000003");
    let app = simulator::App::new(third.appid.clone(), Secret::new(SECRET));
    world.simulator.add_app(app);
    let other = world.node(Some(KEY)).await;
    let rekeying = async {
        world.clock.sleep(Duration::from_secs(1)).await;
        other.roster.rekey(&vault(OTHER_KEY)).await
    };
    let (put, rekeyed) = tokio::join!(node.roster.put(third), rekeying);
    assert_eq!(rekeyed, Ok(1));
    assert!(matches!(put, Err(RosterError::Locked(_))), "{put:?}");
    assert_eq!(world.rows().await.len(), 1);
    let restarted = world.node(Some(OTHER_KEY)).await;
    assert_eq!(restarted.served(), [CONFIGURED, ADDED]);
}

#[tokio::test(start_paused = true)]
async fn what_others_change_at_the_same_moment_is_read_again_once() {
    let newer = Secret::new("fedcba9876543210fedcba9876543210");
    let row = |secret: &Secret| AccountRow {
        name: None,
        token_api: TokenApi::Classic,
        page_hosts: vec!["h5.example.com".to_owned()],
        secret: vault(KEY).seal(&appid_of(ADDED), secret),
        changed_at: Timestamp::from_secs(1_700_000_000),
        wx_card: false,
    };
    let keeps_the_secret = || Draft {
        secret: None,
        ..draft(ADDED)
    };
    let (mut world, memory) = (World::new(), Arc::<Memory>::default());
    world.store = Store::new(Contested::new(&memory));
    world.put(ADDED, row(&Secret::new(SECRET))).await;
    let secret = async |world: &World| {
        let rows = world.rows().await;
        let row = rows[&appid_of(ADDED)].clone().unwrap();
        vault(KEY).open(&appid_of(ADDED), &row.secret).unwrap()
    };

    // Another program stores a newer AppSecret between what is read and what is written.
    let contested = Contested::new(&memory);
    contested.before_next([row(&newer)]);
    world.store = Store::new(contested);
    let node = world.node(Some(KEY)).await;
    node.roster.put(keeps_the_secret()).await.unwrap();
    assert_eq!(secret(&world).await, newer);
    assert_eq!(
        node.keeper.accounts().get(ADDED).unwrap().account.secret,
        newer
    );

    // It does so again and again.
    let contested = Contested::new(&memory);
    contested.before_next([SECRET, "a", "b"].map(|text| row(&Secret::new(text))));
    world.store = Store::new(contested);
    let node = world.node(Some(KEY)).await;
    let put = node.roster.put(keeps_the_secret()).await;
    assert!(matches!(put, Err(RosterError::ChangedMeanwhile)), "{put:?}");
    assert_eq!(secret(&world).await, Secret::new("a"));
}

#[tokio::test(start_paused = true)]
async fn whether_a_new_master_key_was_taken_is_found_out_after_an_error() {
    for (failing, told) in [
        (&[Failing::AnswerToSwap][..], "done"),
        (&[Failing::Swap], "not done"),
        (&[Failing::AnswerToSwap, Failing::Directory], "unknown"),
        (&[Failing::Swap, Failing::Directory], "unknown"),
    ] {
        let (mut world, memory) = (World::new(), Arc::<Memory>::default());
        world.store = Store::new(Contested::new(&memory));
        let node = world.node(Some(KEY)).await;
        node.roster.put(draft(ADDED)).await.unwrap();
        let contested = Contested::new(&memory);
        contested.failing.lock().await.extend(failing);
        world.store = Store::new(contested);
        let rekeyed = world
            .node(Some(KEY))
            .await
            .roster
            .rekey(&vault(OTHER_KEY))
            .await;
        let known = match rekeyed {
            Ok(1) => "done",
            Err(RosterError::Store(_)) => "not done",
            Err(ref error @ RosterError::MayBeRekeyed(_)) => {
                assert!(error.to_string().contains("keep both keys"), "{error}");
                "unknown"
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(known, told, "{failing:?}");
    }
}
