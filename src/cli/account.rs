use std::io::{self, BufRead, IsTerminal, Read};
use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::database::{Database, columns, show, tell_when};
use super::{Failure, answer};
use crate::account::{AppId, TokenApi, parse_name};
use crate::config::{parse_secret, read_secret_file};
use crate::credential::Secret;
use crate::history::{CLI, What};
use crate::page_hosts::PageHosts;
use crate::roster::{Draft, Listed, State};
use crate::vault::{MasterKey, Vault};

/// Add, list or remove accounts beside the configuration
///
/// They are kept in the database that the configuration names, their AppSecrets sealed with
/// WXSIGN_MASTER_KEY. A server that runs on it takes changes up by itself.
#[derive(clap::Args)]
pub(super) struct AccountArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Add(AddArgs),
    List(ListArgs),
    Remove(RemoveArgs),
    Rekey(RekeyArgs),
}

/// Add an account, or change one that was added
///
/// The AppSecret is read from stdin, or from a file. WeChat is asked whether it is right before it
/// is stored. An account that is there keeps its name, token API and coupons where none is given.
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  wxsign account add wx0123456789abcdef --page-host h5.example.com <secret.txt")]
struct AddArgs {
    /// AppID of the account, or CorpID-AgentId of a WeCom app
    appid: AppId,
    /// What people call it
    #[arg(long, value_parser = parse_name)]
    name: Option<String>,
    /// Which token API an official account uses: classic or stable [default: as stored, else classic]
    #[arg(long, value_name = "API")]
    token_api: Option<TokenApi>,
    /// A host of its pages, such as h5.example.com or *.example.com; repeat for more
    #[arg(long = "page-host", value_name = "HOST", required = true, value_parser = checked_host)]
    page_hosts: Vec<String>,
    /// Whether it hands out coupons, which are signed with a ticket of their own [default: as
    /// stored, else false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    wx_card: Option<bool>,
    /// A file that holds the AppSecret [default: stdin]
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// Do not ask WeChat whether the AppSecret is right
    #[arg(long)]
    unchecked: bool,
    #[command(flatten)]
    database: Database,
}

/// List all accounts, those of the configuration included
#[derive(clap::Args)]
struct ListArgs {
    /// As JSON: [{"appid": …, "name": …, …}, …]
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: Database,
}

/// Remove an account that was added
#[derive(clap::Args)]
struct RemoveArgs {
    /// AppID of the account
    appid: AppId,
    #[command(flatten)]
    database: Database,
}

/// Seal all AppSecrets with a new master key
///
/// It takes the present one in WXSIGN_MASTER_KEY. All AppSecrets are sealed anew, or none.
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  openssl rand -hex 32 >new.key && wxsign account rekey --new-key-file new.key")]
struct RekeyArgs {
    /// A file that holds the new master key: 64 hexadecimal digits or 44 characters of base64
    #[arg(long, value_name = "FILE")]
    new_key_file: PathBuf,
    #[command(flatten)]
    database: Database,
}

pub(super) fn run(args: AccountArgs) -> Result<(), Failure> {
    super::block_on(async {
        match args.verb {
            Verb::Add(args) => add(args).await,
            Verb::List(args) => list(&args).await,
            Verb::Remove(args) => remove(&args).await,
            Verb::Rekey(args) => rekey(&args).await,
        }
    })
}

async fn add(args: AddArgs) -> Result<(), Failure> {
    // With that a server may begin.
    args.database.make()?;
    args.database
        .with_roster(async |roster| {
            let mut page_hosts = PageHosts::default();
            for host in &args.page_hosts {
                let added = page_hosts.add(host);
                added.map_err(|why| Failure::Usage(why.to_string()))?;
            }
            let draft = Draft {
                appid: args.appid.clone(),
                name: args.name.clone(),
                token_api: args.token_api,
                page_hosts,
                wx_card: args.wx_card,
                secret: Some(read_secret(args.secret_file.as_deref())?),
                unchecked: args.unchecked,
            };
            let put = roster.put(draft).await?;
            let what = What::account_put(put.is_new);
            roster.history().record(what, Some(&args.appid), Some(CLI));
            let done = if put.is_new { "added" } else { "changed" };
            answer(&format!("{done} {}\n", args.appid))?;
            tell_when();
            Ok(())
        })
        .await
}

async fn list(args: &ListArgs) -> Result<(), Failure> {
    args.database
        .with_roster(async |roster| {
            let accounts = roster.list().await?;
            show(&accounts, args.json, table)?;
            explain(&accounts);
            Ok(())
        })
        .await
}

async fn remove(args: &RemoveArgs) -> Result<(), Failure> {
    args.database
        .with_roster(async |roster| {
            roster.remove(&args.appid).await?;
            let (history, what) = (roster.history(), What::AccountRemoved);
            history.record(what, Some(&args.appid), Some(CLI));
            answer(&format!("removed {}\n", args.appid))?;
            tell_when();
            Ok(())
        })
        .await
}

async fn rekey(args: &RekeyArgs) -> Result<(), Failure> {
    let new = read_secret_file(&args.new_key_file).map_err(Failure::Other)?;
    let new: MasterKey = new.expose().parse().map_err(|why| {
        let path = args.new_key_file.display();
        Failure::Other(format!("what {path} holds is no master key: it {why}"))
    })?;
    args.database
        .with_roster(async |roster| {
            let count = roster.rekey(&Vault::new(&new)).await?;
            let what = What::AccountsRekeyed { accounts: count };
            roster.history().record(what, None, Some(CLI));
            let plural = if count == 1 { "" } else { "s" };
            answer(&format!(
                "sealed {count} account{plural} with the new key\n"
            ))?;
            anstream::eprintln!(
                "Put the new key into WXSIGN_MASTER_KEY and restart the servers now: until then they \
                 serve what they have, and renew and add nothing."
            );
            Ok(())
        })
        .await
}

fn checked_host(text: &str) -> Result<String, String> {
    let checked = PageHosts::default().add(text);
    checked
        .map(|()| text.to_owned())
        .map_err(|why| why.to_string())
}

/// Never from an argument: others see those in the list of processes.
fn read_secret(file: Option<&Path>) -> Result<Secret, Failure> {
    /// More than any AppSecret has.
    const MAX_BYTES: u64 = 4096;
    if let Some(file) = file {
        return read_secret_file(file).map_err(Failure::Other);
    }
    if io::stdin().is_terminal() {
        anstream::eprintln!("Paste the AppSecret and press Enter:");
    }
    let mut line = String::new();
    io::stdin()
        .lock()
        .take(MAX_BYTES)
        .read_line(&mut line)
        .map_err(|why| Failure::Other(format!("cannot read the AppSecret from stdin: {why}")))?;
    parse_secret(line.trim()).map_err(|why| Failure::Other(format!("the AppSecret {why}")))
}

/// Says why an account is not served.
fn explain(accounts: &[Listed]) {
    let any = |state| accounts.iter().any(|account| account.state == state);
    if any(State::Locked) {
        anstream::eprintln!(
            "locked: the AppSecret cannot be opened; set the WXSIGN_MASTER_KEY that it was sealed \
             with"
        );
    }
    if any(State::Overridden) {
        anstream::eprintln!("overridden: the configuration has an account of this AppID");
    }
}

fn table(accounts: &[Listed]) -> String {
    // The name comes last: nobody knows how wide a terminal shows its characters.
    let head = [
        "APPID",
        "TOKEN API",
        "KEPT IN",
        "STATE",
        "PAGE HOSTS",
        "NAME",
    ];
    let rows = accounts.iter().map(|account| {
        [
            account.appid.to_string(),
            account.token_api.map_or("?", TokenApi::as_str).to_owned(),
            account.kept_in.as_str().to_owned(),
            account.state.as_str().to_owned(),
            account.page_hosts.join(", "),
            account.name.clone().unwrap_or_default(),
        ]
    });
    columns(head, rows)
}
