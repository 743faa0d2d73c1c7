//! The back ends that may ask for credentials.

use std::collections::BTreeSet;

use super::report::{Found, Report, mask};
use super::section::{Layers, Section, Variables};
use crate::account::AppId;
use crate::client::{Accounts, Client, KeyHash, MAX_KEYS, Scope, parse_name, parse_not_after};
use crate::clock::Timestamp;

const HEADING: &str = "[[client]] ";

/// The client whose key the environment gives.
const FROM_ENV: &str = "WXSIGN_CLIENT_KEY";

/// 32 characters of base62 hold 190 bits; a key that a person thought up should at least be as
/// long.
const MIN_KEY_CHARS: usize = 32;

/// Reads `[[client]]` and the client of the environment. `known` says whether there can be such an
/// account.
pub(super) fn read(
    top: &mut Section<'_>,
    env: &Variables,
    known: &dyn Fn(&AppId) -> bool,
    report: &mut Report,
) -> Vec<Client> {
    let mut clients: Vec<Client> = Vec::new();
    for mut section in top.tables("client", HEADING, report) {
        let client = read_one(&mut section, known, report);
        let place = section.place.clone();
        section.close(report);
        let Some(client) = client else { continue };
        for other in &clients {
            let same = if other.name == client.name {
                "the name"
            } else if (other.key_sha256.iter()).any(|key| client.key_sha256.contains(key)) {
                "the key"
            } else {
                continue;
            };
            let text = format!("{HEADING}{} has {same} of another client", client.name);
            report.fault(&place, text + ": each needs its own");
        }
        clients.push(client);
    }
    clients.extend(read_from_env(top, env, report));
    clients
}

fn read_one(
    section: &mut Section<'_>,
    known: &dyn Fn(&AppId) -> bool,
    report: &mut Report,
) -> Option<Client> {
    let name = required(section, "name", report);
    if let Some(found) = &name
        && let Err(why) = parse_name(&found.value)
    {
        report.fault(&found.source, format!("{} {why}", section.name("name")));
    }
    if let Some(name) = &name {
        section.path = format!("client.{}.", name.value);
        report.setting(section.key_path("name"), &name.value, &name.source);
    }
    let key_sha256 = read_keys(section, report);
    let not_after = read_not_after(section, report);
    let accounts = read_accounts(section, known, report);
    let scopes = read_scopes(section, report);
    Some(Client {
        name: name?.value,
        key_sha256,
        not_after,
        accounts,
        scopes,
    })
}

fn read_keys(section: &mut Section<'_>, report: &mut Report) -> Vec<KeyHash> {
    let name = section.name("key_sha256");
    let faults = report.fault_count();
    let found = section.one_or_list("key_sha256", report);
    if found.is_empty() && report.fault_count() == faults {
        report.fault(&section.place, missing(&name));
    }
    let mut keys = Vec::new();
    for key in &found {
        match key.value.parse::<KeyHash>() {
            Ok(hash) if keys.contains(&hash) => {
                report.fault(&key.source, format!("{name} lists a key twice: remove one"));
            }
            Ok(hash) => keys.push(hash),
            Err(why) => report.fault(&key.source, format!("{name} {why}")),
        }
    }
    if let (Some(third), true) = (found.get(2), keys.len() > MAX_KEYS) {
        let text =
            format!("{name} lists more than two keys: the new one and the old one are enough");
        report.fault(&third.source, text);
    }
    if let Some(first) = found.first() {
        let shown: Vec<_> = keys.iter().map(|hash| mask(hash.fingerprint())).collect();
        report.setting(section.key_path("key_sha256"), shown, &first.source);
    }
    keys
}

fn read_not_after(section: &mut Section<'_>, report: &mut Report) -> Option<Timestamp> {
    let found = section.text("not_after", report)?;
    match parse_not_after(&found.value) {
        Ok(at) => {
            report.setting(section.key_path("not_after"), &found.value, &found.source);
            Some(at)
        }
        Err(why) => {
            report.fault(
                &found.source,
                format!("{} {why}", section.name("not_after")),
            );
            None
        }
    }
}

fn missing(name: &str) -> String {
    format!("{name} is missing; \"wxsign key new NAME\" prints a whole [[client]]")
}

fn required(
    section: &mut Section<'_>,
    key: &'static str,
    report: &mut Report,
) -> Option<Found<String>> {
    let faults = report.fault_count();
    let found = section.text(key, report);
    if found.is_none() && report.fault_count() == faults {
        report.fault(&section.place, missing(&section.name(key)));
    }
    found
}

fn read_accounts(
    section: &mut Section<'_>,
    known: &dyn Fn(&AppId) -> bool,
    report: &mut Report,
) -> Accounts {
    let mut listed = BTreeSet::new();
    let mut all = false;
    for item in non_empty_list(section, "accounts", "AppIDs, or \"*\" for all", report) {
        match item.value.parse::<AppId>() {
            _ if item.value == "*" => all = true,
            Ok(appid) if known(&appid) => {
                listed.insert(appid);
            }
            Ok(appid) => report.fault(
                &item.source,
                format!(
                    "{} names {appid}, which is not configured: add its [[account]], or take it \
                     out here",
                    section.name("accounts")
                ),
            ),
            Err(why) => report.fault(&item.source, format!("{} {why}", section.name("accounts"))),
        }
    }
    if all {
        Accounts::All
    } else {
        Accounts::Listed(listed)
    }
}

fn read_scopes(section: &mut Section<'_>, report: &mut Report) -> BTreeSet<Scope> {
    let usual = Scope::USUAL.map(Scope::as_str).join(", ");
    let mut scopes = BTreeSet::new();
    for item in non_empty_list(section, "scopes", &format!("as {usual}"), report) {
        match item.value.parse() {
            Ok(scope) => {
                scopes.insert(scope);
            }
            Err(why) => {
                report.fault(&item.source, format!("{} {why}", section.name("scopes")));
            }
        }
    }
    scopes
}

fn non_empty_list(
    section: &mut Section<'_>,
    key: &'static str,
    what: &str,
    report: &mut Report,
) -> Vec<Found<String>> {
    let faults = report.fault_count();
    let list = section.list(key, report);
    if list.as_ref().is_none_or(|list| list.value.is_empty()) && report.fault_count() == faults {
        let source = list.as_ref().map_or(&section.place, |list| &list.source);
        let text = format!("{} lists nothing: name {what}", section.name(key));
        report.fault(source, text);
    }
    list.map(|list| list.value).unwrap_or_default()
}

fn read_from_env(top: &Section<'_>, env: &Variables, report: &mut Report) -> Option<Client> {
    let layers = Layers {
        table: None,
        env: Some(env),
        flags: &[],
        ..top.layers
    };
    let mut section = Section::new("", top.place.clone(), layers);
    let key = section.secret("client_key", "client_key_file", report)?;
    if key.value.expose().len() < MIN_KEY_CHARS {
        let text = format!(
            "the key has fewer than {MIN_KEY_CHARS} characters: take one that \
             \"wxsign key new NAME\" makes"
        );
        report.fault(&key.source, text);
    }
    Some(Client {
        name: FROM_ENV.to_owned(),
        key_sha256: vec![KeyHash::of(key.value.expose())],
        not_after: None,
        accounts: Accounts::All,
        scopes: Scope::USUAL.into(),
    })
}
