-- Who may be picked

-- { id = { health, mode, strikes, facts } } of every backend of the pool. `health` as in core/health/state.ts.
local function backends_of(pool)
  local all, health, modes = {}, hash(pool.health), hash(pool.modes)
  for id, facts in pairs(hash(pool.facts)) do
    all[id] = { facts = cjson.decode(facts), health = cjson.decode(health[id]), mode = modes[id] or 'active' }
  end
  return all
end

local function is_panic(all)
  local active, healthy = 0, 0
  for _, b in pairs(all) do
    if b.mode == 'active' then
      active = active + 1
      if b.health.health == 'healthy' then healthy = healthy + 1 end
    end
  end
  return healthy * 2 < active
end

-- A new version, and `weight` and `order` made anew from the facts: O(n log n), only when who may be picked changes.
-- Newcomers take their turn from now on, not the turns they missed.
local function reindex(pool, changes)
  local all = backends_of(pool)
  local before, turns = scores(pool.weight), scores(pool.turns)
  pool.panic = is_panic(all)
  pool.version = pool.version + 1
  local least
  local eligible = {}
  for id, b in pairs(all) do
    if b.mode == 'active' and (pool.panic or b.health.health == 'healthy') then
      eligible[id] = b.facts.weight
      if before[id] then
        local load = (tonumber(turns[id]) or 0) / b.facts.weight
        least = least and math.min(least, load) or load
      end
    end
  end
  local weights, caught_up, ids = {}, {}, {}
  for id, weight in pairs(eligible) do
    ids[#ids + 1] = id
    weights[#weights + 1] = weight
    weights[#weights + 1] = id
    local due = math.floor((least or 0) * weight)
    if not before[id] and due > (tonumber(turns[id]) or 0) then
      caught_up[#caught_up + 1] = due
      caught_up[#caught_up + 1] = id
    end
  end
  redis.call('DEL', pool.weight, pool.order)
  write('ZADD', pool.weight, weights)
  write('ZADD', pool.turns, caught_up)
  redis.call('HSET', pool.meta, 'version', pool.version, 'panic', pool.panic and '1' or '0')
  pool.n, pool.w, pool.tick, pool.turn, pool.cap, pool.known = {}, {}, {}, {}, {}, {}
  know(pool, ids)
  store(pool, ids)
  local event = { type = 'pool', pool = pool.name, version = pool.version, changes = changes }
  redis.call('PUBLISH', pool.channel, cjson.encode(event))
end
