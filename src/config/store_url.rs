//! Where credentials are kept, as a URL.

use std::fmt;
use std::path::PathBuf;

use serde::{Serialize, Serializer};

use crate::store::{FORMS, ServerUrl};

/// Where credentials are kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StoreUrl {
    /// `memory:`, until the process ends.
    Memory,
    /// `sqlite:PATH`, in a file.
    Sqlite(PathBuf),
    /// On a server that several processes share.
    Shared(ServerUrl),
}

impl StoreUrl {
    /// Reads a URL of one of the forms.
    ///
    /// # Errors
    /// What a URL must look like. The text is not repeated: it may hold a password.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "memory:" {
            return Ok(Self::Memory);
        }
        if let Some(url) = ServerUrl::parse(text) {
            return url.map(Self::Shared);
        }
        match text.strip_prefix("sqlite:") {
            None => Err(format!(
                "must be memory: or sqlite:PATH (as sqlite:wxsign.db) or, for several machines, \
                 one of {FORMS}"
            )),
            Some("") => Err("names no file: write sqlite:PATH, as sqlite:wxsign.db".to_owned()),
            Some(path) if path.starts_with("//") => Err(
                "must have the path right behind \"sqlite:\", without \"//\": \
                 sqlite:wxsign.db or sqlite:/var/lib/wxsign/wxsign.db"
                    .to_owned(),
            ),
            Some(path) => Ok(Self::Sqlite(path.into())),
        }
    }
}

impl Default for StoreUrl {
    fn default() -> Self {
        Self::Sqlite("wxsign.db".into())
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory:"),
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Shared(url) => url.fmt(f),
        }
    }
}

impl Serialize for StoreUrl {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}
