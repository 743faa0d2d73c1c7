//! Reads a JavaScript object literal as people paste it.
//!
//! JSON is read, and what programs have beside it: single quotes and backquotes, names without
//! quotes, commas too many, comments, a call around the object, numbers in any form. What is not
//! a plain value is kept as the code that it is, never run.

use super::fault::{Fault, ReadFault};

/// The longest text that is read, in bytes.
pub(super) const MAX_BYTES: usize = 16 * 1024;

/// So deep may lists and objects stand in each other.
const MAX_DEPTH: usize = 16;

/// A value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Value {
    Text(String),
    /// A number, `true` or `false`, as it was written.
    Plain(String),
    /// `null` or `undefined`.
    Nothing,
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
    /// Anything else: a variable, a function, a sum.
    Code(String),
}

/// Reads the first object in `text`: that of `wx.config(…)`, else of `wx.agentConfig(…)`, where
/// there is such a call.
pub(super) fn read(text: &str) -> Result<Value, ReadFault> {
    let mut reader = Reader { text, at: 0 };
    if text.len() > MAX_BYTES {
        return Err(reader.fault(Fault::TooLong));
    }
    if text.trim().is_empty() {
        return Err(reader.fault(Fault::Empty));
    }
    let call = |name: &str| {
        let is_call = |at: &usize| {
            let behind = text[at + name.len()..].trim_start();
            behind.starts_with('(') && !text.trim_start().starts_with('{')
        };
        text.find(name).filter(is_call)
    };
    let call = call("wx.config").or_else(|| call("wx.agentConfig"));
    let open = text[call.unwrap_or(0)..].find('{');
    match open {
        Some(open) => {
            reader.at = call.unwrap_or(0) + open + 1;
            reader.pairs(0, true)
        }
        // The inside of an object alone.
        None if text.contains(':') => reader.pairs(0, false),
        None => Err(reader.fault(Fault::NoObject)),
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn fault(&self, what: Fault) -> ReadFault {
        ReadFault::at(self.text, self.at, what)
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn take(&mut self, wanted: char) -> bool {
        let is_there = self.peek() == Some(wanted);
        if is_there {
            self.at += wanted.len_utf8();
        }
        is_there
    }

    /// Passes white space and comments.
    fn space(&mut self) {
        loop {
            let rest = self.rest();
            let blank = rest.len() - rest.trim_start().len();
            let comment = match &rest[blank..] {
                line if line.starts_with("//") => line.find('\n').unwrap_or(line.len()),
                block if block.starts_with("/*") => {
                    block.find("*/").map_or(block.len(), |end| end + 2)
                }
                _ => 0,
            };
            self.at += blank + comment;
            if comment == 0 {
                return;
            }
        }
    }

    /// The pairs of an object up to its brace, or to the end of the text.
    fn pairs(&mut self, depth: usize, braced: bool) -> Result<Value, ReadFault> {
        let mut pairs = Vec::new();
        loop {
            self.space();
            if self.take(',') || (!braced && self.take(';')) {
                continue;
            }
            if braced && self.take('}') {
                return Ok(Value::Object(pairs));
            }
            if self.peek().is_none() {
                if braced {
                    return Err(self.fault(Fault::Unclosed));
                }
                return Ok(Value::Object(pairs));
            }
            let name = self.name()?;
            self.space();
            if self.take(':') || (!braced && self.take('=')) {
                pairs.push((name, self.value(depth)?));
            } else if matches!(self.peek(), Some(',' | '}')) {
                // `{ signature }` stands for a variable of that name.
                pairs.push((name.clone(), Value::Code(name)));
            } else if self.peek() == Some('(') || name == "..." {
                self.code()?;
            } else {
                return Err(self.fault(Fault::NoColon(name)));
            }
        }
    }

    fn name(&mut self) -> Result<String, ReadFault> {
        if let Some(quote @ ('"' | '\'' | '`')) = self.peek() {
            return self.string(quote);
        }
        if self.rest().starts_with("...") {
            self.at += 3;
            return Ok("...".to_owned());
        }
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '-' | '.');
        let rest = self.rest();
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        if end == 0 {
            return Err(self.fault(Fault::NoName));
        }
        let name = rest[..end].to_owned();
        self.at += end;
        Ok(name)
    }

    fn value(&mut self, depth: usize) -> Result<Value, ReadFault> {
        if depth >= MAX_DEPTH {
            return Err(self.fault(Fault::TooDeep));
        }
        self.space();
        let start = self.at;
        let value = match self.peek() {
            Some(quote @ ('"' | '\'' | '`')) => Value::Text(self.string(quote)?),
            Some('{') => {
                self.at += 1;
                self.pairs(depth + 1, true)?
            }
            Some('[') => {
                self.at += 1;
                self.list(depth + 1)?
            }
            _ => self.code()?,
        };
        self.space();
        if matches!(self.peek(), None | Some(',' | '}' | ']' | ')' | ';')) {
            return Ok(value);
        }
        if matches!(value, Value::Text(_) | Value::List(_)) && !self.starts_an_operator() {
            return Err(self.fault(Fault::NoComma));
        }
        // A sum, a call: not a plain value after all.
        self.at = start;
        self.code()
    }

    fn starts_an_operator(&self) -> bool {
        matches!(self.peek(), Some(c) if "+-*/.?|&([<>=%!".contains(c))
    }

    fn list(&mut self, depth: usize) -> Result<Value, ReadFault> {
        let mut list = Vec::new();
        loop {
            self.space();
            if self.take(',') {
                continue;
            }
            if self.take(']') {
                return Ok(Value::List(list));
            }
            match self.peek() {
                None | Some('}') => return Err(self.fault(Fault::Unclosed)),
                _ => list.push(self.value(depth)?),
            }
        }
    }

    fn string(&mut self, quote: char) -> Result<String, ReadFault> {
        let start = self.at;
        self.next();
        let mut text = String::new();
        while let Some(c) = self.next() {
            match c {
                _ if c == quote => return Ok(text),
                '\n' if quote != '`' => break,
                '\\' => self.escape(&mut text),
                _ => text.push(c),
            }
        }
        self.at = start;
        Err(self.fault(Fault::UnclosedText))
    }

    fn escape(&mut self, text: &mut String) {
        let Some(c) = self.next() else { return };
        match c {
            'n' => text.push('\n'),
            't' => text.push('\t'),
            'r' => text.push('\r'),
            'b' => text.push('\u{8}'),
            'f' => text.push('\u{c}'),
            '0' => text.push('\0'),
            '\n' => {}
            'x' => text.extend(self.digits(2).and_then(char::from_u32)),
            'u' if self.take('{') => {
                let end = self.rest().find('}').unwrap_or(0);
                let code = u32::from_str_radix(&self.rest()[..end], 16).ok();
                self.at += end;
                self.take('}');
                text.extend(code.and_then(char::from_u32));
            }
            'u' => text.push(self.utf16().unwrap_or(char::REPLACEMENT_CHARACTER)),
            other => text.push(other),
        }
    }

    fn utf16(&mut self) -> Option<char> {
        let first = self.digits(4)?;
        if (0xd800..0xdc00).contains(&first) && self.rest().starts_with("\\u") {
            let before = self.at;
            self.at += 2;
            if let Some(second @ 0xdc00..0xe000) = self.digits(4) {
                return char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00));
            }
            self.at = before;
        }
        char::from_u32(first)
    }

    fn digits(&mut self, count: usize) -> Option<u32> {
        let digits = self.rest().get(..count)?;
        let number = u32::from_str_radix(digits, 16).ok()?;
        self.at += count;
        Some(number)
    }

    /// Anything up to the comma or the bracket that ends it.
    fn code(&mut self) -> Result<Value, ReadFault> {
        let start = self.at;
        let mut open = 0_usize;
        while let Some(c) = self.peek() {
            match c {
                '"' | '\'' | '`' => {
                    self.string(c)?;
                    continue;
                }
                '(' | '[' | '{' => open += 1,
                ')' | ']' | '}' if open == 0 => break,
                ')' | ']' | '}' => open -= 1,
                ',' | ';' | '\n' if open == 0 => break,
                '/' if self.rest().starts_with("//") || self.rest().starts_with("/*") => {
                    if open == 0 {
                        break;
                    }
                    self.space();
                    continue;
                }
                _ => {}
            }
            self.next();
        }
        let code = self.text[start..self.at].trim();
        Ok(match code {
            "" => return Err(self.fault(Fault::NoValue)),
            "null" | "undefined" | "None" | "nil" => Value::Nothing,
            "true" | "false" => Value::Plain(code.to_owned()),
            _ if is_number(code) => Value::Plain(code.to_owned()),
            _ => Value::Code(code.to_owned()),
        })
    }
}

fn is_number(code: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '+' | '-' | '_');
    code.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '.'))
        && code.chars().all(plain)
        && code.chars().any(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(text: &str) -> Vec<(String, Value)> {
        match read(text) {
            Ok(Value::Object(pairs)) => pairs,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn an_object_is_read_in_every_way_that_people_write_it() {
        let expected = vec![
            ("appId".to_owned(), Value::Text("wx1".to_owned())),
            (
                "timestamp".to_owned(),
                Value::Plain("1414587457".to_owned()),
            ),
            (
                "jsApiList".to_owned(),
                Value::List(vec![Value::Text("scanQRCode".to_owned())]),
            ),
        ];
        for text in [
            r#"{"appId":"wx1","timestamp":1414587457,"jsApiList":["scanQRCode"]}"#,
            "{appId: 'wx1', timestamp: 1414587457, jsApiList: ['scanQRCode',],}",
            "wx.config({\n  appId: `wx1`, // the account\n  timestamp: 1414587457, /* now */\n  jsApiList: [ 'scanQRCode' ]\n});\nwx.ready(() => { go(); });",
            "const x = {a: 1};\nwx.config( {'appId':\"wx1\",\"timestamp\":1414587457,jsApiList:['scanQRCode']} )",
            "appId: 'wx1',\ntimestamp: 1414587457\njsApiList: ['scanQRCode']",
            "{ appId: '\\u0077\\x78\\u{31}', timestamp: 1414587457, jsApiList: [\"scanQRCode\"] }",
        ] {
            assert_eq!(object(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_a_plain_value_is_kept_as_code() {
        let pairs = object(
            "{a: data.sign, b: 'x' + y, c: function () { return {}; }, d, e() {}, f: null, g: +x}",
        );
        let code = |text: &str| Value::Code(text.to_owned());
        assert_eq!(pairs[0].1, code("data.sign"));
        assert_eq!(pairs[1].1, code("'x' + y"));
        assert_eq!(pairs[2].1, code("function () { return {}; }"));
        assert_eq!(pairs[3], ("d".to_owned(), code("d")));
        assert_eq!(pairs[4], ("f".to_owned(), Value::Nothing));
        assert_eq!(pairs[5].1, code("+x"));
    }

    #[test]
    fn what_cannot_be_read_is_pointed_at() {
        for (text, expected) in [
            ("", (1, 1, Fault::Empty)),
            ("   \n", (1, 1, Fault::Empty)),
            ("hello", (1, 1, Fault::NoObject)),
            ("{a: 1", (1, 6, Fault::Unclosed)),
            ("{a: [1", (1, 7, Fault::Unclosed)),
            ("{\n  a: 'b\n}", (2, 6, Fault::UnclosedText)),
            ("{a 1}", (1, 4, Fault::NoColon("a".to_owned()))),
            ("{a: }", (1, 5, Fault::NoValue)),
            ("{: 1}", (1, 2, Fault::NoName)),
            ("{a: 'b' c: 'd'}", (1, 9, Fault::NoComma)),
            ("{a: 'b'\n c: 'd'}", (2, 2, Fault::NoComma)),
        ] {
            let fault = read(text).unwrap_err();
            let found = (fault.line, fault.column, fault.what);
            assert_eq!(found, expected, "{text}");
        }
        let deep = format!("{{a: {}", "[".repeat(40));
        assert_eq!(read(&deep).unwrap_err().what, Fault::TooDeep);
        let long = format!("{{a: '{}'}}", "x".repeat(MAX_BYTES));
        assert_eq!(read(&long).unwrap_err().what, Fault::TooLong);
    }
}
