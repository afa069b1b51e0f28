#!lua name=evenkeel_registrations_@version@
-- Backends that registered themselves: each under a key that expires, and a sorted set with all of them by when.

local function now_ms()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

local function tell(channel, pool, now)
  redis.call('PUBLISH', channel,
    '{"type":"registration","pool":"' .. pool .. '","version":' .. string.format('%.0f', now) .. '}')
end

-- put_registration
--   KEYS[1] the sorted set  [2] the registration
--   ARGV    [1] event channel  [2] pool  [3] name in the set  [4] registration (JSON)  [5] ttl, ms
local function put_registration(keys, args)
  local now, before = now_ms(), redis.call('GET', keys[2])
  redis.call('SET', keys[2], args[4], 'PX', args[5])
  redis.call('ZADD', keys[1], now + tonumber(args[5]), args[3])
  if before ~= args[4] then tell(args[1], args[2], now) end
  return 1
end

-- remove_registration
--   KEYS and ARGV [1] to [3] as above. Answers 1, or 0 when there is none.
local function remove_registration(keys, args)
  redis.call('ZREM', keys[1], args[3])
  if redis.call('DEL', keys[2]) == 0 then return 0 end
  tell(args[1], args[2], now_ms())
  return 1
end

-- list_registrations: forgets those that expired.
--   KEYS[1] the sorted set   Answers { now, { name, expires at, … } }.
local function list_registrations(keys)
  local now = now_ms()
  redis.call('ZREMRANGEBYSCORE', keys[1], '-inf', now)
  return { now, redis.call('ZRANGE', keys[1], 0, -1, 'WITHSCORES') }
end

redis.register_function('put_registration_@version@', put_registration)
redis.register_function('remove_registration_@version@', remove_registration)
redis.register_function('list_registrations_@version@', list_registrations)
