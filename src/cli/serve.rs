use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use super::listen::{Bound, Inherited};
use super::notify::Supervisor;
use super::{ConfigFlags, Failure, answer, console, process};
use crate::app::App;
use crate::config::{Config, Setting};
use crate::server::{self, Listeners, Tls};
use crate::shutdown;
use crate::telemetry;

/// Run the server, configured by file and environment
#[derive(clap::Args)]
#[command(after_help = "\
Example, one account and no file:
  WXSIGN_APPID=wx0123456789abcdef WXSIGN_SECRET_FILE=/run/secrets/wx \\
    WXSIGN_PAGE_HOSTS=h5.example.com wxsign serve --listen 0.0.0.0:8080")]
pub(super) struct ServeArgs {
    #[command(flatten)]
    pub(super) flags: ConfigFlags,
}

pub(super) fn run(args: &ServeArgs) -> Result<(), Failure> {
    let loaded = args.flags.load()?;
    telemetry::init(&loaded.config.log, loaded.config.log_format)?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let tls = super::load_tls(&loaded)?;
    let (mut config, settings) = (loaded.config, loaded.settings);
    process::allow_files(&mut config);
    let mut inherited = Inherited::from_env();
    let pages = Bound::take(&config.listen, &mut inherited)?;
    let admin = config.admin_listen.as_ref();
    let admin = admin.map(|admin| Bound::take(admin, &mut inherited));
    let admin = admin.transpose()?;
    let some_tcp = pages.is_tcp() || admin.as_ref().is_some_and(Bound::is_tcp);
    if tls.is_some() && !inherited.is_empty() && !some_tcp {
        // Of these, the configuration could not tell.
        tracing::warn!("tls_certificate has no effect: the sockets of systemd are not of TCP");
    }
    super::block_on(serve(pages, admin, tls, config, settings))
}

/// A store that is away is waited for no longer at the start.
const CONNECTING: Duration = Duration::from_secs(2);

async fn serve(
    pages: Bound,
    admin: Option<Bound>,
    tls: Option<Arc<Tls>>,
    config: Config,
    settings: Vec<Setting>,
) -> Result<(), Failure> {
    let scheme = if tls.is_some() { "https" } else { "http" };
    let address = pages.url(scheme);
    let admin_address = admin.as_ref().map(|admin| admin.url(scheme));
    // Their guards remove the files of sockets at the end.
    let (pages, _file) = pages.adopt()?;
    let (admin, _admin_file) = admin.map(Bound::adopt).transpose()?.unzip();
    let shutdown = super::shutdown(shutdown::GRACE)?;
    // From the start, and with or without a certificate: it must not end the server.
    let mut hang_ups = signal(SignalKind::hangup())
        .map_err(|why| Failure::Other(format!("cannot follow SIGHUP: {why}")))?;
    let (app, queue) = App::build(config, None, shutdown.draining.clone())
        .map_err(|error| Failure::Other(error.to_string()))?;
    // It is set here alone.
    let _ = app.settings.set(settings);
    // Before it listens, so that no page is told that an account is not there; but not for long.
    app.store.reached(CONNECTING).await;
    app.roster.reload().await;
    let accounts = app.keeper.accounts().len();
    let mut said = format!("listening on {address}\n");
    if let Some(address) = &admin_address {
        said += &format!("for back ends and operators on {address}\n");
    }
    answer(&said)?;
    let console_at = admin_address.as_ref().unwrap_or(&address);
    if let Some(link) = console::invitation(&app, console_at).await {
        // Not in the log: whoever has it first sets the password.
        let hint = if link.starts_with('/') {
            console::HINT
        } else {
            ""
        };
        answer(&format!(
            "the console has no password yet: set it within an hour at {link}\n{hint}"
        ))?;
    }
    tracing::info!(%address, accounts, version = env!("CARGO_PKG_VERSION"), "serving");
    match tls.clone() {
        Some(tls) => {
            let (clock, stop) = (app.keeper.clock().clone(), shutdown.draining.clone());
            tokio::spawn(tls.follow(hang_ups, clock, stop));
        }
        None => {
            tokio::spawn(async move {
                while hang_ups.recv().await.is_some() {
                    tracing::info!("SIGHUP: there is no certificate to be read again");
                }
            });
        }
    }
    if let Some(supervisor) = Supervisor::from_env() {
        let (app, draining) = (Arc::clone(&app), shutdown.draining.clone());
        tokio::spawn(async move { supervisor.follow(&app, draining).await });
    }
    let listeners = Listeners {
        pages: pages.with_tls(tls.clone()),
        admin: admin.map(|admin| admin.with_tls(tls)),
    };
    server::run(listeners, app, queue, shutdown).await;
    tracing::info!("stopped");
    Ok(())
}
