//! The question: a `wx.config`, and the page that it is for.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::{Fault, Pasted, ReadFault};
use crate::diagnosis::{Mistake, Pages, without_fragment};

/// The longest address that is taken, in bytes.
const MAX_URL_BYTES: usize = 4096;

/// The most addresses that WeChat is said to have compared.
const MAX_REAL_URLS: usize = 8;

/// What a developer has at hand.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ask {
    /// The page's address, `location.href`.
    pub url: String,
    /// The address at which the page was entered, if it is another one.
    #[serde(default, deserialize_with = "text_or_nothing")]
    pub landing: String,
    /// What `wx.config` was given: a text, or the object itself.
    #[serde(deserialize_with = "text_or_object")]
    pub config: String,
    /// `realAuthUrl` of WeChat's answer: the addresses that it compared.
    #[serde(default, deserialize_with = "one_or_many")]
    pub real_auth_url: Vec<String>,
    /// `errMsg` of WeChat's answer.
    #[serde(default, deserialize_with = "text_or_nothing")]
    pub err_msg: String,
    /// `navigator.userAgent`.
    #[serde(rename = "ua", default, deserialize_with = "text_or_nothing")]
    pub user_agent: String,
}

impl Ask {
    /// The parameters, once all of it was found short enough.
    ///
    /// # Errors
    /// The text cannot be read, or something is too long.
    pub fn read(&self) -> Result<Pasted, ReadFault> {
        let too_long = |text: &String| text.len() > MAX_URL_BYTES;
        let mut texts = [&self.url, &self.landing, &self.err_msg, &self.user_agent]
            .into_iter()
            .chain(&self.real_auth_url);
        if texts.any(too_long) {
            return Err(ReadFault::at("", 0, Fault::LongAddress));
        }
        Pasted::read(&self.config)
    }

    /// Which of the page's addresses count. iOS compares that at which the page was entered, desktops
    /// the current one, Android either.
    pub(super) fn pages(&self) -> Pages<'_> {
        let current = without_fragment(self.url.trim());
        let landing = match without_fragment(self.landing.trim()) {
            "" => current,
            landing => landing,
        };
        let real = self.real_auth_url.iter().take(MAX_REAL_URLS);
        let real: Vec<&str> = real
            .map(|url| without_fragment(url.trim()))
            .filter(|url| !url.is_empty())
            .collect();
        let as_current = (Mistake::CurrentUrl, current);
        let as_landing = (Mistake::LandingUrl, landing);
        if !real.is_empty() {
            let others = vec![as_current, as_landing];
            return Pages {
                counted: real,
                others,
            };
        }
        match Platform::of(&self.user_agent) {
            Platform::Ios => Pages {
                counted: vec![landing],
                others: vec![as_current],
            },
            Platform::Desktop => Pages {
                counted: vec![current],
                others: vec![as_landing],
            },
            Platform::Other => Pages {
                counted: vec![current, landing],
                others: Vec::new(),
            },
        }
    }

    /// All addresses, as they were given.
    pub(super) fn all_urls(&self) -> Vec<String> {
        let real = self.real_auth_url.iter().take(MAX_REAL_URLS);
        let urls = [&self.url, &self.landing].into_iter().chain(real);
        urls.map(|url| url.trim().to_owned())
            .filter(|url| !url.is_empty())
            .collect()
    }
}

enum Platform {
    Ios,
    Desktop,
    /// Android, WeCom, and what cannot be told: an iPad calls itself a Mac.
    Other,
}

impl Platform {
    fn of(user_agent: &str) -> Self {
        let has = |name: &str| user_agent.contains(name);
        // The developer tools name the phone that they stand in for, and compare the current URL.
        if has("wechatdevtools") {
            Self::Desktop
        } else if has("wxwork") {
            // Its own SDK signs the current URL, on an iPhone too
            // (<https://www.npmjs.com/package/@wecom/jssdk>).
            Self::Other
        } else if has("iPhone") || has("iPad") || has("iPod") {
            Self::Ios
        } else if has("WindowsWechat") || has("Windows NT") || has("MacWechat") {
            Self::Desktop
        } else {
            Self::Other
        }
    }
}

fn text_or_nothing<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

fn text_or_object<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    match serde_json::Value::deserialize(from)? {
        serde_json::Value::Null => Ok(String::new()),
        serde_json::Value::String(text) => Ok(text),
        object => serde_json::to_string(&object).map_err(D::Error::custom),
    }
}

fn one_or_many<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Given {
        One(String),
        Many(Vec<String>),
    }
    Ok(match Option::deserialize(from)? {
        None => Vec::new(),
        // Android answers some lists as text.
        Some(Given::One(text)) => serde_json::from_str(&text).unwrap_or_else(|_| vec![text]),
        Some(Given::Many(urls)) => urls,
    })
}
