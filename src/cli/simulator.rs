use std::net::SocketAddr;

use super::Failure;

/// Run a simulated WeChat alone, for other programs' tests
///
/// Point a server at it with WXSIGN_UPSTREAM. Nothing is kept.
#[derive(clap::Args)]
#[command(after_help = "Example: wxsign simulator --listen 127.0.0.1:9001")]
pub(super) struct SimulatorArgs {
    /// Address and port to listen on, port 0 for any free one
    #[arg(
        long,
        value_name = "ADDR",
        default_value = "127.0.0.1:8090",
        value_parser = crate::config::parse_listen
    )]
    pub(super) listen: SocketAddr,
}

pub(super) fn run(args: &SimulatorArgs) -> Result<(), Failure> {
    let _listener = super::listen::bind(args.listen)?;
    Err(Failure::Other("the simulator is not built yet".to_owned()))
}
