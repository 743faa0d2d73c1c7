//! Faults by rule: which calls go wrong, how often, and in what way.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::answer::{Answer, Letterhead, Refusal};
use super::app::seconds;
use super::{Effect, Reply};
use crate::account::AppId;

/// Which calls go wrong, and how. The first rule that fits a call strikes it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// The path that it is for; all when absent.
    #[serde(default)]
    pub path: Option<String>,
    /// The account that it is for; all when absent.
    #[serde(default)]
    pub appid: Option<AppId>,
    /// So many calls that fit are let through first.
    #[serde(default)]
    pub skip: u64,
    /// After striking so many calls it is used up; never when absent.
    #[serde(default)]
    pub count: Option<u64>,
    /// How likely it strikes, from 0 to 1.
    #[serde(default = "always")]
    pub probability: f64,
    /// Whether WeChat carries the call out although the answer is spoilt. When absent: yes for
    /// faults on the way back, no for refusals; see [`Fault`].
    #[serde(default)]
    pub carried_out: Option<bool>,
    /// What goes wrong.
    pub fault: Fault,
}

impl FaultRule {
    /// A rule that strikes every call.
    pub const fn new(fault: Fault) -> Self {
        Self {
            path: None,
            appid: None,
            skip: 0,
            count: None,
            probability: always(),
            carried_out: None,
            fault,
        }
    }

    /// The rule for one path only.
    #[must_use]
    pub fn on(self, path: &str) -> Self {
        Self {
            path: Some(path.to_owned()),
            ..self
        }
    }

    /// The rule for so many calls only.
    #[must_use]
    pub fn times(self, count: u64) -> Self {
        Self {
            count: Some(count),
            ..self
        }
    }

    fn fits(&self, path: &str, appid: Option<&AppId>) -> bool {
        self.path.as_deref().is_none_or(|wanted| wanted == path)
            && (self.appid.is_none() || self.appid.as_ref() == appid)
    }
}

const fn always() -> f64 {
    1.0
}

/// What goes wrong with a call.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Refused with this errcode and WeChat's text for it.
    Errcode(i64),
    /// This HTTP status and body.
    Status {
        /// The status.
        status: u16,
        /// The body.
        #[serde(default)]
        body: String,
    },
    /// A proxy's HTML page with status 502.
    BadGateway,
    /// Status 200 and this body.
    Body(String),
    /// No connection at all.
    Unreachable,
    /// Carried out; status 200 and nothing else.
    EmptyBody,
    /// Carried out; half of the JSON, as if that were all.
    TruncatedJson,
    /// Carried out; the connection ends in the middle of the answer.
    CutOff,
    /// Carried out; the connection ends before the answer.
    Reset,
    /// Carried out; no answer.
    Hang,
    /// Carried out; the answer comes so much later, in seconds.
    Delay(#[serde(with = "seconds")] Duration),
    /// Carried out; this JSON text in place of `expires_in`, the empty text leaves it out.
    ExpiresIn(String),
}

impl Fault {
    const fn spoils_the_answer_only(&self) -> bool {
        !matches!(
            self,
            Self::Errcode(_)
                | Self::Status { .. }
                | Self::BadGateway
                | Self::Body(_)
                | Self::Unreachable
        )
    }

    /// Its name in the ledger.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Errcode(_) => "errcode",
            Self::Status { .. } => "status",
            Self::BadGateway => "bad_gateway",
            Self::Body(_) => "body",
            Self::Unreachable => "unreachable",
            Self::EmptyBody => "empty_body",
            Self::TruncatedJson => "truncated_json",
            Self::CutOff => "cut_off",
            Self::Reset => "reset",
            Self::Hang => "hang",
            Self::Delay(_) => "delay",
            Self::ExpiresIn(_) => "expires_in",
        }
    }

    /// The spoilt answer.
    pub(super) fn reply(
        &self,
        outcome: &Result<Answer, Refusal>,
        letterhead: &Letterhead<'_>,
    ) -> Reply {
        let body = letterhead.body(outcome, None);
        let json = |body: String| Reply::json(&letterhead.knobs.content_type, body);
        let without_answer = |effect| Reply {
            effect,
            ..json(String::new())
        };
        match self {
            Self::Errcode(errcode) => json(letterhead.body(&Err(Refusal(*errcode)), None)),
            Self::Status { status, body } => Reply::html(*status, body),
            Self::BadGateway => Reply::html(502, BAD_GATEWAY),
            Self::Body(body) => json(body.clone()),
            Self::Unreachable => without_answer(Effect::Unreachable),
            Self::EmptyBody => json(String::new()),
            Self::TruncatedJson => {
                let mut reply = json(body);
                reply.body.truncate(reply.body.len() / 2);
                reply
            }
            Self::CutOff => Reply {
                effect: Effect::CutOff {
                    after: body.len() / 2,
                },
                ..json(body)
            },
            Self::Reset => without_answer(Effect::Reset),
            Self::Hang => without_answer(Effect::Hang),
            Self::Delay(delay) => Reply {
                delay: *delay,
                ..json(body)
            },
            Self::ExpiresIn(text) => json(letterhead.body(outcome, Some(text))),
        }
    }
}

const BAD_GATEWAY: &str = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n\
    <body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx</center>\r\n\
    </body>\r\n</html>\r\n";

/// The rules in force.
#[derive(Default)]
pub(super) struct Faults(Vec<Active>);

struct Active {
    rule: FaultRule,
    fitted: u64,
    struck: u64,
}

/// A fault that strikes a call.
pub(super) struct Strike {
    pub(super) fault: Fault,
    pub(super) carried_out: bool,
}

impl Faults {
    pub(super) fn inject(&mut self, rule: FaultRule) {
        self.0.push(Active {
            rule,
            fitted: 0,
            struck: 0,
        });
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn rules(&self) -> Vec<FaultRule> {
        self.0.iter().map(|active| active.rule.clone()).collect()
    }

    /// The fault that strikes this call, if one does; `coin` is a number from 0 to 1.
    pub(super) fn strike(
        &mut self,
        path: &str,
        appid: Option<&AppId>,
        coin: f64,
    ) -> Option<Strike> {
        let position = self.0.iter_mut().position(|active| {
            let fits = active.rule.fits(path, appid);
            active.fitted += u64::from(fits);
            fits && active.fitted > active.rule.skip && coin < active.rule.probability
        })?;
        let active = &mut self.0[position];
        active.struck += 1;
        let rule = active.rule.clone();
        if rule.count.is_some_and(|count| active.struck >= count) {
            self.0.remove(position);
        }
        Some(Strike {
            carried_out: rule
                .carried_out
                .unwrap_or_else(|| rule.fault.spoils_the_answer_only()),
            fault: rule.fault,
        })
    }
}
