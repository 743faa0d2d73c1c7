//! One account.

use super::{Finding, Outcome, Step, words};
use crate::account::{Account, TokenApi};
use crate::app::App;
use crate::clock::Timestamp;
use crate::credential::{Kind, Secret};
use crate::keeper;
use crate::store::{Key, Record};
use crate::upstream::{FOREIGN_FETCHER, Issued, Upstream, UpstreamError};

pub(super) async fn examine(app: &App, account: &Account) -> Vec<Finding> {
    let now = app.keeper.clock().now();
    let tried = try_secret(app, account).await;
    let mut findings = vec![of_secret(account, &tried)];
    let key = Key {
        appid: account.appid.clone(),
        kind: Kind::AccessToken,
    };
    let mut good = tried.ok().map(|issued| issued.value);
    match app.store.load(&key).await {
        Ok((record, _)) => {
            let (finding, works) = of_stored(app, account, &record, now).await;
            findings.push(finding);
            good = works.or(good);
            findings.extend(of_others(account, &record, now));
        }
        Err(why) => findings.push(
            Finding::new(
                Step::AccessToken,
                Outcome::Bad,
                "读不出已存的 access_token",
                "what is stored of the access_token cannot be read",
            )
            .said(why.to_string()),
        ),
    }
    if let Some(token) = good {
        findings.push(of_ticket(app, account, Step::JsapiTicket, &token).await);
        let further = account.further_ticket().map(|kind| match kind {
            Kind::AgentTicket => Step::AgentTicket,
            _ => Step::CardTicket,
        });
        if let Some(further) = further {
            findings.push(of_ticket(app, account, further, &token).await);
        }
    }
    findings.push(of_hosts(account));
    let of_account = findings.into_iter().map(|found| found.of(&account.appid));
    of_account.collect()
}

/// Asks for a token that supersedes none: whoever has it gets the same one.
async fn try_secret(app: &App, account: &Account) -> Result<Issued, UpstreamError> {
    let trial = Account {
        token_api: TokenApi::on_trial(&account.appid),
        ..account.clone()
    };
    app.wechat.fetch_token(&trial).await
}

fn of_secret(account: &Account, tried: &Result<Issued, UpstreamError>) -> Finding {
    let is_wecom = account.token_api == TokenApi::WeCom;
    match tried {
        Ok(_) if is_wecom => Finding::new(
            Step::AppSecret,
            Outcome::Good,
            "企业微信接受企业ID和应用的 Secret",
            "WeCom accepts the CorpID and the Secret of the app",
        ),
        Ok(_) => Finding::new(
            Step::AppSecret,
            Outcome::Good,
            "微信接受 AppID、AppSecret 和本机的出口 IP",
            "WeChat accepts the AppID, the AppSecret and this machine's address",
        ),
        Err(error) => Finding::failed(Step::AppSecret, error),
    }
}

/// Whether WeChat issues a ticket. Whoever asks gets the same one.
async fn of_ticket(app: &App, account: &Account, step: Step, token: &Secret) -> Finding {
    let (kind, what) = match step {
        Step::CardTicket => (Kind::CardTicket, "微信给出了卡券用的 api_ticket"),
        Step::AgentTicket => (Kind::AgentTicket, "企业微信给出了应用的 jsapi_ticket"),
        _ => (Kind::JsapiTicket, "微信给出了 jsapi_ticket"),
    };
    match app.wechat.fetch_ticket(account, kind, token).await {
        Ok(_) => Finding::new(step, Outcome::Good, what, "WeChat issues it"),
        Err(error) => Finding::failed(step, &error),
    }
}

/// What WeChat thinks of the token that is stored; and that token, if it works.
async fn of_stored(
    app: &App,
    account: &Account,
    record: &Record,
    now: Timestamp,
) -> (Finding, Option<Secret>) {
    let living = record
        .credential
        .as_ref()
        .filter(|credential| credential.expires_at > now);
    let Some(credential) = living else {
        let finding = Finding::new(
            Step::AccessToken,
            Outcome::Note,
            "还没有存下有效的 access_token，服务启动后会自动获取",
            "none that lives is stored: a server that runs fetches one by itself",
        );
        return (finding, None);
    };
    match app.wechat.verify_token(account, &credential.value).await {
        Ok(()) => {
            let left = credential.expires_at.since(now).as_secs() / 60;
            let finding = Finding::new(
                Step::AccessToken,
                Outcome::Good,
                format!("微信接受已存的 access_token，还有 {left} 分钟"),
                format!("WeChat accepts the one that is stored; {left} minutes of it are left"),
            );
            (finding, Some(credential.value.clone()))
        }
        Err(error) => (Finding::failed(Step::AccessToken, &error), None),
    }
}

/// Whether tokens died that nobody here had superseded.
fn of_others(account: &Account, record: &Record, now: Timestamp) -> Option<Finding> {
    if account.token_api != TokenApi::Classic || !keeper::is_robbed(record, now) {
        return None;
    }
    let at = keeper::tokens_died_young(record, now).map(|at| {
        let at = jiff::Timestamp::from_second(at.as_secs());
        at.map(|at| at.to_string()).unwrap_or_default()
    });
    let at = at.collect::<Vec<_>>().join(", ");
    Some(Finding {
        why: Some(FOREIGN_FETCHER.why.into()),
        remedy: Some(FOREIGN_FETCHER.remedy.into()),
        link: Some(FOREIGN_FETCHER.link),
        said: Some(format!("rejected before their time: {at}")),
        ..Finding::new(
            Step::OtherPrograms,
            Outcome::Warning,
            FOREIGN_FETCHER.what.zh,
            FOREIGN_FETCHER.what.en,
        )
    })
}

fn of_hosts(account: &Account) -> Finding {
    let hosts = account.page_hosts.patterns();
    if hosts.iter().any(|host| host == "*") {
        return Finding {
            why: Some(words(
                "任何网站都可以用这个账号的名义得到签名",
                "any site gets signatures in the name of this account",
            )),
            ..Finding::new(
                Step::PageHosts,
                Outcome::Warning,
                "page_hosts 是 *，为所有域名签名",
                "page_hosts is *: pages of every host are signed",
            )
        }
        .remedy(
            "在 page_hosts 里只列出自己的域名",
            "list your own hosts there",
        );
    }
    // A parent domain that is listed stands for those below it.
    let bare: Vec<&str> = hosts
        .iter()
        .map(|host| host.trim_start_matches("*."))
        .collect();
    let bare = bare.join(", ");
    if account.token_api == TokenApi::WeCom {
        return Finding::new(
            Step::PageHosts,
            Outcome::Note,
            format!("请核对应用的「网页授权及JS-SDK > 可信域名」包含：{bare}（wxsign 查询不到）"),
            format!(
                "compare by hand: {bare} must be among the 可信域名 of the app in WeCom's console \
                 (网页授权及JS-SDK)"
            ),
        );
    }
    Finding::new(
        Step::PageHosts,
        Outcome::Note,
        format!("请核对公众平台「JS接口安全域名」包含：{bare}（微信没有可供查询的接口）"),
        format!(
            "compare by hand: {bare} must be among the JS接口安全域名 in WeChat's console, which \
             no API tells"
        ),
    )
}
