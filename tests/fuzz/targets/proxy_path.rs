//! The path of a call that is passed on, and behind it its query; also as the client of WeChat reads it.
#![no_main]

use url::Url;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let (path, query) = wxsign_fuzz::texts(input);
    if path.starts_with("/") && wxsign::server::laws::proxy_path(path, query) {
        let whole = format!("https://api.weixin.qq.com{path}?{query}");
        let read = Url::parse(&whole).expect("what is passed on is an address");
        assert_eq!(read.host_str(), Some("api.weixin.qq.com"));
        assert_eq!(read.path(), path);
    }
});
