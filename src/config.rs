//! The configuration: read from a file, the environment and flags, and checked as a whole.
//!
//! Every fault is found at once, each with its place, and what to do about it. No message, no
//! `Debug` and no [`Setting`] shows a secret. All paths are relative to the working directory.
//!
//! ```toml
#![doc = include_str!("config/example.toml")]
//! ```
//!
//! A later source overrides an earlier one: defaults, file, environment, flags. One account needs
//! no file; a variable without a value counts as not set:
//!
//! | variable | key |
//! |---|---|
//! | `WXSIGN_APPID` | `appid`; overrides the fields of that account in the file, or adds it |
//! | `WXSIGN_SECRET`, `WXSIGN_SECRET_FILE` | `secret`, `secret_file` |
//! | `WXSIGN_PAGE_HOSTS` | `page_hosts`, with commas between |
//! | `WXSIGN_TOKEN_API` | `token_api` |
//! | `WXSIGN_WX_CARD` | `wx_card` |
//! | `WXSIGN_MASTER_KEY`, `WXSIGN_MASTER_KEY_FILE` | `master_key`, `master_key_file` |
//! | `WXSIGN_CLIENT_KEY`, `WXSIGN_CLIENT_KEY_FILE` | a client of that name, with this key of at least 32 characters, for all accounts and every scope but `proxy` and `admin` |
//! | `WXSIGN_CONSOLE_PASSWORD_FILE` | `password_file` of `[console]` |
//! | `WXSIGN_STORE_PASSWORD`, `WXSIGN_STORE_PASSWORD_FILE` | `store_password`, `store_password_file` |
//! | `WXSIGN_LISTEN`, `WXSIGN_ADMIN_LISTEN`, `WXSIGN_TLS_CERTIFICATE`, `WXSIGN_TLS_KEY`, `WXSIGN_STORE`, `WXSIGN_SOLO`, `WXSIGN_UPSTREAM`, `WXSIGN_WECOM_UPSTREAM`, `WXSIGN_LOG`, `WXSIGN_LOG_FORMAT` | the key of that name |
//! | `WXSIGN_CONFIG` | the file; without it `wxsign.toml`, if there is one |

mod accounts;
mod client;
mod console;
mod file;
mod history;
mod limits;
mod listen;
mod report;
mod secret;
mod section;
mod store_url;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use ipnet::IpNet;

pub use console::ConsoleSettings;
pub use history::Retention;
pub use limits::Limits;
pub use listen::{Listen, TlsFiles, parse_address};
pub use report::{Faults, Finding, Setting, Source};
pub use secret::{parse_secret, read_secret_file};
pub use store_url::StoreUrl;

use crate::account::{Account, AppId};
use crate::client::Client;
use crate::nearest::nearest;
use crate::page_url::PageUrl;
use crate::telemetry::{self, LogFormat};
use crate::vault::MasterKey;
use file::File;
use report::Report;
use section::{Layers, PREFIX, Section, VARIABLES, Variables};

/// Where the server listens unless told otherwise: this machine alone reaches it.
pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// WeChat's API
/// (<https://developers.weixin.qq.com/doc/offiaccount/Basic_Information/Interface_field_description.html>).
pub const DEFAULT_UPSTREAM: &str = "https://api.weixin.qq.com";

/// WeCom's API (<https://developer.work.weixin.qq.com/document/path/90664>).
pub const DEFAULT_WECOM_UPSTREAM: &str = "https://qyapi.weixin.qq.com";

/// Everything that a server needs to know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// `listen`: where the server listens. Default 127.0.0.1:8080.
    pub listen: Listen,
    /// `admin_listen`: where back ends and operators are served; pages then find nothing but
    /// theirs at `listen`. Default: all of it is at `listen`.
    pub admin_listen: Option<Listen>,
    /// `tls_certificate` and `tls_key`: what TCP connections are encrypted with. Default nothing,
    /// and they are not.
    pub tls: Option<TlsFiles>,
    /// `store`: where credentials are kept. Default `sqlite:wxsign.db`.
    pub store: StoreUrl,
    /// `solo`: whether this process, and no other that shares the store, may fetch a classic token
    /// while the store is lost and the old one is about to end. Default false.
    pub solo: bool,
    /// `upstream`: the base URL of WeChat's API, without a slash at its end. Default
    /// [`DEFAULT_UPSTREAM`].
    pub upstream: String,
    /// Where the demo page finds vConsole's script; `wxsign demo` alone has it.
    pub vconsole: Option<String>,
    /// `wecom_upstream`: the same of WeCom's API. Default [`DEFAULT_WECOM_UPSTREAM`].
    pub wecom_upstream: String,
    /// `trusted_proxies`: the addresses whose `X-Forwarded-For` is believed. Default none.
    pub trusted_proxies: Vec<IpNet>,
    /// `master_key`: what the AppSecrets of accounts that are added at run time are sealed with.
    /// Default none, and then none can be added.
    pub master_key: Option<MasterKey>,
    /// `[[account]]`: the official accounts; without a master key at least one.
    pub accounts: Vec<Account>,
    /// `[[client]]`: the back ends that may ask for credentials. Default none.
    pub clients: Vec<Client>,
    /// `[verify_files]`: `MP_verify_….txt` and its content, as WeChat's console gives them out
    /// to prove a domain. Default none.
    pub verify_files: BTreeMap<String, String>,
    /// `[limits]`: how much one caller may ask for.
    pub limits: Limits,
    /// `[console]`: the pages for operators.
    pub console: ConsoleSettings,
    /// `[history]`: how much is kept of what happened.
    pub history: Retention,
    /// `log`: a filter such as `info` or `info,wxsign=debug`
    /// (<https://docs.rs/tracing-subscriber/latest/tracing_subscriber/filter/targets/struct.Targets.html>).
    /// Default [`telemetry::DEFAULT_FILTER`].
    pub log: String,
    /// `log_format`: `text` or `json`. Default `text`.
    pub log_format: LogFormat,
}

/// The values that the command line gave, each already of the right form.
#[derive(Clone, Default, Debug)]
pub struct Flags {
    /// `--listen`
    pub listen: Option<String>,
    /// `--store`
    pub store: Option<String>,
    /// What is to be done needs no account in the configuration.
    pub accounts_optional: bool,
}

/// A configuration and what is to be said about it.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// The file that was read, if any.
    pub file: Option<String>,
    /// What is odd, but no fault.
    pub warnings: Vec<Finding>,
    /// Every value with its source, secrets masked.
    pub settings: Vec<Setting>,
}

impl Config {
    /// The defaults, for `accounts`.
    pub fn with_accounts(accounts: Vec<Account>) -> Self {
        Self {
            listen: DEFAULT_LISTEN.into(),
            admin_listen: None,
            tls: None,
            store: StoreUrl::default(),
            solo: false,
            upstream: DEFAULT_UPSTREAM.to_owned(),
            vconsole: None,
            wecom_upstream: DEFAULT_WECOM_UPSTREAM.to_owned(),
            trusted_proxies: Vec::new(),
            master_key: None,
            accounts,
            clients: Vec::new(),
            verify_files: BTreeMap::new(),
            limits: Limits::default(),
            console: ConsoleSettings::default(),
            history: Retention::default(),
            log: telemetry::DEFAULT_FILTER.to_owned(),
            log_format: LogFormat::default(),
        }
    }

    /// Reads the configuration. `file` is what `--config` names; `env` may hold any variables,
    /// those that begin with `WXSIGN_` are read.
    ///
    /// # Errors
    /// Every fault of the file, the environment and the flags.
    pub fn load(
        file: Option<&Path>,
        env: &BTreeMap<String, String>,
        flags: &Flags,
    ) -> Result<Loaded, Faults> {
        let file = File::open(file, env)?;
        let table = file.parse()?;
        let mut report = Report::default();
        warn_of_unknown_variables(env, &mut report);
        let accounts_optional = flags.accounts_optional;
        let flags = [
            ("--listen", flags.listen.as_deref()),
            ("--store", flags.store.as_deref()),
        ];
        let layers = Layers {
            file: &file,
            table: Some(table.get_ref()),
            env: Some(env),
            flags: &flags,
        };
        let top = Section::new("", Source::Default, layers);
        let config = read(top, env, accounts_optional, &mut report);
        let (warnings, settings) = report.close()?;
        Ok(Loaded {
            config,
            file: file.path().map(str::to_owned),
            warnings,
            settings,
        })
    }
}

/// The log filter and format of servers that take no configuration: defaults, overridden by
/// `WXSIGN_LOG` and `WXSIGN_LOG_FORMAT`.
///
/// # Errors
/// When a variable holds neither.
pub fn logging(env: &BTreeMap<String, String>) -> Result<(String, LogFormat), Faults> {
    let file = File::absent();
    let layers = Layers {
        file: &file,
        table: None,
        env: Some(env),
        flags: &[],
    };
    let mut report = Report::default();
    let logging = read_logging(&mut Section::new("", Source::Default, layers), &mut report);
    report.close().map(|_| logging)
}

fn read(
    mut top: Section<'_>,
    env: &Variables,
    accounts_optional: bool,
    report: &mut Report,
) -> Config {
    let listen = top.value("listen", DEFAULT_LISTEN.into(), Listen::parse, report);
    let parse_admin = |text: &str| Listen::parse(text).map(Some);
    let admin_listen = top.value("admin_listen", None, parse_admin, report);
    if admin_listen.as_ref() == Some(&listen) && !listen.takes_any_port() {
        let what = "is the same as listen: leave it out, and all is served there";
        report.fault_of("admin_listen", what);
    }
    let tls = listen::read_tls(&mut top, report);
    if tls.is_some()
        && [Some(&listen), admin_listen.as_ref()]
            .into_iter()
            .flatten()
            .all(Listen::is_unix)
    {
        let what = "has no effect: sockets in the file system are not encrypted, and it listens \
                    nowhere else; leave it and tls_key out, or listen on an IP address";
        report.warn_of("tls_certificate", what);
    }
    let store = read_store(&mut top, report);
    let solo = top.truth("solo", false, report);
    if solo && !matches!(store, StoreUrl::Shared(_)) {
        let what = "has no effect: a store that no other process shares is not waited for anyway";
        report.warn_of("solo", what);
    }
    let upstream = read_upstream(&mut top, "upstream", DEFAULT_UPSTREAM, report);
    let wecom_upstream = read_upstream(&mut top, "wecom_upstream", DEFAULT_WECOM_UPSTREAM, report);
    let (log, log_format) = read_logging(&mut top, report);
    let trusted_proxies = read_trusted_proxies(&mut top, report);
    let limits = limits::read(&mut top, report);
    let console = console::read(&mut top, env, report);
    let history = history::read(&mut top, report);
    let verify_files = read_verify_files(&mut top, report);
    let faults = report.fault_count();
    let master_key = read_master_key(&mut top, report);
    let some_key = master_key.is_some() || report.fault_count() > faults;
    let accounts = accounts::read(&mut top, env, accounts_optional || some_key, report);
    // With a master key, any account can come at run time.
    let known = |appid: &AppId| some_key || accounts.contains_key(appid);
    let clients = client::read(&mut top, env, &known, report);
    top.close(report);
    Config {
        listen,
        admin_listen,
        tls,
        store,
        solo,
        upstream,
        vconsole: None,
        wecom_upstream,
        trusted_proxies,
        master_key,
        accounts: accounts.into_values().collect(),
        clients,
        verify_files,
        limits,
        console,
        history,
        log,
        log_format,
    }
}

fn read_store(top: &mut Section<'_>, report: &mut Report) -> StoreUrl {
    let mut store = top.value("store", StoreUrl::default(), StoreUrl::parse, report);
    if let Some(password) = top.secret("store_password", "store_password_file", report) {
        match &mut store {
            StoreUrl::Shared(url) if url.password.is_none() => url.password = Some(password.value),
            StoreUrl::Shared(_) => report.fault(
                &password.source,
                "the password of the store is given here and in its URL: remove one, so that it \
                 is clear which holds"
                    .to_owned(),
            ),
            _ => report.warn(
                &password.source,
                "is not used: the store is no server that wants a password".to_owned(),
            ),
        }
    }
    store
}

fn read_logging(top: &mut Section<'_>, report: &mut Report) -> (String, LogFormat) {
    let default = telemetry::DEFAULT_FILTER.to_owned();
    let parse_filter = |text: &str| {
        telemetry::parse_filter(text)
            .map(|_| text.to_owned())
            .map_err(|fault| fault.to_string())
    };
    (
        top.value("log", default, parse_filter, report),
        top.value("log_format", LogFormat::default(), LogFormat::parse, report),
    )
}

fn read_master_key(top: &mut Section<'_>, report: &mut Report) -> Option<MasterKey> {
    let found = top.secret("master_key", "master_key_file", report)?;
    match found.value.expose().parse() {
        Ok(key) => Some(key),
        Err(why) => {
            report.fault(&found.source, format!("{} {why}", top.name("master_key")));
            None
        }
    }
}

fn read_trusted_proxies(top: &mut Section<'_>, report: &mut Report) -> Vec<IpNet> {
    let list = top.list("trusted_proxies", report);
    let mut nets = Vec::new();
    for item in list.into_iter().flat_map(|list| list.value) {
        let text = &item.value;
        match text
            .parse()
            .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        {
            Ok(net) => nets.push(net),
            Err(_) => report.fault(
                &item.source,
                format!(
                    "trusted_proxies lists {text:?}, which is no network: write an IP address \
                     or a range of them, as 10.0.0.0/8"
                ),
            ),
        }
    }
    nets
}

/// The name holds the content
/// (<https://developers.weixin.qq.com/doc/offiaccount/OA_Web_Apps/JS-SDK.html>, step 1, and what
/// the console hands out). WeCom's files are named `WW_verify_`
/// (<https://developer.work.weixin.qq.com/document/path/90514>).
fn read_verify_files(top: &mut Section<'_>, report: &mut Report) -> BTreeMap<String, String> {
    let mut section = top.table("verify_files", "[verify_files] ", report);
    let mut files = BTreeMap::new();
    for (name, content) in section.free_texts(report) {
        let code = name
            .strip_prefix("MP_verify_")
            .or_else(|| name.strip_prefix("WW_verify_"))
            .and_then(|rest| rest.strip_suffix(".txt"))
            .filter(|code| code.len() == 16 && code.bytes().all(|b| b.is_ascii_alphanumeric()));
        match code {
            None => report.fault(
                &content.source,
                format!(
                    "[verify_files] {name:?} is not a name that WeChat looks for: write \
                     \"MP_verify_\" (\"WW_verify_\" for WeCom), 16 letters or digits, \".txt\", as \
                     the console's file is named"
                ),
            ),
            Some(code) if content.value.trim() != code => report.warn(
                &content.source,
                format!(
                    "[verify_files] {name:?} does not hold the 16 characters of its name, as \
                     WeChat's files do: compare it with the file from the console"
                ),
            ),
            Some(_) => {}
        }
        report.setting(section.key_path(&name), &content.value, &content.source);
        files.insert(name, content.value);
    }
    files
}

fn read_upstream(
    top: &mut Section<'_>,
    key: &'static str,
    default: &str,
    report: &mut Report,
) -> String {
    let parse = |text: &str| parse_upstream(text, default);
    let upstream = top.value(key, default.to_owned(), parse, report);
    if sends_secrets_in_the_clear(&upstream) {
        let what = "is http://, so that the AppSecret and every token cross the network in the \
                    clear: use https://";
        report.warn_of(key, what);
    }
    upstream
}

fn parse_upstream(text: &str, default: &str) -> Result<String, String> {
    let base = text.strip_suffix('/').unwrap_or(text);
    match PageUrl::parse(base) {
        Ok(url) if url.is_origin() && url.as_str() == base => Ok(base.to_owned()),
        // The text is not repeated: it may hold a password.
        _ => Err(format!(
            "must be http:// or https://, a host and perhaps a port, without user or path, as \
             {default}"
        )),
    }
}

fn sends_secrets_in_the_clear(upstream: &str) -> bool {
    upstream.starts_with("http://")
        && PageUrl::parse(upstream).is_ok_and(|url| !crate::upstream::is_loopback(url.host()))
}

fn warn_of_unknown_variables(env: &Variables, report: &mut Report) {
    for name in env.keys() {
        let Some(rest) = name.strip_prefix(PREFIX) else {
            continue;
        };
        if let Some(known) = nearest(rest, VARIABLES)
            && !VARIABLES.contains(&rest)
        {
            report.warn(
                &Source::Variable(name.clone()),
                format!(
                    "this variable is not known and has no effect; the nearest known one is \
                     {PREFIX}{known}"
                ),
            );
        }
    }
}

#[cfg(test)]
mod tests;
