//! What holds for every request: see [`crate::laws`].

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderValue, Method};
use ipnet::IpNet;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::Value;

use super::proxy::path;
use super::request_id::{HEADER, RequestId};
use super::{accounts, auth, backend, client_address, clients, dropin, jsapi, pages};

/// The key in an `Authorization` header is the end of it, behind one word and blanks.
pub fn authorization(header: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(header) else {
        return;
    };
    if let Some(key) = auth::bearer(&value) {
        let text = value.to_str().expect("a key is read from text");
        let before = text.strip_suffix(key).expect("the key is the end");
        let scheme = before.trim_end_matches(' ');
        assert!(scheme.eq_ignore_ascii_case("bearer"), "{text:?}");
        assert!(
            scheme.len() < before.len() && !key.starts_with(' '),
            "{text:?}"
        );
    }
    if let Ok(key) = value.to_str()
        && !key.starts_with(' ')
    {
        let value = HeaderValue::try_from(format!("bEARER  {key}")).expect("it is text");
        assert_eq!(auth::bearer(&value), Some(key));
    }
}

/// The client's address is that of the peer, or one that stands behind trusted proxies only; what
/// stands to the left of it changes nothing.
pub fn client_address(peer: IpAddr, lists: &[&[u8]], trusted: &[IpNet]) {
    let mut headers = HeaderMap::new();
    for list in lists {
        if let Ok(value) = HeaderValue::from_bytes(list) {
            headers.append("x-forwarded-for", value);
        }
    }
    let found = client_address::client_address(peer, &headers, trusted);
    let is_trusted = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
    let peer = peer.to_canonical();
    let entries: Vec<Option<IpAddr>> = (headers.get_all("x-forwarded-for").iter())
        .flat_map(|list| list.as_bytes().split(|byte| *byte == b','))
        .map(named)
        .collect();
    // Each entry that all nearer hops vouch for, the peer first among them.
    let vouched = |at: &usize| {
        let nearer = &entries[at + 1..];
        entries[*at].is_some()
            && is_trusted(&peer)
            && nearer.iter().flatten().all(is_trusted)
            && nearer.iter().all(Option::is_some)
    };
    let first = (0..entries.len()).find(vouched).and_then(|at| entries[at]);
    assert_eq!(found, first.unwrap_or(peer), "{peer} {lists:?} {trusted:?}");
    if !is_trusted(&found) {
        let mut more = HeaderMap::new();
        more.append("x-forwarded-for", HeaderValue::from_static("198.51.100.7"));
        for list in headers.get_all("x-forwarded-for") {
            more.append("x-forwarded-for", list.clone());
        }
        assert_eq!(client_address::client_address(peer, &more, trusted), found);
    }
}

fn named(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?.trim();
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let address = text.parse::<IpAddr>().ok().or_else(with_port)?;
    Some(address.to_canonical())
}

/// A request has the caller's name if that can stand in a log as it is, else a random one.
pub fn request_id(given: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(given) else {
        return;
    };
    let mut headers = HeaderMap::new();
    headers.insert(HEADER, value);
    let id = RequestId::of(&headers);
    let id = id.as_str();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
    assert!(!id.is_empty() && id.len() <= 64 && id.chars().all(plain));
    let is_random = id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert!(id.as_bytes() == given || is_random, "{id} for {given:?}");
}

/// A tag is known where it is listed, weak or not, and nowhere else.
pub fn entity_tags(list: &[u8]) {
    const TAG: &str = "\"9e107d9d372bb682\"";
    let Ok(value) = HeaderValue::from_bytes(list) else {
        return;
    };
    let Ok(text) = value.to_str() else {
        return assert!(!pages::knows(&value, TAG));
    };
    if pages::knows(&value, TAG) {
        let listed = text.split(',').map(str::trim);
        let mut listed = listed.map(|tag| tag.trim_start_matches("W/"));
        assert!(listed.any(|tag| [TAG, "*"].contains(&tag)), "{text:?}");
    }
    for with in [format!("{text}, {TAG}"), format!("W/{TAG},{text}")] {
        let value = HeaderValue::try_from(with).expect("it is text");
        assert!(pages::knows(&value, TAG), "{value:?}");
    }
}

/// The URL of a page comes out of the query as it was encoded by the page, and out of any other
/// query as another decoder decodes it.
pub fn page_query(query: &str) {
    match jsapi::Ask::from_query(query) {
        Err(problem) => assert!(problem.detail().len() < 400, "{}", problem.detail()),
        Ok(ask) => {
            let mut pairs = query.split('&').filter_map(|pair| match pair {
                "url" => Some(""),
                _ => pair.strip_prefix("url="),
            });
            let raw = pairs.next();
            assert_eq!(pairs.next(), None, "two were taken for one");
            let decoded = raw.map(|raw| percent_decode_str(raw).decode_utf8().expect("UTF-8"));
            assert_eq!(ask.url, decoded);
        }
    }
    let encoded = utf8_percent_encode(query, NON_ALPHANUMERIC);
    let encoded = format!("appid=wx0&url={encoded}");
    let Ok(ask) = jsapi::Ask::from_query(&encoded) else {
        panic!("what is encoded is not refused: {encoded}");
    };
    assert_eq!(ask.url.as_deref(), Some(query));
    assert_eq!(ask.appid.as_deref(), Some("wx0"));
}

/// The page in a body is what another reader of JSON finds there.
pub fn page_body(body: &[u8]) {
    let Ok(ask) = jsapi::Ask::from_json(body) else {
        return;
    };
    // Which reads what is passed over here, and so may find fault with it.
    let Ok(Value::Object(members)) = serde_json::from_slice(body) else {
        return assert!(body.contains(&b'{'));
    };
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    assert_eq!(ask.url.as_deref(), text("url"));
    assert_eq!(ask.appid.as_deref(), text("appid"));
}

/// What a back end asks to wait for is within its limits; what it reports is told to nobody.
pub fn of_back_ends(query: &str, body: &[u8]) {
    if let Ok(Some(wait)) = backend::Wait::from_query(query) {
        assert!(wait.patience.as_secs() <= 60);
        let given = wait.generation.to_string();
        assert!(query.contains(&given), "{given} is not in {query:?}");
    }
    match backend::Report::parse(body) {
        Ok((_, errcode)) => {
            let value: Value = serde_json::from_slice(body).expect("it was read once");
            assert_eq!(value["errcode"], errcode);
            assert_ne!(
                value["fingerprint"].is_null(),
                value["access_token"].is_null()
            );
        }
        Err(problem) => {
            if let Ok(Value::Object(members)) = serde_json::from_slice(body) {
                tells_nothing_of(problem.detail(), members.get("access_token"));
            }
        }
    }
}

/// What an SDK sends is read as others read it: queries as forms, bodies as JSON.
pub fn of_sdks(query: &str, body: &[u8]) {
    for name in ["appid", "secret", "access_token"] {
        let decoded = |text: &str| {
            let text = text.replace('+', " ");
            percent_decode_str(&text).decode_utf8_lossy().into_owned()
        };
        let pairs = query
            .split('&')
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let mut pairs = pairs.map(|(name, value)| (decoded(name), decoded(value)));
        let expected = pairs.find(|pair| pair.0 == name).map(|pair| pair.1);
        assert_eq!(dropin::parameter(query, name), expected, "{query:?}");
    }
    let value: Option<Value> = serde_json::from_slice(body).ok();
    match dropin::Ask::from_json(body) {
        Err(_) => assert!(!value.is_some_and(|value| value.is_object())),
        Ok(ask) => {
            let value = value.expect("it was read once");
            for (name, read) in [
                ("grant_type", &ask.grant_type),
                ("appid", &ask.appid),
                ("secret", &ask.secret),
            ] {
                assert_eq!(read.as_deref(), value[name].as_str());
            }
            assert_eq!(
                ask.force_refresh,
                value["force_refresh"] == Value::Bool(true)
            );
        }
    }
}

/// Whether a call to this path is passed on. However often it is decoded and however it is tidied
/// up on its way, no path that is passed on becomes one that issues credentials.
pub fn proxy_path(whole: &str, query: &str) -> bool {
    if let Some((appid, path)) = path::split(whole) {
        assert_eq!(format!("/proxy/{appid}{path}"), whole);
        assert!(!appid.contains('/') && path.starts_with('/'));
    }
    if path::check("wx0", &Method::GET, whole, query).is_err() {
        return false;
    }
    let decoded = percent_decode_str(whole).decode_utf8_lossy();
    let decoded = percent_decode_str(&decoded)
        .decode_utf8_lossy()
        .to_lowercase();
    let mut tidy: Vec<&str> = Vec::new();
    for segment in decoded.split(['/', '\\']) {
        let segment = segment
            .split([';', '?', '#'])
            .next()
            .unwrap_or_default()
            .trim();
        match segment {
            "" | "." => {}
            ".." => drop(tidy.pop()),
            segment => tidy.push(segment),
        }
    }
    let tidy = tidy.join("/");
    let forbidden = [
        "cgi-bin/token",
        "cgi-bin/stable_token",
        "cgi-bin/openapi/quota/clear",
    ];
    assert!(!forbidden.contains(&tidy.as_str()), "{whole:?}");
    assert!(!tidy.starts_with("cgi-bin/clear_quota"), "{whole:?}");
    assert!(tidy != "sns" && !tidy.starts_with("sns/"), "{whole:?}");
    true
}

/// Of a change that is refused no value is told that could be a secret.
pub fn drafts(body: &[u8]) {
    let appid = "wx0123456789abcdef".parse().expect("an AppID");
    let refused = [
        accounts::draft(appid, body).err(),
        clients::draft("shop".to_owned(), body).err(),
    ];
    let Ok(Value::Object(members)) = serde_json::from_slice(body) else {
        return assert!(refused.iter().all(Option::is_some));
    };
    for why in refused.into_iter().flatten() {
        // The name of a page host may be as long as it likes to be.
        let host = members.get("page_hosts").map(Value::to_string);
        let room = host.map_or(0, |host| 4 * host.len());
        assert!(why.len() < 400 + room, "{why}");
        for name in ["secret", "key", "key_sha256"] {
            let mut others = members.clone();
            let secret = others.remove(name);
            let others = Value::Object(others).to_string();
            // What is said elsewhere is no secret.
            let text = secret.as_ref().map(Value::to_string).unwrap_or_default();
            if !others.contains(text.trim_matches('"')) {
                tells_nothing_of(&why, secret.as_ref());
            }
        }
    }
}

/// A message holds nothing of a text that is long enough to be a secret.
fn tells_nothing_of(said: &str, secret: Option<&Value>) {
    if let Some(text) = secret.and_then(Value::as_str)
        && text.len() >= 32
    {
        assert!(!said.contains(text), "{said}");
    }
}
