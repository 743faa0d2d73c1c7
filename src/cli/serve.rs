use std::time::Duration;

use super::{ConfigFlags, Failure, answer};
use crate::app::App;
use crate::config::Config;
use crate::server::{self, Listeners};
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
    let pages = super::listen::bind(loaded.config.listen)?;
    let admin = loaded.config.admin_listen.map(super::listen::bind);
    super::block_on(serve(pages, admin.transpose()?, loaded.config))
}

/// A store that is away is waited for no longer at the start.
const CONNECTING: Duration = Duration::from_secs(2);

async fn serve(
    pages: std::net::TcpListener,
    admin: Option<std::net::TcpListener>,
    config: Config,
) -> Result<(), Failure> {
    let (pages, address) = super::adopt(pages)?;
    let (admin, admin_address) = admin.map(super::adopt).transpose()?.unzip();
    let shutdown = super::shutdown(shutdown::GRACE)?;
    let (app, queue) = App::build(config, None, shutdown.draining.clone())
        .map_err(|error| Failure::Other(error.to_string()))?;
    // Before it listens, so that no page is told that an account is not there; but not for long.
    app.store.reached(CONNECTING).await;
    app.roster.reload().await;
    let accounts = app.keeper.accounts().len();
    let mut said = format!("listening on http://{address}\n");
    if let Some(address) = admin_address {
        said += &format!("for back ends and operators on http://{address}\n");
    }
    answer(&said)?;
    tracing::info!(%address, accounts, version = env!("CARGO_PKG_VERSION"), "serving");
    server::run(Listeners { pages, admin }, app, queue, shutdown).await;
    tracing::info!("stopped");
    Ok(())
}
