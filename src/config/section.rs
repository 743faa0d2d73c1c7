//! One table of the configuration with its layers: the file, over it the environment, over that
//! the flags.
//!
//! The keys that are asked for are the keys that are known: a section that is closed reports
//! all others.

use std::collections::BTreeMap;

use serde::Serialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::file::File;
use super::report::{Found, Report, Source};
use crate::nearest::nearest;

/// What the variables of the environment begin with; the rest is the key in capitals.
pub(super) const PREFIX: &str = "WXSIGN_";

/// The variables that are known, without [`PREFIX`].
pub(super) const VARIABLES: [&str; 24] = [
    "ADMIN_LISTEN",
    "APPID",
    "CLIENT_KEY",
    "CLIENT_KEY_FILE",
    "CONFIG",
    "CONSOLE_PASSWORD_FILE",
    "LISTEN",
    "LOG",
    "LOG_FORMAT",
    "MASTER_KEY",
    "MASTER_KEY_FILE",
    "PAGE_HOSTS",
    "SECRET",
    "SECRET_FILE",
    "SOLO",
    "STORE",
    "STORE_PASSWORD",
    "STORE_PASSWORD_FILE",
    "TLS_CERTIFICATE",
    "TLS_KEY",
    "TOKEN_API",
    "UPSTREAM",
    "WECOM_UPSTREAM",
    "WX_CARD",
];

/// The keys of the top: written below a heading they become keys of that table, TOML's most
/// frequent surprise.
const TOP_KEYS: [&str; 15] = [
    "admin_listen",
    "listen",
    "log",
    "log_format",
    "master_key",
    "master_key_file",
    "solo",
    "store",
    "store_password",
    "store_password_file",
    "tls_certificate",
    "tls_key",
    "trusted_proxies",
    "upstream",
    "wecom_upstream",
];

/// The environment: names and values.
pub(super) type Variables = BTreeMap<String, String>;

/// The variable for `key`. One without a value counts as not set: compose files pass on what is
/// missing as "".
pub(super) fn variable(env: &Variables, key: &str) -> Option<Found<String>> {
    let name = key.to_uppercase();
    if !VARIABLES.contains(&name.as_str()) {
        return None;
    }
    let name = format!("{PREFIX}{name}");
    let value = env.get(&name)?.trim().to_owned();
    (!value.is_empty()).then_some(Found {
        value,
        source: Source::Variable(name),
    })
}

/// A table, its layers, and what was asked of it so far.
pub(super) struct Section<'a> {
    /// How the table is headed in the file, with a space behind it; empty for the top.
    heading: &'static str,
    /// What the paths of its settings begin with.
    pub(super) path: String,
    /// Where the table stands.
    pub(super) place: Source,
    pub(super) layers: Layers<'a>,
    asked: Vec<&'static str>,
}

/// Where a section looks, from the lowest to the highest.
#[derive(Clone, Copy)]
pub(super) struct Layers<'a> {
    pub(super) file: &'a File,
    pub(super) table: Option<&'a DeTable<'a>>,
    pub(super) env: Option<&'a Variables>,
    pub(super) flags: &'a [(&'static str, Option<&'a str>)],
}

impl<'a> Section<'a> {
    pub(super) const fn new(heading: &'static str, place: Source, layers: Layers<'a>) -> Self {
        Self {
            heading,
            path: String::new(),
            place,
            layers,
            asked: Vec::new(),
        }
    }

    /// Lays the environment over the table.
    pub(super) const fn overlay(&mut self, env: &'a Variables) {
        self.layers.env = Some(env);
    }

    /// A key with the heading of its table, for messages.
    pub(super) fn name(&self, key: &str) -> String {
        format!("{}{key}", self.heading)
    }

    /// Where a missing key is to be given.
    pub(super) fn place_of(&self, key: &str) -> String {
        match self.layers.table {
            Some(_) => self.name(key),
            None => format!("{PREFIX}{}", key.to_uppercase()),
        }
    }

    /// The text of `key` in the file; it does not make the key known.
    pub(super) fn peek(&self, key: &str) -> Option<&'a str> {
        self.layers.table?.get(key)?.get_ref().as_str()
    }

    fn entry(&mut self, key: &'static str) -> Option<(&'a Spanned<DeValue<'a>>, Source)> {
        self.asked.push(key);
        let value = self.layers.table?.get(key)?;
        Some((value, self.layers.file.at(value.span().start)))
    }

    pub(super) fn text_in_file(
        &mut self,
        key: &'static str,
        report: &mut Report,
    ) -> Option<Found<String>> {
        let (value, source) = self.entry(key)?;
        match value.get_ref().as_str() {
            Some(text) => Some(Found {
                value: text.to_owned(),
                source,
            }),
            None => {
                self.wrong_type(key, value, &source, "a text in quotes", report);
                None
            }
        }
    }

    fn wrong_type(
        &self,
        key: &str,
        value: &Spanned<DeValue<'_>>,
        source: &Source,
        wanted: &str,
        report: &mut Report,
    ) {
        let (name, found) = (self.name(key), value.get_ref().type_str());
        report.fault(
            source,
            format!("{name} must be {wanted}, but is of the type {found}"),
        );
    }

    /// The text of `key` from the highest layer that has it.
    pub(super) fn text(&mut self, key: &'static str, report: &mut Report) -> Option<Found<String>> {
        let in_file = self.text_in_file(key, report);
        let in_env = self.layers.env.and_then(|env| variable(env, key));
        let flag = self
            .layers
            .flags
            .iter()
            .find_map(|(flag, value)| match value {
                Some(value) if flag.trim_start_matches('-') == key => Some(Found {
                    value: (*value).to_owned(),
                    source: Source::Flag(flag),
                }),
                _ => None,
            });
        flag.or(in_env).or(in_file)
    }

    /// The value of `key`, read by `parse`; `default` where it is given nowhere or is at fault.
    pub(super) fn value<T: Serialize>(
        &mut self,
        key: &'static str,
        default: T,
        parse: impl Fn(&str) -> Result<T, String>,
        report: &mut Report,
    ) -> T {
        let Some(found) = self.text(key, report) else {
            report.setting(self.key_path(key), &default, &Source::Default);
            return default;
        };
        match parse(&found.value) {
            Ok(value) => {
                report.setting(self.key_path(key), &value, &found.source);
                value
            }
            Err(why) => {
                report.fault(&found.source, format!("{} {why}", self.name(key)));
                default
            }
        }
    }

    /// Whether something is so: `true` or `false`, in quotes only where there is but text;
    /// `default` where it is not said.
    pub(super) fn truth(&mut self, key: &'static str, default: bool, report: &mut Report) -> bool {
        let in_file = self.entry(key).map(|(value, source)| Found {
            value: value.get_ref().as_bool(),
            source,
        });
        let in_env = self.layers.env.and_then(|env| variable(env, key));
        let in_env = in_env.map(|found| Found {
            value: found.value.parse().ok(),
            source: found.source,
        });
        let found = in_env.or(in_file).unwrap_or(Found {
            value: Some(default),
            source: Source::Default,
        });
        match found.value {
            Some(truth) => report.setting(self.key_path(key), truth, &found.source),
            None => report.fault(
                &found.source,
                format!("{} must be true or false", self.name(key)),
            ),
        }
        found.value.unwrap_or(default)
    }

    /// A whole number from 0 up; only the file holds such.
    pub(super) fn number(&mut self, key: &'static str, default: u32, report: &mut Report) -> u32 {
        let Some((value, source)) = self.entry(key) else {
            report.setting(self.key_path(key), default, &Source::Default);
            return default;
        };
        let number = value
            .get_ref()
            .as_integer()
            .and_then(|integer| u32::from_str_radix(integer.as_str(), integer.radix()).ok());
        match number {
            Some(number) => report.setting(self.key_path(key), number, &source),
            None => report.fault(
                &source,
                format!(
                    "{} must be a whole number from 0 to {}",
                    self.name(key),
                    u32::MAX
                ),
            ),
        }
        number.unwrap_or(default)
    }

    /// The texts of a list, each with its line; a variable holds them with commas between.
    pub(super) fn list(
        &mut self,
        key: &'static str,
        report: &mut Report,
    ) -> Option<Found<Vec<Found<String>>>> {
        let in_file = self.list_in_file(key, report);
        let in_env = self
            .layers
            .env
            .and_then(|env| variable(env, key))
            .map(|found| Found {
                value: (found.value.split(',').map(str::trim))
                    .filter(|item| !item.is_empty())
                    .map(|item| Found {
                        value: item.to_owned(),
                        source: found.source.clone(),
                    })
                    .collect(),
                source: found.source,
            });
        let Some(list) = in_env.or(in_file) else {
            report.setting(self.key_path(key), [(); 0], &Source::Default);
            return None;
        };
        let texts: Vec<_> = list.value.iter().map(|item| &item.value).collect();
        report.setting(self.key_path(key), texts, &list.source);
        Some(list)
    }

    /// The texts of a list in the file, or a text alone.
    pub(super) fn one_or_list(
        &mut self,
        key: &'static str,
        report: &mut Report,
    ) -> Vec<Found<String>> {
        let table = self.layers.table;
        if table.is_some_and(|table| table.get(key).is_some_and(|value| value.get_ref().is_str())) {
            return self.text_in_file(key, report).into_iter().collect();
        }
        let list = self.list_in_file(key, report);
        list.map(|list| list.value).unwrap_or_default()
    }

    fn list_in_file(
        &mut self,
        key: &'static str,
        report: &mut Report,
    ) -> Option<Found<Vec<Found<String>>>> {
        const WANTED: &str = "a list of texts, as [\"a\", \"b\"]";
        let (value, source) = self.entry(key)?;
        let Some(items) = value.get_ref().as_array() else {
            self.wrong_type(key, value, &source, WANTED, report);
            return None;
        };
        let mut list = Vec::new();
        for item in items.iter() {
            let source = self.layers.file.at(item.span().start);
            match item.get_ref().as_str() {
                Some(text) => list.push(Found {
                    value: text.to_owned(),
                    source,
                }),
                None => self.wrong_type(key, item, &source, WANTED, report),
            }
        }
        Some(Found {
            value: list,
            source,
        })
    }

    /// A key with the path of its section, for settings.
    pub(super) fn key_path(&self, key: &str) -> String {
        format!("{}{key}", self.path)
    }

    /// The table `[key]` below the top.
    pub(super) fn table(
        &mut self,
        key: &'static str,
        heading: &'static str,
        report: &mut Report,
    ) -> Self {
        let mut layers = Layers {
            table: None,
            env: None,
            flags: &[],
            ..self.layers
        };
        let mut place = Source::Default;
        if let Some((value, source)) = self.entry(key) {
            layers.table = value.get_ref().as_table();
            if layers.table.is_none() {
                self.wrong_type(key, value, &source, "a table, headed by its name", report);
            }
            place = source;
        }
        let mut section = Section::new(heading, place, layers);
        section.path = format!("{key}.");
        section
    }

    /// The tables `[[key]]` below the top.
    pub(super) fn tables(
        &mut self,
        key: &'static str,
        heading: &'static str,
        report: &mut Report,
    ) -> Vec<Self> {
        let Some((value, source)) = self.entry(key) else {
            return Vec::new();
        };
        let mut sections = Vec::new();
        let items = value.get_ref().as_array();
        for item in items.into_iter().flat_map(|items| items.iter()) {
            let Some(table) = item.get_ref().as_table() else {
                continue;
            };
            let layers = Layers {
                table: Some(table),
                env: None,
                flags: &[],
                ..self.layers
            };
            let place = self.layers.file.at(item.span().start);
            sections.push(Section::new(heading, place, layers));
        }
        if items.is_none_or(|items| items.len() != sections.len()) {
            let wanted = format!("a list of tables, each headed [[{key}]]");
            self.wrong_type(key, value, &source, &wanted, report);
        }
        sections
    }

    /// The texts of a table whose keys are free.
    pub(super) fn free_texts(&mut self, report: &mut Report) -> Vec<(String, Found<String>)> {
        let mut texts = Vec::new();
        for (key, value) in self.layers.table.into_iter().flat_map(DeTable::iter) {
            let (key, source) = (
                key.get_ref().as_ref(),
                self.layers.file.at(key.span().start),
            );
            match value.get_ref().as_str() {
                Some(text) => {
                    let value = text.to_owned();
                    texts.push((key.to_owned(), Found { value, source }));
                }
                None => self.wrong_type(key, value, &source, "a text in quotes", report),
            }
        }
        texts
    }

    /// Reports the keys that nobody asked for.
    pub(super) fn close(self, report: &mut Report) {
        for key in self.layers.table.into_iter().flat_map(DeTable::keys) {
            let name = key.get_ref().as_ref();
            if self.asked.contains(&name) {
                continue;
            }
            let hint = if TOP_KEYS.contains(&name) {
                Some("; it belongs to the top, above the first [heading]".to_owned())
            } else {
                nearest(name, self.asked.iter().copied())
                    .map(|known| format!("; the nearest known one is {known}"))
            };
            report.fault(
                &self.layers.file.at(key.span().start),
                format!(
                    "{} is not a known key{}",
                    self.name(name),
                    hint.unwrap_or_default()
                ),
            );
        }
    }
}
