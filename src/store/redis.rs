//! Records, the directory and what happened in Redis or Valkey.
//!
//! All keys have one hash tag, so that a Redis Cluster keeps them on one member and each script
//! sees them together:
//!
//! | key | what |
//! |---|---|
//! | `{wxsign}:record:APPID/KIND` | the version, 16 bytes, and behind it the record |
//! | `{wxsign}:directory` | a hash of the entries |
//! | `{wxsign}:directory:version` | its version |
//! | `{wxsign}:changes` | a sorted set of the accounts with news, each by the position of its last |
//! | `{wxsign}:position` | the last position |
//! | `{wxsign}:events` | a sorted set of events, each headed by its id and its account |
//! | `{wxsign}:events:APPID` | a sorted set of the ids of those about an account |
//! | `{wxsign}:audit`, `{wxsign}:audit:APPID` | the same of who changed what |
//!
//! Hints are published on the channel `{wxsign}:hints`.

mod connect;
mod events;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{Cmd, ErrorKind, FromRedisValue, RedisError, Value, cmd};
use futures_core::future::BoxFuture;
use tokio::sync::mpsc;

use super::link::{BULK_TIMEOUT, CALL_TIMEOUT, Fault, Link};
use super::{
    Backend, EncodedChanges, Entries, EventId, EventRange, EventStream, Hint, Key, News, ServerUrl,
    StoreError, Stored, StoredEvent, Version, Write,
};
use connect::Server;

/// Records and the directory in Redis or Valkey: one command a call, a script where it writes.
///
/// A write survives the end of this process. What it survives beside that is up to the server: with
/// `appendfsync everysec` a crash of the machine loses a second, and a failover loses what the
/// replica did not have yet. [`crate::keeper`] sets both right.
pub struct Redis {
    link: Link<MultiplexedConnection>,
    keys: Keys,
    hints: Mutex<Option<mpsc::UnboundedReceiver<Hint>>>,
}

/// The names under which everything is kept.
#[derive(Clone)]
struct Keys {
    tag: String,
}

impl Keys {
    fn record(&self, key: &Key) -> String {
        format!("{}:record:{key}", self.tag)
    }

    fn named(&self, name: &str) -> String {
        format!("{}:{name}", self.tag)
    }

    fn events(&self, stream: EventStream) -> String {
        self.named(match stream {
            EventStream::Course => "events",
            EventStream::Audit => "audit",
        })
    }

    fn hints(&self) -> String {
        self.named("hints")
    }
}

impl Redis {
    /// A store at `url`; it is connected to when it is needed.
    ///
    /// # Errors
    /// The certificates that the URL names cannot be read.
    pub fn new(url: &ServerUrl) -> Result<Self, StoreError> {
        let keys = Keys {
            tag: format!("{{{}}}", url.prefix),
        };
        let (tell, hints) = mpsc::unbounded_channel();
        let server = Arc::new(Server::new(url, keys.clone(), tell)?);
        let link = Link::new(url.to_string(), move || {
            let server = Arc::clone(&server);
            Box::pin(async move { server.connect().await })
        });
        Ok(Self {
            link,
            keys,
            hints: Mutex::new(Some(hints)),
        })
    }

    async fn ask<T: FromRedisValue + Send>(&self, command: Cmd) -> Result<T, StoreError> {
        self.ask_within(CALL_TIMEOUT, command).await
    }

    /// What was `found` under the key.
    fn stored(&self, key: &Key, found: &[u8]) -> Result<Stored, StoreError> {
        let Some((version, record)) = found.split_first_chunk() else {
            let name = self.keys.record(key);
            return Err(StoreError(format!(
                "what stands under {name} is none of wxsign's: delete it (DEL), or use another \
                 prefix"
            )));
        };
        Ok(Stored {
            version: Version::from_bytes(*version),
            bytes: record.to_vec(),
        })
    }

    async fn ask_within<T: FromRedisValue + Send>(
        &self,
        limit: Duration,
        command: Cmd,
    ) -> Result<T, StoreError> {
        self.link
            .call(limit, |mut connection| async move {
                command
                    .query_async(&mut connection)
                    .await
                    .map_err(|error| fault(&error))
            })
            .await
    }
}

/// What the server said. It never repeats what was sent to it, beside the name of a command.
fn failure(error: &RedisError) -> StoreError {
    StoreError(match (error.kind(), error.code(), error.detail()) {
        (ErrorKind::AuthenticationFailed, ..) => "Redis does not accept the user and password of \
                                                  the store's URL"
            .to_owned(),
        (_, Some("NOAUTH"), _) => "Redis wants a password: put it into the store's URL, or set \
                                   WXSIGN_STORE_PASSWORD_FILE"
            .to_owned(),
        (_, Some(code), Some(detail)) => format!("Redis says {code} {detail}"),
        (_, Some(code), None) => format!("Redis says {code}"),
        (_, None, _) => error.to_string(),
    })
}

/// What it means for the connection: another one would hear the same where the server is full,
/// wants more replicas, does not allow it, or finds something else under a key.
fn fault(error: &RedisError) -> Fault {
    const SAID: [&str; 5] = ["OOM", "NOREPLICAS", "NOPERM", "WRONGTYPE", "MISCONF"];
    match error.code() {
        Some(code) if SAID.contains(&code) => Fault::Said(failure(error)),
        _ => Fault::Line(failure(error)),
    }
}

/// A script with the keys that it works on. It is sent in full each time: so few calls are made
/// that this is no load, and no server has to remember it.
fn script<const N: usize>(source: &str, keys: [String; N]) -> Cmd {
    let mut command = cmd("EVAL");
    command.arg(source).arg(N);
    for key in keys {
        command.arg(key);
    }
    command
}

/// Writes the record if its version is ARGV[1]. If it is news for ARGV[4], that is written into
/// the changes too, and published; who may not publish writes all the same. Positions grow with the
/// time, so that those after a failover which lost some are not taken for these.
const SWAP: &str = "\
local found = redis.call('GET', KEYS[1])
local version = found and string.sub(found, 1, 16) or string.rep('\\0', 16)
if version ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2] .. ARGV[3])
if ARGV[4] ~= '' then
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  local position = math.max((tonumber(redis.call('GET', KEYS[3])) or 0) + 1, now)
  position = string.format('%.0f', position)
  redis.call('SET', KEYS[3], position)
  redis.call('ZADD', KEYS[2], position, ARGV[4])
  redis.pcall('PUBLISH', ARGV[5], ARGV[4])
end
return 1";

/// The version and the entries together.
const DIRECTORY: &str = "return {redis.call('GET', KEYS[1]), redis.call('HGETALL', KEYS[2])}";

/// Changes entries if the version is ARGV[1]: each by its name, whether it is to be there, and what
/// it is to be.
const SWAP_DIRECTORY: &str = "\
local version = redis.call('GET', KEYS[1]) or string.rep('\\0', 16)
if version ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
for i = 5, #ARGV, 3 do
  if ARGV[i + 1] == '1' then redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 2])
  else redis.call('HDEL', KEYS[2], ARGV[i]) end
end
redis.pcall('PUBLISH', ARGV[3], ARGV[4])
return 1";

/// The position, and the accounts with news since ARGV[1]; none of them if it is empty, and false
/// if it lies ahead: then the server has forgotten something.
const CHANGES: &str = "\
local position = tonumber(redis.call('GET', KEYS[1]) or 0)
local since = tonumber(ARGV[1])
if not since or since == position then return {position, {}} end
if since > position then return {position, false} end
return {position, redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. ARGV[1], '+inf')}";

impl Backend for Redis {
    fn load<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Stored>, StoreError>> {
        Box::pin(async move {
            let mut get = cmd("GET");
            get.arg(self.keys.record(key));
            let found: Option<Vec<u8>> = self.ask(get).await?;
            found.map(|found| self.stored(key, &found)).transpose()
        })
    }

    fn load_many<'a>(
        &'a self,
        keys: &'a [Key],
    ) -> BoxFuture<'a, Result<Vec<Option<Stored>>, StoreError>> {
        Box::pin(async move {
            let mut get = cmd("MGET");
            for key in keys {
                get.arg(self.keys.record(key));
            }
            let found: Vec<Option<Vec<u8>>> = self.ask_within(BULK_TIMEOUT, get).await?;
            let found = keys.iter().zip(found);
            let stored = found.map(|(key, found)| {
                let stored = found.map(|found| self.stored(key, &found));
                stored.transpose()
            });
            stored.collect()
        })
    }

    fn swap<'a>(&'a self, key: &'a Key, write: Write) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            let keys = [
                self.keys.record(key),
                self.keys.named("changes"),
                self.keys.named("position"),
            ];
            let hint = Hint::Account(key.appid.clone());
            let mut swap = script(SWAP, keys);
            swap.arg(&write.from.to_bytes())
                .arg(&write.to.to_bytes())
                .arg(write.bytes)
                .arg(if write.is_news { hint.as_str() } else { "" })
                .arg(self.keys.hints());
            self.ask(swap).await
        })
    }

    fn directory(
        &self,
        known: Option<Version>,
    ) -> BoxFuture<'_, Result<Option<Entries>, StoreError>> {
        Box::pin(async move {
            let keys = ["directory:version", "directory"].map(|name| self.keys.named(name));
            let mut get = cmd("GET");
            get.arg(&keys[0]);
            let version: Option<Vec<u8>> = self.ask(get).await?;
            if known == Some(directory_version(version)?) {
                return Ok(None);
            }
            let directory = script(DIRECTORY, keys);
            let (version, entries): (_, Value) = self.ask_within(BULK_TIMEOUT, directory).await?;
            let mut found = Entries::new(directory_version(version)?);
            for entry in entries.as_map_iter().ok_or_else(not_ours)? {
                let (Value::BulkString(name), Value::BulkString(content)) = entry else {
                    return Err(not_ours());
                };
                let name = std::str::from_utf8(name).map_err(|_| not_ours())?;
                found.push(name, content);
            }
            Ok(Some(found))
        })
    }

    fn swap_directory(
        &self,
        from: Version,
        to: Version,
        changes: EncodedChanges,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move {
            let keys = ["directory:version", "directory"].map(|name| self.keys.named(name));
            let mut swap = script(SWAP_DIRECTORY, keys);
            swap.arg(&from.to_bytes())
                .arg(&to.to_bytes())
                .arg(self.keys.hints())
                .arg(Hint::Directory.as_str());
            for (name, change) in changes {
                let there = u8::from(change.is_some());
                swap.arg(name).arg(there).arg(change.unwrap_or_default());
            }
            self.ask_within(BULK_TIMEOUT, swap).await
        })
    }

    fn is_embedded(&self) -> bool {
        false
    }

    fn changes(&self, position: Option<u64>) -> BoxFuture<'_, Result<News, StoreError>> {
        Box::pin(async move {
            let keys = ["position", "changes"].map(|name| self.keys.named(name));
            let mut changes = script(CHANGES, keys);
            changes.arg(position.map_or_else(String::new, |position| position.to_string()));
            let (position, accounts): (u64, Option<Vec<String>>) = self.ask(changes).await?;
            let parsed = |accounts: Vec<String>| {
                accounts
                    .iter()
                    .filter_map(|appid| appid.parse().ok())
                    .collect()
            };
            Ok(News {
                position,
                accounts: accounts.map(parsed),
            })
        })
    }

    fn append_events(
        &self,
        stream: EventStream,
        events: Vec<StoredEvent>,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let append = events::append(self.keys.events(stream), events);
            self.ask_within(BULK_TIMEOUT, append).await
        })
    }

    fn events(
        &self,
        stream: EventStream,
        range: EventRange,
    ) -> BoxFuture<'_, Result<Vec<StoredEvent>, StoreError>> {
        Box::pin(async move {
            let find = events::find(self.keys.events(stream), &range);
            let found: Vec<Vec<u8>> = self.ask_within(BULK_TIMEOUT, find).await?;
            Ok(found
                .iter()
                .filter_map(|found| events::read(found))
                .collect())
        })
    }

    fn prune_events(
        &self,
        stream: EventStream,
        before: EventId,
        most: u32,
    ) -> BoxFuture<'_, Result<u32, StoreError>> {
        Box::pin(async move {
            let prune = events::prune(self.keys.events(stream), before, most);
            self.ask_within(BULK_TIMEOUT, prune).await
        })
    }

    fn hints(&self) -> Option<mpsc::UnboundedReceiver<Hint>> {
        let mut hints = self.hints.lock().unwrap_or_else(PoisonError::into_inner);
        hints.take()
    }
}

fn directory_version(stored: Option<Vec<u8>>) -> Result<Version, StoreError> {
    let Some(bytes) = stored else {
        return Ok(Version::ABSENT);
    };
    let bytes = bytes.try_into();
    bytes.map(Version::from_bytes).map_err(|_| not_ours())
}

fn not_ours() -> StoreError {
    StoreError("the directory in Redis is none of wxsign's: use another prefix".to_owned())
}

/// The hint in a message on the channel.
fn hint(message: &[Value]) -> Option<Hint> {
    let [_, Value::BulkString(text)] = message else {
        return None;
    };
    Hint::parse(std::str::from_utf8(text).ok()?)
}
