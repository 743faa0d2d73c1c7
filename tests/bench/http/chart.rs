//! The chart of the README: requests a second, a bar for each server.

use std::fmt::Write;

use crate::results::Results;
use crate::situation::USUAL;
use crate::subjects::{BARE, PEERS, WXSIGN};

const WIDTH: f64 = 720.0;
/// Where bars begin, and how long the longest is; their figures are behind them.
const LEFT: f64 = 190.0;
const LONGEST: f64 = 420.0;
const ROW: f64 = 30.0;
const TOP: f64 = 44.0;

const STYLE: &str = "\
    text { font: 14px system-ui, sans-serif; fill: #24292f }\n\
    .title { font-weight: 600 }\n\
    .bar { fill: #8c959f }\n\
    .own { fill: #1a7f37 }\n\
    @media (prefers-color-scheme: dark) {\n\
    text { fill: #e6edf3 }\n\
    .bar { fill: #6e7681 }\n\
    .own { fill: #3fb950 }\n\
    }\n";

/// The chart as SVG.
pub(crate) fn svg(results: &Results) -> String {
    let bars: Vec<(&str, f64)> = [BARE, WXSIGN]
        .into_iter()
        .chain(PEERS)
        .filter_map(|name| Some((name, results.of(name, USUAL)?.per_second)))
        .collect();
    let most = bars.iter().map(|bar| bar.1).fold(1.0, f64::max);
    let height = TOP + ROW * bars.len() as f64 + 10.0;
    let title = "Signatures a second on one core, 32 connections";
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         width=\"{WIDTH}\" height=\"{height}\" role=\"img\" aria-label=\"{title}\">\n\
         <style>\n{STYLE}</style>\n<text class=\"title\" x=\"10\" y=\"24\">{title}</text>\n"
    );
    for (row, (name, per_second)) in bars.into_iter().enumerate() {
        let y = TOP + ROW * row as f64;
        let length = per_second / most * LONGEST;
        let class = if name == WXSIGN { "bar own" } else { "bar" };
        writeln!(
            svg,
            "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{name}</text>\
             <rect class=\"{class}\" x=\"{LEFT}\" y=\"{y}\" width=\"{length:.1}\" height=\"20\" \
             rx=\"3\"/><text x=\"{:.0}\" y=\"{:.0}\">{}</text>",
            LEFT - 10.0,
            y + 15.0,
            LEFT + length + 8.0,
            y + 15.0,
            grouped(per_second),
        )
        .unwrap();
    }
    svg + "</svg>\n"
}

/// A number in groups of three digits.
fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}
