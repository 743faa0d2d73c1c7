//! What the reading of a configuration finds: faults, warnings, and every value with its source.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use crate::credential::Fingerprint;

/// Where a value came from; a later one overrides an earlier one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Source {
    /// It was given nowhere.
    Default,
    /// The configuration file.
    File {
        /// Its path as it was named.
        path: Arc<str>,
        /// The line, counted from 1.
        line: usize,
    },
    /// A variable of the environment.
    Variable(String),
    /// A flag of the command line.
    Flag(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{path}:{line}"),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

impl Serialize for Source {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// A value together with where it came from.
#[derive(Clone, Debug)]
pub(super) struct Found<T> {
    pub(super) value: T,
    pub(super) source: Source,
}

/// Something that is wrong or odd in the configuration: what, why, and what to do.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Finding {
    /// Where it is; [`Source::Default`] when it lies in no single place.
    pub source: Source,
    /// One sentence; it never holds a secret.
    pub text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::Default => f.write_str(&self.text),
            source => write!(f, "{source}: {}", self.text),
        }
    }
}

/// Everything that keeps a configuration from being used, at once: those of the file by line,
/// then those of the environment, then those of the flags.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub struct Faults(Vec<Finding>);

impl Faults {
    /// Each of them; there is at least one.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Finding> {
        self.0.iter()
    }

    /// A fault of a value that was read: that of `key` among `settings`.
    pub fn of_setting(settings: &[Setting], key: &str, text: impl Into<String>) -> Self {
        Self::one(source_of(settings, key), text)
    }

    pub(super) fn one(source: Source, text: impl Into<String>) -> Self {
        let text = text.into();
        Self(vec![Finding { source, text }])
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, fault) in self.0.iter().enumerate() {
            write!(f, "{}{fault}", if i == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

/// A value as `wxsign config show` prints it, secrets masked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Setting {
    /// The key's path, such as `account.wx0123456789abcdef.token_api`.
    pub key: String,
    /// A text, a number, or a list of texts.
    pub value: serde_json::Value,
    /// Where the value came from.
    pub source: Source,
}

/// How a secret is shown: it is there, and which one it is.
pub(super) fn mask(fingerprint: Fingerprint) -> String {
    format!("•••• {fingerprint}")
}

fn source_of(settings: &[Setting], key: &str) -> Source {
    let setting = settings.iter().find(|setting| setting.key == key);
    setting.map_or(Source::Default, |setting| setting.source.clone())
}

/// Gathers what is found while the parts of a configuration are read.
#[derive(Default)]
pub(super) struct Report {
    faults: Vec<Finding>,
    warnings: Vec<Finding>,
    settings: Vec<Setting>,
}

impl Report {
    pub(super) fn fault(&mut self, source: &Source, text: impl Into<String>) {
        self.faults.push(Finding {
            source: source.clone(),
            text: text.into(),
        });
    }

    pub(super) fn fault_count(&self) -> usize {
        self.faults.len()
    }

    pub(super) fn warn(&mut self, source: &Source, text: impl Into<String>) {
        self.warnings.push(Finding {
            source: source.clone(),
            text: text.into(),
        });
    }

    /// Warns of a value that was read.
    pub(super) fn warn_of(&mut self, key: &str, what: &str) {
        let source = source_of(&self.settings, key);
        self.warn(&source, format!("{key} {what}"));
    }

    /// A fault of a value that was read.
    pub(super) fn fault_of(&mut self, key: &str, what: &str) {
        let source = source_of(&self.settings, key);
        self.fault(&source, format!("{key} {what}"));
    }

    pub(super) fn setting(&mut self, key: String, value: impl Serialize, source: &Source) {
        self.settings.push(Setting {
            key,
            value: serde_json::to_value(value).unwrap_or_default(),
            source: source.clone(),
        });
    }

    /// The warnings and the settings, unless there are faults.
    pub(super) fn close(mut self) -> Result<(Vec<Finding>, Vec<Setting>), Faults> {
        self.faults.sort();
        self.faults.dedup();
        self.warnings.sort();
        if self.faults.is_empty() {
            Ok((self.warnings, self.settings))
        } else {
            Err(Faults(self.faults))
        }
    }
}
