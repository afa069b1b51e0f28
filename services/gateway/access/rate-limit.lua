#!lua name=evenkeel_limit_@version@
-- Rate limits shared by all gateways: GCRA, operation by operation what libs/core/limits/gcra.ts does in plain words;
-- random traces hold both to equal answers. One key per call, so it works on every server of a Redis Cluster.
--
-- KEYS[1]: the theoretical arrival time of one bucket, µs since EPOCH_S; it expires when the bucket is full again
-- ARGV[1]: µs between two requests  [2] burst  [3] now in µs since EPOCH_S, '' for Redis's clock
-- Answer: [remaining, or -1 when refused; µs until one more passes]

-- 2025: a double holds µs since then to 1/64 for some decades, those since 1970 only to 1/4.
local EPOCH_S = 1735689600
local TOLERANCE_US = 0.5

local function take(keys, args)
  local interval, burst, now = tonumber(args[1]), tonumber(args[2]), tonumber(args[3])
  if not now then
    local time = redis.call('TIME')
    now = (tonumber(time[1]) - EPOCH_S) * 1000000 + tonumber(time[2])
  end
  local capacity = interval * burst
  local kept = tonumber(redis.call('GET', keys[1]) or now) or now
  local arrival = math.min(math.max(kept, now), now + capacity + TOLERANCE_US)
  local next_arrival = arrival + interval
  local room = now + capacity - next_arrival
  if room < -TOLERANCE_US then
    return { -1, math.ceil(-room) }
  end
  redis.call('SET', keys[1], string.format('%.17g', next_arrival), 'PX', math.ceil((next_arrival - now) / 1000))
  local remaining = math.max(0, math.floor((room + TOLERANCE_US) / interval))
  return { remaining, remaining > 0 and 0 or math.max(0, math.ceil(interval - room)) }
end

redis.register_function('evenkeel_limit_@version@', take)
