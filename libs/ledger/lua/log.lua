-- What happened to the pool: told at once, and kept in its log (a Redis Stream), in the same call as the change.
-- libs/core/ledger/model/log.ts
local new_story, tell_change, tell_health, members_text, publish
do

local EVENTS_KEPT = 1000
local MAX_NAMED = 16
local AS_CONFIGURED = 100 -- percent

-- @param changes of backends, for those who listen; entries for the log: tables, or texts of objects
function new_story() return { changes = {}, entries = {} } end

function tell_change(story, b, entry)
  local more = b.More
  local change = { backend = b.Id, health = more.health, reason = more.reason, mode = more.mode,
    weightPercent = more.weightPercent or AS_CONFIGURED, drain = more.drain or false }
  story.changes[#story.changes + 1] = change
  story.entries[#story.entries + 1] = entry
end

-- @param from its health before; nothing is told where that is as it was. Answers the transition, else nil.
function tell_health(story, b, from)
  local more = b.More
  if more.health == from then return nil end
  local detail = more.detail or cjson.null
  tell_change(story, b, { type = 'health', backend = b.Id, from = from, to = more.health, reason = more.reason,
    detail = detail, ejections = more.ejections })
  return { backend = b.Id, from = from, to = more.health, reason = more.reason, detail = detail }
end

local function named(ids)
  local first = {}
  for i = 1, min(#ids, MAX_NAMED) do first[i] = ids[i] end
  return list_text(first)
end

-- @param joined, left ids in the order of their names
function members_text(pool, joined, left)
  return string.format('{"type":"members","configVersion":%d,"size":%d,"joined":', pool.configVersion, #pool.all)
    .. named(joined) .. ',"left":' .. named(left) .. '}'
end

local function log_entry(pool, entry)
  local text = type(entry) == 'string' and entry or cjson.encode(entry)
  local stamped = string.format('{"version":%d,"atMs":%d,', pool.version, pool.now) .. string.sub(text, 2)
  redis.call('XADD', pool.keys.events, 'MAXLEN', '~', EVENTS_KEPT, '*', 'e', stamped)
end

-- @param panicked whether panic began or is over with this version
function publish(pool, story, panicked)
  local entries = story.entries
  for i = max(1, #entries - EVENTS_KEPT + 1), #entries do log_entry(pool, entries[i]) end
  if panicked then log_entry(pool, { type = 'panic', on = pool.panic == 1 }) end
  redis.call('PUBLISH', pool.channel, cjson.encode({ type = 'pool', pool = pool.name, version = pool.version,
    atMs = pool.now, changes = story.changes }))
end

end
