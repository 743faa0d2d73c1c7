//! The console: whether there is one, and where its password comes from.

use super::report::{Found, Report};
use super::secret::read_file;
use super::section::{Section, Variables, variable};
use crate::console;
use crate::credential::Secret;

/// The console.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConsoleSettings {
    /// `enabled`: whether there is one. Default true.
    pub enabled: bool,
    /// What the file of `password_file` holds, in place of a password that is set in the console.
    /// Default none.
    pub password: Option<Secret>,
}

impl Default for ConsoleSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            password: None,
        }
    }
}

pub(super) fn read(top: &mut Section<'_>, env: &Variables, report: &mut Report) -> ConsoleSettings {
    let mut section = top.table("console", "[console] ", report);
    let enabled = section.truth("enabled", true, report);
    let in_file = section.text("password_file", report);
    let in_env = variable(env, "console_password_file");
    let password = in_env.or(in_file);
    let password = password.and_then(|path| read_password(&section, &path, report));
    section.close(report);
    ConsoleSettings { enabled, password }
}

fn read_password(
    section: &Section<'_>,
    path: &Found<String>,
    report: &mut Report,
) -> Option<Secret> {
    let password = read_file(&path.value).and_then(|text| match console::check(&text) {
        Ok(()) => Ok(Secret::new(text)),
        Err(why) => Err(format!("names a file whose password {why}")),
    });
    match password {
        Ok(password) => {
            // No fingerprint: that of a word that people can remember would give it away.
            report.setting(section.key_path("password_file"), "••••", &path.source);
            Some(password)
        }
        Err(why) => {
            let name = section.name("password_file");
            report.fault(&path.source, format!("{name} {why}"));
            None
        }
    }
}
