-- A pool begins, gets another configuration, ends. Counts, health, modes and what was learned of backends that stay are
-- kept; all indexes are made anew, since what they are made of may have changed for all.
local gateways_of, wipe, new_pool, reconfigure
do

local FIRST_CHANCE = 20261121

function gateways_of(prefix) return redis.call('ZRANGE', prefix .. 'gateways', 0, -1) end

local function drop_orders(pool)
  for _, key in ipairs(order_keys(pool)) do redis.call('DEL', key) end
end

function wipe(pool)
  for _, gateway in ipairs(gateways_of(pool.prefix)) do redis.call('DEL', pool.prefix .. 'row:' .. gateway) end
  if pool.policy then drop_orders(pool) end
  for _, name in ipairs(NAMES) do redis.call('DEL', pool.keys[name]) end
  redis.call('DEL', pool.key)
end

-- Whatever may be left of one whose `meta` was lost counts for nothing.
function new_pool(keys, args)
  local pool = new_view(keys[1])
  wipe(pool)
  pool.channel, pool.name, pool.now = args[1], args[2], clock(args[3])
  for _, name in ipairs(NUMBERS) do pool[name] = 0 end
  pool.version, pool.chance, pool.rampedMs, pool.starting = pool.now, FIRST_CHANCE, pool.now, 0
  return pool
end

local function forget(pool, b)
  local keys = pool.keys
  for _, key in ipairs({ keys.facts, keys.health, keys.learned, keys.metrics, keys.picked, keys.turns }) do
    redis.call('HDEL', key, b.Id)
  end
  redis.call('ZREM', keys.out, b.Id)
  set_strikes(pool, b, 0)
  b.learned, b.Parked = nil, 0
  b.More.fullWeight, b.joinedMs = nil, nil
  set_effective(b, nil)
  weigh(pool, b)
end

-- Its count stays, as long as a row names it.
local function leave(pool, b)
  forget(pool, b)
  b.More.url, b.More.mode, b.Tick, b.turns, b.savedTurns = nil, nil, 0, nil, nil
end

-- A new address is a new backend: what was found out about the old one is void, but not the operator's wish.
-- @param known whether there was an old one
local function begin(pool, b, known)
  if known then forget(pool, b) end
  if pool.turned then b.turns, b.savedTurns = 0, 0 end
  b.More.mode = b.More.mode or 'active'
  rise(pool, b, 'initial')
  keep_health(pool, b)
end

-- The record keeps its identity: rows and counts refer to it. Answers whether this is a new backend.
local function take_facts(pool, b, text)
  local url = b.More.url
  use_facts(pool, b, text)
  local new = b.More.url ~= url
  if new then begin(pool, b, url ~= nil) end
  set_effective(b, b.Weight)
  touch(pool, b)
  return new
end

local function drop_turns(pool, all)
  redis.call('DEL', pool.keys.turns)
  pool.turn = 0
  local none = pool.turned and 0 or nil
  for _, b in ipairs(all) do b.turns, b.savedTurns = none, none end
end

-- @param texts JSON of each backend's facts
-- Answers the ids of those who join, as a set.
function reconfigure(pool, params_text, texts)
  local before, policy = know_all(pool), pool.policy
  if policy then drop_orders(pool) end
  for _, b in ipairs(before) do b.Score = nil end
  redis.call('DEL', pool.keys.judged)
  redis.call('HSET', pool.key, 'params', params_text)
  use_params(pool, params_text)
  drop_orders(pool) -- of zones that a pool had whose `meta` was lost
  if pool.policy ~= policy then drop_turns(pool, before) end
  local ids, fields = {}, {}
  for i, text in ipairs(texts) do
    ids[i] = cjson.decode(text).id
    add(fields, ids[i], text)
  end
  know(pool, ids)
  local all, stays, joining = {}, {}, {}
  for i, id in ipairs(ids) do
    local b = pool.backends[id]
    if take_facts(pool, b, texts[i]) then joining[id] = true end
    stays[b] = true
    all[b.Place] = b
  end
  for _, b in ipairs(before) do
    if not stays[b] then leave(pool, b) end
  end
  pool.all = all
  write('HSET', pool.keys.facts, fields)
  judge(pool, all)
  return joining
end

end
