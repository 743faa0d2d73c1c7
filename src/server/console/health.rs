//! How an account fares, for a human who looks at it for a moment.

use std::time::Duration;

use super::spark::Spark;
use super::words::{Lang, in_china};
use crate::app::App;
use crate::clock::{Moment, Timestamp};
use crate::credential::Kind;
use crate::keeper::{Kept, Served, Snapshot, Trouble};
use crate::upstream::{Class, FOREIGN_FETCHER, address_in};

/// How an account fares; the worst is the smallest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) enum Health {
    /// Its pages cannot be signed.
    Down,
    /// They can, but will not be for long unless a human does something.
    NeedsHelp,
    /// They can, but nothing is renewed: the token has ended, or should have been replaced long ago.
    Late,
    /// Something failed, and is tried again by itself; or another program is in the way.
    Shaky,
    /// It has just been put here.
    Starting,
    /// A credential is about to be renewed.
    Renewing,
    /// All is well.
    Healthy,
}

/// What is due within so long is about to be renewed, and what was due so long ago is late.
const SOON: Duration = Duration::from_secs(120);

impl Health {
    pub(super) const ALL: [Self; 7] = [
        Self::Down,
        Self::NeedsHelp,
        Self::Late,
        Self::Shaky,
        Self::Starting,
        Self::Renewing,
        Self::Healthy,
    ];

    pub(super) fn of(snapshot: &Snapshot, now: Moment) -> Self {
        let signs = snapshot.signer(now).is_some();
        let had_a_ticket = snapshot.last(Kind::JsapiTicket).is_some();
        // A store that is away is no trouble of the account, yet its credentials end.
        let token = Token::of(snapshot, now);
        match snapshot.trouble() {
            Some(_) if !signs => Self::Down,
            None if !signs && (had_a_ticket || token != Token::AsItShould) => Self::Down,
            None if !signs => Self::Starting,
            Some(trouble) if needs_a_human(trouble.class) => Self::NeedsHelp,
            _ if token == Token::Ended => Self::Late,
            Some(_) => Self::Shaky,
            None if token == Token::Late => Self::Late,
            None if snapshot.is_robbed() => Self::Shaky,
            None if is_renewing(snapshot, now) => Self::Renewing,
            None => Self::Healthy,
        }
    }

    /// Its colour, by the name of a class.
    pub(super) const fn tone(self) -> &'static str {
        match self {
            Self::Down | Self::NeedsHelp | Self::Late => "bad",
            Self::Shaky => "note",
            Self::Starting | Self::Renewing => "busy",
            Self::Healthy => "ok",
        }
    }

    pub(super) const fn words(self, lang: Lang) -> &'static str {
        match self {
            Self::Down => lang.t("无法签名", "Cannot sign"),
            Self::NeedsHelp => lang.t("需要处理，暂可签名", "Needs you, still signing"),
            Self::Late => lang.t("续期停滞，暂可签名", "Not renewed, still signing"),
            Self::Shaky => lang.t("有故障，仍可签名", "In trouble, still signing"),
            Self::Starting => lang.t("正在获取凭证", "Fetching credentials"),
            Self::Renewing => lang.t("即将续期", "Renewing soon"),
            Self::Healthy => lang.t("正常", "Healthy"),
        }
    }
}

/// How the token is that was held last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Token {
    /// It is good, or there never was one.
    AsItShould,
    /// It is good, but should have been replaced before.
    Late,
    /// It is good no more.
    Ended,
}

impl Token {
    fn of(snapshot: &Snapshot, now: Moment) -> Self {
        match snapshot.last(Kind::AccessToken) {
            None => Self::AsItShould,
            Some(token) if token.until.left(now).is_zero() => Self::Ended,
            Some(token) if token.renew_at + SOON < now.wall => Self::Late,
            Some(_) => Self::AsItShould,
        }
    }
}

/// Nothing but a human mends what WeChat says of an AppSecret, an address or a quota.
const fn needs_a_human(class: Class) -> bool {
    matches!(class, Class::Credentials | Class::Address | Class::Quota)
}

fn is_renewing(snapshot: &Snapshot, now: Moment) -> bool {
    let token = snapshot.token(now);
    let is_due = token.is_some_and(|token| token.renew_at <= now.wall + SOON);
    is_due || snapshot.lease(Kind::AccessToken, now).is_some()
}

/// What is wrong with the process itself, so that all accounts suffer.
pub(super) fn troubles(app: &App, lang: Lang) -> Vec<String> {
    let store = app.store.tally().failing().map(|error| match lang {
        Lang::Zh => format!(
            "存储出错，续期可能因此停下；手上的凭证在到期前继续可用。请检查存储是否在运行：{error}"
        ),
        Lang::En => format!(
            "The store is in trouble, which may keep credentials from being renewed; those at hand are good to their ends. See that it runs: {error}"
        ),
    });
    let stuck = lang.t(
        "续期队列卡住了：请查看日志，并重启这个进程。",
        "The queue that renews is stuck: see the log of this process, and restart it.",
    );
    let stuck = (!app.keeper.is_alive()).then(|| stuck.to_owned());
    store.into_iter().chain(stuck).collect()
}

/// An account as a card shows it.
pub(super) struct Card {
    pub(super) appid: String,
    pub(super) name: Option<String>,
    pub(super) tone: &'static str,
    pub(super) state: &'static str,
    pub(super) bars: Vec<Bar>,
    /// When the next renewal is.
    pub(super) next: Option<String>,
    /// Which node fetches now, or fetched last.
    pub(super) holder: Option<String>,
    pub(super) fetches_now: bool,
    /// The signatures that this node made.
    pub(super) spark: Spark,
    /// There may be other nodes.
    pub(super) is_shared: bool,
    pub(super) help: Option<Help>,
    /// There is something to be tried again.
    pub(super) can_try_again: bool,
}

impl Card {
    pub(super) fn of(app: &App, kept: &Kept, lang: Lang) -> Self {
        let (snapshot, now) = (kept.snapshot(), app.keeper.clock().moment());
        let health = Health::of(&snapshot, now);
        let mut kinds = kept.account.kinds();
        let bars = (kinds.clone())
            .filter_map(|kind| Bar::of(kind, snapshot.last(kind), now, lang))
            .collect();
        let lease = kinds.find_map(|kind| snapshot.lease(kind, now));
        let last = snapshot.last(Kind::AccessToken);
        let last = last.and_then(|token| token.renewed_by.as_deref().cloned());
        let trouble = snapshot.trouble();
        let renew_at = snapshot.token(now).map(|token| token.renew_at);
        Self {
            appid: kept.account.appid.to_string(),
            name: kept.account.name.clone(),
            tone: health.tone(),
            state: health.words(lang),
            bars,
            next: match trouble {
                Some(_) => None,
                None if health == Health::Late => None,
                None => renew_at.map(|at| lang.in_time(at, now.wall)),
            },
            spark: Spark::of(&app.rates.of(&kept.account.appid)),
            is_shared: !app.store.is_embedded(),
            fetches_now: lease.is_some(),
            holder: lease.map(|lease| lease.holder.clone()).or(last),
            help: match snapshot.troubled() {
                Some((kind, trouble)) => Some(Help::of(kind, trouble, now.wall, lang)),
                None => snapshot
                    .is_robbed()
                    .then(|| Help::of_robbery(&snapshot, lang)),
            },
            can_try_again: trouble.is_some_and(Trouble::can_be_tried_again),
        }
    }
}

/// How much of its life a credential has left.
pub(super) struct Bar {
    pub(super) kind: &'static str,
    /// Of 100: a fresh one is full.
    pub(super) filled: u64,
    /// Its colour, by the name of a class: `fresh`, `due` for renewal, or `over`.
    pub(super) phase: &'static str,
    /// How much is left when it is renewed, of 100; a ticket is asked for often, and mostly the
    /// same.
    pub(super) renewed_at: Option<u64>,
    /// How long it is good.
    pub(super) left: String,
    pub(super) age: String,
    pub(super) fingerprint: String,
    pub(super) generation: u64,
    pub(super) first_seen: String,
    pub(super) expires_at: String,
    pub(super) renews: String,
}

impl Bar {
    fn of(kind: Kind, served: Option<&Served>, now: Moment, lang: Lang) -> Option<Self> {
        let served = served?;
        let (credential, left) = (&served.credential, served.until.left(now));
        let age = now.wall.since(credential.first_seen);
        let life = (age + left).as_secs().max(1);
        let part = |time: Duration| (time.as_secs() * 100 / life).min(100);
        let renewed_after = served.renew_at.since(credential.first_seen);
        let is_renewed = kind == Kind::AccessToken && !left.is_zero();
        Some(Self {
            kind: kind.as_str(),
            filled: part(left),
            phase: match left.is_zero() {
                true => "over",
                false if is_renewed && served.renew_at <= now.wall + SOON => "due",
                false => "fresh",
            },
            renewed_at: is_renewed.then(|| 100 - part(renewed_after)),
            left: match (left.is_zero(), lang) {
                (true, _) => lang.t("已过期", "expired").to_owned(),
                (false, Lang::Zh) => format!("剩余 {}", lang.lasting(left)),
                (false, Lang::En) => format!("{} left", lang.lasting(left)),
            },
            age: lang.lasting(age),
            fingerprint: credential.value.fingerprint().to_string(),
            generation: credential.generation,
            first_seen: in_china(credential.first_seen),
            expires_at: in_china(now.wall + left),
            renews: lang.in_time(served.renew_at, now.wall),
        })
    }
}

/// What went wrong, and what to do about it.
pub(super) struct Help {
    pub(super) what: String,
    pub(super) why: String,
    pub(super) remedy: String,
    pub(super) link: &'static str,
    pub(super) errcode: Option<i64>,
    pub(super) errmsg: Option<String>,
    /// When WeChat rejected tokens that should have lived on.
    pub(super) evidence: Option<String>,
    /// The address that WeChat wants on its white list.
    pub(super) address: Option<String>,
    /// It is WeCom that wants it there.
    pub(super) is_wecoms: bool,
    pub(super) failed: Option<String>,
    pub(super) next_try: Option<String>,
}

impl Help {
    fn of(kind: Kind, trouble: &Trouble, now: Timestamp, lang: Lang) -> Self {
        let explanation = trouble.explanation;
        let what = lang.sentence(&explanation.what);
        let address = match trouble.class {
            Class::Address => trouble.errmsg.as_deref().and_then(address_in),
            _ => None,
        };
        Self {
            what: match kind {
                Kind::AccessToken | Kind::JsapiTicket => what,
                Kind::CardTicket | Kind::AgentTicket => format!("{kind}: {what}"),
            },
            why: lang.sentence(&explanation.why),
            remedy: lang.words(trouble.remedy()),
            link: explanation.link,
            errcode: trouble.errcode,
            errmsg: trouble.errmsg.clone(),
            evidence: None,
            address: address.map(|address| address.to_string()),
            is_wecoms: explanation.is_wecoms(),
            failed: Some(match lang {
                Lang::Zh => format!("{}失败", lang.ago(trouble.failed_at, now)),
                Lang::En => format!("failed {}", lang.ago(trouble.failed_at, now)),
            }),
            next_try: Some(match lang {
                Lang::Zh => format!("{}自动重试", lang.in_time(trouble.next_at, now)),
                Lang::En => format!("next try {}", lang.in_time(trouble.next_at, now)),
            }),
        }
    }

    fn of_robbery(snapshot: &Snapshot, lang: Lang) -> Self {
        let times: Vec<_> = snapshot
            .died_young()
            .iter()
            .map(|at| in_china(*at))
            .collect();
        Self {
            what: lang.sentence(&FOREIGN_FETCHER.what),
            why: lang.sentence(&FOREIGN_FETCHER.why),
            remedy: lang.text(&FOREIGN_FETCHER.remedy).to_owned(),
            link: FOREIGN_FETCHER.link,
            errcode: None,
            errmsg: None,
            evidence: Some(times.join(lang.t("、", ", "))),
            address: None,
            is_wecoms: false,
            failed: None,
            next_try: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment {
        wall: Timestamp::from_secs(1_700_000_000),
        boot: Duration::from_secs(100_000),
    };

    /// An account that has held a credential of each of these kinds, which lives for 7200 s and is
    /// due for renewal after 6000 s.
    fn held(kinds: &[Kind]) -> Snapshot {
        let (life, due) = (Duration::from_secs(7200), Duration::from_secs(6000));
        let mut snapshot = Snapshot::default();
        for kind in kinds {
            snapshot.hold(*kind, life, due, NOW);
        }
        snapshot
    }

    fn after(seconds: u64) -> Moment {
        let since = Duration::from_secs(seconds);
        Moment {
            wall: NOW.wall + since,
            boot: NOW.boot + since,
        }
    }

    #[test]
    fn an_account_whose_renewals_have_stopped_is_not_healthy() {
        let both = held(&[Kind::AccessToken, Kind::JsapiTicket]);
        for (seconds, health) in [
            (0, Health::Healthy),
            (5900, Health::Renewing),
            (6120, Health::Renewing),
            (6121, Health::Late),
            (7199, Health::Late),
            (7200, Health::Down),
        ] {
            assert_eq!(Health::of(&both, after(seconds)), health, "{seconds}");
        }
        assert_eq!(Health::Late.tone(), "bad");
    }

    #[test]
    fn an_account_is_only_starting_until_it_has_held_something() {
        assert_eq!(Health::of(&Snapshot::default(), NOW), Health::Starting);
        // The ticket comes after the token.
        let token = held(&[Kind::AccessToken]);
        assert_eq!(Health::of(&token, NOW), Health::Starting);
        assert_eq!(Health::of(&token, after(7200)), Health::Down);
        let ticket = held(&[Kind::JsapiTicket]);
        assert_eq!(Health::of(&ticket, after(7200)), Health::Down);
    }
}
