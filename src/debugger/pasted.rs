//! The parameters of `wx.config` in a pasted text.

use super::fault::{Fault, ReadFault};
use super::read::{Value, read};

/// What `wx.config` was given.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Pasted {
    pub(super) app_id: String,
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

const FIELDS: [&str; 4] = ["appId", "timestamp", "nonceStr", "signature"];

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
        let mut pasted = Self::default();
        for wanted in FIELDS {
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
                "appId" => pasted.app_id = given,
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
            Value::Text(text) if !FIELDS.iter().any(|field| is_alike(name, field)) => Some(text),
            _ => None,
        });
        let short = texts.filter(|text| text.len() <= MAX_TEXT_BYTES);
        pasted.texts = short.take(MAX_TEXTS).cloned().collect();
        Ok(pasted)
    }

    /// The AppID that it names.
    pub fn app_id(&self) -> &str {
        &self.app_id
    }

    /// The parameters without which nothing can be checked.
    pub(super) fn missing(&self) -> Vec<&'static str> {
        let given = [
            &self.app_id,
            &self.timestamp,
            &self.nonce_str,
            &self.signature,
        ];
        let is_missing = |text: &str| matches!(text.trim(), "" | "undefined" | "null");
        let fields = FIELDS.into_iter().zip(given);
        fields
            .filter(|(_, text)| is_missing(text))
            .map(|(field, _)| field)
            .collect()
    }
}

/// Whether a name is meant to be another one.
fn is_alike(name: &str, wanted: &str) -> bool {
    let letters = name.chars().filter(|c| !matches!(c, '_' | '-'));
    letters
        .map(|c| c.to_ascii_lowercase())
        .eq(wanted.chars().map(|c| c.to_ascii_lowercase()))
}

/// The object that holds most of the parameters, itself or one within.
fn config_in(value: &Value) -> Option<&Vec<(String, Value)>> {
    let mut waiting = vec![value];
    let mut best: Option<(usize, &Vec<(String, Value)>)> = None;
    while let Some(value) = waiting.pop() {
        match value {
            Value::Object(pairs) => {
                let has = |field: &&str| pairs.iter().any(|(name, _)| is_alike(name, field));
                let held = FIELDS.iter().filter(|field| has(field)).count();
                if held > best.map_or(0, |(most, _)| most) {
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
