-- Health: libs/core/health/state.ts and window.ts. `out` tells when the unhealthy may return; `failing` in meta counts those
-- with strikes or an open window, so that the usual case (nobody fails, nobody is out) costs nothing.
local keep_health, begin_health, forget_health, observe_probe, observe_traffic, observe_time, is_doubtful, mend_health
do

local function unless_zero(number) return number ~= 0 and number or nil end

function keep_health(pool, b)
  local more = b.More
  redis.call('HSET', pool.keys.health, b.Id, cjson.encode({ health = more.health, reason = more.reason,
    sinceMs = more.sinceMs, streak = more.streak, strikes = more.strikes, untilMs = more.untilMs,
    returnsMs = unless_zero(more.returnsMs), ejections = unless_zero(more.ejections), detail = more.detail, mode = more.mode,
    weightPercent = more.weightPercent, drain = more.drain }))
  if more.health == 'unhealthy' then
    redis.call('ZADD', pool.keys.out, more.untilMs, b.Id)
    pool.nextOutMs = min(pool.nextOutMs, more.untilMs)
  else
    redis.call('ZREM', pool.keys.out, b.Id)
  end
end

local function count_failing(pool, more)
  local failing = more.strikes > 0 or more.window ~= nil
  if failing == (more.failing or false) then return end
  more.failing = failing
  pool.failing = pool.failing + (failing and 1 or -1)
end

local function set_strikes(pool, b, strikes)
  b.More.strikes = strikes
  count_failing(pool, b.More)
end

local function set_window(pool, b, window)
  if not window and not b.More.window then return end
  b.More.window = window
  tell_window(pool, b)
  count_failing(pool, b.More)
end

local function enter(pool, b, health, reason, detail)
  local more = b.More
  more.health, more.reason, more.detail = health, reason, detail
  more.sinceMs, more.streak, more.untilMs, more.returnsMs = pool.now, 0, 0, 0
  set_strikes(pool, b, 0)
  set_window(pool, b, nil)
end

local function held_for(pool, times) return min(pool.holdMs * times, pool.maxHoldMs) end

local function fall(pool, b, reason, detail)
  local more = b.More
  local forgiven = max(0, floor((pool.now - more.sinceMs) / pool.holdMs))
  local ejections = min(max(0, more.ejections - forgiven) + 1, ceil(pool.maxHoldMs / pool.holdMs))
  enter(pool, b, 'unhealthy', reason, detail)
  more.ejections = ejections
  more.untilMs = pool.now + held_for(pool, ejections)
  if ejections > 1 then more.returnsMs = pool.now + held_for(pool, ejections - 1) end
end

function begin_health(pool, b)
  b.More.ejections = 0
  enter(pool, b, pool.initial, 'initial', nil)
  if pool.initial == 'unhealthy' then b.More.untilMs = pool.now + pool.holdMs end
  keep_health(pool, b)
end

-- It counts no more among those that fail.
function forget_health(pool, b)
  set_strikes(pool, b, 0)
  set_window(pool, b, nil)
end

function observe_probe(pool, b, ok, detail)
  local more = b.More
  if more.health == 'healthy' then
    if ok and more.streak == 0 then return end
    if not ok and more.streak + 1 >= pool.fall then
      fall(pool, b, 'probe', detail)
    else
      more.streak, more.detail = ok and 0 or more.streak + 1, detail
    end
  elseif ok and more.streak + 1 >= pool.rise and pool.now >= more.returnsMs then
    enter(pool, b, 'healthy', 'probe', detail)
  else
    more.streak, more.detail = ok and min(more.streak + 1, pool.rise) or 0, detail
    more.untilMs = max(more.untilMs, pool.now + pool.holdMs)
  end
  keep_health(pool, b)
end

-- The window with these counted in; nil where there is none.
local function counted_in(pool, b, success, failure)
  local window = b.More.window
  if window and (pool.now >= window.openedMs + pool.windowMs or pool.failurePercent == 0) then window = nil end
  if not window and (failure == 0 or pool.failurePercent == 0) then
    set_window(pool, b, nil)
    return nil
  end
  if success + failure == 0 then return window end
  if not window then window = { openedMs = pool.now, requests = 0, failures = 0 } end
  window.requests = window.requests + success + failure
  window.failures = window.failures + failure
  set_window(pool, b, window)
  return window
end

-- Why traffic speaks against it, in words; nil where it does not.
local function complaint(pool, strikes, window)
  if strikes >= pool.failures then
    return strikes == 1 and '1 failure' or string.format('%d failures in a row', strikes)
  end
  if not window then return nil end
  local requests, failures = window.requests, window.failures
  if requests < pool.minRequests or failures * 100 < pool.failurePercent * requests then return nil end
  return string.format('%d %% of %d requests failed', floor(failures * 100 / requests), requests)
end

-- Requests take out no more than a share of those in use; one always, and one that is not used anyway.
local function may_leave(pool, b)
  local out = pool.active - pool.healthy
  return not is_used(b) or out == 0 or (out + 1) * 100 <= pool.maxEjectPercent * pool.active
end

-- @param in_row failures since the last success among those reported together
function observe_traffic(pool, b, success, failure, in_row)
  local more = b.More
  if more.health == 'unhealthy' then
    local until_ms = max(more.untilMs, pool.now + pool.holdMs)
    if in_row == 0 or until_ms == more.untilMs then return end
    more.untilMs = until_ms
  else
    local window = counted_in(pool, b, success, failure)
    local strikes = (success > 0 and 0 or more.strikes) + in_row
    local why = complaint(pool, strikes, window)
    if why and may_leave(pool, b) then
      fall(pool, b, 'traffic', why)
      if is_used(b) then pool.healthy = pool.healthy - 1 end
    else
      strikes = min(strikes, pool.failures - 1)
      if strikes == more.strikes then return end
      set_strikes(pool, b, strikes)
    end
  end
  keep_health(pool, b)
end

-- Who was out for long enough without a sign of failure returns, one failure away from leaving again.
function observe_time(pool, b)
  enter(pool, b, 'healthy', 'probation', nil)
  b.More.streak = pool.fall - 1
  set_strikes(pool, b, pool.failures - 1)
  keep_health(pool, b)
end

function is_doubtful(pool, b) return b.More.streak > 0 and pool.now >= b.More.returnsMs end

-- A clock that was set back must not keep it out, or unforgiven, for as long as it went back.
function mend_health(pool, b)
  local more, now = b.More, pool.now
  if more.health == 'healthy' and more.sinceMs <= now and not more.window then return end
  local since_ms = min(more.sinceMs, now)
  local until_ms = min(more.untilMs, now + held_for(pool, max(more.ejections, 1)))
  local returns_ms = min(more.returnsMs, now + held_for(pool, max(more.ejections - 1, 0)))
  if since_ms ~= more.sinceMs or until_ms ~= more.untilMs or returns_ms ~= more.returnsMs then
    more.sinceMs, more.untilMs, more.returnsMs = since_ms, until_ms, returns_ms
    keep_health(pool, b)
  end
  local window = more.window
  if not window then return end
  if window.openedMs > now then
    window.openedMs = now
    set_window(pool, b, window)
  end
  if now >= window.openedMs + pool.windowMs then set_window(pool, b, nil) end
end

end
