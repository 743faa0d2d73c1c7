use std::io::{self, BufRead, IsTerminal, Read, Write};

use clap::Subcommand;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::Failure;
use super::database::Database;
use crate::app::App;
use crate::console::{Console, Refused, check};
use crate::credential::Secret;
use crate::history::{CLI, What};

/// Set the console's password anew
///
/// The console is served at /console, with back ends and operators.
#[derive(clap::Args)]
pub(super) struct ConsoleArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Password(PasswordArgs),
}

/// Set the password, and sign all browsers out
///
/// It is asked for on the terminal, or read from stdin: its first line. A password_file in the
/// configuration takes its place at the next start.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  wxsign console password
  wxsign console password </run/secrets/console")]
struct PasswordArgs {
    #[command(flatten)]
    database: Database,
}

pub(super) fn run(args: &ConsoleArgs) -> Result<(), Failure> {
    let Verb::Password(args) = &args.verb;
    let password = ask()?;
    super::block_on(async {
        let reset = args.database.with_app(async |app| {
            let console = app.console.as_ref().ok_or_else(|| {
                let text = "the configuration says that there is no console: [console] enabled";
                Failure::Other(text.to_owned())
            })?;
            let reset = console.reset(password).await;
            reset.map_err(|refused: Refused| Failure::Other(refused.to_string()))?;
            app.history.record(What::PasswordSet, None, Some(CLI));
            Ok(())
        });
        reset.await?;
        anstream::eprintln!("The password is set, and every browser has to show it anew.");
        super::database::tell_when();
        Ok(())
    })
}

/// The new password, typed twice or read from stdin.
fn ask() -> Result<Secret, Failure> {
    let failed = |why: io::Error| Failure::Other(format!("the password cannot be read: {why}"));
    let stdin = io::stdin();
    let password = if stdin.is_terminal() {
        let quiet = Quiet::new();
        let password = prompt("New password: ").map_err(failed)?;
        let again = prompt("Once more: ").map_err(failed)?;
        drop(quiet);
        if password != again {
            let text = "the two passwords differ; nothing was changed";
            return Err(Failure::Usage(text.to_owned()));
        }
        password
    } else {
        let mut line = String::new();
        let read = stdin.lock().take(MAX_LINE).read_line(&mut line);
        read.map_err(failed)?;
        Secret::new(line.trim_end_matches(['\r', '\n']))
    };
    check(password.expose()).map_err(|why| Failure::Usage(format!("the password {why}")))?;
    Ok(password)
}

/// No password is longer.
const MAX_LINE: u64 = 4096;

fn prompt(text: &str) -> io::Result<Secret> {
    let mut terminal = io::stderr();
    terminal.write_all(text.as_bytes())?;
    terminal.flush()?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    // The line break that was typed did not show either.
    terminal.write_all(b"\n")?;
    Ok(Secret::new(line.trim_end_matches(['\r', '\n'])))
}

/// A terminal that does not show what is typed, until this goes.
struct Quiet(Option<Termios>);

impl Quiet {
    fn new() -> Self {
        let Ok(former) = tcgetattr(io::stdin()) else {
            return Self(None);
        };
        let mut quiet = former.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        let set = tcsetattr(io::stdin(), OptionalActions::Flush, &quiet);
        Self(set.is_ok().then_some(former))
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        if let Some(former) = &self.0 {
            // There is nobody to tell.
            let _ = tcsetattr(io::stdin(), OptionalActions::Flush, former);
        }
    }
}

/// The one-time link where no password is set yet, for whoever starts a server at `address`. It is
/// only a path where a browser on this machine may not find that address, or may not sign in there:
/// then [`HINT`] says how to get to it.
pub(super) async fn invitation(app: &App, address: &str) -> Option<String> {
    link(app.console.as_ref()?, address).await
}

/// The same, at a console that no server of this process has.
pub(super) async fn link(console: &Console, address: &str) -> Option<String> {
    match console.prepare().await {
        Ok(Some(secret)) => {
            let (at, secret) = (from_here(address), secret.expose());
            Some(format!("{at}/console/setup?token={secret}"))
        }
        Ok(None) => None,
        Err(error) => {
            tracing::error!(%error, "the console's password could not be looked up");
            None
        }
    }
}

/// How to get to a link that is only a path.
pub(super) const HINT: &str = "  open it by https:// through your proxy, or as \
    http://localhost:PORT on this machine or through an SSH tunnel\n";

/// The address if it is one at which a browser on this machine may sign in, else nothing.
fn from_here(address: &str) -> &str {
    let local = ["http://127.0.0.1:", "http://localhost:", "http://[::1]:"];
    let is_local = local.iter().any(|local| address.starts_with(local));
    let anywhere = ["https://0.0.0.0:", "https://[::]:"];
    let is_one = address.starts_with("https://")
        && !anywhere
            .iter()
            .any(|anywhere| address.starts_with(anywhere));
    if is_local || is_one { address } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_only_a_path_where_its_address_leads_nowhere() {
        for address in [
            "http://127.0.0.1:8080",
            "http://localhost:8080",
            "http://[::1]:8080",
            "https://10.0.0.5:443",
        ] {
            assert_eq!(from_here(address), address);
        }
        for address in [
            "http://0.0.0.0:8080",
            "http://[::]:8080",
            "https://0.0.0.0:443",
            "http://10.0.0.5:8080",
            "unix:/run/wxsign.sock",
            "a socket of systemd",
        ] {
            assert_eq!(from_here(address), "", "{address}");
        }
    }
}
