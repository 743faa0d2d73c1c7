use std::net::SocketAddr;

use super::Failure;

/// Run the server together with a simulated WeChat
///
/// Nothing is configured and nothing is kept: open the printed address in a browser, or run the
/// printed curl.
#[derive(clap::Args)]
#[command(after_help = "Example: wxsign demo --listen 127.0.0.1:9000")]
pub(super) struct DemoArgs {
    /// Address and port to listen on [default: 127.0.0.1:8080, or any free port if that is taken]
    #[arg(long, value_name = "ADDR", value_parser = crate::config::parse_listen)]
    pub(super) listen: Option<SocketAddr>,
}

pub(super) fn run(args: &DemoArgs) -> Result<(), Failure> {
    let _listener = match args.listen {
        Some(address) => super::listen::bind(address)?,
        None => super::listen::bind_or_any_port(crate::config::DEFAULT_LISTEN)?,
    };
    Err(Failure::Other("the demo is not built yet".to_owned()))
}
