//! Secrets: each is given as it is, or by the name of the file that holds it.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::report::{Found, Report, mask};
use super::section::{Section, variable};
use crate::credential::Secret;

/// More than any secret has; it keeps a wrongly named device or disk image out of memory.
const MAX_SECRET_FILE_BYTES: u64 = 65_536;

impl Section<'_> {
    /// The secret that `key` holds, or the file that `file_key` names; both in one layer is a
    /// fault.
    pub(super) fn secret(
        &mut self,
        key: &'static str,
        file_key: &'static str,
        report: &mut Report,
    ) -> Option<Found<Secret>> {
        let in_file = (
            self.text_in_file(key, report),
            self.text_in_file(file_key, report),
        );
        let in_env = self
            .layers
            .env
            .map(|env| (variable(env, key), variable(env, file_key)));
        let given = match in_env {
            None | Some((None, None)) => in_file,
            Some(given) => given,
        };
        let (given_by, found, text) = match given {
            (None, None) => return None,
            (Some(_), Some(twin)) => {
                report.fault(&twin.source, self.both(key, file_key));
                return None;
            }
            (Some(plain), None) => (key, plain.clone(), Ok(plain.value)),
            (None, Some(path)) => (file_key, path.clone(), read_file(&path.value)),
        };
        match text.and_then(|text| parse_secret(&text)) {
            Ok(secret) => {
                let shown = mask(secret.fingerprint());
                report.setting(self.key_path(given_by), shown, &found.source);
                Some(Found {
                    value: secret,
                    source: found.source,
                })
            }
            Err(why) => {
                report.fault(&found.source, format!("{} {why}", self.name(given_by)));
                None
            }
        }
    }

    fn both(&self, key: &str, file_key: &str) -> String {
        let (key, file_key) = (self.name(key), self.name(file_key));
        format!("{key} and {file_key} are both given: remove one, so that it is clear which holds")
    }
}

/// Reads the file that holds a secret.
///
/// # Errors
/// It cannot be read, or holds what no secret is.
pub fn read_secret_file(path: &Path) -> Result<Secret, String> {
    let path = path.to_string_lossy();
    let secret = read_file(&path).and_then(|text| parse_secret(&text));
    secret.map_err(|why| format!("the file {why}"))
}

/// The text of a secret's file without the line break at its end.
pub(super) fn read_file(path: &str) -> Result<String, String> {
    let path = Path::new(path);
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(MAX_SECRET_FILE_BYTES).read_to_string(&mut text))
        .map_err(|why| {
            // Someone may have put the secret where the name of its file belongs; neither an
            // AppSecret nor a client key looks like an absolute path.
            let named = if path.is_absolute() {
                path.display().to_string()
            } else {
                "the path given here".to_owned()
            };
            format!(
                "cannot be read ({named}: {why}): name a file that holds the secret and that \
                 this user may read"
            )
        })?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// Takes a text for a secret.
///
/// # Errors
/// It is empty or holds what no secret does. It is not repeated.
pub fn parse_secret(text: &str) -> Result<Secret, String> {
    if text.is_empty() {
        Err("is empty: put the secret there".to_owned())
    } else if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Err("holds a blank or another character that no secret has: copy it again".to_owned())
    } else {
        Ok(Secret::new(text))
    }
}
