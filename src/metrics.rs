//! What a monitoring system reads, in the text format of OpenMetrics
//! (<https://prometheus.io/docs/specs/om/open_metrics_spec/>).
//!
//! Most of it is not counted anywhere: it is read off what there is when somebody asks, in one
//! pass over the accounts for each family. Calls to WeChat and requests are counted where they
//! pass.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use crate::account::AppId;
use crate::app::App;
use crate::clock::Moment;
use crate::credential::Kind;
use crate::keeper::{Kept, Snapshot};
use crate::store::Op;
use crate::timings::{BOUNDS, Spread};

/// The media type of the text.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// How everything stands now.
pub fn text(app: Arc<App>) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Reading::of(app)));
    let mut text = String::new();
    text::encode(&mut text, &registry).expect("a String takes what is written to it");
    text
}

/// All that is told, as it was at one moment.
#[derive(Debug)]
struct Reading {
    app: Arc<App>,
    now: Moment,
    accounts: Vec<(Arc<Kept>, Arc<Snapshot>)>,
}

impl Reading {
    fn of(app: Arc<App>) -> Self {
        let accounts = app.keeper.accounts();
        let mut accounts: Vec<_> = accounts
            .iter()
            .map(|kept| (Arc::clone(kept), Arc::clone(&kept.snapshot())))
            .collect();
        accounts.sort_by(|(one, _), (other, _)| one.account.appid.cmp(&other.account.appid));
        Self {
            now: app.keeper.clock().moment(),
            app,
            accounts,
        }
    }
}

impl Collector for Reading {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let to = &mut encoder;
        self.of_this_node(to)?;
        for family in FAMILIES {
            self.of_credentials(to, family)?;
        }
        self.of_leases(to)?;
        self.of_signatures(to)?;
        self.of_calls(to)?;
        self.of_requests(to)
    }
}

impl Reading {
    fn of_this_node(&self, to: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "The version of wxsign.";
        to.encode_descriptor("wxsign_build", help, None, MetricType::Info)?
            .encode_info(&[("version", env!("CARGO_PKG_VERSION"))])?;

        let (keeper, store) = (&self.app.keeper, self.app.store.tally());
        let signs = |known: &Snapshot| known.signer(self.now).is_some();
        let ready = self.accounts.iter().filter(|(_, known)| signs(known));
        let (alive, up) = (keeper.is_alive().into(), store.failing().is_none().into());
        let help = "1 while the queue that renews credentials turns.";
        number(to, "wxsign_keeper_alive", help, alive)?;
        let help = "Accounts whose credentials are kept.";
        number(to, "wxsign_accounts", help, self.accounts.len() as u64)?;
        let help = "Accounts whose pages can be signed.";
        number(to, "wxsign_ready_accounts", help, ready.count() as u64)?;
        number(to, "wxsign_store_up", "1 while the store answers.", up)?;

        let help = "Calls to the store, with those that failed.";
        count(to, "wxsign_store_calls", help, |op| store.calls(op))?;
        let help = "Calls to the store that failed.";
        count(to, "wxsign_store_errors", help, |op| store.errors(op))?;
        let help = "Events that the history has lost.";
        to.encode_descriptor("wxsign_history_lost", help, None, MetricType::Counter)?
            .encode_counter::<NoLabelSet, _, f64>(&self.app.history.lost(), None)
    }

    fn of_credentials(&self, to: &mut DescriptorEncoder<'_>, family: Family) -> fmt::Result {
        let mut values = gauge(to, family.name, family.help)?;
        self.each(
            |labels, known, kind| match (family.value)(self, known, kind) {
                Some(value) => values.encode_family(&labels)?.encode_gauge(&value),
                None => Ok(()),
            },
        )
    }

    /// The one family with another label.
    fn of_leases(&self, to: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "When the lease of the credential ends, while one is known here.";
        let mut values = gauge(to, "wxsign_lease_until_timestamp_seconds", help)?;
        self.each(|[appid, kind_name], known, kind| {
            let Some(lease) = known.lease(kind, self.now) else {
                return Ok(());
            };
            let labels = [appid, kind_name, ("holder", lease.holder.as_str())];
            let until = self.now.wall + lease.until.left(self.now);
            values
                .encode_family(&labels)?
                .encode_gauge(&until.as_secs())
        })
    }

    fn of_signatures(&self, to: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Signatures that were made.";
        let mut family =
            to.encode_descriptor("wxsign_signatures", help, None, MetricType::Counter)?;
        for (kept, _) in &self.accounts {
            family
                .encode_family(&[("appid", kept.account.appid.as_str())])?
                .encode_counter::<NoLabelSet, _, f64>(&kept.signatures(), None)?;
        }
        Ok(())
    }

    fn of_calls(&self, to: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Calls to WeChat by their errcode, 0 for those that it carried out.";
        let name = "wxsign_upstream_requests";
        let mut counts = to.encode_descriptor(name, help, None, MetricType::Counter)?;
        for ((appid, api, errcode), count) in self.app.calls.counts() {
            let appid = appid.as_ref().map_or("other", AppId::as_str);
            let labels = [("appid", appid), ("api", api), ("errcode", &*errcode)];
            let mut family = counts.encode_family(&labels)?;
            family.encode_counter::<NoLabelSet, _, f64>(&count, None)?;
        }
        let help = "How long calls to WeChat took.";
        let name = "wxsign_upstream_request_duration_seconds";
        let mut times = to.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (api, spread) in self.app.calls.timings.all() {
            histogram(&mut times, &[("api", api)], &spread)?;
        }
        Ok(())
    }

    fn of_requests(&self, to: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "How long requests took, but for signatures that were made at once.";
        let name = "wxsign_http_request_duration_seconds";
        let mut times = to.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (request, spread) in self.app.requests.all() {
            let status = request.status.to_string();
            let labels = [
                ("route", &*request.route),
                ("method", request.method),
                ("status", &status),
            ];
            histogram(&mut times, &labels, &spread)?;
        }
        Ok(())
    }

    /// Goes over all credentials, with their labels.
    fn each<'a>(
        &'a self,
        mut visit: impl FnMut([(&'static str, &'a str); 2], &'a Snapshot, Kind) -> fmt::Result,
    ) -> fmt::Result {
        for (kept, known) in &self.accounts {
            let appid = kept.account.appid.as_str();
            for kind in kept.account.kinds() {
                visit([("appid", appid), ("kind", kind.as_str())], known, kind)?;
            }
        }
        Ok(())
    }

    fn is_mine(&self, node: &str) -> bool {
        node == self.app.keeper.node()
    }
}

/// A gauge of each credential.
#[derive(Clone, Copy)]
struct Family {
    name: &'static str,
    help: &'static str,
    /// Its value, if there is one.
    value: fn(&Reading, &Snapshot, Kind) -> Option<i64>,
}

const FAMILIES: [Family; 8] = [
    Family {
        name: "wxsign_credential_expiry_timestamp_seconds",
        help: "When the credential ends, or ended.",
        value: |at, known, kind| {
            let until = known.last(kind)?.until;
            let by_either_clock = at.now.wall + until.left(at.now);
            Some(until.wall.min(by_either_clock).as_secs())
        },
    },
    Family {
        name: "wxsign_credential_renew_timestamp_seconds",
        help: "When the credential is due to be renewed.",
        value: |_, known, kind| Some(known.last(kind)?.renew_at.as_secs()),
    },
    Family {
        name: "wxsign_credential_generation",
        help: "Grows by one with each new value of the credential.",
        value: |_, known, kind| known.last(kind)?.credential.generation.try_into().ok(),
    },
    Family {
        name: "wxsign_credential_usable",
        help: "1 while the credential is served.",
        value: |at, known, kind| Some(known.served(kind, at.now).is_some().into()),
    },
    Family {
        name: "wxsign_renewal_failing",
        help: "1 while the last try to renew the credential has failed.",
        value: |_, known, kind| Some(known.trouble_with(kind).is_some().into()),
    },
    Family {
        name: "wxsign_foreign_fetcher",
        help: "1 while another program fetches tokens with the account's AppSecret.",
        value: |_, known, kind| (kind == Kind::AccessToken).then(|| known.is_robbed().into()),
    },
    Family {
        name: "wxsign_renewed_by_this_node",
        help: "1 if this process fetched or confirmed the credential last.",
        value: |at, known, kind| {
            let by = known.last(kind).and_then(|last| last.renewed_by.as_ref());
            Some(by.is_some_and(|by| at.is_mine(by)).into())
        },
    },
    Family {
        name: "wxsign_lease_held",
        help: "1 while this process holds the lease of the credential.",
        value: |at, known, kind| {
            let lease = known.lease(kind, at.now);
            Some(lease.is_some_and(|lease| at.is_mine(&lease.holder)).into())
        },
    },
];

fn histogram<const N: usize>(
    to: &mut MetricEncoder<'_>,
    labels: &[(&str, &str); N],
    spread: &Spread,
) -> fmt::Result {
    let buckets: Vec<(f64, u64)> = BOUNDS.into_iter().zip(spread.buckets).collect();
    let count = spread.buckets.iter().sum();
    let mut family = to.encode_family(labels)?;
    family.encode_histogram::<NoLabelSet>(spread.seconds, count, &buckets, None)
}

fn gauge<'a>(
    to: &'a mut DescriptorEncoder<'_>,
    name: &'a str,
    help: &str,
) -> Result<MetricEncoder<'a>, fmt::Error> {
    to.encode_descriptor(name, help, None, MetricType::Gauge)
}

fn number(to: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> fmt::Result {
    gauge(to, name, help)?.encode_gauge(&value)
}

/// Tells how often the store did each thing. The format adds `_total` to the name.
fn count(
    to: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    calls: impl Fn(Op) -> u64,
) -> fmt::Result {
    let mut family = to.encode_descriptor(name, help, None, MetricType::Counter)?;
    for op in Op::ALL {
        family
            .encode_family(&[("op", op.as_str())])?
            .encode_counter::<NoLabelSet, _, f64>(&calls(op), None)?;
    }
    Ok(())
}
