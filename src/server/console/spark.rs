//! A little chart of the signatures of the last hour.

use std::fmt::Write;

use crate::rates::{Hour, MINUTES};

/// The chart is so high, and as wide as there are minutes, two units each.
const HEIGHT: u32 = 28;

/// The signatures a minute of the last hour.
pub(super) struct Spark {
    /// The line, and the ground below it, as SVG paths.
    pub(super) line: String,
    pub(super) ground: String,
    /// Those of the last whole minute.
    pub(super) now: u32,
    /// The most in a minute.
    pub(super) peak: u32,
}

impl Spark {
    pub(super) fn of(hour: &Hour) -> Self {
        let peak = hour.iter().copied().max().unwrap_or_default();
        let mut line = String::new();
        for (minute, signatures) in hour.iter().enumerate() {
            // A line at the very edge would be cut in half.
            let height = u64::from(*signatures) * u64::from(HEIGHT - 2) / u64::from(peak.max(1));
            let (x, y) = (minute * 2, u64::from(HEIGHT - 1) - height);
            let verb = if minute == 0 { 'M' } else { 'L' };
            write!(line, "{verb}{x} {y}").expect("a String can always be written to");
        }
        let right = (MINUTES - 1) * 2;
        Self {
            ground: format!("{line}L{right} {HEIGHT}L0 {HEIGHT}Z"),
            line,
            now: hour[MINUTES - 1],
            peak,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_minute_is_at_the_top_and_a_silent_one_at_the_bottom() {
        let mut hour = [0; MINUTES];
        hour[1] = 50;
        hour[MINUTES - 1] = 100;
        let spark = Spark::of(&hour);
        assert!(spark.line.starts_with("M0 27L2 14L4 27"), "{}", spark.line);
        assert!(spark.line.ends_with("L118 1"), "{}", spark.line);
        assert_eq!((spark.now, spark.peak), (100, 100));
        assert!(Spark::of(&[0; MINUTES]).line.ends_with("L118 27"));
    }
}
