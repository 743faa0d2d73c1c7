//! The command line: one file per verb.
//!
//! Results go to stdout, everything else to stderr. Exit codes: 0 ok, 1 failure, 2 wrong usage,
//! 3 WeChat refused, 78 wrong configuration (`EX_CONFIG`, <https://man.openbsd.org/sysexits>).

mod account;
mod backup;
mod client;
mod completions;
mod config;
mod console;
mod database;
mod debug;
mod demo;
mod doctor;
mod events;
mod healthcheck;
mod key;
pub mod listen;
mod notify;
mod print;
mod process;
mod serve;
mod sign;
mod simulator;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{self, ErrorKind, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use clap::builder::TypedValueParser;
use clap::{Args, Parser, Subcommand};
use tokio::net::TcpListener;

use crate::config::{Config, Faults, Finding, Flags, Listen, Loaded, StoreUrl, logging};
use crate::server::Tls;
use crate::shutdown::Shutdown;
use crate::telemetry::{self, TelemetryError};

/// Signs pages for wx.config and holds the access_token and jsapi_ticket of WeChat official
/// accounts (微信公众号).
#[derive(Parser)]
#[command(
    name = "wxsign",
    version,
    help_template = HELP,
    arg_required_else_help = true,
    max_term_width = 100
)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Demo(demo::DemoArgs),
    Sign(sign::SignArgs),
    Debug(debug::DebugArgs),
    Serve(serve::ServeArgs),
    Account(account::AccountArgs),
    Client(client::ClientArgs),
    Events(events::EventsArgs),
    Backup(backup::BackupArgs),
    Restore(backup::RestoreArgs),
    Config(config::ConfigArgs),
    Console(console::ConsoleArgs),
    Doctor(doctor::DoctorArgs),
    Healthcheck(healthcheck::HealthcheckArgs),
    Key(key::KeyArgs),
    Print(print::PrintArgs),
    Simulator(simulator::SimulatorArgs),
    Completions(completions::CompletionsArgs),
}

/// Clap cannot group verbs, so they are grouped here; a test compares this with what they say
/// about themselves.
const HELP: &str = "\
{about}

\x1b[1mUsage:\x1b[0m {usage}

\x1b[1mTry it, no account needed\x1b[0m
  demo         Run the server together with a simulated WeChat
  sign         Sign one page offline, with a ticket that you have
  debug        Say why WeChat calls a signature invalid

\x1b[1mRun it\x1b[0m
  serve        Run the server, configured by file and environment
  account      Add, list or remove accounts beside the configuration
  client       Add, list or remove client keys beside the configuration
  events       Show what happened: renewals, failures, reports, changes
  backup       Copy the database into a file, also while the server runs
  restore      Put a copy of the database in its place
  config       Check the configuration, or show where each value comes from
  console      Set the console's password anew
  doctor       Try configuration, store and WeChat, and say how to mend what fails
  healthcheck  Ask a server on this machine whether it is well, for containers
  key          Make a key for a back end in the configuration
  print        Print a file to deploy it with

\x1b[1mDevelop with it\x1b[0m
  simulator    Run a simulated WeChat alone, for other programs' tests
  completions  Print the completions for a shell

\x1b[1mOptions\x1b[0m
{options}

\x1b[1mExample\x1b[0m: the demo, then the server with a real account
  wxsign demo
  WXSIGN_APPID=wx0123456789abcdef WXSIGN_SECRET_FILE=/run/secrets/wx \\
    WXSIGN_PAGE_HOSTS=h5.example.com wxsign serve
";

/// Reads the command line, does what it says, and reports a failure on stderr.
pub fn run() -> ExitCode {
    process::keep_memory_private();
    let result = match Cli::parse().verb {
        Verb::Demo(args) => demo::run(&args),
        Verb::Sign(args) => sign::run(args),
        Verb::Debug(args) => debug::run(args),
        Verb::Serve(args) => serve::run(&args),
        Verb::Account(args) => account::run(args),
        Verb::Client(args) => client::run(args),
        Verb::Events(args) => events::run(args),
        Verb::Backup(args) => backup::run_backup(&args),
        Verb::Restore(args) => backup::run_restore(&args),
        Verb::Config(args) => config::run(&args),
        Verb::Console(args) => console::run(&args),
        Verb::Doctor(args) => doctor::run(&args),
        Verb::Healthcheck(args) => healthcheck::run(&args),
        Verb::Key(args) => key::run(args),
        Verb::Print(args) => print::run(&args),
        Verb::Simulator(args) => simulator::run(args),
        Verb::Completions(args) => completions::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.print();
            failure.exit_code()
        }
    }
}

/// Why a verb could not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It went wrong.
    #[error("{0}")]
    Other(String),
    /// The arguments make no sense.
    #[error("{0}")]
    Usage(String),
    /// WeChat does not want it.
    #[error("{0}")]
    Refused(String),
    /// WeChat does not want it, and stdout says why.
    #[error("refused")]
    Told,
    /// The configuration is at fault.
    #[error(transparent)]
    Config(#[from] Faults),
    /// Logs cannot be written.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
}

impl Failure {
    fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Other(_) | Self::Telemetry(_) => 1,
            Self::Usage(_) => 2,
            Self::Refused(_) | Self::Told => 3,
            Self::Config(_) => 78,
        })
    }

    fn print(&self) {
        const RED: Style = AnsiColor::Red.on_default().bold();
        match self {
            Self::Told => {}
            Self::Config(faults) => {
                for fault in faults.iter() {
                    anstream::eprintln!("{RED}error:{RED:#} {fault}");
                }
                let count = faults.iter().len();
                let plural = if count == 1 { "" } else { "s" };
                anstream::eprintln!("{count} fault{plural} in the configuration");
            }
            _ => anstream::eprintln!("{RED}error:{RED:#} {self}"),
        }
    }
}

/// Writes a result to stdout.
///
/// # Errors
/// When stdout cannot be written; a reader that has gone away (`wxsign … | head`) is no failure.
pub fn answer(text: &str) -> Result<(), Failure> {
    match write_out(text) {
        Err(why) if why.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::Other(format!("cannot write to stdout: {why}")))
        }
        _ => Ok(()),
    }
}

fn write_out(text: &str) -> io::Result<()> {
    let mut stdout = anstream::AutoStream::auto(io::stdout().lock());
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// The variables that the configuration is read from.
pub fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .map(|(name, value)| {
            (
                name.to_string_lossy().into_owned(),
                value.to_string_lossy().into_owned(),
            )
        })
        .filter(|(name, _)| name.starts_with("WXSIGN_"))
        .collect()
}

/// Starts the logs of a server that takes no configuration.
fn start_logging() -> Result<(), Failure> {
    let (filter, format) = logging(&environment())?;
    Ok(telemetry::init(&filter, format)?)
}

/// Runs a server until it ends.
///
/// One runtime with as many threads as there are cores, and the system's allocator. In prototypes,
/// a runtime for each core with a listener of its own differed by no more than the same server
/// does twice (5 %), and so did mimalloc and jemalloc; mimalloc doubles the memory of a process
/// that has nothing to do.
fn block_on(server: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::runtime::Runtime::new()
        .map_err(|why| Failure::Other(format!("the runtime cannot be started: {why}")))?
        .block_on(server)
}

/// The listener for the runtime, and the address that it really has.
fn adopt(listener: std::net::TcpListener) -> Result<(TcpListener, SocketAddr), Failure> {
    let adopted = TcpListener::from_std(listener)
        .and_then(|listener| listener.local_addr().map(|address| (listener, address)));
    adopted.map_err(|why| Failure::Other(format!("cannot listen: {why}")))
}

fn shutdown(grace: Duration) -> Result<Shutdown, Failure> {
    Shutdown::on_signals(grace)
        .map_err(|why| Failure::Other(format!("cannot follow the system's signals: {why}")))
}

/// Where the configuration comes from.
#[derive(Args)]
pub struct ConfigFlags {
    /// The configuration file [default: wxsign.toml, if there is one; env: WXSIGN_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address and port to listen on, port 0 for any free one, or unix:PATH or systemd [default:
    /// 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR", value_parser = checked_listen)]
    listen: Option<String>,
    /// Where credentials are kept: memory:, sqlite:PATH, redis://… or postgres://… [default:
    /// sqlite:wxsign.db]
    #[arg(long, value_name = "URL", value_parser = StoreParser)]
    store: Option<String>,
}

impl ConfigFlags {
    /// Reads the configuration; the caller reports its warnings.
    ///
    /// # Errors
    /// [`Failure::Config`] with every fault.
    pub fn load(&self) -> Result<Loaded, Failure> {
        self.read(false)
    }

    /// The same, for what needs no account.
    fn load_without_accounts(&self) -> Result<Loaded, Failure> {
        self.read(true)
    }

    fn read(&self, accounts_optional: bool) -> Result<Loaded, Failure> {
        let flags = Flags {
            listen: self.listen.clone(),
            store: self.store.clone(),
            accounts_optional,
        };
        Ok(Config::load(
            self.config.as_deref(),
            &environment(),
            &flags,
        )?)
    }
}

fn checked_listen(text: &str) -> Result<String, String> {
    Listen::parse(text).map(|_| text.to_owned())
}

/// Checks the URL of a store. Clap's own parsers repeat what they refuse, and this may hold a
/// password.
#[derive(Clone)]
struct StoreParser;

impl TypedValueParser for StoreParser {
    type Value = String;

    fn parse_ref(
        &self,
        command: &clap::Command,
        _: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<String, clap::Error> {
        let text = value.to_string_lossy();
        let parsed = StoreUrl::parse(&text).map(|_| text.into_owned());
        parsed.map_err(|why| {
            let kind = clap::error::ErrorKind::ValueValidation;
            clap::Error::raw(kind, format!("--store {why}\n")).with_cmd(command)
        })
    }
}

/// Reads the certificate that the configuration names, if it does.
///
/// # Errors
/// [`Failure::Config`] with what is wrong with which file.
fn load_tls(loaded: &Loaded) -> Result<Option<Arc<Tls>>, Failure> {
    let tls = loaded.config.tls.clone().map(Tls::load).transpose();
    tls.map_err(|fault| {
        let (key, fault) = (fault.key, fault.to_string());
        Failure::Config(Faults::of_setting(&loaded.settings, key, fault))
    })
}

fn print_warnings(warnings: &[Finding]) {
    const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
    for warning in warnings {
        anstream::eprintln!("{YELLOW}warning:{YELLOW:#} {warning}");
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_of_the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_lists_every_verb_with_its_own_words() {
        let command = Cli::command();
        let listed = HELP.lines().filter(|line| line.starts_with("  "));
        for verb in command.get_subcommands() {
            let about = verb.get_about().unwrap().to_string();
            let line = format!("  {:<12} {about}", verb.get_name());
            assert!(listed.clone().any(|listed| listed == line), "{line}");
        }
    }
}
