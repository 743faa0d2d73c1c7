use clap::Subcommand;

use super::database::{Database, columns, show, tell_when};
use super::{Failure, answer};
use crate::account::AppId;
use crate::client::{Accounts, Scope, join, parse_name, parse_not_after};
use crate::clock::Timestamp;
use crate::history::{CLI, What};
use crate::roster::{ClientDraft, ClientPut, ListedClient, State};

/// Add, list or remove client keys beside the configuration
///
/// They are kept in the database that the configuration names: what a client may do and the hashes
/// of its keys, never a key. A server that runs on it takes changes up by itself.
#[derive(clap::Args)]
pub(super) struct ClientArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Add(AddArgs),
    /// Give a client a new key beside its newest one, and print it
    ///
    /// Both keys are good until wxsign client drop-former ends the older one. If there are two
    /// already, the older one ends now.
    #[command(after_help = "\
Example:
  wxsign client rotate shop >shop.key   # then let the back end take it, and
  wxsign client drop-former shop")]
    Rotate(NamedArgs),
    /// Leave a client its newest key alone
    DropFormer(NamedArgs),
    List(ListArgs),
    /// Remove a client that was added; its keys are refused from then on
    Remove(NamedArgs),
}

/// Add a client and print its key, or change what one may do
///
/// The key is printed once, to stdout, and kept nowhere. A client that is there keeps its keys, and
/// its accounts and end where none are given.
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  wxsign client add shop --scope token --scope report --account wx0123456789abcdef >shop.key")]
struct AddArgs {
    /// What logs call the back end
    #[arg(value_parser = parse_name)]
    name: String,
    /// What it may do: token, ticket, report, status, proxy, admin; repeat for more
    #[arg(long = "scope", value_name = "SCOPE", required = true)]
    scopes: Vec<Scope>,
    /// An account that it may ask about; repeat for more [default: as stored, else all]
    #[arg(long = "account", value_name = "APPID")]
    accounts: Vec<AppId>,
    /// When its keys end, as 2027-12-31T23:59:59+08:00, or never [default: as stored, else never]
    #[arg(long, value_name = "TIME", value_parser = parse_end)]
    not_after: Option<End>,
    #[command(flatten)]
    database: Database,
}

#[derive(clap::Args)]
struct NamedArgs {
    /// Name of the client
    #[arg(value_parser = parse_name)]
    name: String,
    #[command(flatten)]
    database: Database,
}

/// List all clients, those of the configuration included
#[derive(clap::Args)]
struct ListArgs {
    /// As JSON: [{"name": …, "keys": …, …}, …]
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: Database,
}

/// When keys end, if they do.
#[derive(Clone, Copy)]
struct End(Option<Timestamp>);

fn parse_end(text: &str) -> Result<End, String> {
    match text {
        "never" => Ok(End(None)),
        _ => parse_not_after(text).map(|at| End(Some(at))),
    }
}

pub(super) fn run(args: ClientArgs) -> Result<(), Failure> {
    super::block_on(async {
        match args.verb {
            Verb::Add(args) => add(args).await,
            Verb::Rotate(args) => rotate(args).await,
            Verb::DropFormer(args) => drop_former(args).await,
            Verb::List(args) => list(&args).await,
            Verb::Remove(args) => remove(&args).await,
        }
    })
}

async fn add(args: AddArgs) -> Result<(), Failure> {
    let draft = ClientDraft {
        scopes: Some(args.scopes.into_iter().collect()),
        accounts: (!args.accounts.is_empty())
            .then(|| Accounts::Listed(args.accounts.into_iter().collect())),
        all_unless_named: true,
        not_after: args.not_after.map(|End(at)| at),
        ..ClientDraft::of(args.name)
    };
    let put = put(&args.database, &draft).await?;
    let (name, row) = (&draft.name, &put.row);
    let done = if put.is_new { "added" } else { "changed" };
    let (scopes, accounts) = (join(&row.scopes), &row.accounts);
    anstream::eprintln!("{done} {name}: {scopes} for {accounts}");
    if put.is_new {
        anstream::eprintln!(
            "The line on stdout is its key: give it to {name}, it is not shown again."
        );
    } else {
        anstream::eprintln!("Its keys stay as they are: wxsign client rotate makes a new one.");
    }
    tell_when();
    Ok(())
}

async fn rotate(args: NamedArgs) -> Result<(), Failure> {
    let draft = ClientDraft {
        rotate: true,
        ..ClientDraft::of(args.name)
    };
    put(&args.database, &draft).await?;
    let name = &draft.name;
    anstream::eprintln!(
        "The line on stdout is the new key: give it to {name}, it is not shown again. The one \
         before it is good until: wxsign client drop-former {name}"
    );
    tell_when();
    Ok(())
}

async fn drop_former(args: NamedArgs) -> Result<(), Failure> {
    let draft = ClientDraft {
        drop_former: true,
        ..ClientDraft::of(args.name)
    };
    put(&args.database, &draft).await?;
    anstream::eprintln!("{} has its newest key alone.", draft.name);
    tell_when();
    Ok(())
}

/// Stores it, and prints its new key, if it has one, before all else that can fail.
async fn put(database: &Database, draft: &ClientDraft) -> Result<ClientPut, Failure> {
    database
        .with_roster(async |roster| {
            let put = roster.put_client(draft, None).await?;
            let what = What::client_put(&draft.name, put.is_new, put.key.is_some());
            roster.history().record(what, None, Some(CLI));
            if let Some(key) = &put.key {
                answer(&format!("{}\n", key.expose()))?;
            }
            Ok(put)
        })
        .await
}

async fn list(args: &ListArgs) -> Result<(), Failure> {
    args.database
        .with_roster(async |roster| {
            let clients = roster.list_clients().await?;
            show(&clients, args.json, table)?;
            explain(&clients);
            Ok(())
        })
        .await
}

async fn remove(args: &NamedArgs) -> Result<(), Failure> {
    args.database
        .with_roster(async |roster| {
            roster.remove_client(&args.name, None).await?;
            let client = args.name.clone();
            let what = What::ClientRemoved { client };
            roster.history().record(what, None, Some(CLI));
            anstream::eprintln!("removed {}", args.name);
            tell_when();
            Ok(())
        })
        .await
}

/// Says why a client is not let in.
fn explain(clients: &[ListedClient]) {
    let any = |state| clients.iter().any(|client| client.state == state);
    if any(State::Unreadable) {
        anstream::eprintln!(
            "unreadable: perhaps a newer version of wxsign put it there; this one does not let it in"
        );
    }
    if any(State::Overridden) {
        anstream::eprintln!("overridden: the configuration has a client of this name");
    }
}

fn table(clients: &[ListedClient]) -> String {
    let head = [
        "NAME",
        "KEPT IN",
        "STATE",
        "KEYS",
        "SCOPES",
        "NOT AFTER",
        "ACCOUNTS",
    ];
    let rows = clients.iter().map(|client| {
        let end = client.not_after.map(|at| {
            let at = jiff::Timestamp::from_second(at);
            at.map_or_else(|_| "?".to_owned(), |at| at.to_string())
        });
        [
            client.name.clone(),
            client.kept_in.as_str().to_owned(),
            client.state.as_str().to_owned(),
            client.keys.to_string(),
            join(&client.scopes),
            end.unwrap_or_else(|| "-".to_owned()),
            client.accounts.to_string(),
        ]
    });
    columns(head, rows)
}
