-- Health: libs/core/health/state.ts. `out` tells when the unhealthy may return; `failing` in meta counts those with
-- strikes, so that the usual case (nobody fails, nobody is out) costs nothing.
local keep_health, set_strikes, rise, change, observe_probe, observe_traffic, return_unproven
do

function keep_health(pool, b)
  local more = b.More
  redis.call('HSET', pool.keys.health, b.Id, cjson.encode({ health = more.health, reason = more.reason,
    sinceMs = more.sinceMs, streak = more.streak, strikes = more.strikes, untilMs = more.untilMs, mode = more.mode }))
  if more.health == 'unhealthy' then
    redis.call('ZADD', pool.keys.out, more.untilMs, b.Id)
    pool.nextOutMs = min(pool.nextOutMs, more.untilMs)
  else
    redis.call('ZREM', pool.keys.out, b.Id)
  end
end

function set_strikes(pool, b, strikes)
  if (b.More.strikes or 0) > 0 then pool.failing = pool.failing - 1 end
  b.More.strikes = strikes
  if strikes > 0 then pool.failing = pool.failing + 1 end
end

local function enter(pool, b, health, reason, until_ms)
  local more = b.More
  more.health, more.reason, more.sinceMs, more.streak, more.untilMs = health, reason, pool.now, 0, until_ms
  set_strikes(pool, b, 0)
end

function rise(pool, b, reason) enter(pool, b, 'healthy', reason, 0) end

local function fall(pool, b, reason) enter(pool, b, 'unhealthy', reason, pool.now + pool.holdMs) end

function change(b)
  local more = b.More
  return { backend = b.Id, health = more.health, reason = more.reason, mode = more.mode }
end

function observe_probe(pool, b, ok)
  local more = b.More
  if more.health == 'healthy' then
    if ok and more.streak == 0 then return end
    if ok then
      more.streak = 0
    elseif more.streak + 1 >= pool.fall then
      fall(pool, b, 'probe')
    else
      more.streak = more.streak + 1
    end
  elseif ok and more.streak + 1 >= pool.rise then
    rise(pool, b, 'probe')
  else
    more.streak = ok and more.streak + 1 or 0
    more.untilMs = pool.now + pool.holdMs
  end
  keep_health(pool, b)
end

-- @param failures since the last success among those reported together
function observe_traffic(pool, b, failures, succeeded)
  local more = b.More
  if more.health == 'unhealthy' then
    if failures == 0 then return end
    more.untilMs = max(more.untilMs, pool.now + pool.holdMs)
  else
    local strikes = (succeeded and 0 or more.strikes) + failures
    if strikes >= pool.fall then
      fall(pool, b, 'traffic')
    elseif strikes == more.strikes then
      return
    else
      set_strikes(pool, b, strikes)
    end
  end
  keep_health(pool, b)
end

-- Backends out for `holdMs` without a sign of failure return, one failure away from leaving again.
function return_unproven(pool)
  if pool.now < pool.nextOutMs then return end
  local due, changes, returned = redis.call('ZRANGEBYSCORE', pool.keys.out, '-inf', pool.now), {}, {}
  know(pool, due)
  for i, id in ipairs(due) do
    local b = pool.backends[id]
    rise(pool, b, 'probation')
    b.More.streak = pool.fall - 1
    set_strikes(pool, b, pool.fall - 1)
    keep_health(pool, b)
    changes[i], returned[id] = change(b), true
  end
  local first = redis.call('ZRANGE', pool.keys.out, 0, 0, 'WITHSCORES')
  pool.nextOutMs = tonumber(first[2]) or math.huge
  if #due > 0 then reindex(pool, returned, changes) end
end

end
