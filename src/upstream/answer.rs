//! Reads WeChat's answers.
//!
//! An answer is judged by what it says, never by its status or content type: WeChat answers
//! errors with status 200, and JSON under several content types.

use std::time::Duration;

use serde_json::{Map, Value};

use super::{Api, Failure, Issued, UpstreamError};
use crate::credential::Secret;

/// The longest life that is believed; WeChat documents a value "within 7200"
/// (<https://developers.weixin.qq.com/doc/oplatform/developers/dev/AccessToken.html>).
pub const MAX_LIFETIME: Duration = Duration::from_secs(7200);

/// A life below this is accepted, but something is wrong with the other side.
pub const STRANGELY_SHORT_LIFETIME: Duration = Duration::from_secs(60);

/// The longest credential. WeChat asks for room for at least 512 characters (same page).
pub const MAX_VALUE_BYTES: usize = 1024;

/// The largest answer that is read.
pub const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// How much of an errmsg is kept.
pub const MAX_ERRMSG_CHARS: usize = 300;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads the answer of one of the token APIs.
///
/// # Errors
/// WeChat's errcode, or what is wrong with the answer.
pub fn token(api: Api, status: u16, body: &[u8]) -> Result<Issued, UpstreamError> {
    read(api, status, body, |answer| issued(answer, "access_token"))
}

/// Reads the answer of one of the ticket APIs.
///
/// # Errors
/// WeChat's errcode, or what is wrong with the answer.
pub fn ticket(api: Api, status: u16, body: &[u8]) -> Result<Issued, UpstreamError> {
    read(api, status, body, |answer| issued(answer, "ticket"))
}

/// Reads the answer of the probe: anything without an errcode that lists addresses.
///
/// # Errors
/// WeChat's errcode, or what is wrong with the answer.
pub fn probe(api: Api, status: u16, body: &[u8]) -> Result<(), UpstreamError> {
    read(api, status, body, |answer| match answer.get("ip_list") {
        Some(Value::Array(_)) => Ok(()),
        _ => Err("there is no ip_list in the answer".to_owned()),
    })
}

fn read<T>(
    api: Api,
    status: u16,
    body: &[u8],
    take: impl FnOnce(&Map<String, Value>) -> Result<T, String>,
) -> Result<T, UpstreamError> {
    let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    let taken = match serde_json::from_slice(body) {
        Ok(Value::Object(answer)) => match errcode(&answer) {
            Some(0) | None => take(&answer),
            Some(errcode) => {
                return Err(UpstreamError {
                    api,
                    failure: Failure::Refused {
                        errcode,
                        errmsg: errmsg(&answer),
                    },
                });
            }
        },
        Ok(_) => Err("the answer is not a JSON object".to_owned()),
        Err(_) if body.is_empty() => Err("the answer is empty".to_owned()),
        Err(error) if error.is_eof() => Err("the answer is cut off".to_owned()),
        // Not serde's own words: they can quote the body.
        Err(_) => Err("the answer is not JSON".to_owned()),
    };
    taken.map_err(|reason| UpstreamError {
        api,
        failure: match status {
            200 => Failure::Lost(reason),
            status => Failure::Status(status),
        },
    })
}

/// The errcode in the answer of any API, if there is one.
pub fn errcode_of(body: &[u8]) -> Option<i64> {
    let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    errcode(&serde_json::from_slice(body).ok()?)
}

fn errcode(answer: &Map<String, Value>) -> Option<i64> {
    integer(answer.get("errcode")?)
}

fn errmsg(answer: &Map<String, Value>) -> String {
    let text = answer.get("errmsg").and_then(Value::as_str);
    hide_secrets(text.unwrap_or_default())
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_ERRMSG_CHARS)
        .collect()
}

/// Cuts out what may be an AppSecret or a token that a server says back: 32 or more characters
/// of those that they are made of, in a row. WeChat's request ids are shorter.
fn hide_secrets(text: &str) -> String {
    let in_secret = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    text.split_inclusive(|c| !in_secret(c))
        .map(|piece| {
            let run = piece.trim_end_matches(|c| !in_secret(c));
            if run.len() < 32 {
                piece.to_owned()
            } else {
                piece.replace(run, "…")
            }
        })
        .collect()
}

fn issued(answer: &Map<String, Value>, name: &str) -> Result<Issued, String> {
    let value = answer
        .get(name)
        .and_then(Value::as_str)
        .ok_or_else(|| format!("there is no {name} in the answer"))?;
    if value.is_empty()
        || value.len() > MAX_VALUE_BYTES
        || !value.bytes().all(|b| b.is_ascii_graphic())
    {
        return Err(format!(
            "the {name} is not 1 to {MAX_VALUE_BYTES} printable characters"
        ));
    }
    let seconds = answer
        .get("expires_in")
        .and_then(integer)
        .and_then(|seconds| u64::try_from(seconds).ok())
        .filter(|seconds| *seconds > 0)
        .ok_or("the expires_in is not a positive whole number")?;
    let lifetime = Duration::from_secs(seconds);
    if lifetime > MAX_LIFETIME {
        tracing::warn!(
            name,
            expires_in = seconds,
            "expires_in is above 7200: taken as 7200"
        );
    } else if lifetime < STRANGELY_SHORT_LIFETIME {
        tracing::error!(
            name,
            expires_in = seconds,
            "expires_in is below 60: is this WeChat?"
        );
    }
    Ok(Issued {
        value: Secret::new(value),
        lifetime: lifetime.min(MAX_LIFETIME),
    })
}

/// A whole number, also one that is written as a text of digits.
fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(digits) => digits.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::super::Class;
    use super::*;
    use crate::laws::{self, object_of};

    fn class_of(status: u16, body: &str) -> Class {
        token(Api::Token, status, body.as_bytes())
            .unwrap_err()
            .class()
    }

    #[test]
    fn a_token_is_read_from_any_answer_that_holds_one() {
        for body in [
            r#"{"access_token":"53_qjy-_x","expires_in":7200}"#,
            "\u{feff}{\"access_token\":\"53_qjy-_x\",\"expires_in\":7200}",
            r#"{"expires_in":"7200","access_token":"53_qjy-_x","errcode":0,"errmsg":"ok","more":[1]}"#,
            r#"{"errcode":"0","access_token":"53_qjy-_x","expires_in":86400}"#,
        ] {
            for status in [200, 203, 500] {
                let issued = token(Api::Token, status, body.as_bytes()).unwrap();
                assert_eq!(issued.value, Secret::new("53_qjy-_x"), "{body}");
                assert_eq!(issued.lifetime, Duration::from_secs(7200), "{body}");
            }
        }
    }

    #[test]
    fn a_token_of_a_kibibyte_is_taken_and_a_longer_one_is_not() {
        for (length, good) in [
            (1, true),
            (512, true),
            (1024, true),
            (1025, false),
            (0, false),
        ] {
            let body = format!(
                r#"{{"access_token":"{}","expires_in":7200}}"#,
                "t".repeat(length)
            );
            assert_eq!(
                token(Api::Token, 200, body.as_bytes()).is_ok(),
                good,
                "{length}"
            );
        }
    }

    #[test]
    fn an_expires_in_that_says_nothing_is_no_answer() {
        for expires_in in [
            "0",
            "-1",
            "\"abc\"",
            "\"\"",
            "null",
            "1.5",
            "7200.0",
            "1e3",
            "[7200]",
            "true",
            "\"7200s\"",
            "99999999999999999999",
        ] {
            let body = format!(r#"{{"access_token":"t","expires_in":{expires_in}}}"#);
            assert_eq!(class_of(200, &body), Class::Ambiguous, "{expires_in}");
        }
        assert_eq!(class_of(200, r#"{"access_token":"t"}"#), Class::Ambiguous);
    }

    #[test]
    fn broken_answers_are_ambiguous_and_error_pages_are_what_their_status_says() {
        for body in [
            "",
            "{}",
            "[]",
            "null",
            "{\"access_token\":\"t",
            "<html>",
            r#"{"access_token":"a b","expires_in":7200}"#,
        ] {
            assert_eq!(class_of(200, body), Class::Ambiguous, "{body}");
        }
        assert_eq!(class_of(502, "<html>Bad Gateway</html>"), Class::Transient);
        assert_eq!(class_of(503, ""), Class::Transient);
        assert_eq!(class_of(429, ""), Class::Quota);
        assert_eq!(class_of(302, ""), Class::Ambiguous);
    }

    #[test]
    fn an_errcode_counts_whatever_the_status_and_the_type() {
        for status in [200, 400, 500] {
            for body in [
                r#"{"errcode":40164,"errmsg":"invalid ip 1.2.3.4, not in whitelist"}"#,
                r#"{"errcode":"40164","errmsg":"x"}"#,
                r#"{"errcode":40164}"#,
            ] {
                let error = token(Api::Token, status, body.as_bytes()).unwrap_err();
                assert_eq!(
                    (error.errcode(), error.class()),
                    (Some(40164), Class::Address)
                );
            }
        }
    }

    #[test]
    fn the_errcode_of_any_answer_is_the_outermost_one() {
        for (body, errcode) in [
            (r#"{"errcode":42001,"errmsg":"x"}"#, Some(42001)),
            ("\u{feff}{\"errcode\":\"40001\"}", Some(40001)),
            (r#"{"item":{"errcode":40001}}"#, None),
            (r#"[{"errcode":40001}]"#, None),
            ("errcode 40001", None),
            ("", None),
        ] {
            assert_eq!(errcode_of(body.as_bytes()), errcode, "{body}");
        }
    }

    #[test]
    fn an_errmsg_is_kept_short_and_on_one_line() {
        let body = format!(
            r#"{{"errcode":-1,"errmsg":"a\n\u001b[31m{}"}}"#,
            "x ".repeat(5000)
        );
        let error = token(Api::Token, 200, body.as_bytes()).unwrap_err();
        let errmsg = error.errmsg().unwrap();
        assert_eq!(errmsg.chars().count(), MAX_ERRMSG_CHARS);
        assert!(!errmsg.contains(char::is_control));
    }

    #[test]
    fn an_errmsg_that_says_the_secret_back_is_cut() {
        let (secret, token) = ("0123456789abcdef0123456789abcdef", "5_-x".repeat(200));
        let body = format!(
            r#"{{"errcode":1,"errmsg":"bad secret={secret}&t={token}, rid: 6aac005a-01bfdbee-79769285"}}"#
        );
        let error = token_error(&body);
        let expected = "bad secret=…&t=…, rid: 6aac005a-01bfdbee-79769285";
        assert_eq!(error.errmsg(), Some(expected));
    }

    fn token_error(body: &str) -> UpstreamError {
        token(Api::Token, 200, body.as_bytes()).unwrap_err()
    }

    #[test]
    fn a_ticket_and_a_probe_are_read() {
        let body = br#"{"errcode":0,"errmsg":"ok","ticket":"bxLd-_","expires_in":7200}"#;
        assert_eq!(
            ticket(Api::GetTicket, 200, body).unwrap().value,
            Secret::new("bxLd-_")
        );
        assert!(probe(Api::GetApiDomainIp, 200, br#"{"ip_list":["1.1.1.1"]}"#).is_ok());
        let rejected = br#"{"errcode":42001,"errmsg":"access_token expired rid: 64ab804b"}"#;
        assert_eq!(
            probe(Api::GetApiDomainIp, 200, rejected)
                .unwrap_err()
                .class(),
            Class::TokenRejected
        );
        assert_eq!(
            probe(Api::GetApiDomainIp, 200, b"{}").unwrap_err().class(),
            Class::Ambiguous
        );
    }

    proptest! {
        #[test]
        fn what_is_taken_is_in_the_answer_and_what_is_kept_can_be_shown(
            status in select(&[200_u16, 203, 429, 500]),
            body in object_of(&[
                "\"access_token\":\"98_token\"", "\"ticket\":\"a ticket\"", "\"ticket\":\"bx-_\"",
                "\"expires_in\":7200", "\"expires_in\":\"86400\"", "\"expires_in\":-1", "\"errcode\":0",
                "\"errcode\":\"40001\"", "\"errcode\":40164", "\"ip_list\":[]",
                "\"errmsg\":\"secret=0123456789abcdef0123456789abcdef\\u001b x\"",
            ]),
            errmsg in "[a-zA-Z0-9_ -]{0,400}",
            anything in any::<Vec<u8>>(),
        ) {
            laws::upstream_answer(status, body.as_bytes());
            laws::upstream_answer(status, format!("{{\"errcode\":1,\"errmsg\":\"{errmsg}\"}}").as_bytes());
            laws::upstream_answer(status, &anything);
        }
    }
}
