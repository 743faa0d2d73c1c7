//! The configuration file: found, read, parsed, its lines counted.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use toml::Spanned;
use toml::de::DeTable;

use super::report::{Faults, Found, Report, Source};
use super::section::{Variables, variable};

/// The file that is read when none is named and it exists.
pub(super) const DEFAULT_PATH: &str = "wxsign.toml";

/// The text of a configuration file.
pub(super) struct File {
    path: Arc<str>,
    text: String,
    /// Where each line ends: a line is asked for with every value.
    line_ends: Vec<usize>,
}

impl File {
    /// Reads the file that the flag names, else the one that `WXSIGN_CONFIG` names, else
    /// [`DEFAULT_PATH`] if there is one; no file reads like an empty one.
    pub(super) fn open(flag: Option<&Path>, env: &Variables) -> Result<Self, Faults> {
        let named = flag
            .map(|path| Found {
                value: path.display().to_string(),
                source: Source::Flag("--config"),
            })
            .or_else(|| variable(env, "config"));
        let (path, source) = named.map_or_else(
            || (DEFAULT_PATH.to_owned(), Source::Default),
            |named| (named.value, named.source),
        );
        match std::fs::read_to_string(flag.unwrap_or_else(|| Path::new(&path))) {
            Ok(text) => Ok(Self::new(path.into(), text)),
            Err(why) if why.kind() == ErrorKind::NotFound && source == Source::Default => {
                Ok(Self::absent())
            }
            Err(why) => Err(Faults::one(
                source,
                format!(
                    "the configuration file {path} cannot be read ({why}): name one that exists \
                     and that this user may read"
                ),
            )),
        }
    }

    /// No file.
    pub(super) fn absent() -> Self {
        Self::new("".into(), String::new())
    }

    fn new(path: Arc<str>, text: String) -> Self {
        let line_ends = text.match_indices('\n').map(|(at, _)| at).collect();
        Self {
            path,
            text,
            line_ends,
        }
    }

    /// The path, where there is a file.
    pub(super) fn path(&self) -> Option<&str> {
        (!self.path.is_empty()).then_some(&*self.path)
    }

    /// The file as a table.
    ///
    /// What is not TOML cannot be judged any further, so all faults of syntax come alone.
    pub(super) fn parse(&self) -> Result<Spanned<DeTable<'_>>, Faults> {
        let (table, errors) = DeTable::parse_recoverable(&self.text);
        let mut report = Report::default();
        for error in errors {
            // Not the error's `Display`: it quotes the line, which may hold a secret.
            let source = self.at(error.span().map_or(0, |span| span.start));
            report.fault(&source, format!("this is not TOML: {}", error.message()));
        }
        report.close().map(|_| table)
    }

    /// The place of the byte at `offset`.
    pub(super) fn at(&self, offset: usize) -> Source {
        Source::File {
            path: Arc::clone(&self.path),
            line: self.line_ends.partition_point(|end| *end < offset) + 1,
        }
    }
}
