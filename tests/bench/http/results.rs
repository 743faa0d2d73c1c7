//! What was measured, and the figures made of it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::scale::Scale;
use crate::server::Reading;
use crate::situation::Situation;
use crate::subjects::{BARE, BARE_AGAIN};
use crate::wrk::{after_quarters, median};

/// Everything that a run has found.
pub(crate) struct Results {
    pub(crate) rounds: usize,
    pub(crate) rows: Vec<Row>,
    pub(crate) footprints: Vec<Footprint>,
    /// If that was asked for.
    pub(crate) scale: Option<Scale>,
    /// The time of a signature over that of the SHA-1 in it, if that was measured before.
    pub(crate) signer: Option<f64>,
}

/// A server in a situation.
pub(crate) struct Row {
    pub(crate) subject: &'static str,
    pub(crate) situation: Situation,
    pub(crate) figures: Figures,
}

/// Medians of samples; times are in microseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    pub(crate) per_second: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// That of a quiet second: only a quarter of the samples are below it. Where about one request
    /// in a hundred waits for a host that has taken a core away for milliseconds, the median falls
    /// now on this side of them and now on that.
    pub(crate) quiet_p99: f64,
    pub(crate) p999: f64,
    /// What the server spent on a request.
    pub(crate) cpu: f64,
    /// Of all samples together.
    pub(crate) errors: f64,
}

/// Takes one of them.
pub(crate) type Pick = fn(Figures) -> f64;

/// What a server takes when it is alone.
pub(crate) struct Footprint {
    pub(crate) subject: &'static str,
    /// From its start to its first signature.
    pub(crate) start: Duration,
    /// Bytes before any load, and after it.
    pub(crate) idle: f64,
    pub(crate) loaded: f64,
    /// Bytes before any load where the program comes from the disk.
    pub(crate) from_disk: f64,
}

impl Figures {
    pub(crate) fn of(readings: &[Reading]) -> Self {
        let micros = |pick: fn(&Reading) -> Duration, quarters| {
            let figures = readings.iter().map(|reading| pick(reading).as_secs_f64());
            after_quarters(quarters, figures).unwrap() * 1e6
        };
        Self {
            per_second: median(readings.iter().map(|r| r.sample.per_second)).unwrap(),
            p50: micros(|r| r.sample.p50, 2),
            p99: micros(|r| r.sample.p99, 2),
            quiet_p99: micros(|r| r.sample.p99, 1),
            p999: micros(|r| r.sample.p999, 2),
            cpu: micros(|r| r.cpu, 2),
            errors: readings.iter().map(|r| r.sample.errors).sum(),
        }
    }
}

impl Results {
    pub(crate) fn of(&self, subject: &str, situation: Situation) -> Option<Figures> {
        let mut rows = self.rows.iter();
        let found = rows.find(|row| row.subject == subject && row.situation == situation);
        found.map(|row| row.figures)
    }

    pub(crate) fn footprint(&self, subject: &str) -> Option<&Footprint> {
        self.footprints.iter().find(|one| one.subject == subject)
    }

    /// A figure of `subject` over that of `other`, in the same situation.
    pub(crate) fn ratio(
        &self,
        subject: &str,
        other: &str,
        situation: Situation,
        pick: Pick,
    ) -> Option<f64> {
        let other = pick(self.of(other, situation)?);
        Some(pick(self.of(subject, situation)?) / other)
    }

    /// The same over the bare server, where that is there twice over the mean of both.
    pub(crate) fn over_bare(&self, subject: &str, situation: Situation, pick: Pick) -> Option<f64> {
        let both = [BARE, BARE_AGAIN].into_iter();
        let both: Vec<f64> = both
            .filter_map(|bare| self.of(bare, situation).map(pick))
            .collect();
        let bare = both.iter().sum::<f64>() / both.len() as f64;
        Some(pick(self.of(subject, situation)?) / bare)
    }
}

/// What `cargo bench --bench signer` has left behind.
pub(crate) fn signer() -> Option<f64> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent()?;
    let time = |name: &str| {
        let file = target.join(format!("criterion/signer/{name}/new/estimates.json"));
        let estimates: Value = serde_json::from_str(&fs::read_to_string(file).ok()?).ok()?;
        estimates["median"]["point_estimate"].as_f64()
    };
    Some(time("signature")? / time("blocks")?)
}
