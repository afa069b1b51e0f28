-- Health: libs/core/health/state.ts, with `strikes` and `untilMs` in keys of their own, so that the usual case (no
-- failures, nobody out) costs one read each.

local function initial_health(reason, now) return { health = 'healthy', reason = reason, sinceMs = now, streak = 0 } end

local function keep_health(pool, id, state, until_ms)
  redis.call('HSET', pool.health, id, cjson.encode(state))
  redis.call('HDEL', pool.strikes, id)
  if until_ms then
    redis.call('ZADD', pool.out, until_ms, id)
  else
    redis.call('ZREM', pool.out, id)
  end
end

local function fall(pool, id, reason, now)
  local state = { health = 'unhealthy', reason = reason, sinceMs = now, streak = 0 }
  keep_health(pool, id, state, now + pool.hold_ms)
  return state
end

local function change(pool, id, state)
  return { backend = id, health = state.health, reason = state.reason, mode = redis.call('HGET', pool.modes, id) or 'active' }
end

-- Answers the new state when health changed, nil otherwise.
local function observe_probe(pool, id, state, ok, now)
  if state.health == 'healthy' then
    if ok and state.streak == 0 then return nil end
    if not ok and state.streak + 1 >= pool.fall then return fall(pool, id, 'probe', now) end
    state.streak = ok and 0 or state.streak + 1
    redis.call('HSET', pool.health, id, cjson.encode(state))
    return nil
  end
  if ok and state.streak + 1 >= pool.rise then
    local risen = initial_health('probe', now)
    keep_health(pool, id, risen)
    return risen
  end
  state.streak = ok and state.streak + 1 or 0
  keep_health(pool, id, state, now + pool.hold_ms)
  return nil
end

-- Backends out for `holdMs` without a sign of failure return, one failure away from leaving again.
local function return_unproven(pool, now)
  local due = redis.call('ZRANGEBYSCORE', pool.out, '-inf', now)
  if #due == 0 then return end
  local changes = {}
  for _, id in ipairs(due) do
    local state = initial_health('probation', now)
    state.streak = pool.fall - 1
    keep_health(pool, id, state)
    if pool.fall > 1 then redis.call('HSET', pool.strikes, id, pool.fall - 1) end
    changes[#changes + 1] = change(pool, id, state)
  end
  reindex(pool, changes)
end

local function observe_traffic(pool, id, outcomes, strikes, out, now)
  if out[id] then
    if outcomes.failuresInRow > 0 then
      out[id] = math.max(out[id], now + pool.hold_ms)
      redis.call('ZADD', pool.out, out[id], id)
    end
    return nil
  end
  local before = tonumber(strikes[id]) or 0
  local after = (outcomes.success > 0 and 0 or before) + outcomes.failuresInRow
  if after >= pool.fall then
    strikes[id], out[id] = nil, now + pool.hold_ms
    return fall(pool, id, 'traffic', now)
  end
  if after == before then return nil end
  strikes[id] = after
  if after == 0 then
    redis.call('HDEL', pool.strikes, id)
  else
    redis.call('HSET', pool.strikes, id, after)
  end
  return nil
end

local function average(ewma, id, outcomes)
  if not ewma[id] or ewma[id] == 0 then
    ewma[id] = outcomes.latencyUs
  else
    local step = ((outcomes.latencyUs - ewma[id]) * outcomes.success) / (outcomes.success + EWMA_SPAN)
    ewma[id] = math.floor(ewma[id] + step + 0.5)
  end
end

-- `ewma` has a field for every backend of the pool, so reading it also tells who is one.
local function observe_outcomes(pool, statements, now)
  local ids, seen = {}, {}
  for _, s in ipairs(statements) do
    for id in pairs(s.outcomes) do
      if not seen[id] then
        seen[id] = true
        ids[#ids + 1] = id
      end
    end
  end
  if #ids == 0 then return end
  local ewma = read('HMGET', pool.ewma, ids, {})
  local strikes, out = hash(pool.strikes), scores(pool.out)
  for id, until_ms in pairs(out) do out[id] = tonumber(until_ms) end
  local changes, averages, averaged = {}, {}, {}
  for _, s in ipairs(statements) do
    for id, outcomes in pairs(s.outcomes) do
      if ewma[id] then
        if outcomes.success > 0 then
          average(ewma, id, outcomes)
          averaged[id] = true
        end
        local state = observe_traffic(pool, id, outcomes, strikes, out, now)
        if state then changes[#changes + 1] = change(pool, id, state) end
      end
    end
  end
  for id in pairs(averaged) do
    averages[#averages + 1] = id
    averages[#averages + 1] = ewma[id]
  end
  write('HSET', pool.ewma, averages)
  if #changes > 0 then reindex(pool, changes) end
end
