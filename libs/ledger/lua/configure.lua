-- A pool begins, gets another configuration, ends. Counts, health, modes and what was learned of backends that stay are
-- kept; all indexes are made anew, since what they are made of may have changed for all.
local gateways_of, wipe, retire, new_pool, reconfigure
do

local FIRST_CHANCE = 20261121
local LOG_TTL_S = 3600 -- of a pool that is no more

function gateways_of(prefix) return redis.call('ZRANGE', prefix .. 'gateways', 0, -1) end

local function drop_orders(pool)
  for _, key in ipairs(order_keys(pool)) do redis.call('DEL', key) end
end

function wipe(pool)
  for _, gateway in ipairs(gateways_of(pool.prefix)) do redis.call('DEL', pool.prefix .. 'row:' .. gateway) end
  if pool.policy then drop_orders(pool) end
  for _, name in ipairs(NAMES) do
    if name ~= 'events' then redis.call('DEL', pool.keys[name]) end
  end
  redis.call('DEL', pool.key)
end

-- Its log can still be read for a while, and one made anew goes on with it.
function retire(pool)
  wipe(pool)
  redis.call('EXPIRE', pool.keys.events, LOG_TTL_S)
end

-- [id, mode, …] of those that operators do not want to be used as usual.
local function modes_wished(pool)
  local modes, health = {}, redis.pcall('HGETALL', pool.keys.health)
  for i = 1, #health, 2 do
    local readable, state = pcall(cjson.decode, health[i + 1])
    local mode = readable and type(state) == 'table' and state.mode
    if mode == 'draining' or mode == 'disabled' then add(modes, health[i], mode) end
  end
  return modes
end

-- Whatever may be left of one whose `meta` was lost, or written by an earlier release, counts for nothing but for what
-- operators wish.
function new_pool(keys, args)
  local pool = new_view(keys[1])
  local modes = modes_wished(pool)
  wipe(pool)
  redis.call('PERSIST', pool.keys.events)
  pool.channel, pool.name, pool.now = args[1], args[2], clock(args[3])
  for _, name in ipairs(NUMBERS) do pool[name] = 0 end
  pool.version, pool.chance, pool.rampedMs, pool.starting = pool.now, FIRST_CHANCE, pool.now, 0
  know(pool, modes, 2)
  for i = 1, #modes, 2 do pool.backends[modes[i]].More.mode = modes[i + 1] end
  return pool
end

local function forget(pool, b)
  local keys = pool.keys
  for _, key in ipairs({ keys.facts, keys.health, keys.learned, keys.metrics, keys.picked, keys.turns,
    keys.probed }) do
    redis.call('HDEL', key, b.Id)
  end
  redis.call('ZREM', keys.out, b.Id)
  redis.call('ZREM', keys.wished, b.Id)
  forget_health(pool, b)
  b.More.probedMs, b.More.wishedMs, b.More.weightPercent, b.More.drain = nil, nil, nil, nil
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
  begin_health(pool, b)
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
-- Answers the ids of those who join, as a set, and what is to be told of it.
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
  local all, stays, joining, joined, left = {}, {}, {}, {}, {}
  for i, id in ipairs(ids) do
    local b = pool.backends[id]
    if take_facts(pool, b, texts[i]) then joining[id] = true end
    stays[b] = true
    all[b.Place] = b
  end
  for _, b in ipairs(before) do
    if not stays[b] then
      leave(pool, b)
      left[#left + 1] = b.Id
    end
  end
  pool.all = all
  for _, b in ipairs(all) do
    if joining[b.Id] then joined[#joined + 1] = b.Id end
  end
  write('HSET', pool.keys.facts, fields)
  judge(pool, all)
  return joining, { entries = { members_text(pool, joined, left) } }
end

end
