//! What must be reached.

use crate::results::Results;
use crate::scale::Scale;
use crate::situation::{Situation, USUAL};
use crate::subjects::{
    BARE, EXPRESS, FASTAPI, FASTIFY, GO, NGINX, RENEWING, TLS, WITH_REDIS, WITHOUT_REDIS, WXSIGN,
};

/// A figure and its bound.
pub(crate) struct Goal {
    pub(crate) what: String,
    pub(crate) bound: Bound,
    /// Nothing if it was not measured.
    pub(crate) found: Option<f64>,
}

#[derive(Clone, Copy)]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Goal {
    fn new(what: impl Into<String>, bound: Bound, found: Option<f64>) -> Self {
        let what = what.into();
        Self { what, bound, found }
    }

    pub(crate) fn verdict(&self) -> &'static str {
        match (self.found, self.bound) {
            (None, _) => "-",
            (Some(found), Bound::AtLeast(bound)) if found >= bound => "ok",
            (Some(found), Bound::AtMost(bound)) if found <= bound => "ok",
            (Some(_), _) => "MISSED",
        }
    }
}

const KIB: f64 = 1024.0;
const MIB: f64 = 1024.0 * KIB;

/// All of them.
pub(crate) fn goals(results: &Results) -> Vec<Goal> {
    use Bound::{AtLeast, AtMost};
    let over_bare = |situation, pick| results.over_bare(WXSIGN, situation, pick);
    let many = Situation::KeepAlive(256);
    let mut goals = vec![
        Goal::new(
            "requests/s over bare hyper",
            AtLeast(0.85),
            over_bare(USUAL, |f| f.per_second),
        ),
        Goal::new(
            "CPU a request over bare hyper",
            AtMost(1.2),
            over_bare(USUAL, |f| f.cpu),
        ),
        Goal::new(
            "requests/s over bare hyper, pipelined",
            AtLeast(0.55),
            over_bare(Situation::Pipelined, |f| f.per_second),
        ),
        Goal::new(
            "p99 of quiet seconds over bare hyper, 32 connections",
            AtMost(1.25),
            over_bare(USUAL, |f| f.quiet_p99),
        ),
        Goal::new(
            "p99 of quiet seconds over bare hyper, 256 connections",
            AtMost(1.25),
            over_bare(many, |f| f.quiet_p99),
        ),
        Goal::new(
            "p99 while renewing over p99 without",
            AtMost(1.1),
            results.ratio(RENEWING, WXSIGN, USUAL, |f| f.p99),
        ),
        Goal::new(
            "p99 with the store gone over p99 with it",
            AtMost(1.1),
            results.ratio(WITHOUT_REDIS, WITH_REDIS, USUAL, |f| f.p99),
        ),
        Goal::new("signer over its SHA-1 blocks", AtMost(2.2), results.signer),
    ];
    goals.extend(over_peers(results));
    goals.extend(footprint(results));
    goals.extend(results.scale.iter().flat_map(at_scale));
    let tls = results.ratio(TLS, WXSIGN, USUAL, |f| f.per_second);
    goals.push(Goal::new(
        "TLS over plain, connections that stay",
        AtLeast(0.7),
        tls,
    ));
    goals
}

fn over_peers(results: &Results) -> impl Iterator<Item = Goal> {
    let bounds = [
        (GO, 2.0),
        (NGINX, 1.5),
        (FASTIFY, 4.5),
        (EXPRESS, 10.0),
        (FASTAPI, 12.0),
    ];
    bounds.into_iter().map(|(peer, bound)| {
        let found = results.ratio(WXSIGN, peer, USUAL, |f| f.per_second);
        let what = format!("requests/s over {peer}");
        Goal::new(what, Bound::AtLeast(bound), found)
    })
}

fn footprint(results: &Results) -> [Goal; 3] {
    use Bound::AtMost;
    let wxsign = results.footprint(WXSIGN);
    [
        Goal::new(
            "start to first signature, ms",
            AtMost(15.0),
            wxsign.map(|one| one.start.as_secs_f64() * 1e3),
        ),
        Goal::new(
            "idle memory, MiB",
            AtMost(10.0),
            wxsign.map(|one| one.idle / MIB),
        ),
        Goal::new(
            "idle memory where the program comes from the disk, MiB",
            AtMost(10.0),
            wxsign.map(|one| one.from_disk / MIB),
        ),
    ]
}

/// Those that are about many accounts.
pub(crate) fn at_scale(scale: &Scale) -> [Goal; 5] {
    use Bound::{AtLeast, AtMost};
    [
        Goal::new(
            format!("memory an account at {}, KiB", scale.accounts),
            AtMost(1.5),
            Some(scale.bytes_each / KIB),
        ),
        Goal::new(
            format!("requests/s with {} accounts over one", scale.accounts),
            AtLeast(0.95),
            Some(scale.same.per_second),
        ),
        Goal::new(
            format!("start to first signature with {}, s", scale.accounts),
            AtMost(5.0),
            Some(scale.start.as_secs_f64()),
        ),
        Goal::new(
            format!("start to all of {} signing, s", scale.accounts),
            AtMost(5.0),
            Some(scale.all_sign.as_secs_f64()),
        ),
        Goal::new(
            format!("idle CPU with {}, % of a core", scale.accounts),
            AtMost(2.0),
            Some(scale.idle_cpu * 100.0),
        ),
    ]
}

/// How far two servers that are the same differ: no bound can be finer.
pub(crate) fn control(results: &Results) -> String {
    use crate::subjects::BARE_AGAIN;
    let ratio = |pick| {
        let ratio = results.ratio(BARE_AGAIN, BARE, USUAL, pick);
        ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"))
    };
    format!(
        "requests/s {}, CPU {}, p99 {}, of quiet seconds {}",
        ratio(|f| f.per_second),
        ratio(|f| f.cpu),
        ratio(|f| f.p99),
        ratio(|f| f.quiet_p99)
    )
}
