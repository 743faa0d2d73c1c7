//! Why a pasted text is neither a `wx.config` nor a `wx.agentConfig`.

use std::fmt;

use serde::{Serialize, Serializer};

/// Why, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReadFault {
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
    /// What is wrong there.
    pub what: Fault,
}

/// What is wrong with a pasted text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Nothing there.
    Empty,
    /// Longer than 16 KiB.
    TooLong,
    /// An address or a message beside it is longer than 4096 bytes.
    LongAddress,
    /// No `{`.
    NoObject,
    /// The text ends within the object or a list.
    Unclosed,
    /// A quote has no counterpart.
    UnclosedText,
    /// A name is missing.
    NoName,
    /// The colon behind this name is missing.
    NoColon(String),
    /// A value is missing.
    NoValue,
    /// The comma behind a value is missing.
    NoComma,
    /// Too many brackets in each other.
    TooDeep,
    /// None of the parameters is there.
    NoConfig,
    /// The value of this parameter is this code.
    Variable(&'static str, String),
}

impl ReadFault {
    pub(super) fn at(text: &str, at: usize, what: Fault) -> Self {
        let before = text.get(..at).unwrap_or_default();
        let line = before.rsplit('\n').next().unwrap_or_default();
        Self {
            line: before.matches('\n').count() + 1,
            column: line.chars().count() + 1,
            what,
        }
    }

    /// What is wrong, and what to do about it, in English.
    pub fn english(&self) -> String {
        let Self { line, column, .. } = self;
        let place = format!("line {line}, column {column}");
        match &self.what {
            Fault::Empty => "there is no wx.config: paste the object that it was given".to_owned(),
            Fault::TooLong => "the text is longer than 16 KiB: paste the object alone".to_owned(),
            Fault::LongAddress => {
                "an address or a message is longer than 4096 bytes: leave the rest out".to_owned()
            }
            Fault::NoObject => {
                "there is no object in the text: paste wx.config({…}) or its JSON".to_owned()
            }
            Fault::Unclosed => format!(
                "the text ends before the object does ({place}): paste it up to its last }}"
            ),
            Fault::UnclosedText => format!("the quote that begins at {place} has no end"),
            Fault::NoName => format!("the name of a parameter is missing at {place}"),
            Fault::NoColon(name) => format!("the colon behind \"{name}\" is missing at {place}"),
            Fault::NoValue => format!("a value is missing at {place}"),
            Fault::NoComma => format!("a comma is missing in front of {place}"),
            Fault::TooDeep => format!("too many brackets stand in each other at {place}"),
            Fault::NoConfig => "none of appId, timestamp, nonceStr and signature is in the text: \
                                paste the object that wx.config was given, or at WeCom \
                                wx.agentConfig"
                .to_owned(),
            Fault::Variable(name, code) => format!(
                "{name} is not a value but code ({code}): paste what it is when the page runs, \
                 such as console.log(JSON.stringify(config)) prints"
            ),
        }
    }

    /// The same in Chinese.
    pub fn chinese(&self) -> String {
        let Self { line, column, .. } = self;
        let place = format!("第 {line} 行第 {column} 列");
        match &self.what {
            Fault::Empty => "没有 wx.config：请粘贴传给它的对象".to_owned(),
            Fault::TooLong => "文本超过 16 KiB：请只粘贴该对象".to_owned(),
            Fault::LongAddress => "网址或报错信息超过 4096 字节：请去掉多余部分".to_owned(),
            Fault::NoObject => "文本中没有对象：请粘贴 wx.config({…}) 或其 JSON".to_owned(),
            Fault::Unclosed => {
                format!("对象没有结束，文本就没有了（{place}）：请粘贴到最后一个 }} 为止")
            }
            Fault::UnclosedText => format!("{place}开始的引号没有结束"),
            Fault::NoName => format!("{place}缺少参数名"),
            Fault::NoColon(name) => format!("{place}：“{name}”后面缺少冒号"),
            Fault::NoValue => format!("{place}缺少值"),
            Fault::NoComma => format!("{place}之前缺少逗号"),
            Fault::TooDeep => format!("{place}括号嵌套太深"),
            Fault::NoConfig => "文本中没有 appId、timestamp、nonceStr、signature：请粘贴传给 \
                                wx.config（企业微信：或 wx.agentConfig）的对象"
                .to_owned(),
            Fault::Variable(name, code) => format!(
                "{name} 不是值而是代码（{code}）：请粘贴页面运行时的值，例如 \
                 console.log(JSON.stringify(config)) 的输出"
            ),
        }
    }
}

impl fmt::Display for ReadFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.english())
    }
}

impl std::error::Error for ReadFault {}

impl Serialize for ReadFault {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Written {
            line: usize,
            column: usize,
            message_en: String,
            message_zh: String,
        }
        let written = Written {
            line: self.line,
            column: self.column,
            message_en: self.english(),
            message_zh: self.chinese(),
        };
        written.serialize(to)
    }
}
