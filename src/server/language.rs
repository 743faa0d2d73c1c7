//! Which of its two languages a page is read in.

use http::HeaderMap;
use http::header::ACCEPT_LANGUAGE;

/// The language that is asked for in the address, or that the browser prefers, for `<html lang>`.
pub(super) fn language(query: &str, headers: &HeaderMap) -> &'static str {
    let asked = query.split('&').find_map(|pair| pair.strip_prefix("lang="));
    let preferred = headers.get(ACCEPT_LANGUAGE);
    let preferred = preferred.and_then(|languages| languages.to_str().ok());
    let wanted = asked.or(preferred).unwrap_or_default();
    let is_chinese = wanted.trim_start().to_ascii_lowercase().starts_with("zh");
    if is_chinese { "zh-CN" } else { "en" }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_language_is_asked_for_or_preferred() {
        let mut headers = HeaderMap::new();
        assert_eq!(language("", &headers), "en");
        headers.insert(
            ACCEPT_LANGUAGE,
            HeaderValue::from_static("zh-TW,zh;q=0.9,en"),
        );
        assert_eq!(language("", &headers), "zh-CN");
        assert_eq!(language("a=b&lang=en", &headers), "en");
        assert_eq!(language("lang=zh", &HeaderMap::new()), "zh-CN");
    }
}
