use clap::ValueEnum;

use super::{Failure, answer};

/// Print a file to deploy it with
///
/// Its first lines say how it is used.
#[derive(clap::Args)]
#[command(after_help = "Example: wxsign print compose > compose.yaml")]
pub(super) struct PrintArgs {
    /// What reads the file
    kind: Kind,
}

/// What can be printed.
#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// Docker Compose: several nodes over one Redis, behind a reverse proxy, on one machine
    Compose,
    /// systemd: one node, as a user of its own that may do next to nothing
    Systemd,
}

impl Kind {
    const fn template(self) -> &'static str {
        match self {
            Self::Compose => include_str!("../../templates/compose.yaml"),
            Self::Systemd => include_str!("../../templates/wxsign.service"),
        }
    }
}

pub(super) fn run(args: &PrintArgs) -> Result<(), Failure> {
    let version = env!("CARGO_PKG_VERSION");
    answer(&args.kind.template().replace("{version}", version))
}
