#!lua name=evenkeel_config_@version@
-- The applied configuration: one hash { version, document, appliedAtMs, seeded }, replaced as a whole or not at all.
--
-- apply_config
--   KEYS[1] the hash
--   ARGV    [1] event channel  [2] document (JSON)
--           [3] version the caller believes to be applied, 0 for none, '' for whichever it is
--           [4] highest version the caller has ever seen, 0 for none
--           [5] '1' for a seed, which any configuration that somebody still knows goes before; else '0'
--   Answers { 1, new version }, or { 0, applied version } when it is not the believed one; then nothing changed.
--
-- A version is the clock in ms, or one more than the last: so it rises even when Redis came back with older data or none.

local function apply_config(keys, args)
  local applied = tonumber(redis.call('HGET', keys[1], 'version')) or 0
  if args[3] ~= '' and applied ~= tonumber(args[3]) then return { 0, applied } end
  local time = redis.call('TIME')
  local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
  local seen = tonumber(args[4])
  local version = math.max(now, applied + 1, seen + 1)
  local text = string.format('%.0f', version)
  redis.call('HSET', keys[1], 'version', text, 'document', args[2], 'appliedAtMs', string.format('%.0f', now),
    'seeded', args[5])
  redis.call('PUBLISH', args[1], '{"type":"config","version":' .. text .. '}')
  return { 1, version }
end

redis.register_function('apply_config_@version@', apply_config)
