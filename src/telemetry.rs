//! Logs: events go to stderr, as lines of text or of JSON, with times in UTC (RFC 3339).

use std::io::{self, IsTerminal};
use std::panic::{self, PanicHookInfo};

use serde::Serialize;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{fmt, registry};

/// What is logged unless told otherwise.
pub const DEFAULT_FILTER: &str = "info";

/// How an event is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people; in colour on a terminal, unless `NO_COLOR` is set (<https://no-color.org>).
    #[default]
    Text,
    /// For machines: one object a line.
    Json,
}

impl LogFormat {
    /// Reads `text` or `json`.
    ///
    /// # Errors
    /// What it must be.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(format!("must be \"text\" or \"json\", not {text:?}")),
        }
    }
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter cannot be read.
    #[error("must be a log filter, as info or info,wxsign=debug, not {text:?} ({why})")]
    Filter {
        /// The filter.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// Logging was set up before.
    #[error("logging is already set up in this process")]
    AlreadySet,
}

/// Reads a filter.
///
/// # Errors
/// When it is none.
pub fn parse_filter(text: &str) -> Result<Targets, TelemetryError> {
    text.parse().map_err(|why| TelemetryError::Filter {
        text: text.to_owned(),
        why: format!("{why}"),
    })
}

/// Sends all events that pass `filter` to stderr from now on, and panics as events of level
/// ERROR.
///
/// # Errors
/// When the filter is none, or logging was set up before.
pub fn init(filter: &str, format: LogFormat) -> Result<(), TelemetryError> {
    let colour = io::stderr().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let passing = registry().with(parse_filter(filter)?);
    let lines = fmt::layer().with_writer(io::stderr).with_ansi(colour);
    match format {
        LogFormat::Text => passing.with(lines).try_init(),
        LogFormat::Json => passing.with(lines.json().flatten_event(true)).try_init(),
    }
    .map_err(|_| TelemetryError::AlreadySet)?;
    panic::set_hook(Box::new(log_panic));
    Ok(())
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let location = panic
        .location()
        .map(|place| format!("{}:{}", place.file(), place.line()))
        .unwrap_or_default();
    let message = panic.payload_as_str().unwrap_or("(no message)");
    let thread = std::thread::current();
    tracing::error!(
        location,
        thread = thread.name().unwrap_or_default(),
        "panic: {message}"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_filter_is_named_with_a_good_one_beside_it() {
        let fault = parse_filter("wxsign=loud").unwrap_err().to_string();
        assert!(fault.contains("\"wxsign=loud\""), "{fault}");
        assert!(fault.contains("info,wxsign=debug"), "{fault}");
        parse_filter(DEFAULT_FILTER).unwrap();
    }

    #[test]
    fn the_format_is_text_or_json() {
        assert_eq!(LogFormat::parse("text"), Ok(LogFormat::Text));
        assert_eq!(LogFormat::parse("json"), Ok(LogFormat::Json));
        assert!(LogFormat::parse("JSON").unwrap_err().contains("\"text\""));
    }
}
