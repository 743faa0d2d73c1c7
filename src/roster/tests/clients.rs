//! Clients that are added at run time.

use super::*;
use crate::client::{Accounts, KeyHash, Scope};
use crate::store::{Backend, ClientRow, Version};

/// A client that may ask for the tokens of all accounts.
fn draft(name: &str) -> ClientDraft {
    ClientDraft {
        scopes: Some([Scope::Token].into()),
        accounts: Some(Accounts::All),
        ..ClientDraft::of(name.to_owned())
    }
}

fn rotation(name: &str, drop_former: bool) -> ClientDraft {
    ClientDraft {
        rotate: true,
        drop_former,
        ..ClientDraft::of(name.to_owned())
    }
}

/// A client whose key is its name.
fn client(name: &str, scopes: &[Scope], accounts: Accounts) -> Client {
    Client {
        name: name.to_owned(),
        key_sha256: vec![KeyHash::of(name)],
        not_after: None,
        accounts,
        scopes: scopes.iter().copied().collect(),
    }
}

fn listed(appids: &[&str]) -> Accounts {
    Accounts::Listed(appids.iter().map(|appid| appid_of(appid)).collect())
}

impl Node {
    /// Stores it, as the operator; its new key.
    async fn puts(&self, draft: &ClientDraft) -> Option<Secret> {
        self.roster.put_client(draft, None).await.unwrap().key
    }

    /// The name of the client that is let in with the key.
    fn lets_in(&self, key: &str) -> Option<String> {
        let now = self.keeper.clock().now();
        let clients = self.roster.clients();
        let found = clients.find(key, now)?;
        Some(found.client.name.clone())
    }

    fn last_used(&self, name: &str) -> Option<i64> {
        let clients = self.roster.clients();
        let found = clients.iter().find(|known| known.client.name == name);
        found.unwrap().last_used()
    }

    async fn states(&self) -> Vec<(String, KeptIn, State)> {
        let listed = self.roster.list_clients().await.unwrap().into_iter();
        let listed = listed.map(|client| (client.name, client.kept_in, client.state));
        listed.collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_added_is_let_in_by_all_nodes_until_it_is_removed() {
    let world = World::new();
    let (one, two) = (world.node(None).await, world.node(Some(KEY)).await);
    let key = one.puts(&draft("shop")).await.unwrap();
    let key = key.expose();
    assert_eq!(one.lets_in(key).as_deref(), Some("shop"));
    assert_eq!(two.lets_in(key), None);
    two.roster.reload().await;
    let restarted = world.node(None).await;
    for node in [&two, &restarted] {
        assert_eq!(node.lets_in(key).as_deref(), Some("shop"));
        assert_eq!(node.lets_in(&KeyHash::of(key).to_string()), None);
        assert_eq!(node.served(), [CONFIGURED]);
    }

    one.roster.remove_client("shop", None).await.unwrap();
    assert_eq!(one.lets_in(key), None);
    let unknown = one.roster.remove_client("shop", None).await;
    assert_eq!(unknown, Err(RosterError::ClientUnknown("shop".to_owned())));
    two.roster.reload().await;
    assert_eq!(two.lets_in(key), None);
    let again = two.puts(&draft("shop")).await.unwrap();
    assert_ne!(again.expose(), key);
    assert_eq!(two.lets_in(key), None);
}

#[tokio::test(start_paused = true)]
async fn a_new_key_is_good_beside_the_newest_former_one_until_that_is_dropped() {
    let world = World::new();
    let node = world.node(None).await;
    let good = |keys: &[&Secret]| -> Vec<bool> {
        let keys = keys.iter();
        keys.map(|key| node.lets_in(key.expose()).is_some())
            .collect()
    };
    let first = node.puts(&draft("shop")).await.unwrap();
    let second = node.puts(&rotation("shop", false)).await.unwrap();
    assert_eq!(good(&[&first, &second]), [true, true]);
    let third = node.puts(&rotation("shop", false)).await.unwrap();
    assert_eq!(good(&[&first, &second, &third]), [false, true, true]);
    let drop_former = ClientDraft {
        drop_former: true,
        ..ClientDraft::of("shop".to_owned())
    };
    assert!(node.puts(&drop_former).await.is_none());
    assert_eq!(good(&[&second, &third]), [false, true]);
    let fourth = node.puts(&rotation("shop", true)).await.unwrap();
    assert_eq!(good(&[&third, &fourth]), [false, true]);

    let nobody = rotation("nobody", false);
    let told = node.roster.put_client(&nobody, None).await.unwrap_err();
    assert_eq!(told, RosterError::ClientIncomplete("nobody".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn what_is_left_out_stays_and_so_does_when_a_client_was_last_here() {
    let world = World::new();
    let configured = client("configured", &[Scope::Token], Accounts::All);
    let node = world.node_with(None, vec![configured]).await;
    let key = node.puts(&draft("shop")).await.unwrap();
    let now = world.clock.now();
    for key in [key.expose(), "configured"] {
        node.lets_in(key).unwrap();
    }
    let end = now + Duration::from_secs(60);
    let unchanged = || ClientDraft::of("shop".to_owned());
    let changes = [
        ClientDraft {
            not_after: Some(Some(end)),
            ..unchanged()
        },
        ClientDraft {
            scopes: Some([Scope::Report].into()),
            ..unchanged()
        },
        ClientDraft {
            accounts: Some(listed(&[ADDED])),
            ..unchanged()
        },
    ];
    for change in changes {
        assert!(node.puts(&change).await.is_none());
    }
    for name in ["shop", "configured"] {
        assert_eq!(node.last_used(name), Some(now.as_secs()), "{name}");
    }
    let directory = world.store.directory().await.unwrap();
    let row = directory.clients["shop"].clone().unwrap();
    assert_eq!(row.not_after, Some(end));
    assert_eq!(row.scopes, [Scope::Report].into());
    assert_eq!(row.accounts, listed(&[ADDED]));

    world.clock.sleep(Duration::from_secs(60)).await;
    assert_eq!(node.lets_in(key.expose()), None);
    let endless = ClientDraft {
        not_after: Some(None),
        ..unchanged()
    };
    node.puts(&endless).await;
    assert!(node.lets_in(key.expose()).is_some());

    // Another one of the same name was never here.
    node.roster.remove_client("shop", None).await.unwrap();
    node.puts(&draft("shop")).await;
    assert_eq!(node.last_used("shop"), None);
}

#[tokio::test(start_paused = true)]
async fn a_configured_client_wins_and_is_changed_in_the_configuration_alone() {
    let world = World::new();
    let key = world.node(None).await.puts(&draft("shop")).await.unwrap();
    let configured = client("shop", &[Scope::Status], Accounts::All);
    let node = world.node_with(None, vec![configured]).await;
    assert_eq!(node.lets_in(key.expose()), None);
    assert_eq!(node.lets_in("shop").as_deref(), Some("shop"));
    let both = [
        ("shop".to_owned(), KeptIn::Configuration, State::Served),
        ("shop".to_owned(), KeptIn::Database, State::Overridden),
    ];
    assert_eq!(node.states().await, both);
    let refused = Err(RosterError::ClientConfigured("shop".to_owned()));
    let put = node.roster.put_client(&draft("shop"), None).await;
    assert_eq!(put.map(drop), refused);
    assert_eq!(node.roster.remove_client("shop", None).await, Ok(()));
    assert_eq!(node.roster.remove_client("shop", None).await, refused);
    assert_eq!(node.lets_in("shop").as_deref(), Some("shop"));

    // A key that came into the configuration under another name is that one's.
    let key = world.node(None).await.puts(&draft("added")).await.unwrap();
    let moved = Client {
        key_sha256: vec![KeyHash::of(key.expose())],
        ..client("moved", &[Scope::Token], Accounts::All)
    };
    let node = world.node_with(None, vec![moved]).await;
    assert_eq!(node.lets_in(key.expose()).as_deref(), Some("moved"));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_left_as_it_is_and_hides_nobody_else() {
    let (mut world, memory) = (World::new(), Arc::<Memory>::default());
    world.store = Store::new(Contested::new(&memory));
    let usual = client("usual", &Scope::USUAL, Accounts::All);
    let all = client("all", &Scope::ALL, Accounts::All);
    let configured = vec![usual.clone(), all.clone()];
    let node = world.node_with(None, configured).await;
    let key = node.puts(&draft("shop")).await.unwrap();
    let version = world.store.directory().await.unwrap().version;
    let later = [("client/later".to_owned(), Some(b"{\"v\":2}".to_vec()))];
    let swapped = memory.swap_directory(version, Version::random(), later.into());
    assert_eq!(swapped.await, Ok(true));

    node.roster.reload().await;
    assert_eq!(node.lets_in(key.expose()).as_deref(), Some("shop"));
    let states = node.states().await.into_iter().map(|listed| listed.2);
    let states: Vec<_> = states.collect();
    assert_eq!(states[2..], [State::Unreadable, State::Served]);
    let put = node.roster.put_client(&draft("later"), None).await;
    let unreadable = RosterError::ClientUnreadable("later".to_owned());
    assert_eq!(put.map(drop), Err(unreadable));
    // It may be allowed to do anything.
    let removed = node.roster.remove_client("later", Some(&usual)).await;
    let beyond = RosterError::ClientBeyond("later".to_owned());
    assert_eq!(removed, Err(beyond));
    assert_eq!(node.roster.remove_client("later", Some(&all)).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn accounts_that_only_a_newer_version_knows_stay_with_their_client() {
    let (mut world, memory) = (World::new(), Arc::<Memory>::default());
    world.store = Store::new(Contested::new(&memory));
    let few = client("few", &Scope::ALL, listed(&[CONFIGURED]));
    let node = world.node_with(None, vec![few.clone()]).await;
    let hash = serde_json::to_string(&KeyHash::of("shop")).unwrap();
    let row = format!(
        r#"{{"key_sha256":[{hash}],"not_after":null,"accounts":["{CONFIGURED}","zz-of-later"],"scopes":["token"],"changed_at":1700000000000}}"#
    );
    let version = world.store.directory().await.unwrap().version;
    let later = [("client/shop".to_owned(), Some(row.into_bytes()))];
    let swapped = memory.swap_directory(version, Version::random(), later.into());
    assert_eq!(swapped.await, Ok(true));
    node.roster.reload().await;
    assert_eq!(node.lets_in("shop").as_deref(), Some("shop"));

    // Nobody knows what else it may ask about, so whoever may not do anything cannot take its key.
    let rotation = rotation("shop", false);
    let taken = node.roster.put_client(&rotation, Some(&few)).await;
    let beyond = RosterError::ClientBeyond("shop".to_owned());
    assert_eq!(taken.map(drop), Err(beyond));
    node.puts(&rotation).await.unwrap();
    let unread = async || {
        let stored = world.store.directory().await.unwrap();
        stored.clients["shop"].clone().unwrap().unread_accounts
    };
    assert_eq!(unread().await, ["zz-of-later".to_owned()].into());
    node.puts(&draft("shop")).await;
    assert_eq!(unread().await, [].into(), "others were named instead");
}

#[tokio::test(start_paused = true)]
async fn nobody_hands_on_or_takes_away_what_he_does_not_have() {
    let world = World::new();
    let his = listed(&[ADDED, CONFIGURED]);
    let chief = client("chief", &[Scope::Admin, Scope::Token], his.clone());
    let node = world.node_with(None, vec![chief.clone()]).await;
    let smaller = ClientDraft {
        scopes: Some([Scope::Token].into()),
        accounts: Some(listed(&[ADDED])),
        ..rotation("shop", true)
    };
    let wider = ClientDraft {
        accounts: Some(Accounts::All),
        ..ClientDraft::of("shop".to_owned())
    };
    let grant = || Err(RosterError::GrantBeyond("shop".to_owned()));
    let beyond = || Err(RosterError::ClientBeyond("shop".to_owned()));
    let put = async |draft: &ClientDraft| {
        let put = node.roster.put_client(draft, Some(&chief)).await;
        put.map(drop)
    };
    let remove = || node.roster.remove_client("shop", Some(&chief));
    let token = [Scope::Token].as_slice();
    for (scopes, accounts, is_his) in [
        (token, listed(&[ADDED]), true),
        (&[Scope::Admin, Scope::Token], his, true),
        (token, Accounts::All, false),
        (token, listed(&[ADDED, "wx00000000000000ff"]), false),
        (&[Scope::Token, Scope::Proxy], listed(&[ADDED]), false),
    ] {
        let what = format!("{scopes:?} {accounts:?}");
        let draft = ClientDraft {
            scopes: Some(scopes.iter().copied().collect()),
            accounts: Some(accounts),
            ..ClientDraft::of("shop".to_owned())
        };
        if is_his {
            for change in [&draft, &smaller, &draft] {
                assert_eq!(put(change).await, Ok(()), "{what}");
            }
            assert_eq!(put(&wider).await, grant(), "{what}");
            assert_eq!(remove().await, Ok(()), "{what}");
            continue;
        }
        assert_eq!(put(&draft).await, grant(), "{what}");
        // The operator puts it there.
        node.puts(&draft).await;
        let stored = world.store.directory().await.unwrap();
        for change in [&rotation("shop", false), &smaller] {
            assert_eq!(put(change).await, beyond(), "{what}");
        }
        assert_eq!(remove().await, beyond(), "{what}");
        assert_eq!(world.store.directory().await.unwrap(), stored, "{what}");
        node.roster.remove_client("shop", None).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn who_was_removed_elsewhere_a_moment_ago_changes_nothing_any_more() {
    let world = World::new();
    let (one, two) = (world.node(None).await, world.node(None).await);
    for name in ["chief", "shop"] {
        one.puts(&draft(name)).await;
    }
    two.roster.reload().await;
    let clients = two.roster.clients();
    let chief = clients.iter().find(|known| known.client.name == "chief");
    let by = Some(&chief.unwrap().client);
    two.roster.put_client(&draft("till"), by).await.unwrap();
    one.roster.remove_client("chief", None).await.unwrap();
    let stored = world.store.directory().await.unwrap();
    for draft in [draft("backdoor"), draft("chief"), rotation("shop", false)] {
        let put = two.roster.put_client(&draft, by).await;
        assert_eq!(put.map(drop), Err(RosterError::ChangedMeanwhile));
    }
    let removed = two.roster.remove_client("shop", by).await;
    assert_eq!(removed, Err(RosterError::ChangedMeanwhile));
    assert_eq!(world.store.directory().await.unwrap(), stored);
}

#[tokio::test(start_paused = true)]
async fn what_is_stored_of_a_client_is_no_key() {
    let world = World::new();
    let node = world.node(None).await;
    let key = node.puts(&draft("shop")).await.unwrap();
    let row = world.store.directory().await.unwrap().clients["shop"].clone();
    let expected = ClientRow {
        key_sha256: vec![KeyHash::of(key.expose())],
        not_after: None,
        accounts: Accounts::All,
        unread_accounts: [].into(),
        scopes: [Scope::Token].into(),
        changed_at: world.clock.now(),
    };
    assert_eq!(row, Some(expected));
}
