//! What is odd about the address of a page, before anything is signed with it.

use serde::{Deserialize, Serialize};

use super::{Address, without_fragment};

/// What is odd. The names in JSON are stable.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Oddity {
    /// `&amp;` in place of `&`.
    HtmlEscaped,
    /// `%2520`: encoded twice.
    DoubleEncoded,
    /// A bare host, to which browsers add a slash.
    MissingSlash,
    /// White space, which browsers encode.
    WhiteSpace,
    /// Letters that browsers encode.
    NotEncoded,
    /// Something behind a `#`.
    Fragment,
    /// Neither http nor https.
    NoPage,
    /// The address of an interface.
    Interface,
    /// This machine.
    Localhost,
    /// Neither port 80 nor 443.
    UnusualPort,
    /// Another scheme than that of the page that asks.
    OtherScheme,
    /// Another host than that of the page that asks.
    OtherHost,
}

/// What is odd about an address, in both languages.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Lint {
    /// What is odd.
    pub code: Oddity,
    /// What it means, in English.
    pub message_en: &'static str,
    /// What it means, in Chinese.
    pub message_zh: &'static str,
}

/// What is odd about the address of a page; `referer` is that of the page which asked for the
/// signature, as far as it is known.
pub fn lint(url: &str, referer: Option<&str>) -> Vec<Lint> {
    let page = without_fragment(url);
    let found = |code: Oddity, is_so: bool| is_so.then_some(code);
    let address = Address::read(page.trim());
    let referer = referer.and_then(Address::read);
    let both = address.zip(referer);
    let of = |is_so: fn(&Address<'_>) -> bool| address.as_ref().is_some_and(is_so);
    [
        found(Oddity::NoPage, address.is_none()),
        found(Oddity::HtmlEscaped, page.contains("&amp;")),
        found(Oddity::DoubleEncoded, is_encoded_twice(page)),
        found(
            Oddity::MissingSlash,
            of(|address| !address.rest.starts_with('/')),
        ),
        found(
            Oddity::WhiteSpace,
            page.contains(char::is_whitespace) || page.contains(['"', '<', '>']),
        ),
        found(Oddity::NotEncoded, !page.is_ascii()),
        found(Oddity::Fragment, url.contains('#')),
        found(Oddity::Interface, of(is_interface)),
        found(Oddity::Localhost, of(is_local)),
        found(
            Oddity::UnusualPort,
            of(|address| !is_local(address) && !matches!(address.port, None | Some("80" | "443"))),
        ),
        found(
            Oddity::OtherScheme,
            both.is_some_and(|(url, page)| url.host == page.host && url.scheme != page.scheme),
        ),
        found(
            Oddity::OtherHost,
            both.is_some_and(|(url, page)| !url.host.eq_ignore_ascii_case(page.host)),
        ),
    ]
    .into_iter()
    .flatten()
    .map(Lint::from)
    .collect()
}

fn is_encoded_twice(page: &str) -> bool {
    let hex = |at: usize| page.as_bytes().get(at).is_some_and(u8::is_ascii_hexdigit);
    let mut found = page.match_indices("%25");
    found.any(|(at, _)| hex(at + 3) && hex(at + 4))
}

/// Paths of this server and of WeChat, and what is usual elsewhere.
fn is_interface(address: &Address<'_>) -> bool {
    let path = address.rest.split('?').next().unwrap_or_default();
    let begins = |with: &str| path == with || path.starts_with(&format!("{with}/"));
    ["/jsapi", "/v1/accounts", "/cgi-bin", "/api"]
        .into_iter()
        .any(begins)
        || address.host == "api.weixin.qq.com"
        || address.host == "open.weixin.qq.com"
}

fn is_local(address: &Address<'_>) -> bool {
    let host = address.host;
    host == "localhost" || host == "[::1]" || host.starts_with("127.") || host == "0.0.0.0"
}

impl From<Oddity> for Lint {
    fn from(code: Oddity) -> Self {
        let (message_en, message_zh) = code.texts();
        Self {
            code,
            message_en,
            message_zh,
        }
    }
}

impl Oddity {
    /// Whether the simulated WeChat takes such pages: they are those of the demo.
    pub const fn is_fine_at_home(self) -> bool {
        matches!(self, Self::Localhost | Self::UnusualPort)
    }

    const fn texts(self) -> (&'static str, &'static str) {
        match self {
            Self::HtmlEscaped => (
                "The address holds &amp;: a template escaped the & of the query. Take \
                 location.href in the browser.",
                "网址中有 &amp;：查询参数的 & 被模板转义了。请在浏览器中取 location.href。",
            ),
            Self::DoubleEncoded => (
                "The address looks as if it was encoded twice (%25 before two digits): call \
                 encodeURIComponent once.",
                "网址像是被编码了两次（%25 之后又是两位十六进制数）：encodeURIComponent 只应调用一次。",
            ),
            Self::MissingSlash => (
                "There is no slash behind the host: browsers add one, so location.href has it.",
                "域名后面没有斜杠：浏览器会补上，location.href 中是有的。",
            ),
            Self::WhiteSpace => (
                "The address holds white space or quotes: location.href has them encoded.",
                "网址中有空白或引号：location.href 中它们是编码过的。",
            ),
            Self::NotEncoded => (
                "The address holds letters that are not ASCII: location.href has them encoded.",
                "网址中有非 ASCII 字符：location.href 中它们是编码过的。",
            ),
            Self::Fragment => (
                "What stands behind the # is not signed: location.href.split('#')[0].",
                "# 及其后面的部分不参与签名：location.href.split('#')[0]。",
            ),
            Self::NoPage => (
                "This is not the http or https address of a page: take location.href.",
                "这不是 http 或 https 页面的网址：请取 location.href。",
            ),
            Self::Interface => (
                "This looks like the address of an interface: sign that of the page that calls \
                 wx.config.",
                "这像是接口的网址：应签调用 wx.config 的页面的网址。",
            ),
            Self::Localhost => (
                "This address is that of the machine itself: WeChat accepts only hosts that are \
                 bound to the account. Give the phone a proxy that sends a bound host to this machine.",
                "这是本机地址：微信只接受已绑定到公众号的域名。可让手机使用代理，把已绑定的域名指向开发机。",
            ),
            Self::UnusualPort => (
                "The page's port is neither 80 nor 443: WeChat accepts no other.",
                "页面端口不是 80 或 443：微信不接受其他端口。",
            ),
            Self::OtherScheme => (
                "The page that asks has the other of http and https: behind a proxy that ends \
                 TLS, take the address from the browser.",
                "发起请求的页面协议不同（http/https）：在终止 TLS 的代理之后，网址应由浏览器传来。",
            ),
            Self::OtherHost => (
                "The page that asks is on another host: sign the address of that page itself.",
                "发起请求的页面在另一个域名上：应签该页面自己的网址。",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(url: &str, referer: Option<&str>) -> Vec<Oddity> {
        lint(url, referer).iter().map(|lint| lint.code).collect()
    }

    #[test]
    fn what_is_odd_is_named() {
        use Oddity::*;
        for (url, expected) in [
            ("https://h5.example.com/a?x=1&amp;y=2", vec![HtmlEscaped]),
            (
                "https://h5.example.com/a?x=%25E5%25BE%25AE",
                vec![DoubleEncoded],
            ),
            ("https://h5.example.com", vec![MissingSlash]),
            ("https://h5.example.com?x=1", vec![MissingSlash]),
            ("https://h5.example.com/a b", vec![WhiteSpace]),
            ("https://h5.example.com/a\n", vec![WhiteSpace]),
            ("https://h5.example.com/微信", vec![NotEncoded]),
            ("https://h5.example.com/#/a", vec![Fragment]),
            ("h5.example.com/a", vec![NoPage]),
            (
                "https://wx.example.com/jsapi/signature?url=x",
                vec![Interface],
            ),
            ("https://h5.example.com/api/wx/config", vec![Interface]),
            ("http://localhost:3000/", vec![Localhost]),
            ("http://127.0.0.1/", vec![Localhost]),
            ("http://h5.example.com:8080/", vec![UnusualPort]),
        ] {
            assert_eq!(codes(url, None), expected, "{url}");
        }
        let page = Some("https://h5.example.com/b");
        assert_eq!(codes("http://h5.example.com/a", page), [OtherScheme]);
        assert_eq!(codes("https://example.com/a", page), [OtherHost]);
    }

    #[test]
    fn nothing_is_odd_about_a_page() {
        for url in [
            "https://h5.example.com/",
            "https://h5.example.com/a?x=1&y=%E5%BE%AE&z=100%25",
            "http://h5.example.com:80/apis/jsapi?from=singlemessage",
            "https://h5.example.com/item?next=https%3A%2F%2Fexample.com%2F",
        ] {
            assert_eq!(
                codes(url, Some("https://h5.example.com/"))
                    .iter()
                    .filter(|o| **o != Oddity::OtherScheme)
                    .count(),
                0,
                "{url}"
            );
        }
    }
}
