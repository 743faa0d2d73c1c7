use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use reqwest::{Client, ClientBuilder, redirect};

use super::{ConfigFlags, Failure, answer};
use crate::config::{Config, Listen};

/// Ask a server on this machine whether it is well, for containers
///
/// It asks /livez, which fails only when a restart would help. Exit code 3 if the server is not
/// well or gives no answer.
#[derive(clap::Args)]
#[command(after_help = "Example: wxsign healthcheck --url http://127.0.0.1:8080/readyz")]
pub(super) struct HealthcheckArgs {
    /// Ask /readyz: whether pages can be signed
    #[arg(long)]
    ready: bool,
    /// What to ask instead of the address in the configuration
    #[arg(long, value_name = "URL", conflicts_with = "ready")]
    url: Option<String>,
    #[command(flatten)]
    flags: ConfigFlags,
}

/// A server that needs longer is not well.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) fn run(args: &HealthcheckArgs) -> Result<(), Failure> {
    let (client, url) = match &args.url {
        Some(url) => (builder(), url.clone()),
        None => {
            let config = args.flags.load_without_accounts()?.config;
            let path = if args.ready { "/readyz" } else { "/livez" };
            let (client, base) = way(&config)?;
            (client, format!("{base}{path}"))
        }
    };
    let client = client.build();
    let client = client.map_err(|why| Failure::Other(format!("cannot ask: {why}")))?;
    super::block_on(ask(&client, &url))
}

async fn ask(client: &Client, url: &str) -> Result<(), Failure> {
    let unwell = |why: String| Failure::Refused(format!("{url}: {why}"));
    let asked = client.get(url).send().await;
    let asked = asked.map_err(|error| unwell(innermost(&error)))?;
    let status = asked.status();
    let told = asked.text().await.unwrap_or_default();
    if status.is_success() {
        return answer(&format!("{}\n", told.trim_end()));
    }
    Err(unwell(format!("{status} {}", told.trim_end())))
}

fn innermost(error: &reqwest::Error) -> String {
    let mut reason: &dyn std::error::Error = error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    reason.to_string()
}

fn builder() -> ClientBuilder {
    Client::builder()
        .timeout(PATIENCE)
        .redirect(redirect::Policy::none())
        .no_proxy()
}

/// How the server of `config` is reached, and the beginning of its URLs.
fn way(config: &Config) -> Result<(ClientBuilder, String), Failure> {
    match config.admin_listen.as_ref().unwrap_or(&config.listen) {
        Listen::Unix(path) => {
            let client = builder().unix_socket(path.as_path());
            Ok((client, "http://wxsign".to_owned()))
        }
        Listen::Address(address) if address.port() != 0 => {
            let reachable = reachable(*address);
            Ok(match config.tls {
                // Its certificate is for the name that pages use; and this is our own machine,
                // which is told nothing.
                Some(_) => {
                    let client = builder().tls_danger_accept_invalid_certs(true);
                    (client, format!("https://{reachable}"))
                }
                None => (builder(), format!("http://{reachable}")),
            })
        }
        listen => Err(Failure::Usage(format!(
            "the configuration does not say where the server is reached (listen = {listen}): name \
             it with --url"
        ))),
    }
}

/// Where this machine reaches what listens on `address`.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_listens_everywhere_is_asked_here() {
        for (listen, asked) in [
            ("0.0.0.0:80", "127.0.0.1:80"),
            ("[::]:80", "[::1]:80"),
            ("10.0.0.5:8080", "10.0.0.5:8080"),
        ] {
            let asked: SocketAddr = asked.parse().unwrap();
            assert_eq!(reachable(listen.parse().unwrap()), asked);
        }
    }

    #[test]
    fn the_operators_address_is_asked_if_there_is_one() {
        let mut config = Config::with_accounts(Vec::new());
        assert_eq!(way(&config).unwrap().1, "http://127.0.0.1:8080");
        config.admin_listen = Some(Listen::parse("127.0.0.1:9090").unwrap());
        assert_eq!(way(&config).unwrap().1, "http://127.0.0.1:9090");
        config.admin_listen = Some(Listen::parse("unix:/run/w.sock").unwrap());
        assert_eq!(way(&config).unwrap().1, "http://wxsign");
        config.admin_listen = Some(Listen::parse("systemd").unwrap());
        let failure = way(&config).map(|way| way.1).unwrap_err();
        assert!(failure.to_string().contains("--url"), "{failure}");
    }
}
