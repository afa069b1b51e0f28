-- A call's view of its pool. `n`, `weight`, `tick`, `turns`, `cap` are loaded per backend as they are needed.

local function open(keys, args)
  local pool = { row_prefix = args[1], channel = args[2], name = args[3] }
  for i, name in ipairs(NAMES) do pool[name] = keys[i] end
  local meta = redis.call('HMGET', pool.meta, 'version', 'policy', 'tick', 'rise', 'fall', 'holdMs', 'panic', 'capped')
  if not meta[1] then return nil end
  pool.version = tonumber(meta[1])
  pool.policy = meta[2]
  pool.last_tick = tonumber(meta[3])
  pool.rise, pool.fall, pool.hold_ms = tonumber(meta[4]), tonumber(meta[5]), tonumber(meta[6])
  pool.panic = meta[7] == '1'
  pool.capped = meta[8] == '1'
  pool.n, pool.w, pool.tick, pool.turn, pool.cap, pool.known = {}, {}, {}, {}, {}, {}
  return pool
end

local function clock(arg)
  if arg ~= '' then return tonumber(arg) end
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
end

-- Loads what a score needs of the backends not yet loaded.
local function know(pool, ids)
  local missing = {}
  for _, id in ipairs(ids) do
    if not pool.known[id] then
      pool.known[id] = true
      missing[#missing + 1] = id
    end
  end
  if #missing == 0 then return end
  read('ZMSCORE', pool.inflight, missing, pool.n)
  read('ZMSCORE', pool.weight, missing, pool.w)
  read('ZMSCORE', pool.picked, missing, pool.tick)
  if pool.policy == 'round-robin' then read('ZMSCORE', pool.turns, missing, pool.turn) end
  if pool.capped then read('HMGET', pool.caps, missing, pool.cap) end
end

local LOADS = {
  ['least-connections'] = function(pool, id)
    local n = pool.n[id] or 0
    return n == 0 and 0 or (n + 0.5) / pool.w[id]
  end,
  ['round-robin'] = function(pool, id) return (pool.turn[id] or 0) / pool.w[id] end,
}

-- Nil while a pick may not take the backend: not eligible, or full.
local function score(pool, id)
  if not pool.w[id] then return nil end
  if pool.cap[id] and (pool.n[id] or 0) >= pool.cap[id] then return nil end
  local load = math.min(math.floor(LOADS[pool.policy](pool, id) * LOAD_STEPS), LOAD_MAX)
  return load * TICK_SPAN + (pool.tick[id] or 0)
end

-- Writes counts and index of these backends, which must be known.
local function store(pool, ids)
  local counts, zeros, order, gone = {}, {}, {}, {}
  for _, id in ipairs(ids) do
    local n, value = pool.n[id] or 0, score(pool, id)
    if n > 0 then
      counts[#counts + 1] = n
      counts[#counts + 1] = id
    else
      zeros[#zeros + 1] = id
    end
    if value then
      order[#order + 1] = value
      order[#order + 1] = id
    else
      gone[#gone + 1] = id
    end
  end
  write('ZADD', pool.inflight, counts)
  write('ZREM', pool.inflight, zeros)
  write('ZADD', pool.order, order)
  write('ZREM', pool.order, gone)
end
