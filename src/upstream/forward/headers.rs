//! Which headers pass, each way.

use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue};

use crate::credential::Secret;

/// What is not WeChat's business: who asks, from where, and with which key. The length is
/// derived from the body.
const NOT_FOR_WECHAT: [HeaderName; 10] = [
    // What is compressed could not be read for errors.
    header::ACCEPT_ENCODING,
    header::HOST,
    header::AUTHORIZATION,
    header::COOKIE,
    header::FORWARDED,
    HeaderName::from_static("x-real-ip"),
    header::ORIGIN,
    header::REFERER,
    header::EXPECT,
    header::CONTENT_LENGTH,
];

/// What WeChat sees of a caller's headers.
pub(super) fn to_wechat(headers: &HeaderMap) -> HeaderMap {
    end_to_end(headers)
        .filter(|(name, _)| {
            !NOT_FOR_WECHAT.contains(name) && !name.as_str().starts_with("x-forwarded-")
        })
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// What a caller sees of the headers of WeChat's answer to a call with `token`.
pub(super) fn from_wechat(headers: &HeaderMap, token: &Secret) -> HeaderMap {
    // A redirect, for instance, can say the URL back.
    let shows_token = |value: &[u8]| contains(value, token.expose().as_bytes());
    end_to_end(headers)
        .filter(|(name, value)| {
            *name != header::SET_COOKIE && *name != header::SERVER && !shows_token(value.as_bytes())
        })
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// The headers that are not for one connection alone
/// (<https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1>).
fn end_to_end(headers: &HeaderMap) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
    const HOP_BY_HOP: [HeaderName; 6] = [
        header::CONNECTION,
        HeaderName::from_static("keep-alive"),
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
    ];
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .collect();
    headers.iter().filter(move |(name, _)| {
        !HOP_BY_HOP.contains(name) && !name.as_str().starts_with("proxy-") && !named.contains(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let lines = lines.iter().map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        });
        lines.collect()
    }

    #[test]
    fn wechat_sees_the_call_and_not_who_made_it() {
        let kept = [
            ("accept", "*/*"),
            ("accept-language", "zh"),
            ("content-type", "multipart/form-data; boundary=x"),
            ("range", "bytes=0-1"),
            ("user-agent", "shop/1"),
            ("x-trace", "1"),
            ("x-trace", "2"),
        ];
        let dropped = [
            ("authorization", "Bearer key"),
            ("connection", "close, X-One"),
            ("connection", "x-two"),
            ("content-length", "3"),
            ("cookie", "a=b"),
            ("expect", "100-continue"),
            ("forwarded", "for=10.0.0.1"),
            ("host", "wxsign.internal"),
            ("keep-alive", "timeout=5"),
            ("origin", "https://a.example"),
            ("proxy-authorization", "Basic x"),
            ("proxy-connection", "keep-alive"),
            ("referer", "https://a.example/secret"),
            ("te", "trailers"),
            ("trailer", "x-sum"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("x-forwarded-for", "10.0.0.1"),
            ("x-forwarded-host", "wxsign.internal"),
            ("x-one", "1"),
            ("x-real-ip", "10.0.0.1"),
            ("x-two", "2"),
        ];
        let all = headers(&[&kept[..], &dropped[..]].concat());
        assert_eq!(to_wechat(&all), headers(&kept));
    }

    #[test]
    fn an_answer_keeps_its_headers_but_those_of_the_connection_and_of_the_server() {
        let token = Secret::new("53_token");
        let kept = [
            ("content-disposition", "attachment; filename=\"a.jpg\""),
            ("content-length", "12"),
            ("content-type", "image/jpeg"),
        ];
        let dropped = [
            ("connection", "keep-alive"),
            (
                "location",
                "https://api.weixin.qq.com/?access_token=53_token",
            ),
            ("server", "nginx"),
            ("set-cookie", "a=b"),
            ("transfer-encoding", "chunked"),
        ];
        let all = headers(&[&kept[..], &dropped[..]].concat());
        assert_eq!(from_wechat(&all, &token), headers(&kept));
    }
}
