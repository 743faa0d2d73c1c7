//! How servers are asked.

use std::fmt;

use crate::wrk::Load;

/// One way to ask.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Situation {
    /// So many connections, which stay; the request says no more than it has to.
    KeepAlive(usize),
    /// 32 connections, each for one request.
    Close,
    /// 32 connections, 16 requests at a time on each.
    Pipelined,
    /// 32 connections which stay, and all that a browser says.
    Browser,
}

/// The situation that figures are for where nothing else is said.
pub(crate) const USUAL: Situation = Situation::KeepAlive(32);

/// The situations of all servers.
pub(crate) const COMMON: [Situation; 6] = [
    USUAL,
    Situation::KeepAlive(1),
    Situation::KeepAlive(256),
    Situation::KeepAlive(1024),
    Situation::Close,
    Situation::Pipelined,
];

/// A proxy names its client, so that wxsign counts the requests against a limit; this machine's
/// own are not counted.
const PLAIN: &[&str] = &["X-Forwarded-For: 203.0.113.9"];

/// The page asks from another origin, inside WeChat.
const BROWSER: &[&str] = &[
    "X-Forwarded-For: 203.0.113.9",
    "Origin: https://h5.example.com",
    "Referer: https://h5.example.com/",
    "User-Agent: Mozilla/5.0 (Linux; Android 14; 2312DRA50C) AppleWebKit/537.36 (KHTML, like \
     Gecko) Version/4.0 Chrome/126.0.6478.188 Mobile Safari/537.36 XWEB/1260183 \
     MMWEBSDK/20240802 MicroMessenger/8.0.53.2740(0x28003533) WeChat/arm64 Weixin NetType/WIFI \
     Language/zh_CN ABI/arm64",
    "Accept: */*",
    "Accept-Encoding: gzip, deflate, br, zstd",
    "Accept-Language: zh-CN,zh;q=0.9,en-US;q=0.8,en;q=0.7",
    "X-Requested-With: com.tencent.mm",
    "Sec-Fetch-Site: same-site",
    "Sec-Fetch-Mode: cors",
    "Sec-Fetch-Dest: empty",
];

impl Situation {
    /// Those in which the slowest requests are compared.
    pub(crate) const CLOSE: [Self; 2] = [USUAL, Self::KeepAlive(256)];

    pub(crate) const fn load(self) -> Load {
        let usual = Load {
            connections: 32,
            close: false,
            depth: 1,
            headers: PLAIN,
        };
        match self {
            Self::KeepAlive(connections) => Load {
                connections,
                ..usual
            },
            Self::Close => Load {
                close: true,
                ..usual
            },
            Self::Pipelined => Load { depth: 16, ..usual },
            Self::Browser => Load {
                headers: BROWSER,
                ..usual
            },
        }
    }
}

impl fmt::Display for Situation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeepAlive(1) => f.write_str("1 connection"),
            Self::KeepAlive(connections) => write!(f, "{connections} connections"),
            Self::Close => f.write_str("32, a request each"),
            Self::Pipelined => f.write_str("32, pipelined 16"),
            Self::Browser => f.write_str("32, a browser's headers"),
        }
    }
}
