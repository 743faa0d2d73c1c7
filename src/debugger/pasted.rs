//! The parameters of `wx.config`, or of WeCom's `wx.agentConfig`, in a pasted text.

use super::fault::{Fault, ReadFault};
use super::read::{Value, read};
use crate::account::AppId;

/// What `wx.config` or `wx.agentConfig` was given.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Pasted {
    /// Of `wx.agentConfig` the CorpID.
    pub(super) app_id: String,
    /// The AgentId; there is one where it is for `wx.agentConfig`.
    pub(super) agent_id: Option<String>,
    pub(super) timestamp: String,
    pub(super) nonce_str: String,
    pub(super) signature: String,
    /// How many APIs and open tags it names, where it says.
    pub(super) named: Option<usize>,
    /// Names that it does not know, and those that it wants.
    pub(super) misspelt: Vec<(String, &'static str)>,
    /// Other texts: the address that was signed may be among them.
    pub(super) texts: Vec<String>,
}

const OF_PAGE: &[&str] = &["appId", "timestamp", "nonceStr", "signature"];

/// <https://developer.work.weixin.qq.com/document/path/94313>
const OF_AGENT: &[&str] = &["corpid", "agentid", "timestamp", "nonceStr", "signature"];

/// What an object holds.
type Pairs = Vec<(String, Value)>;

/// The most other texts that are kept, and how long they may be.
const MAX_TEXTS: usize = 8;
const MAX_TEXT_BYTES: usize = 2048;

impl Pasted {
    /// Reads a pasted text: JSON, an object literal, a whole `wx.config(…)`, or an answer that
    /// holds such an object.
    ///
    /// # Errors
    /// It cannot be read, and where.
    pub fn read(text: &str) -> Result<Self, ReadFault> {
        let value = read(text)?;
        let pairs = config_in(&value)
            .ok_or_else(|| ReadFault::at(text, 0, Fault::NoConfig))?
            .as_slice();
        let is_of_agent = is_of_agent(pairs);
        let mut pasted = Self {
            agent_id: is_of_agent.then(String::new),
            ..Self::default()
        };
        let fields = if is_of_agent { OF_AGENT } else { OF_PAGE };
        for &wanted in fields {
            let exact = pairs.iter().rev().find(|(name, _)| name == wanted);
            let alike = || pairs.iter().rev().find(|(name, _)| is_alike(name, wanted));
            let Some((name, value)) = exact.or_else(alike) else {
                continue;
            };
            let given = match value {
                Value::Text(text) | Value::Plain(text) => text.clone(),
                Value::Code(code) => {
                    let what = Fault::Variable(wanted, code.clone());
                    return Err(ReadFault::at(text, 0, what));
                }
                _ => continue,
            };
            if name != wanted {
                pasted.misspelt.push((name.clone(), wanted));
            }
            match wanted {
                "appId" | "corpid" => pasted.app_id = given,
                "agentid" => pasted.agent_id = Some(given),
                "timestamp" => pasted.timestamp = given,
                "nonceStr" => pasted.nonce_str = given,
                _ => pasted.signature = given,
            }
        }
        let lists = pairs.iter().filter_map(|(name, value)| match value {
            Value::List(list) if name == "jsApiList" || name == "openTagList" => Some(list.len()),
            _ => None,
        });
        pasted.named = lists.reduce(|a, b| a + b);
        let texts = pairs.iter().filter_map(|(name, value)| match value {
            Value::Text(text) if !fields.iter().any(|field| is_alike(name, field)) => Some(text),
            _ => None,
        });
        let short = texts.filter(|text| text.len() <= MAX_TEXT_BYTES);
        pasted.texts = short.take(MAX_TEXTS).cloned().collect();
        Ok(pasted)
    }

    /// The AppID that it names, or the CorpID.
    pub fn app_id(&self) -> &str {
        &self.app_id
    }

    /// Whether it is for `wx.agentConfig`, which is signed with the app's own ticket.
    pub const fn is_of_agent(&self) -> bool {
        self.agent_id.is_some()
    }

    /// Whether it is for this account: a `wx.config` at WeCom is for all apps of a corporation.
    /// What it leaves out may be anything.
    pub fn is_of(&self, appid: &AppId) -> bool {
        let is_named = self.app_id.is_empty() || appid.for_config() == self.app_id;
        let is_the_app = self.agent_id.as_ref().is_none_or(|agent_id| {
            let wecom = appid.wecom();
            wecom.is_some_and(|(_, named)| agent_id.is_empty() || named == agent_id)
        });
        is_named && is_the_app
    }

    /// Who it is for, as it says.
    pub(super) fn named_account(&self) -> String {
        match self.agent_id.as_deref() {
            None | Some("") => self.app_id.clone(),
            Some(agent_id) => format!("{}-{agent_id}", self.app_id),
        }
    }

    /// Whether all that is signed is there.
    pub(super) fn can_be_signed(&self) -> bool {
        let is_signed = |field: &&str| !matches!(*field, "appId" | "corpid" | "agentid");
        !self.missing().iter().any(is_signed)
    }

    /// The parameters that it wants and that are not there.
    pub(super) fn missing(&self) -> Vec<&'static str> {
        let signed = [&self.timestamp, &self.nonce_str, &self.signature];
        let given = [&self.app_id].into_iter().chain(&self.agent_id);
        let fields = if self.is_of_agent() {
            OF_AGENT
        } else {
            OF_PAGE
        };
        let is_missing = |text: &str| matches!(text.trim(), "" | "undefined" | "null");
        let fields = fields.iter().zip(given.chain(signed));
        fields
            .filter(|(_, text)| is_missing(text))
            .map(|(field, _)| *field)
            .collect()
    }
}

/// Whether an object names an app of WeCom, and no `appId`.
fn is_of_agent(pairs: &[(String, Value)]) -> bool {
    let has = |field: &str| pairs.iter().any(|(name, _)| is_alike(name, field));
    !has("appId") && (has("corpid") || has("agentid"))
}

/// Whether a name is meant to be another one.
fn is_alike(name: &str, wanted: &str) -> bool {
    let letters = name.chars().filter(|c| !matches!(c, '_' | '-'));
    letters
        .map(|c| c.to_ascii_lowercase())
        .eq(wanted.chars().map(|c| c.to_ascii_lowercase()))
}

/// The object that holds most of the parameters, itself or one within; of two alike, that of
/// `wx.config`.
fn config_in(value: &Value) -> Option<&Pairs> {
    let mut waiting = vec![value];
    let mut best: Option<((usize, bool), &Pairs)> = None;
    while let Some(value) = waiting.pop() {
        match value {
            Value::Object(pairs) => {
                let has = |field: &&str| pairs.iter().any(|(name, _)| is_alike(name, field));
                // Who it is for counts once.
                let is_of_agent = is_of_agent(pairs);
                let held = OF_PAGE.iter().filter(|field| has(field)).count();
                let held = (held + usize::from(is_of_agent), !is_of_agent);
                if held.0 > 0 && best.is_none_or(|(most, _)| held > most) {
                    best = Some((held, pairs));
                }
                waiting.extend(pairs.iter().map(|(_, value)| value));
            }
            Value::List(list) => waiting.extend(list),
            _ => {}
        }
    }
    best.map(|(_, pairs)| pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parameters_are_found_wherever_they_stand() {
        for text in [
            "wx.config({debug: true, appId: 'wx1', timestamp: 12, nonceStr: 'n', signature: 's', jsApiList: ['a', 'b']})",
            r#"{"code": 0, "data": {"appId": "wx1", "timestamp": "12", "nonceStr": "n", "signature": "s", "jsApiList": ["a", "b"]}}"#,
        ] {
            let pasted = Pasted::read(text).unwrap();
            assert_eq!(pasted.app_id, "wx1");
            assert_eq!(pasted.timestamp, "12");
            assert_eq!((&*pasted.nonce_str, &*pasted.signature), ("n", "s"));
            assert_eq!(pasted.named, Some(2));
            assert!(pasted.misspelt.is_empty() && pasted.missing().is_empty());
        }
    }

    #[test]
    fn what_names_a_corporation_and_an_app_is_for_agent_config() {
        let agent = r#""corpid": "ww1", "agentid": 1000002, "timestamp": 12, "nonceStr": "n",
            "signature": "s""#;
        for text in [
            format!("wx.agentConfig({{{agent}, success() {{}} }})"),
            format!("if (!wx) {{ f({{ a: 1 }}) }} wx.agentConfig({{{agent}}})"),
            format!("{{\"data\": {{{agent}}}}}"),
        ] {
            let pasted = Pasted::read(&text).unwrap();
            assert!(pasted.is_of_agent() && pasted.missing().is_empty());
            assert!(pasted.misspelt.is_empty() && pasted.texts.is_empty());
            assert_eq!(pasted.named_account(), "ww1-1000002");
        }
        let page = "appId: 'ww1', timestamp: 13, nonceStr: 'n', signature: 's'";
        for both in [
            format!("{{a: {{{page}}}, b: {{{agent}}}}}"),
            format!("{{b: {{{agent}}}, a: {{{page}}}}}"),
        ] {
            let pasted = Pasted::read(&both).unwrap();
            assert_eq!((pasted.is_of_agent(), &*pasted.timestamp), (false, "13"));
        }
        let pasted = Pasted::read("{corpId: 'ww1', timestamp: 1, nonceStr: 'n', signature: 's'}");
        let pasted = pasted.unwrap();
        assert_eq!(pasted.misspelt, [("corpId".to_owned(), "corpid")]);
        assert_eq!(pasted.missing(), ["agentid"]);
        assert!(pasted.can_be_signed());
    }

    #[test]
    fn at_wecom_a_config_is_for_every_app_of_the_corporation() {
        let corpid = "ww0123456789abcdef";
        let [one, two, foreign, official] = [
            "ww0123456789abcdef-1000002",
            "ww0123456789abcdef-1000003",
            "wwffffffffffffffff-1000002",
            "wx0123456789abcdef",
        ]
        .map(|appid| appid.parse::<AppId>().unwrap());
        let of = |text: &str| {
            let pasted = Pasted::read(text).unwrap();
            [&one, &two, &foreign, &official].map(|appid| pasted.is_of(appid))
        };
        let config = format!("{{appId: '{corpid}'}}");
        assert_eq!(of(&config), [true, true, false, false]);
        let agent = format!("{{corpid: '{corpid}', agentid: '1000003'}}");
        assert_eq!(of(&agent), [false, true, false, false]);
        assert_eq!(of("{agentid: 1000002}"), [true, false, true, false]);
        // WeCom does not know it by this name.
        assert_eq!(of("{appId: 'ww0123456789abcdef-1000002'}"), [false; 4]);
        assert_eq!(
            of(&format!("{{appId: '{official}'}}")),
            [false, false, false, true]
        );
    }

    #[test]
    fn a_name_that_is_almost_right_is_read_and_noted() {
        let pasted = Pasted::read("{appid: 'wx1', timeStamp: 12, noncestr: 'n', signature: ''}");
        let pasted = pasted.unwrap();
        let names: Vec<&str> = pasted.misspelt.iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, ["appid", "timeStamp", "noncestr"]);
        assert_eq!(pasted.missing(), ["signature"]);
        assert_eq!(pasted.named, None);
    }

    #[test]
    fn code_and_foreign_objects_are_refused_with_advice() {
        let what = |text: &str| Pasted::read(text).unwrap_err();
        let fault = what("{appId: 'wx1', signature: data.signature}");
        assert_eq!(
            fault.what,
            Fault::Variable("signature", "data.signature".to_owned())
        );
        assert!(fault.english().contains("JSON.stringify"), "{fault}");
        assert_eq!(what("{a: 1}").what, Fault::NoConfig);
    }
}
