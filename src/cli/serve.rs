use super::{ConfigFlags, Failure, answer};
use crate::app::App;
use crate::config::Config;
use crate::server;
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
    let listener = super::listen::bind(loaded.config.listen)?;
    super::block_on(serve(listener, loaded.config))
}

async fn serve(listener: std::net::TcpListener, config: Config) -> Result<(), Failure> {
    let (listener, address) = super::adopt(listener)?;
    let shutdown = super::shutdown(shutdown::GRACE)?;
    let (app, queue) = App::build(config, None, shutdown.draining.clone())
        .map_err(|error| Failure::Other(error.to_string()))?;
    // Before it listens, so that no page is told that an account is not there.
    app.roster.reload().await;
    let accounts = app.keeper.accounts().iter().count();
    answer(&format!("listening on http://{address}\n"))?;
    tracing::info!(%address, accounts, version = env!("CARGO_PKG_VERSION"), "serving");
    server::run(listener, app, queue, shutdown).await;
    tracing::info!("stopped");
    Ok(())
}
