-- What is known of single backends: read when first needed, written once when the call ends. A record has, by the model's
-- names, what a pick needs, and `More` with the rest; `learned` is nil as long as there is nothing. One without an url is
-- not in the pool: it is counted as long as a row names it.
--
-- What every pick looks at has a name with a capital: Id, N (in flight), Tick (of the last pick), Touched (by this call),
-- Place (in the order of names), Room (how many may be in flight), SavedN and Parked (as Redis has them), Key (score as it
-- is), Score (as Redis has it), After (next in a list, levels.lua), Weight (effective).
local LEARNED, WINDOW, tell_window, tell_probed, tell_wish, use_metrics, use_facts, set_effective, nothing_learned, know, known_backend, know_all, touch, weigh, teach
do

-- Five numbers, as they are in memory.
LEARNED = '<ddddd'
-- When it was opened, requests, failures.
WINDOW = '<ddd'

local function use_health(more, text)
  local state = cjson.decode(text)
  more.health, more.reason, more.sinceMs, more.streak = state.health, state.reason, state.sinceMs, state.streak
  more.strikes, more.untilMs, more.mode = state.strikes, state.untilMs, state.mode
  more.returnsMs, more.ejections, more.detail = state.returnsMs or 0, state.ejections or 0, state.detail
  more.weightPercent, more.drain = state.weightPercent, state.drain
end

local function use_findings(more, window, probed, wished)
  more.probedMs, more.wishedMs = tonumber(probed), tonumber(wished)
  if window then
    local opened, requests, failures = struct.unpack(WINDOW, window)
    more.window = { openedMs = opened, requests = requests, failures = failures }
  end
  more.failing = window ~= false or more.strikes > 0
end

function use_metrics(text)
  local metrics = {}
  for name, m in pairs(cjson.decode(text)) do
    metrics[name] = { value = tonumber(m[1]), atMs = tonumber(m[2]), reports = tonumber(m[3]) }
  end
  return metrics
end

-- Positions are part of the record of those that are compared by them; null is nil.
function use_facts(pool, b, text)
  local facts, more = cjson.decode(text), b.More
  more.url, more.weight, more.priority, more.cost = facts.url, facts.weight, facts.priority, facts.cost
  more.zone = facts.zone ~= cjson.null and facts.zone or nil
  more.maxInflight = facts.maxInflight ~= cjson.null and facts.maxInflight or math.huge
  b.Place = facts.place
  b.rank = pool.policy == 'first' and facts.rank or nil
  b.slots = pool.slotted and facts.slots ~= cjson.null and facts.slots > 0 and facts.slots or nil
end

-- How many a backend may have in flight depends on it: none while it may not be picked.
function set_effective(b, weight)
  b.Weight = weight
  b.Room = weight and b.More.maxInflight or 0
end

function nothing_learned()
  return { latencyNs = 0, samples = 0, errorPpm = 0, observedMs = 0, metrics = nil, changed = false }
end

local function use_learned(b, learned, metrics)
  b.learned = nothing_learned()
  if learned then
    local l = b.learned
    l.latencyNs, l.samples, l.errorPpm, l.observedMs, b.bias = struct.unpack(LEARNED, learned)
  end
  if metrics then b.learned.metrics = use_metrics(metrics) end
end

-- Scores of those that have a weight; others are in no order.
local function read_scores(pool, ids, records)
  local keys, lists = {}, {}
  for i, id in ipairs(ids) do
    if records[i].Weight then
      local key = order_key(pool, records[i])
      if not lists[key] then
        lists[key] = { ids = {}, records = {} }
        keys[#keys + 1] = key
      end
      table.insert(lists[key].ids, id)
      table.insert(lists[key].records, records[i])
    end
  end
  for _, key in ipairs(keys) do
    for i, value in ipairs(read('ZMSCORE', key, lists[key].ids)) do
      local b = lists[key].records[i]
      b.Score = tonumber(value)
      if b.Score then b.Tick = b.Score % TICK_SPAN end
    end
  end
end

local function read_slow_start(pool, ids, records)
  if pool.starting == 0 then return end
  local joined, full = read('ZMSCORE', pool.keys.joined, ids), read('HMGET', pool.keys.full, ids)
  for i, b in ipairs(records) do
    b.joinedMs = tonumber(joined[i])
    b.More.fullWeight = tonumber(full[i]) or b.Weight
    b.More.savedJoinedMs = b.joinedMs
  end
end

-- In the order of their positions, which libs/ledger/library.ts makes of them. Others are set where they are needed.
local function new_record(id, n, tick)
  local b = {}
  b.Id, b.N, b.Tick, b.Touched, b.Place, b.Room, b.SavedN, b.Parked, b.More = id, n, tick, false, 0, 0, n, tick, {}
  return b
end

local function read_backends(pool, ids)
  local keys, records = pool.keys, {}
  local facts, health = read('HMGET', keys.facts, ids), read('HMGET', keys.health, ids)
  local learned, metrics = read('HMGET', keys.learned, ids), read('HMGET', keys.metrics, ids)
  local windows, probed = read('HMGET', keys.window, ids), read('HMGET', keys.probed, ids)
  local wished = read('ZMSCORE', keys.wished, ids)
  local counts, weights = read('ZMSCORE', keys.inflight, ids), read('ZMSCORE', keys.weight, ids)
  local picked, turns = read('HMGET', keys.picked, ids), pool.turned and read('HMGET', keys.turns, ids)
  for i, id in ipairs(ids) do
    local b = new_record(id, tonumber(counts[i]) or 0, tonumber(picked[i]) or 0)
    if facts[i] then use_facts(pool, b, facts[i]) end
    if health[i] then
      use_health(b.More, health[i])
      use_findings(b.More, windows[i], probed[i], wished[i])
    end
    if turns then b.turns, b.savedTurns = tonumber(turns[i]) or 0, tonumber(turns[i]) or 0 end
    if learned[i] or metrics[i] then use_learned(b, learned[i], metrics[i]) end
    set_effective(b, tonumber(weights[i]))
    b.More.fullWeight, b.More.savedWeight = b.Weight, b.Weight
    records[i] = b
    pool.backends[id] = b
  end
  read_slow_start(pool, ids, records)
  read_scores(pool, ids, records)
  pool.size = pool.size + #ids * BACKEND_BYTES
end

-- Sees to it that these are in `pool.backends`. @param step every how many of the list an id stands
function know(pool, list, step)
  local backends, missing = pool.backends, nil
  for i = 1, #list, step or 1 do
    if not backends[list[i]] then
      missing = missing or {}
      missing[#missing + 1] = list[i]
    end
  end
  if missing then read_backends(pool, missing) end
end

function known_backend(pool, id)
  if not pool.backends[id] then know(pool, { id }) end
  return pool.backends[id]
end

-- All of the pool, in the order of their names.
function know_all(pool)
  if not pool.all then
    local ids = redis.call('HKEYS', pool.keys.facts)
    know(pool, ids)
    pool.all = {}
    for _, id in ipairs(ids) do pool.all[pool.backends[id].Place] = pool.backends[id] end
  end
  return pool.all
end

-- To be called with every change of what a score depends on, or of a count.
function touch(pool, b)
  if b.Touched then return end
  local touched = pool.touched
  local size = touched.size + 1
  b.Touched, touched.size, touched[size] = true, size, b
end

-- … of its weight or its slow start
function weigh(pool, b)
  touch(pool, b)
  pool.weighed[#pool.weighed + 1] = b
end

-- What was found out about it, in hashes and sets of their own, written together when the call ends.
function tell_window(pool, b)
  pool.told, pool.windowed[#pool.windowed + 1] = true, b
end

function tell_probed(pool, b)
  pool.told = true
  add(pool.probed, b.Id, text_of(b.More.probedMs))
end

function tell_wish(pool, b)
  pool.told = true
  add(pool.wishes, text_of(b.More.wishedMs), b.Id)
end

-- … of what was learned about it
function teach(pool, b)
  touch(pool, b)
  if b.learned.changed then return end
  b.learned.changed = true
  pool.taught[#pool.taught + 1] = b
end

end
