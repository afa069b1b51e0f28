#!lua name=evenkeel_config_@version@
-- The applied configuration: one hash, so that every step is atomic in a Redis Cluster too.
--   version          rises with every change of `document` or `discovered`
--   document         as an operator wrote it (JSON)
--   documentVersion  the version under which it came
--   appliedAtMs      when
--   seeded           '1': planted by a scheduler that found none, not by an operator
--   discovered       what was found of pools at run time (JSON)
--   leader           the member that may say what was found; until `leaderUntilMs`, by Redis's clock
--
-- A version is the clock in ms, or one more than the last: so it rises even when Redis came back with older data or none.

local LEAD_MAX_MS = 60000

local function now_ms()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

local function digits(number) return string.format('%.0f', number) end

local function field(key, name) return tonumber(redis.call('HGET', key, name) or '') or 0 end

-- Every change comes through here.
-- @param seen the new version rises above this one too
local function change(key, channel, seen, fields)
  local now, applied = now_ms(), field(key, 'version')
  local version = math.max(now, applied + 1, seen + 1)
  redis.call('HSET', key, 'version', digits(version), unpack(fields))
  redis.call('PUBLISH', channel, '{"type":"config","version":' .. digits(version) .. '}')
  return version
end

local function document_version(key)
  local text = redis.call('HGET', key, 'documentVersion')
  return text and tonumber(text) or field(key, 'version')
end

-- apply_config
--   KEYS[1] the hash
--   ARGV    [1] event channel  [2] document
--           [3] documentVersion the caller believes to be applied, 0 for none, '' for whichever it is
--           [4] '1' for a seed, which any configuration that somebody still knows goes before; else '0'
--   What was found stays. Answers { 1, new version }, or { 0, applied documentVersion } when it is not the believed one;
--   then nothing changed.
local function apply_config(keys, args)
  local key = keys[1]
  local applied = document_version(key)
  if args[3] ~= '' and applied ~= tonumber(args[3]) then return { 0, applied } end
  local version = change(key, args[1], applied,
    { 'document', args[2], 'appliedAtMs', digits(now_ms()), 'seeded', args[4] })
  redis.call('HSET', key, 'documentVersion', digits(version))
  return { 1, version }
end

-- restore_config: puts back what Redis lost and a scheduler still knows.
--   KEYS[1] the hash
--   ARGV    [1] event channel  [2] document  [3] its documentVersion  [4] seeded  [5] discovered, '' to keep what is there
--           [6] version of what is applied instead, 0 for nothing  [7] version that the caller knew
--   Answers as apply_config, of `version`.
local function restore_config(keys, args)
  local key = keys[1]
  local applied = field(key, 'version')
  if applied ~= tonumber(args[6]) then return { 0, applied } end
  local fields = { 'document', args[2], 'documentVersion', args[3], 'appliedAtMs', digits(now_ms()), 'seeded', args[4] }
  if args[5] ~= '' then
    fields[#fields + 1] = 'discovered'
    fields[#fields + 1] = args[5]
  end
  return { 1, change(key, args[1], tonumber(args[7]), fields) }
end

-- There is nothing to lead, and nothing to add to, while no configuration is applied: what a scheduler puts back must
-- not meet a version that nobody wrote.
local function leads(key, member, now)
  local held = redis.call('HMGET', key, 'leader', 'leaderUntilMs', 'document')
  return held[3] and held[1] == member and (tonumber(held[2] or '') or 0) > now
end

-- lead_discovery: takes the lead where nobody has it, or keeps it.
--   KEYS[1] the hash   ARGV [1] member  [2] for how long, ms   Answers 1 or 0.
local function lead_discovery(keys, args)
  local key, now = keys[1], now_ms()
  local held = redis.call('HMGET', key, 'leader', 'leaderUntilMs', 'document')
  if not held[3] then return 0 end
  -- More than anyone takes it for: this clock was set back, and who took it may be gone.
  local left = (tonumber(held[2] or '') or 0) - now
  if held[1] and held[1] ~= args[1] and left > 0 and left <= LEAD_MAX_MS then return 0 end
  redis.call('HSET', key, 'leader', args[1], 'leaderUntilMs', digits(now + tonumber(args[2])))
  return 1
end

-- resign_discovery
--   KEYS[1] the hash   ARGV [1] member
local function resign_discovery(keys, args)
  if redis.call('HGET', keys[1], 'leader') == args[1] then redis.call('HDEL', keys[1], 'leader', 'leaderUntilMs') end
  return 1
end

-- publish_discovered
--   KEYS[1] the hash   ARGV [1] event channel  [2] member  [3] discovered
--   Answers 1; 0: nothing changed; -1: this member does not lead.
local function publish_discovered(keys, args)
  local key = keys[1]
  if not leads(key, args[2], now_ms()) then return -1 end
  if (redis.call('HGET', key, 'discovered') or '{}') == args[3] then return 0 end
  change(key, args[1], document_version(key), { 'discovered', args[3] })
  return 1
end

redis.register_function('apply_config_@version@', apply_config)
redis.register_function('restore_config_@version@', restore_config)
redis.register_function('lead_discovery_@version@', lead_discovery)
redis.register_function('resign_discovery_@version@', resign_discovery)
redis.register_function('publish_discovered_@version@', publish_discovered)
