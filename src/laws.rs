//! What holds for every input of a parser, whoever invents it.
//!
//! Each law takes an input and panics if it is broken by it. Inputs are invented by the property
//! tests beside the parsers, a few with every run of the tests, and by the fuzzers of
//! `tests/fuzz`, millions of them. Those of requests are in [`crate::server::laws`], those of
//! what is stored in [`crate::store::laws`].

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::str::FromStr;

#[cfg(test)]
use proptest::prelude::{Strategy, prop_oneof};
#[cfg(test)]
use proptest::{collection::vec, sample::select};

use crate::account::{AppId, TokenApi};
use crate::client::{KeyHash, Scope, parse_name, parse_not_after};
use crate::config::{Config, Flags, StoreUrl};
use crate::credential::{Fingerprint, Secret};
use crate::debugger::Pasted;
use crate::page_hosts::PageHosts;
use crate::page_url::{MAX_URL_BYTES, PageUrl};
use crate::store::ServerUrl;
use crate::upstream::{Api, Failure, Issued, UpstreamError, answer};
use crate::vault::{MasterKey, Vault};

/// A secret that the invented inputs do not hold by chance.
pub const CANARY: &str = "Hunter2-c4n4ry-Hunter2-c4n4ry-Hunter2";

/// What stands for [`CANARY`] in an invented text.
pub const CANARY_HERE: char = '~';

/// Another parser's word on the host and the port of a URL; `None` where it has none.
pub type SecondOpinion = fn(&str) -> Option<(String, u16)>;

/// What is signed is what was given up to its first `#`, and every other parser sees the same
/// host in it.
pub fn page_url(text: &str, others: &[SecondOpinion]) {
    let Ok(url) = PageUrl::parse(text) else {
        return;
    };
    let signed = url.as_str();
    let rest = text.strip_prefix(signed).expect("a prefix is signed");
    assert!(rest.is_empty() || rest.starts_with('#'), "{text:?}");
    assert!(text.len() <= MAX_URL_BYTES && !signed.is_empty());
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\' && byte != b'#';
    assert!(signed.bytes().all(plain), "{signed:?}");
    let (scheme, behind) = signed.split_once("://").expect("there is a scheme");
    assert!(matches!(scheme, "http" | "https"), "{signed:?}");
    let behind = behind.strip_prefix(url.host()).expect("a host");
    let ends = behind.is_empty() || behind.starts_with([':', '/', '?']);
    assert!(ends, "{signed:?}");
    assert!(!url.host().contains(|c: char| c.is_ascii_uppercase()));
    for other in others {
        if let Some((host, port)) = other(signed) {
            assert_eq!(
                (host.as_str(), port),
                (url.host(), url.port()),
                "{signed:?}"
            );
        }
    }
}

/// A page is allowed where an entry of the list, read the simplest way, says so; and the list
/// reads back as it was written.
pub fn page_hosts(list: &str, page: &str) {
    let Ok(hosts) = list.parse::<PageHosts>() else {
        return;
    };
    let again = hosts.patterns().join(",").parse::<PageHosts>();
    let again = again.expect("it reads its own writing");
    assert_eq!(again.patterns(), hosts.patterns());
    let Ok(url) = PageUrl::parse(page) else {
        return;
    };
    let default = if url.as_str().starts_with("https") {
        443
    } else {
        80
    };
    let allowed = list.split(',').map(str::trim).any(|entry| {
        let entry = entry.to_ascii_lowercase();
        // A colon inside of brackets is one of an IPv6 address.
        let (entry, port) = match entry.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port.parse().ok()),
            _ => (entry.as_str(), Some(default)),
        };
        entry == "*"
            || port == Some(url.port())
                && match entry.strip_prefix('*') {
                    Some(parent) => !parent.is_empty() && url.host().ends_with(parent),
                    None => entry == url.host(),
                }
    });
    assert_eq!(hosts.allow(&url), allowed, "{list:?} {page:?}");
}

/// What reads as a name is written as it was read.
pub fn names(text: &str) {
    fn keeps<T: FromStr + ToString>(text: &str) {
        if let Ok(read) = text.parse::<T>() {
            assert_eq!(read.to_string(), text);
        }
    }
    keeps::<AppId>(text);
    if let Ok(api) = text.parse::<TokenApi>() {
        assert_eq!(api.as_str(), text);
    }
    if let Ok(scope) = text.parse::<Scope>() {
        assert_eq!(scope.as_str(), text);
    }
    if let Ok(hash) = text.parse::<KeyHash>() {
        assert_eq!(hash.to_string(), text.to_ascii_lowercase());
    }
    if let Ok(name) = parse_name(text) {
        assert_eq!(name, text);
        assert!(!name.contains(['/', '%', '?', '#']) && !name.starts_with('.'));
    }
    if let Ok(name) = crate::account::parse_name(text) {
        assert!(!name.is_empty() && !name.contains(char::is_control));
    }
    if let Ok(fingerprint) = serde_json::from_value::<Fingerprint>(text.into()) {
        let written = fingerprint.to_string();
        assert_eq!(written.len(), 16);
        assert!(written.ends_with(&text.to_ascii_lowercase()[text.len().saturating_sub(1)..]));
    }
    // Years of four digits and of more.
    let _ = parse_not_after(text);
}

/// A credential is taken only from an answer that holds it, with a life that can be; of a refusal
/// no more is kept than can be shown.
pub fn upstream_answer(status: u16, body: &[u8]) {
    let issued = [
        ("access_token", answer::token(Api::Token, status, body)),
        ("ticket", answer::ticket(Api::GetTicket, status, body)),
    ];
    for (name, issued) in issued {
        match issued {
            Ok(issued) => is_in_answer(name, &issued, body),
            Err(error) => can_be_shown(&error, body),
        }
    }
    if let Err(error) = answer::probe(Api::GetApiDomainIp, status, body) {
        can_be_shown(&error, body);
    }
}

fn is_in_answer(name: &str, issued: &Issued, body: &[u8]) {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let value: serde_json::Value = serde_json::from_slice(body).expect("it was read once");
    let text = issued.value.expose();
    assert_eq!(value[name], text);
    assert!((1..=answer::MAX_VALUE_BYTES).contains(&text.len()));
    assert!(text.bytes().all(|byte| byte.is_ascii_graphic()));
    assert!((1..=answer::MAX_LIFETIME.as_secs()).contains(&issued.lifetime.as_secs()));
    let errcode = answer::errcode_of(body);
    assert!(matches!(errcode, None | Some(0)), "{errcode:?}");
}

fn can_be_shown(error: &UpstreamError, body: &[u8]) {
    let Failure::Refused { errcode, errmsg } = &error.failure else {
        return;
    };
    assert_eq!(answer::errcode_of(body), Some(*errcode));
    assert_ne!(*errcode, 0);
    assert!(errmsg.chars().count() <= answer::MAX_ERRMSG_CHARS);
    assert!(!errmsg.contains(char::is_control), "{errmsg:?}");
    let in_secret = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let longest = errmsg.split(|c| !in_secret(c)).map(str::len).max();
    assert!(longest < Some(32), "{errmsg:?}");
}

/// What is sealed is opened by the same key under the same name, and nothing else is.
pub fn sealed(key: &str, name: &str, bytes: &[u8]) {
    let Ok(master) = key.parse::<MasterKey>() else {
        return;
    };
    assert!(!format!("{master:?}").contains(key));
    let vault = Vault::new(&master);
    assert!(
        vault.open_bytes(name, bytes).is_err(),
        "it was never sealed"
    );
    let sealed = vault.seal_bytes(name, bytes);
    let opened = vault.open_bytes(name, &sealed);
    assert_eq!(opened.as_deref(), Ok(bytes));
    assert!(vault.open_bytes(&format!("{name}."), &sealed).is_err());
    let mut changed = sealed;
    let at = bytes.len() % changed.len();
    changed[at] ^= 1;
    assert!(vault.open_bytes(name, &changed).is_err());
}

/// Neither what is wrong with the URL of a store nor the URL as it is shown holds the password;
/// as it is shown, it reads back as it was meant.
pub fn store_url(text: &str) {
    let text = text.replace(CANARY_HERE, CANARY);
    match StoreUrl::parse(&text) {
        Err(why) => assert!(!why.contains(CANARY), "{why}"),
        Ok(StoreUrl::Shared(url)) => {
            let shown = [url.to_string(), format!("{url:?}")];
            let password = url.password.as_ref().map(Secret::expose);
            // Where it stands elsewhere too, it is no secret.
            let elsewhere = text.matches(CANARY).count() > 1;
            if password.is_some_and(|password| password.contains(CANARY)) && !elsewhere {
                assert!(
                    shown.iter().all(|shown| !shown.contains(CANARY)),
                    "{shown:?}"
                );
            }
            let Ok(StoreUrl::Shared(again)) = StoreUrl::parse(&shown[0]) else {
                panic!("it reads its own writing: {shown:?}");
            };
            let places = |url: &ServerUrl| (url.endpoints.clone(), url.engine.clone(), url.tls);
            assert_eq!(places(&again), places(&url));
            let names = |url: &ServerUrl| {
                let database = url.database.clone().unwrap_or_default();
                (
                    url.user.clone(),
                    database,
                    url.prefix.clone(),
                    url.ca_file.clone(),
                )
            };
            assert_eq!(names(&again), names(&url));
        }
        Ok(url) => assert_eq!(url.to_string(), text),
    }
}

/// No message about a configuration and no setting holds the AppSecret in it, whatever else the
/// file and the environment hold.
///
/// `path` is where the file is put to be read.
pub fn configuration(path: &std::path::Path, text: &str, variables: &str) {
    let text = text.replace(CANARY_HERE, CANARY);
    // What is no secret may be shown: more of it than what stands alone behind a secret's key.
    let is_secret = |line: &str| {
        let keys = ["secret", "master_key", "store_password"];
        let value = |key: &str| match line.strip_prefix(key) {
            Some(rest) => rest.strip_prefix(" = \"")?.strip_suffix('"'),
            None => line.strip_prefix(&key.to_uppercase())?.strip_prefix('='),
        };
        keys.into_iter().any(|key| value(key) == Some(CANARY))
    };
    let lines = text.lines().chain(variables.lines());
    let mut shown = lines.filter(|line| !is_secret(line));
    if shown.any(|line| line.contains(CANARY)) || text.contains("\"\"\"") || text.contains("'''") {
        return;
    }
    if std::fs::write(path, &text).is_err() {
        return;
    }
    let variables = variables.lines().filter_map(|line| line.split_once('='));
    let variables = variables.map(|(name, value)| (format!("WXSIGN_{name}"), value.to_owned()));
    // None of them names a file.
    let env: BTreeMap<_, _> = variables
        .filter(|(name, _)| !name.ends_with("_FILE") && name != "WXSIGN_CONFIG")
        .chain([("WXSIGN_CLIENT_KEY".to_owned(), CANARY.to_owned())])
        .collect();
    let flags = Flags::default();
    let said: &dyn Debug = match &Config::load(Some(path), &env, &flags) {
        Ok(loaded) => &loaded.clone(),
        Err(faults) => &faults.clone(),
    };
    let said = format!("{said:?}");
    assert!(
        !said.contains(CANARY) || text.contains("verify_files"),
        "{said}"
    );
}

/// A fault is somewhere in the text, and flat JSON means what it means to others.
pub fn pasted_config(text: &str) {
    let json = serde_json::from_str::<BTreeMap<String, serde_json::Value>>(text);
    let json = json.ok().filter(|json| {
        let is_flat = |value: &serde_json::Value| !value.is_object() && !value.is_array();
        text.len() < 4096 && json.values().all(is_flat)
    });
    let expected = json.as_ref().and_then(|json| json.get("appId")?.as_str());
    match Pasted::read(text) {
        // With a name twice, the last one counts in both.
        Ok(pasted) => assert!(expected.is_none_or(|appid| appid == pasted.app_id())),
        Err(fault) => {
            assert!(expected.is_none(), "{fault}");
            assert!(fault.line <= text.matches('\n').count() + 1);
            assert!(fault.column <= text.chars().count() + 1);
            assert!(!fault.english().is_empty() && !fault.chinese().is_empty());
        }
    }
}

/// Texts that are made of these pieces and, here and there, of anything.
#[cfg(test)]
pub(crate) fn made_of(pieces: &'static [&'static str]) -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        8 => select(pieces).prop_map(str::to_owned),
        1 => ".{0,4}",
    ];
    vec(piece, 0..16).prop_map(|pieces| pieces.concat())
}

/// Objects of JSON with some of these members, in any order, and now and then something else.
#[cfg(test)]
pub(crate) fn object_of(members: &'static [&'static str]) -> impl Strategy<Value = String> {
    let member = prop_oneof![
        19 => select(members).prop_map(str::to_owned),
        1 => ".{0,4}",
    ];
    vec(member, 0..=members.len()).prop_map(|members| format!("{{{}}}", members.join(",")))
}
