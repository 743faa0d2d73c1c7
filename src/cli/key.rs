use clap::Subcommand;

use super::{Failure, answer};
use crate::account::AppId;
use crate::client::{KeyHash, Scope, new_key, parse_name};
use crate::credential::Secret;

/// Make a key for a back end in the configuration
#[derive(clap::Args)]
pub(super) struct KeyArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    New(NewArgs),
}

/// Print a new key, and the [[client]] block with its hash
///
/// The key is printed once and kept nowhere: the first line of stdout is the key, for the back
/// end; the rest is the block, for wxsign.toml.
#[derive(clap::Args)]
#[command(after_help = "Example: wxsign key new shop --account wx0123456789abcdef --scope token")]
struct NewArgs {
    /// What logs call the back end
    #[arg(value_parser = parse_name)]
    name: String,
    /// An account that it may ask about; repeat for more [default: all]
    #[arg(long = "account", value_name = "APPID")]
    accounts: Vec<AppId>,
    /// What it may do: token, ticket, report, status, proxy, admin; repeat for more [default: the
    /// first four]
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<Scope>,
}

pub(super) fn run(args: KeyArgs) -> Result<(), Failure> {
    let Verb::New(args) = args.verb;
    let key = new_key();
    let block = block(&args, &key);
    answer(&format!("{}\n\n{block}", key.expose()))?;
    anstream::eprintln!(
        "The first line is the key: give it to {}, it is not shown again. The block belongs into \
         wxsign.toml.",
        args.name
    );
    Ok(())
}

fn block(args: &NewArgs, key: &Secret) -> String {
    let accounts: Vec<&str> = match args.accounts.as_slice() {
        [] => vec!["*"],
        listed => listed.iter().map(AppId::as_str).collect(),
    };
    let scopes = match args.scopes.as_slice() {
        [] => &Scope::USUAL,
        listed => listed,
    };
    let scopes: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
    format!(
        "[[client]]\nname = {:?}\nkey_sha256 = \"{}\"\naccounts = {accounts:?}\nscopes = {scopes:?}\n",
        args.name,
        KeyHash::of(key.expose()),
    )
}
