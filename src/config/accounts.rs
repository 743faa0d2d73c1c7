//! The accounts of a configuration.

use std::collections::BTreeMap;

use super::report::{Report, Source};
use super::section::{Layers, PREFIX, Section, Variables, variable};
use crate::account::{Account, AppId, InvalidTokenApi, TokenApi, parse_name};
use crate::credential::Secret;
use crate::page_hosts::PageHosts;

const HEADING: &str = "[[account]] ";

/// The variables that mean nothing without `WXSIGN_APPID`.
const OF_THE_ACCOUNT: [&str; 5] = [
    "secret",
    "secret_file",
    "page_hosts",
    "token_api",
    "wx_card",
];

/// Reads `[[account]]` and the account of the environment, which overrides the one in the file
/// with the same AppID or joins the others. None at all is a fault unless they are `optional`.
pub(super) fn read(
    top: &mut Section<'_>,
    env: &Variables,
    optional: bool,
    report: &mut Report,
) -> BTreeMap<AppId, Account> {
    let from_env = variable(env, "appid");
    let mut sections = top.tables("account", HEADING, report);
    let none_given = sections.is_empty() && from_env.is_none();
    if let Some(appid) = &from_env {
        let mut in_file = sections.iter_mut();
        match in_file.find(|section| section.peek("appid") == Some(appid.value.as_str())) {
            Some(section) => section.overlay(env),
            None => {
                let layers = Layers {
                    table: None,
                    env: Some(env),
                    flags: &[],
                    ..top.layers
                };
                sections.push(Section::new("", appid.source.clone(), layers));
            }
        }
    } else {
        for stray in OF_THE_ACCOUNT.iter().filter_map(|key| variable(env, key)) {
            report.fault(
                &stray.source,
                format!("this belongs to an account, but {PREFIX}APPID is not set: set it too"),
            );
        }
    }
    if none_given && !optional {
        report.fault(
            &Source::Default,
            format!(
                "no account is configured: set {PREFIX}APPID, {PREFIX}SECRET and \
                 {PREFIX}PAGE_HOSTS, or write an [[account]] with appid, secret_file and \
                 page_hosts into wxsign.toml; or set {PREFIX}MASTER_KEY, and add accounts at run \
                 time"
            ),
        );
    }
    let mut accounts = BTreeMap::new();
    for section in sections {
        let place = section.place.clone();
        if let Some(account) = read_one(section, report)
            && let Some(twin) = accounts.insert(account.appid.clone(), account)
        {
            let text = format!("{HEADING}{} is there twice: remove one", twin.appid);
            report.fault(&place, text);
        }
    }
    accounts
}

fn read_one(mut section: Section<'_>, report: &mut Report) -> Option<Account> {
    let appid = read_appid(&mut section, report);
    if let Some(appid) = &appid {
        section.path = format!("account.{appid}.");
    }
    let faults = report.fault_count();
    let secret = section.secret("secret", "secret_file", report);
    if secret.is_none() && report.fault_count() == faults {
        let is_wecom = appid.as_ref().is_some_and(|appid| appid.wecom().is_some());
        let where_it_is = if is_wecom {
            "WeCom's console shows the Secret of the app under 应用管理"
        } else {
            "WeChat's console shows the AppSecret under 设置与开发 > 开发接口管理"
        };
        let text = format!(
            "{} and {} are missing: give one that is not empty; {where_it_is}",
            section.place_of("secret"),
            section.place_of("secret_file"),
        );
        report.fault(&section.place, text);
    }
    let name = read_name(&mut section, report);
    let token_api = read_token_api(&mut section, appid.as_ref(), report);
    let page_hosts = read_page_hosts(&mut section, report);
    let wx_card = section.truth("wx_card", false, report);
    if wx_card && token_api == TokenApi::WeCom {
        let text = format!(
            "{} is true, but a WeCom app hands out no coupons: leave it out",
            section.name("wx_card")
        );
        report.fault(&section.place, text);
    }
    section.close(report);
    Some(Account {
        appid: appid?,
        name,
        // Without a secret there is a fault, so this account is never seen; it is there so
        // that clients may name it without a fault of their own.
        secret: secret.map_or_else(|| Secret::new(""), |found| found.value),
        token_api,
        page_hosts,
        wx_card,
    })
}

fn read_appid(section: &mut Section<'_>, report: &mut Report) -> Option<AppId> {
    let Some(found) = section.text("appid", report) else {
        let text = format!("{} is missing", section.place_of("appid"));
        report.fault(&section.place, text);
        return None;
    };
    match found.value.parse::<AppId>() {
        Ok(appid) => {
            let path = format!("account.{appid}.appid");
            report.setting(path, &appid, &found.source);
            Some(appid)
        }
        Err(why) => {
            let text = format!("{} is wrong: {why}", section.name("appid"));
            report.fault(&found.source, text);
            None
        }
    }
}

fn read_name(section: &mut Section<'_>, report: &mut Report) -> Option<String> {
    let found = section.text("name", report)?;
    match parse_name(&found.value) {
        Ok(name) => {
            report.setting(section.key_path("name"), &name, &found.source);
            Some(name)
        }
        Err(why) => {
            let text = format!("{} is wrong: {why}", section.name("name"));
            report.fault(&found.source, text);
            None
        }
    }
}

fn read_page_hosts(section: &mut Section<'_>, report: &mut Report) -> PageHosts {
    let mut hosts = PageHosts::default();
    let faults = report.fault_count();
    let list = section.list("page_hosts", report);
    let source = list
        .as_ref()
        .map_or(&section.place, |list| &list.source)
        .clone();
    for item in list.into_iter().flat_map(|list| list.value) {
        if let Err(why) = hosts.add(&item.value) {
            report.fault(
                &item.source,
                format!("{} {why}", section.name("page_hosts")),
            );
        }
    }
    if hosts.allows_all() {
        report.warn(
            &source,
            format!(
                "{} holds *, so that any site can have its pages signed in this account's \
                 name: list your own hosts",
                section.name("page_hosts")
            ),
        );
    }
    if hosts.is_empty() && report.fault_count() == faults {
        report.fault(
            &source,
            format!(
                "{} names no host: list those whose pages may be signed, such as \
                 h5.example.com or *.example.com",
                section.place_of("page_hosts")
            ),
        );
    }
    hosts
}

fn read_token_api(
    section: &mut Section<'_>,
    appid: Option<&AppId>,
    report: &mut Report,
) -> TokenApi {
    let default = appid.and_then(|appid| TokenApi::of(appid, None).ok());
    let parse = |text: &str| {
        let read = text.parse().and_then(|api| match appid {
            Some(appid) => TokenApi::of(appid, Some(api)),
            None => Ok(api),
        });
        read.map_err(|why: InvalidTokenApi| match why {
            InvalidTokenApi::OfOfficialAccounts => format!("{why}, not {text:?}"),
            InvalidTokenApi::OfWeCom => why.to_string(),
        })
    };
    section.value("token_api", default.unwrap_or_default(), parse, report)
}
