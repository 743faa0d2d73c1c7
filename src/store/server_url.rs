//! The address of a server that several processes share, as a URL.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::credential::Secret;

/// A server, or several that are one, to keep records in.
///
/// ```text
/// scheme://[user[:password]@]host[:port][,host[:port]…][/path][?name=value&…]
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServerUrl {
    /// What kind of server it is.
    pub engine: Engine,
    /// Whether the connection is encrypted, and the server has to prove who it is.
    pub tls: bool,
    /// The certificates of those who may vouch for the server, beside those of this machine.
    pub ca_file: Option<PathBuf>,
    /// Where it is reached; of several, any may answer.
    pub endpoints: Vec<Endpoint>,
    /// Who this program is to it.
    pub user: Option<String>,
    /// With which password.
    pub password: Option<Secret>,
    /// The database there: a number for Redis, a name for PostgreSQL.
    pub database: Option<String>,
    /// What the names of all keys and tables begin with.
    pub prefix: String,
}

/// A kind of server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Engine {
    /// One Redis or Valkey.
    Redis,
    /// A Redis whose address is asked of its Sentinels, where it has this name.
    Sentinel {
        /// The name.
        master: String,
    },
    /// A Redis Cluster; the endpoints are some of its members.
    Cluster,
    /// PostgreSQL; the first endpoint that can be written to.
    Postgres,
}

/// Where a server listens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Endpoint {
    /// A host and a port.
    Tcp(String, u16),
    /// A socket in the file system.
    Unix(PathBuf),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// What a scheme stands for.
struct Scheme {
    name: &'static str,
    engine: Engine,
    tls: bool,
    unix: bool,
    port: u16,
}

const fn scheme(name: &'static str, engine: Engine, port: u16) -> Scheme {
    Scheme {
        name,
        engine,
        tls: false,
        unix: false,
        port,
    }
}

/// The schemes, with the ports that their servers have by default
/// (<https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/>,
/// <https://www.postgresql.org/docs/current/libpq-connect.html>).
fn schemes() -> [Scheme; 9] {
    let sentinel = || Engine::Sentinel {
        master: String::new(),
    };
    let tls = |scheme: Scheme| Scheme {
        tls: true,
        ..scheme
    };
    let unix = |scheme: Scheme| Scheme {
        unix: true,
        ..scheme
    };
    [
        scheme("redis", Engine::Redis, 6379),
        tls(scheme("rediss", Engine::Redis, 6379)),
        unix(scheme("redis+unix", Engine::Redis, 0)),
        scheme("redis+sentinel", sentinel(), 26379),
        tls(scheme("rediss+sentinel", sentinel(), 26379)),
        scheme("redis+cluster", Engine::Cluster, 6379),
        tls(scheme("rediss+cluster", Engine::Cluster, 6379)),
        scheme("postgres", Engine::Postgres, 5432),
        scheme("postgresql", Engine::Postgres, 5432),
    ]
}

/// The forms, for messages.
pub const FORMS: &str = "redis://HOST, rediss://HOST (TLS), redis+unix:///PATH, \
     redis+sentinel://HOST,HOST,HOST/MASTER, redis+cluster://HOST,HOST or postgres://HOST/DATABASE";

const DEFAULT_PREFIX: &str = "wxsign";

impl ServerUrl {
    /// Reads a URL; `None` if its scheme is that of no server.
    ///
    /// # Errors
    /// What a URL must look like. The text is not repeated: it may hold a password.
    pub fn parse(text: &str) -> Option<Result<Self, String>> {
        let (name, rest) = text.split_once("://")?;
        let scheme = schemes().into_iter().find(|scheme| scheme.name == name)?;
        Some(Self::parse_rest(scheme, rest))
    }

    fn parse_rest(scheme: Scheme, rest: &str) -> Result<Self, String> {
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        // A password may hold an @ that somebody forgot to encode, but no host does.
        let (user_info, rest) = match rest.rsplit_once('@') {
            Some((user_info, rest)) => (Some(user_info), rest),
            None => (None, rest),
        };
        let mut params = Params::parse(query)?;
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, password) = user_info.map_or(Ok((None, None)), parse_user_info)?;
        let mut url = Self {
            endpoints: if scheme.unix {
                let path = (!path.is_empty()).then(|| PathBuf::from(format!("/{path}")));
                vec![Endpoint::Unix(path.filter(|_| hosts.is_empty()).ok_or(
                    "names no socket: write redis+unix:///run/redis/redis.sock",
                )?)]
            } else {
                parse_hosts(hosts, scheme.port)?
            },
            engine: scheme.engine,
            tls: scheme.tls,
            ca_file: params.take("ca_file").map(PathBuf::from),
            user,
            password,
            database: params.take("db"),
            prefix: params
                .take("prefix")
                .unwrap_or_else(|| DEFAULT_PREFIX.to_owned()),
        };
        if !scheme.unix {
            url.take_path(path)?;
        }
        if url.engine == Engine::Postgres {
            url.take_sslmode(params.take("sslmode").as_deref())?;
        }
        params.close()?;
        url.check()?;
        Ok(url)
    }

    /// What stands behind the hosts.
    fn take_path(&mut self, path: &str) -> Result<(), String> {
        let (first, second) = path.split_once('/').unwrap_or((path, ""));
        let database = match &mut self.engine {
            Engine::Sentinel { master } => {
                if first.is_empty() {
                    return Err(
                        "names no master: write redis+sentinel://HOST,HOST,HOST/MASTER, with the \
                         name that the Sentinels have for it"
                            .to_owned(),
                    );
                }
                first.clone_into(master);
                second
            }
            _ => path,
        };
        if !database.is_empty() {
            if self.database.is_some() {
                return Err("names its database twice: behind the hosts, and as db".to_owned());
            }
            self.database = Some(decoded(database)?);
        }
        Ok(())
    }

    /// All modes with TLS check the server's certificate.
    fn take_sslmode(&mut self, mode: Option<&str>) -> Result<(), String> {
        self.tls = match mode {
            None | Some("disable") => false,
            Some("require" | "verify-ca" | "verify-full") => true,
            Some(_) => {
                return Err(
                    "has an sslmode that leaves it open whether the connection is encrypted: \
                     write sslmode=verify-full, or sslmode=disable"
                        .to_owned(),
                );
            }
        };
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        let is_postgres = self.engine == Engine::Postgres;
        let database = self.database.as_deref().unwrap_or("0");
        if !is_postgres && !database.parse::<i64>().is_ok_and(|number| number >= 0) {
            return Err(
                "must name the database of a Redis by its number, as redis://HOST/1".into(),
            );
        }
        let in_prefix = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let begins = self.prefix.starts_with(|c: char| c.is_ascii_lowercase());
        if !begins || self.prefix.len() > 32 || !self.prefix.chars().all(in_prefix) {
            return Err(
                "has a prefix that is not 1 to 32 of a-z, 0-9 and _, beginning with a letter"
                    .to_owned(),
            );
        }
        if self.engine == Engine::Cluster && self.database.is_some() {
            return Err("names a database, and a Redis Cluster has but one".to_owned());
        }
        if self.ca_file.is_some() && !self.tls {
            return Err(format!(
                "has a ca_file, but its connection is not encrypted: write {}",
                if is_postgres {
                    "sslmode=verify-full"
                } else {
                    "rediss"
                }
            ));
        }
        Ok(())
    }
}

impl fmt::Display for ServerUrl {
    /// Without the password; what is as it would be anyway is left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unix = matches!(self.endpoints.first(), Some(Endpoint::Unix(_)));
        let name = schemes().into_iter().find(|scheme| {
            let same =
                std::mem::discriminant(&scheme.engine) == std::mem::discriminant(&self.engine);
            let tls = scheme.tls == self.tls || self.engine == Engine::Postgres;
            same && tls && scheme.unix == unix
        });
        write!(f, "{}://", name.map_or("", |scheme| scheme.name))?;
        if let Some(user) = &self.user {
            write!(f, "{}@", encoded(user))?;
        }
        let endpoints: Vec<_> = self.endpoints.iter().map(Endpoint::to_string).collect();
        f.write_str(&endpoints.join(","))?;
        if let Engine::Sentinel { master } = &self.engine {
            write!(f, "/{master}")?;
        }
        if let (Some(database), false) = (&self.database, unix) {
            write!(f, "/{}", encoded(database))?;
        }
        let database = self.database.as_ref().filter(|_| unix);
        let sslmode = (self.tls && self.engine == Engine::Postgres).then_some("verify-full");
        let prefix = Some(self.prefix.as_str()).filter(|prefix| *prefix != DEFAULT_PREFIX);
        let ca_file = self.ca_file.as_ref().map(|path| path.display().to_string());
        let params = [
            ("db", database.map(String::as_str)),
            ("sslmode", sslmode),
            ("prefix", prefix),
            ("ca_file", ca_file.as_deref()),
        ];
        let given = params
            .iter()
            .filter_map(|(name, value)| Some((name, (*value)?)));
        for (number, (name, value)) in given.enumerate() {
            let mark = if number == 0 { '?' } else { '&' };
            write!(f, "{mark}{name}={}", encoded(value))?;
        }
        Ok(())
    }
}

/// What follows the question mark.
struct Params(BTreeMap<String, String>);

impl Params {
    fn parse(query: &str) -> Result<Self, String> {
        let mut params = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if params
                .insert(name.to_string(), value.into_owned())
                .is_some()
            {
                let name = shown(&name);
                return Err(format!("has {name} twice behind the question mark"));
            }
        }
        Ok(Self(params))
    }

    fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    fn close(self) -> Result<(), String> {
        match self.0.into_keys().next() {
            None => Ok(()),
            Some(name) => Err(format!(
                "has {} behind the question mark, which is not known here: there may be db, \
                 prefix, ca_file and, for PostgreSQL, sslmode; a question mark in a password is \
                 written %3F",
                shown(&name)
            )),
        }
    }
}

/// A name as it may be repeated: what does not look like one may be the rest of a password.
fn shown(name: &str) -> &str {
    let is_name = name.len() <= 20 && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    if is_name { name } else { "something" }
}

fn parse_user_info(text: &str) -> Result<(Option<String>, Option<Secret>), String> {
    let (user, password) = match text.split_once(':') {
        Some((user, password)) => (user, Some(decoded(password)?)),
        None => (text, None),
    };
    let user = Some(decoded(user)?).filter(|user| !user.is_empty());
    Ok((user, password.map(Secret::new)))
}

fn parse_hosts(text: &str, default_port: u16) -> Result<Vec<Endpoint>, String> {
    text.split(',')
        .map(|host| parse_host(host, default_port))
        .collect()
}

fn parse_host(text: &str, default_port: u16) -> Result<Endpoint, String> {
    const WANTED: &str = "must name hosts as HOST, HOST:PORT or [IPV6]:PORT, with commas between";
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or(WANTED)?;
            let port = rest.strip_prefix(':');
            if port.is_none() && !rest.is_empty() {
                return Err(WANTED.to_owned());
            }
            (host, port)
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let port = port.map_or(Ok(default_port), |port| port.parse().map_err(|_| WANTED))?;
    let in_host = |c: char| c.is_ascii_alphanumeric() || "-._:%".contains(c);
    if host.is_empty() || !host.chars().all(in_host) || port == 0 {
        return Err(WANTED.to_owned());
    }
    Ok(Endpoint::Tcp(host.to_owned(), port))
}

fn decoded(text: &str) -> Result<String, String> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded
        .map(|text| text.into_owned())
        .map_err(|_| "has bytes that are no UTF-8 behind a percent sign".to_owned())
}

/// As [`decoded`] reads it back; what most names and paths are made of stays as it is.
fn encoded(text: &str) -> impl fmt::Display {
    const OTHER: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'/');
    utf8_percent_encode(text, OTHER)
}

#[cfg(test)]
mod tests;
