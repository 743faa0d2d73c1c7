//! The console's two languages.

use std::time::Duration;

use http::HeaderMap;
use http::header::ACCEPT_LANGUAGE;

use crate::clock::Timestamp;
use crate::upstream::{Text, Words};

/// A language of the console.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Lang {
    Zh,
    En,
}

impl Lang {
    /// The language of this name, as addresses and cookies write it.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "zh" => Some(Self::Zh),
            "en" => Some(Self::En),
            _ => None,
        }
    }

    /// The one that the browser likes best; browsers write it first.
    pub(super) fn preferred(headers: &HeaderMap) -> Option<Self> {
        let wanted = headers.get(ACCEPT_LANGUAGE)?.to_str().ok()?;
        wanted.split(',').find_map(|tag| {
            let tag = tag.trim().to_ascii_lowercase();
            Self::named(tag.get(..2)?)
        })
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Zh => "zh",
            Self::En => "en",
        }
    }

    /// For `<html lang>`.
    pub(super) const fn tag(self) -> &'static str {
        match self {
            Self::Zh => "zh-CN",
            Self::En => "en",
        }
    }

    /// The text of the two that is in this language.
    pub(super) const fn t<'a>(self, zh: &'a str, en: &'a str) -> &'a str {
        match self {
            Self::Zh => zh,
            Self::En => en,
        }
    }

    pub(super) const fn text(self, text: &Text) -> &'static str {
        self.t(text.zh, text.en)
    }

    /// The same as the beginning of a sentence.
    pub(super) fn sentence(self, text: &Text) -> String {
        let text = self.text(text);
        let mut chars = text.chars();
        match chars.next() {
            Some(first) => first.to_uppercase().chain(chars).collect(),
            None => String::new(),
        }
    }

    pub(super) fn words(self, words: Words) -> String {
        match self {
            Self::Zh => words.zh,
            Self::En => words.en,
        }
    }

    /// A time that lasts, in its two largest units.
    pub(super) fn lasting(self, time: Duration) -> String {
        let seconds = time.as_secs();
        let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
        let unit = |number: u64, zh: &str, en: &str| match self {
            Self::Zh => format!("{number} {zh}"),
            Self::En => format!("{number} {en}"),
        };
        let (large, small) = if days > 0 {
            (unit(days, "天", "d"), (hours, "小时", "h"))
        } else if hours > 0 {
            (unit(hours, "小时", "h"), (minutes, "分", "min"))
        } else if minutes >= 10 {
            return unit(minutes, "分钟", "min");
        } else if minutes > 0 {
            (unit(minutes, "分", "min"), (seconds % 60, "秒", "s"))
        } else {
            return unit(seconds, "秒", "s");
        };
        match small {
            (0, _, _) => large,
            (number, zh, en) => format!("{large} {}", unit(number, zh, en)),
        }
    }

    /// How long ago it was.
    pub(super) fn ago(self, at: Timestamp, now: Timestamp) -> String {
        match (now.since(at), self) {
            (age, Self::Zh) if age < Duration::from_secs(1) => "刚刚".to_owned(),
            (age, Self::En) if age < Duration::from_secs(1) => "just now".to_owned(),
            (age, Self::Zh) => format!("{}前", self.lasting(age)),
            (age, Self::En) => format!("{} ago", self.lasting(age)),
        }
    }

    /// In how long it will be.
    pub(super) fn in_time(self, at: Timestamp, now: Timestamp) -> String {
        match (at.since(now), self) {
            (left, Self::Zh) if left.is_zero() => "现在".to_owned(),
            (left, Self::En) if left.is_zero() => "now".to_owned(),
            (left, Self::Zh) => format!("{}后", self.lasting(left)),
            (left, Self::En) => format!("in {}", self.lasting(left)),
        }
    }
}

/// A point in time as China's clocks show it, which is how WeChat counts days.
pub(super) fn in_china(at: Timestamp) -> String {
    let shifted = jiff::Timestamp::from_second(at.as_secs() + 8 * 3600);
    let text = shifted.map_or_else(|_| "?".to_owned(), |at| at.to_string());
    let text = text.replace('T', " ");
    text.trim_end_matches('Z').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_in_its_two_largest_units() {
        for (seconds, zh, en) in [
            (0, "0 秒", "0 s"),
            (59, "59 秒", "59 s"),
            (61, "1 分 1 秒", "1 min 1 s"),
            (1800, "30 分钟", "30 min"),
            (7140, "1 小时 59 分", "1 h 59 min"),
            (7200, "2 小时", "2 h"),
            (90_000, "1 天 1 小时", "1 d 1 h"),
        ] {
            let time = Duration::from_secs(seconds);
            assert_eq!(
                (Lang::Zh.lasting(time), Lang::En.lasting(time)),
                (zh.to_owned(), en.to_owned())
            );
        }
        let at = Timestamp::from_secs(1_700_000_000);
        assert_eq!(in_china(at), "2023-11-15 06:13:20");
    }

    #[test]
    fn the_browser_says_which_language_it_likes_best() {
        for (wanted, lang) in [
            ("zh-CN,zh;q=0.9,en;q=0.8", Some(Lang::Zh)),
            ("de-DE, en-GB;q=0.7, zh;q=0.5", Some(Lang::En)),
            ("fr", None),
            ("微", None),
        ] {
            let mut headers = HeaderMap::new();
            let wanted = http::HeaderValue::from_bytes(wanted.as_bytes()).unwrap();
            headers.insert(ACCEPT_LANGUAGE, wanted);
            assert_eq!(Lang::preferred(&headers), lang);
        }
    }
}
