//! What happened, in Redis: sorted sets without scores, whose members are in the order of the ids
//! that they begin with.

use ::redis::Cmd;

use super::script;
use crate::store::{EventId, EventRange, PRUNED_AT_ONCE, StoredEvent};

/// How long an id is.
const ID: usize = 32;

/// Adds events: each by its id, its account or nothing, and what happened.
const APPEND: &str = "\
for i = 1, #ARGV, 3 do
  redis.call('ZADD', KEYS[1], 0, ARGV[i] .. ARGV[i + 1] .. ' ' .. ARGV[i + 2])
  if ARGV[i + 1] ~= '' then
    redis.call('ZADD', KEYS[1] .. ':' .. ARGV[i + 1], 0, ARGV[i])
  end
end
return redis.status_reply('OK')";

/// The newest ARGV[3] events between ARGV[2] and ARGV[1].
const FIND: &str =
    "return redis.call('ZREVRANGEBYLEX', KEYS[1], ARGV[1], ARGV[2], 'LIMIT', 0, ARGV[3])";

/// The same of the account whose ids are in KEYS[2].
const FIND_OF_ACCOUNT: &str = "\
local found = {}
local ids = redis.call('ZREVRANGEBYLEX', KEYS[2], ARGV[1], ARGV[2], 'LIMIT', 0, ARGV[3])
for _, id in ipairs(ids) do
  local event = redis.call('ZRANGEBYLEX', KEYS[1], '[' .. id, '(' .. id .. '\\255')
  if event[1] then found[#found + 1] = event[1] end
end
return found";

/// Takes those before ARGV[1] away, and all but the newest ARGV[2], but no more than ARGV[3]. Says
/// how many.
const PRUNE: &str = "\
local old = redis.call('ZLEXCOUNT', KEYS[1], '-', '(' .. ARGV[1])
local many = redis.call('ZCARD', KEYS[1]) - tonumber(ARGV[2])
local count = math.min(math.max(old, many), tonumber(ARGV[3]))
if count > 0 then
  for _, event in ipairs(redis.call('ZRANGE', KEYS[1], 0, count - 1)) do
    local id, appid = string.sub(event, 1, 32), string.match(event, '^([^ ]*) ', 33)
    if appid and appid ~= '' then redis.call('ZREM', KEYS[1] .. ':' .. appid, id) end
  end
  redis.call('ZREMRANGEBYRANK', KEYS[1], 0, count - 1)
end
return math.max(count, 0)";

pub(super) fn append(key: String, events: Vec<StoredEvent>) -> Cmd {
    let mut append = script(APPEND, [key]);
    for StoredEvent { id, appid, bytes } in events {
        let appid = appid.map_or_else(String::new, |appid| appid.to_string());
        append.arg(id.to_string()).arg(appid).arg(bytes);
    }
    append
}

pub(super) fn find(key: String, range: &EventRange) -> Cmd {
    let (after, before) = range.bounds();
    let mut find = match &range.appid {
        None => script(FIND, [key]),
        Some(appid) => {
            let of_account = format!("{key}:{appid}");
            script(FIND_OF_ACCOUNT, [key, of_account])
        }
    };
    // What begins with an id comes after that id alone, and before it with the largest byte.
    let after = [b"(", after.to_string().as_bytes(), b"\xff"].concat();
    find.arg(format!("({before}")).arg(after).arg(range.limit);
    find
}

pub(super) fn prune(key: String, before: EventId, most: u32) -> Cmd {
    let mut prune = script(PRUNE, [key]);
    prune
        .arg(before.to_string())
        .arg(most.max(1))
        .arg(PRUNED_AT_ONCE);
    prune
}

/// The event in a member; `None` for what is none of ours.
pub(super) fn read(member: &[u8]) -> Option<StoredEvent> {
    let (id, rest) = member.split_at_checked(ID)?;
    let end = rest.iter().position(|byte| *byte == b' ')?;
    let appid = std::str::from_utf8(&rest[..end]).ok()?;
    Some(StoredEvent {
        id: std::str::from_utf8(id).ok()?.parse().ok()?,
        appid: appid.parse().ok(),
        bytes: rest[end + 1..].to_vec(),
    })
}
