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
    /// An image for containers: next to nothing but the program, for a user who is not root
    Dockerfile,
    /// Kubernetes: two nodes over a Redis that is there
    Kubernetes,
    /// nginx in front of it, with TLS
    Nginx,
    /// Caddy in front of it, with TLS
    Caddy,
    /// A dashboard for Grafana
    Grafana,
    /// Alert rules for Prometheus
    Alerts,
    /// systemd: one node, as a user of its own that may do next to nothing
    Systemd,
}

impl Kind {
    const fn template(self) -> &'static str {
        match self {
            Self::Compose => include_str!("../../templates/compose.yaml"),
            Self::Dockerfile => include_str!("../../templates/Dockerfile"),
            Self::Kubernetes => include_str!("../../templates/kubernetes.yaml"),
            Self::Nginx => include_str!("../../templates/nginx.conf"),
            Self::Caddy => include_str!("../../templates/Caddyfile"),
            Self::Grafana => include_str!("../../templates/grafana.json"),
            Self::Alerts => include_str!("../../templates/alerts.yaml"),
            Self::Systemd => include_str!("../../templates/wxsign.service"),
        }
    }
}

pub(super) fn run(args: &PrintArgs) -> Result<(), Failure> {
    let version = env!("CARGO_PKG_VERSION");
    answer(&args.kind.template().replace("{version}", version))
}
