//! The way to WeChat, and its clock.

use std::sync::Arc;
use std::time::Duration;

use super::{Finding, Outcome, STEP_WITHIN, Step};
use crate::account::TokenApi;
use crate::app::App;
use crate::keeper::Kept;
use crate::upstream::Reached;

/// A clock that is off by more makes a credential seem younger or older than it is.
const MAX_SKEW: Duration = Duration::from_secs(30);

/// The way to WeChat and the way to WeCom, as far as the accounts need them.
pub(super) async fn examine(app: &App) -> Vec<Finding> {
    let accounts = app.keeper.accounts();
    let is_wecoms = |kept: &Arc<Kept>| kept.account.token_api == TokenApi::WeCom;
    let some_wecoms = accounts.iter().any(is_wecoms);
    let all_wecoms = some_wecoms && accounts.iter().all(is_wecoms);
    drop(accounts);
    let mut findings = Vec::new();
    if !all_wecoms {
        findings.extend(examine_one(app, TokenApi::Classic).await);
    }
    if some_wecoms {
        findings.extend(examine_one(app, TokenApi::WeCom).await);
    }
    findings
}

async fn examine_one(app: &App, token_api: TokenApi) -> Vec<Finding> {
    let (host, port) = app.wechat.host(token_api);
    let looked_up = tokio::net::lookup_host((host.trim_matches(['[', ']']), port));
    let looked_up = tokio::time::timeout(STEP_WITHIN, looked_up);
    let reached = app.wechat.reach(token_api, app.keeper.clock());
    let (looked_up, reached) = tokio::join!(looked_up, reached);
    let looked_up = looked_up.unwrap_or_else(|late| Err(late.into()));
    let addresses = looked_up.map(|found| {
        let found: Vec<String> = found.take(3).map(|at| at.ip().to_string()).collect();
        found.join(", ")
    });
    let reached = match reached {
        Ok(reached) => reached,
        Err(error) => return vec![Finding::failed(Step::Network, &error)],
    };
    let took = reached.took.as_millis();
    let network = match addresses {
        Ok(addresses) => Finding::new(
            Step::Network,
            Outcome::Good,
            format!("{host} 的 IP 是 {addresses}，{took} 毫秒后有回答"),
            format!("{host} is {addresses} and answered after {took} ms"),
        ),
        // A proxy did it.
        Err(why) => Finding::new(
            Step::Network,
            Outcome::Note,
            format!("本机查不到 {host} 的 IP，但经代理可以连接，{took} 毫秒后有回答"),
            format!(
                "this machine cannot look {host} up, but a proxy can: it answered after {took} ms"
            ),
        )
        .said(why.to_string()),
    };
    vec![network, clock(&reached)]
}

fn clock(reached: &Reached) -> Finding {
    let Some(theirs) = reached.date else {
        return Finding::new(
            Step::Clock,
            Outcome::Note,
            "回答里没有时间，无法与微信的时钟比较",
            "the answer had no date to compare the clock with",
        );
    };
    let ahead = reached.at.since(theirs);
    let behind = theirs.since(reached.at);
    let off = ahead.max(behind);
    if off <= MAX_SKEW {
        return Finding::new(
            Step::Clock,
            Outcome::Good,
            format!("与微信的时钟相差不到 {} 秒", off.as_secs() + 1),
            format!("less than {} s off WeChat's", off.as_secs() + 1),
        );
    }
    let (zh, en) = if ahead > behind {
        ("快", "fast")
    } else {
        ("慢", "slow")
    };
    let off = off.as_secs();
    let mut finding = Finding::new(
        Step::Clock,
        Outcome::Warning,
        format!("本机时钟{zh}了 {off} 秒"),
        format!("this machine's clock is {off} s {en}"),
    );
    finding.why = Some(super::words(
        "凭证的到期时间和签名的 timestamp 都按本机时钟计算",
        "the ends of credentials and the timestamps of signatures are counted by it",
    ));
    finding.remedy(
        "打开时间同步：timedatectl set-ntp true，或安装 chrony",
        "have the system set it: timedatectl set-ntp true, or install chrony",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    #[test]
    fn a_clock_may_be_off_by_half_a_minute() {
        let now = 1_700_000_000;
        for (theirs, outcome, said) in [
            (now, Outcome::Good, "less than 1 s"),
            (now - 30, Outcome::Good, "less than 31 s"),
            (now - 31, Outcome::Warning, "31 s fast"),
            (now + 3600, Outcome::Warning, "3600 s slow"),
        ] {
            let finding = clock(&Reached {
                at: Timestamp::from_secs(now),
                date: Some(Timestamp::from_secs(theirs)),
                took: Duration::ZERO,
            });
            assert_eq!(finding.outcome, outcome, "{theirs}");
            assert!(finding.what.en.contains(said), "{finding:?}");
        }
    }
}
