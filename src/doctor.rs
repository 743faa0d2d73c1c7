//! Tries what the server needs, step by step, and says of each failure what, why and how to mend
//! it.
//!
//! Nothing that is in use is taken away: an AppSecret is tried by the stable API, which gives the
//! same token to everyone who asks and supersedes no classic one; a stored token by a call that
//! changes nothing; and a ticket is the same for all who ask.

mod account;
mod store;
mod wechat;

use std::future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::account::AppId;
use crate::app::App;
use crate::keeper::Kept;
use crate::upstream::{Class, UpstreamError, Words};

pub use store::open;

/// Whoever looks at a page has his answer by then; a request may take a little longer.
const WITHIN: Duration = Duration::from_secs(25);

/// So many accounts are tried at one time.
const AT_ONCE: usize = 8;

/// The store, and the look-up of a name, are waited for so long.
const STEP_WITHIN: Duration = Duration::from_secs(10);

/// What one step found.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Finding {
    /// The step.
    pub step: Step,
    /// The account, where it is about one.
    pub appid: Option<AppId>,
    /// How it went.
    pub outcome: Outcome,
    /// What was found.
    pub what: Words,
    /// Why it is so, where that is not plain.
    pub why: Option<Words>,
    /// What to do about it, if anything.
    pub remedy: Option<Words>,
    /// WeChat's page about it.
    pub link: Option<&'static str>,
    /// The words of the one who failed, WeChat's for example.
    pub said: Option<String>,
}

/// What is tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// The configuration.
    Configuration,
    /// DNS, connection and TLS to WeChat.
    Network,
    /// The clock, against WeChat's.
    Clock,
    /// The place where records are kept.
    Store,
    /// AppID, AppSecret and this machine's address.
    AppSecret,
    /// The access_token that is stored.
    AccessToken,
    /// The jsapi_ticket.
    JsapiTicket,
    /// The ticket for cards.
    CardTicket,
    /// The ticket of a WeCom app for `wx.agentConfig`.
    AgentTicket,
    /// Whether others fetch tokens with the AppSecret.
    OtherPrograms,
    /// The hosts of the account's pages.
    PageHosts,
}

/// How a step went.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// As it should be.
    Good,
    /// Something to know or to compare by hand.
    Note,
    /// It works, but not for long or not well.
    Warning,
    /// It does not work.
    Bad,
}

impl Step {
    /// What it is called.
    pub const fn name(self) -> (&'static str, &'static str) {
        match self {
            Self::Configuration => ("配置", "configuration"),
            Self::Network => ("网络", "network"),
            Self::Clock => ("时钟", "clock"),
            Self::Store => ("存储", "store"),
            Self::AppSecret => ("AppSecret", "AppSecret"),
            Self::AccessToken => ("access_token", "access_token"),
            Self::JsapiTicket => ("jsapi_ticket", "jsapi_ticket"),
            Self::CardTicket => ("card_ticket", "card_ticket"),
            Self::AgentTicket => ("agent_ticket", "agent_ticket"),
            Self::OtherPrograms => ("其他程序", "other programs"),
            Self::PageHosts => ("网页域名", "page hosts"),
        }
    }

    /// Whether WeChat has the last word about it.
    pub const fn is_wechats(self) -> bool {
        !matches!(self, Self::Configuration | Self::Store)
    }
}

impl Finding {
    /// A finding without any advice.
    pub fn new(step: Step, outcome: Outcome, zh: impl Into<String>, en: impl Into<String>) -> Self {
        Self {
            step,
            appid: None,
            outcome,
            what: words(zh, en),
            why: None,
            remedy: None,
            link: None,
            said: None,
        }
    }

    fn of(mut self, appid: &AppId) -> Self {
        self.appid = Some(appid.clone());
        self
    }

    fn remedy(mut self, zh: impl Into<String>, en: impl Into<String>) -> Self {
        self.remedy = Some(words(zh, en));
        self
    }

    fn said(mut self, said: impl Into<String>) -> Self {
        self.said = Some(said.into());
        self
    }

    /// What was not tried to its end in time.
    fn unfinished(step: Step) -> Self {
        let seconds = WITHIN.as_secs();
        let mut finding = Self::new(
            step,
            Outcome::Warning,
            format!("{seconds} 秒内没有检查完"),
            format!("this was not done within {seconds} seconds"),
        );
        finding.why = Some(words(
            "微信回答得慢，或者账号很多",
            "WeChat is slow to answer, or there are many accounts",
        ));
        finding.remedy(
            "单独检查这个账号，或在服务器上运行 wxsign doctor：它会等到检查完为止",
            "examine this account alone, or run wxsign doctor on the server: it waits until all is done",
        )
    }

    /// What a call to WeChat that failed is about.
    fn failed(step: Step, error: &UpstreamError) -> Self {
        let passes = match error.class() {
            Class::Transient => error.errcode().is_some(),
            Class::Quota => error.errcode() != Some(45009),
            Class::TokenRejected => true,
            _ => false,
        };
        let explained = error.explanation();
        Self {
            step,
            appid: None,
            outcome: if passes {
                Outcome::Warning
            } else {
                Outcome::Bad
            },
            what: explained.what.into(),
            why: Some(explained.why.into()),
            remedy: Some(error.remedy()),
            link: Some(explained.link),
            said: Some(error.to_string()),
        }
    }
}

fn words(zh: impl Into<String>, en: impl Into<String>) -> Words {
    Words {
        zh: zh.into(),
        en: en.into(),
    }
}

/// Tries the store, WeChat, and the accounts that `app` keeps, or the one of `appid`, within 25
/// seconds: what is not done by then is a finding that says so.
pub async fn examine(app: &Arc<App>, appid: Option<&AppId>) -> Vec<Finding> {
    let enough = app.keeper.clock().sleep(WITHIN);
    let (store, wechat) = tokio::join!(examine_store(app), examine_until(app, appid, enough));
    [store].into_iter().chain(wechat).collect()
}

/// Tries the store alone.
pub async fn examine_store(app: &App) -> Finding {
    store::examine(app).await
}

/// The same as [`examine`] without the store, however long it takes.
pub async fn examine_wechat(app: &Arc<App>, appid: Option<&AppId>) -> Vec<Finding> {
    examine_until(app, appid, future::pending()).await
}

async fn examine_until(
    app: &Arc<App>,
    appid: Option<&AppId>,
    enough: impl Future<Output = ()>,
) -> Vec<Finding> {
    let mut enough = pin!(enough);
    let mut findings = tokio::select! {
        findings = wechat::examine(app) => findings,
        () = &mut enough => return vec![Finding::unfinished(Step::Network)],
    };
    if let Some(locked) = app.roster.locked() {
        let finding = Finding::new(
            Step::AppSecret,
            Outcome::Bad,
            "有账号的 AppSecret 无法解开",
            "there are accounts whose AppSecret cannot be opened",
        );
        let finding = finding.remedy(
            "设置添加它们时所用的 WXSIGN_MASTER_KEY，或删除后重新添加",
            "set the WXSIGN_MASTER_KEY that they were added with, or remove them and add them anew",
        );
        findings.push(finding.said(locked.to_string()));
    }
    if findings.iter().any(is_out_of_reach) {
        return findings;
    }
    let accounts = app.keeper.accounts();
    let asked = |kept: &&Arc<Kept>| appid.is_none_or(|appid| kept.account.appid == *appid);
    let mut kept: Vec<_> = accounts.iter().filter(asked).map(Arc::clone).collect();
    drop(accounts);
    kept.sort_unstable_by(|one, other| one.account.appid.cmp(&other.account.appid));
    findings.extend(examine_accounts(app, &kept, enough).await);
    findings
}

/// What is found about accounts, in their order, as far as it is known once `enough` is over.
async fn examine_accounts(
    app: &Arc<App>,
    kept: &[Arc<Kept>],
    mut enough: Pin<&mut impl Future<Output = ()>>,
) -> Vec<Finding> {
    let seats = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = JoinSet::new();
    for (place, kept) in kept.iter().enumerate() {
        let (app, kept, seats) = (Arc::clone(app), Arc::clone(kept), Arc::clone(&seats));
        running.spawn(async move {
            let _seat = seats.acquire().await;
            (place, account::examine(&app, &kept.account).await)
        });
    }
    let mut found = vec![None; kept.len()];
    loop {
        tokio::select! {
            ended = running.join_next() => match ended {
                Some(Ok((place, findings))) => found[place] = Some(findings),
                // It has panicked, which the log tells of.
                Some(Err(_)) => {}
                None => break,
            },
            () = &mut enough => break,
        }
    }
    let unfinished = |kept: &Kept| Finding::unfinished(Step::AppSecret).of(&kept.account.appid);
    let found = found.into_iter().zip(kept);
    found
        .flat_map(|(found, kept)| found.unwrap_or_else(|| vec![unfinished(kept)]))
        .collect()
}

/// Nothing more can be said of any account.
fn is_out_of_reach(finding: &Finding) -> bool {
    finding.step == Step::Network && finding.outcome == Outcome::Bad
}

#[cfg(test)]
mod tests;
