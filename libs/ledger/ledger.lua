#!lua name=evenkeel_ledger_@version@
-- The ledger in Redis: rows are the facts, `inflight` is their sum, `order` is the index a pick reads. Everything a
-- call changes, it changes atomically. libs/core/ledger/model.ts is the same in plain words; one contract suite
-- holds both to equal answers.
--
-- KEYS of every function, in this order (libs/ledger/keys.ts spells them, docs/redis.md explains them):
--   meta order inflight weight picked turns caps facts health strikes modes out ewma gateways seqs
-- ARGV of every function: [1] prefix of the row keys  [2] event channel  [3] pool  [4] now in ms, '' for Redis's clock
-- Rows (`prefix .. gateway`) are in the same slot as KEYS. All answers are JSON; '' for a pool never configured.

local NAMES = { 'meta', 'order', 'inflight', 'weight', 'picked', 'turns', 'caps', 'facts', 'health', 'strikes',
  'modes', 'out', 'ewma', 'gateways', 'seqs' }

local GATEWAY_TTL_MS = 3000
local EXPIRE_MAX = 64       -- dead gateways taken out per call
local CHUNK = 4000          -- arguments per command; Lua's unpack takes 8000
local LOAD_STEPS = 8192
local LOAD_MAX = 2 ^ 30 - 1
local TICK_SPAN = 2 ^ 23
local TICK_MAX = TICK_SPAN - 1
local TURNS_REBASE_LOAD = 2 ^ 16
local EWMA_SPAN = 8

------------------------------------------------------------------------------------------------------------------
-- Commands on many members at once

local function write(command, key, list)
  for i = 1, #list, CHUNK do redis.call(command, key, unpack(list, i, math.min(i + CHUNK - 1, #list))) end
end

-- Numbers of `ids` in a hash (HMGET) or sorted set (ZMSCORE), into `into`; what is not there stays nil.
local function read(command, key, ids, into)
  for i = 1, #ids, CHUNK do
    local last = math.min(i + CHUNK - 1, #ids)
    local values = redis.call(command, key, unpack(ids, i, last))
    for j = 1, last - i + 1 do
      if values[j] then into[ids[i + j - 1]] = tonumber(values[j]) end
    end
  end
  return into
end

local function pairs_of(flat)
  local map = {}
  for i = 1, #flat, 2 do map[flat[i]] = flat[i + 1] end
  return map
end

local function hash(key) return pairs_of(redis.call('HGETALL', key)) end
local function scores(key) return pairs_of(redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')) end

------------------------------------------------------------------------------------------------------------------
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

------------------------------------------------------------------------------------------------------------------
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

------------------------------------------------------------------------------------------------------------------
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

------------------------------------------------------------------------------------------------------------------
-- Rows

local function add(delta, id, n) delta[id] = (delta[id] or 0) + n end

-- Carries the differences into counts and index.
local function carry(pool, delta)
  local ids = {}
  for id in pairs(delta) do ids[#ids + 1] = id end
  if #ids == 0 then return end
  know(pool, ids)
  for _, id in ipairs(ids) do pool.n[id] = math.max(0, (pool.n[id] or 0) + delta[id]) end
  store(pool, ids)
end

local function expire_gateways(pool, stating, now, delta)
  local dead = redis.call('ZRANGEBYSCORE', pool.gateways, '-inf', now - GATEWAY_TTL_MS, 'LIMIT', 0, EXPIRE_MAX)
  for _, gateway in ipairs(dead) do
    if not stating[gateway] then
      local key = pool.row_prefix .. gateway
      for id, n in pairs(hash(key)) do add(delta, id, -tonumber(n)) end
      redis.call('DEL', key)
      redis.call('ZREM', pool.gateways, gateway)
      redis.call('HDEL', pool.seqs, gateway)
    end
  end
end

local function state_row(pool, s, delta)
  local key, ids, zeros, counts = pool.row_prefix .. s.gateway, {}, {}, {}
  for id in pairs(s.held) do ids[#ids + 1] = id end
  local old = {}
  if s.full then
    old = hash(key)
    for id, n in pairs(old) do
      if not s.held[id] then
        add(delta, id, -tonumber(n))
        zeros[#zeros + 1] = id
      end
    end
  else
    read('HMGET', key, ids, old)
  end
  for _, id in ipairs(ids) do
    local n = s.held[id]
    add(delta, id, n - (tonumber(old[id]) or 0))
    if n > 0 then
      counts[#counts + 1] = id
      counts[#counts + 1] = n
    else
      zeros[#zeros + 1] = id
    end
  end
  write('HDEL', key, zeros)
  write('HSET', key, counts)
end

-- Applies what the statements hold; answers the replies, picks still missing, and the statements that counted.
local function state_rows(pool, statements, now)
  local stating, newest, gateways, delta = {}, {}, {}, {}
  for _, s in ipairs(statements) do
    if not stating[s.gateway] then gateways[#gateways + 1] = s.gateway end
    stating[s.gateway] = true
    newest[s.gateway] = math.max(newest[s.gateway] or 0, s.seq)
  end
  expire_gateways(pool, stating, now, delta)
  local seqs = read('HMGET', pool.seqs, gateways, {})
  local replies, applied, seen, numbers = {}, {}, {}, {}
  for i, s in ipairs(statements) do
    local last = seqs[s.gateway]
    if s.seq < newest[s.gateway] or (last and s.seq <= last) then
      replies[i] = { status = 'stale', resync = false, picks = {} }
      for j = 1, #s.wants do replies[i].picks[j] = cjson.null end
    else
      state_row(pool, s, delta)
      seqs[s.gateway] = s.seq
      replies[i] = { status = 'applied', resync = not last and not s.full, picks = {} }
      applied[#applied + 1] = s
      s.picks = replies[i].picks
      seen[#seen + 1] = now
      seen[#seen + 1] = s.gateway
      numbers[#numbers + 1] = s.gateway
      numbers[#numbers + 1] = s.seq
    end
  end
  write('ZADD', pool.gateways, seen)
  write('HSET', pool.seqs, numbers)
  carry(pool, delta)
  return replies, applied
end

------------------------------------------------------------------------------------------------------------------
-- Picks: the lowest scores are read once, filled up in a heap, and written once. A pick only ever raises a score, so
-- the lowest (wants + excluded) are enough for all wants of the call.

local function before(a, b) return a.score < b.score or (a.score == b.score and a.id < b.id) end

local function push(heap, item)
  local i = #heap + 1
  while i > 1 do
    local parent = math.floor(i / 2)
    if not before(item, heap[parent]) then break end
    heap[i] = heap[parent]
    i = parent
  end
  heap[i] = item
end

local function pop(heap)
  local top, last = heap[1], table.remove(heap)
  if #heap == 0 then return top end
  local i = 1
  while true do
    local child = 2 * i
    if child > #heap then break end
    if child < #heap and before(heap[child + 1], heap[child]) then child = child + 1 end
    if not before(heap[child], last) then break end
    heap[i] = heap[child]
    i = child
  end
  heap[i] = last
  return top
end

-- Keeps ticks and turns inside what a score can hold, without changing who is next.
local function renumber(pool, wants)
  local moved = false
  if pool.last_tick + wants > TICK_MAX then
    local picked = redis.call('ZRANGE', pool.picked, 0, -1)
    local ranks = {}
    for rank, id in ipairs(picked) do
      ranks[#ranks + 1] = rank
      ranks[#ranks + 1] = id
    end
    write('ZADD', pool.picked, ranks)
    pool.last_tick = #picked
    moved = true
  end
  if pool.policy == 'round-robin' then
    local first = redis.call('ZRANGE', pool.order, 0, 0)
    know(pool, first)
    local least = first[1] and math.floor((pool.turn[first[1]] or 0) / pool.w[first[1]]) or 0
    if least >= TURNS_REBASE_LOAD then
      local turns = scores(pool.turns)
      local lower = {}
      for id, facts in pairs(hash(pool.facts)) do
        lower[#lower + 1] = math.max(0, (tonumber(turns[id]) or 0) - least * cjson.decode(facts).weight)
        lower[#lower + 1] = id
      end
      write('ZADD', pool.turns, lower)
      moved = true
    end
  end
  if not moved then return end
  local ids = redis.call('ZRANGE', pool.weight, 0, -1)
  pool.n, pool.w, pool.tick, pool.turn, pool.cap, pool.known = {}, {}, {}, {}, {}, {}
  know(pool, ids)
  store(pool, ids)
end

local function candidates(pool, statements)
  local wants, excluded, distinct = 0, 0, {}
  for _, s in ipairs(statements) do
    wants = wants + #s.wants
    for _, want in ipairs(s.wants) do
      for _, id in ipairs(want.exclude or {}) do
        if not distinct[id] then
          distinct[id] = true
          excluded = excluded + 1
        end
      end
    end
  end
  if wants == 0 then return nil end
  renumber(pool, wants)
  local ids = redis.call('ZRANGE', pool.order, 0, wants + excluded - 1)
  know(pool, ids)
  local heap = {}
  for i, id in ipairs(ids) do heap[i] = { id = id, score = score(pool, id) } end
  return heap
end

local function pick(pool, heap, exclude)
  local barred, aside, chosen = {}, {}, nil
  for _, id in ipairs(exclude or {}) do barred[id] = true end
  while #heap > 0 and not chosen do
    local item = pop(heap)
    if barred[item.id] then
      aside[#aside + 1] = item
    else
      chosen = item
    end
  end
  for _, item in ipairs(aside) do push(heap, item) end
  if not chosen then return nil end
  local id = chosen.id
  pool.last_tick = pool.last_tick + 1
  pool.n[id] = (pool.n[id] or 0) + 1
  pool.tick[id] = pool.last_tick
  if pool.policy == 'round-robin' then pool.turn[id] = (pool.turn[id] or 0) + 1 end
  chosen.score = score(pool, id)
  if chosen.score then push(heap, chosen) end
  return id
end

local function add_to_row(pool, gateway, taken)
  local key, ids, counts = pool.row_prefix .. gateway, {}, {}
  for id in pairs(taken) do ids[#ids + 1] = id end
  local row = read('HMGET', key, ids, {})
  for _, id in ipairs(ids) do
    counts[#counts + 1] = id
    counts[#counts + 1] = (row[id] or 0) + taken[id]
  end
  write('HSET', key, counts)
end

local function serve(pool, statements)
  local heap = candidates(pool, statements)
  if not heap then return end
  local all = {}
  for _, s in ipairs(statements) do
    local taken = {}
    for i, want in ipairs(s.wants) do
      local id = pick(pool, heap, want.exclude)
      s.picks[i] = id or cjson.null
      if id then
        add(taken, id, 1)
        all[id] = true
      end
    end
    if next(taken) then add_to_row(pool, s.gateway, taken) end
  end
  local ids, ticks, turns = {}, {}, {}
  for id in pairs(all) do
    ids[#ids + 1] = id
    ticks[#ticks + 1] = pool.tick[id]
    ticks[#ticks + 1] = id
    turns[#turns + 1] = pool.turn[id] or 0
    turns[#turns + 1] = id
  end
  if #ids == 0 then return end
  store(pool, ids)
  write('ZADD', pool.picked, ticks)
  if pool.policy == 'round-robin' then write('ZADD', pool.turns, turns) end
  redis.call('HSET', pool.meta, 'tick', pool.last_tick)
end

------------------------------------------------------------------------------------------------------------------
-- The functions

-- ARGV[5]: statements. Answer: { version, replies = { { status, resync, picks } } }
local function settle(keys, args)
  local pool = open(keys, args)
  if not pool then return '' end
  local now = clock(args[4])
  local replies, applied = state_rows(pool, cjson.decode(args[5]), now)
  return_unproven(pool, now)
  observe_outcomes(pool, applied, now)
  serve(pool, applied)
  return cjson.encode({ version = pool.version, replies = replies })
end

local function forget_backend(pool, id)
  for _, key in ipairs({ 'facts', 'health', 'modes', 'strikes', 'ewma' }) do redis.call('HDEL', pool[key], id) end
  for _, key in ipairs({ 'picked', 'turns', 'out' }) do redis.call('ZREM', pool[key], id) end
end

-- A new address is a new backend: what was found out about the old one is void.
local function configure_backend(pool, facts, old, now)
  if not old or old.url ~= facts.url then
    keep_health(pool, facts.id, initial_health('initial', now))
    redis.call('HSET', pool.ewma, facts.id, 0)
  end
  if old and old.weight ~= facts.weight then
    -- The load stays, so that a new weight changes the rate from now on and nothing is caught up.
    local turns = tonumber(redis.call('ZSCORE', pool.turns, facts.id) or 0)
    if turns > 0 then redis.call('ZADD', pool.turns, math.floor(turns * facts.weight / old.weight), facts.id) end
  end
  redis.call('HSET', pool.facts, facts.id, cjson.encode(facts))
  if facts.maxInflight ~= cjson.null then redis.call('HSET', pool.caps, facts.id, facts.maxInflight) end
end

-- ARGV[5]: PoolFacts. Answer: the pool's version.
local function configure(keys, args)
  local facts, now = cjson.decode(args[5]), clock(args[4])
  local meta = keys[1]
  local known = tonumber(redis.call('HGET', meta, 'configVersion') or -1)
  if known >= facts.configVersion then return redis.call('HGET', meta, 'version') end
  if known < 0 then redis.call('HSET', meta, 'version', now, 'tick', 0) end
  local policy = redis.call('HGET', meta, 'policy')
  redis.call('HSET', meta, 'configVersion', facts.configVersion, 'policy', facts.policy, 'rise', facts.rise,
    'fall', facts.fall, 'holdMs', facts.holdMs)
  local pool = open(keys, args)
  if policy ~= facts.policy then redis.call('DEL', pool.turns) end
  redis.call('DEL', pool.caps)
  local olds, stays = hash(pool.facts), {}
  for _, backend in ipairs(facts.backends) do
    stays[backend.id] = true
    configure_backend(pool, backend, olds[backend.id] and cjson.decode(olds[backend.id]), now)
  end
  for id in pairs(olds) do
    if not stays[id] then forget_backend(pool, id) end
  end
  redis.call('HSET', meta, 'capped', redis.call('EXISTS', pool.caps))
  pool.capped = redis.call('EXISTS', pool.caps) == 1
  reindex(pool, nil)
  return tostring(redis.call('HGET', meta, 'version'))
end

-- ARGV[5]: findings. Answer: the transitions they caused.
local function observe(keys, args)
  local pool = open(keys, args)
  if not pool then return '' end
  local now, transitions, changes, states = clock(args[4]), {}, {}, {}
  for _, finding in ipairs(cjson.decode(args[5])) do
    local id = finding.backend
    local state = states[id]
    if not state then
      local text = redis.call('HGET', pool.health, id)
      state = text and cjson.decode(text)
      states[id] = state
    end
    if state then
      local from = state.health
      local changed = observe_probe(pool, id, state, finding.ok, now)
      if changed then
        states[id] = changed
        changes[#changes + 1] = change(pool, id, changed)
        transitions[#transitions + 1] = { backend = id, from = from, to = changed.health, reason = changed.reason }
      end
    end
  end
  if #changes > 0 then reindex(pool, changes) end
  return #transitions > 0 and cjson.encode(transitions) or '[]'
end

-- ARGV[5]: backend  ARGV[6]: mode. Answer: '1', or '0' when there is no such backend.
local function set_mode(keys, args)
  local pool = open(keys, args)
  if not pool then return '' end
  local id, mode = args[5], args[6]
  local health = redis.call('HGET', pool.health, id)
  if not health then return '0' end
  if (redis.call('HGET', pool.modes, id) or 'active') == mode then return '1' end
  if mode == 'active' then
    redis.call('HDEL', pool.modes, id)
  else
    redis.call('HSET', pool.modes, id, mode)
  end
  reindex(pool, { change(pool, id, cjson.decode(health)) })
  return '1'
end

-- Answer: the pool as an operator sees it, after dead gateways were taken out.
local function read_pool(keys, args)
  local pool = open(keys, args)
  if not pool then return '' end
  local now, delta = clock(args[4]), {}
  expire_gateways(pool, {}, now, delta)
  carry(pool, delta)
  return_unproven(pool, now)
  local inflight, weight, ewma, backends = scores(pool.inflight), scores(pool.weight), hash(pool.ewma), {}
  for id, b in pairs(backends_of(pool)) do
    local state = b.facts
    state.health, state.reason, state.sinceMs, state.mode = b.health.health, b.health.reason, b.health.sinceMs, b.mode
    state.effectiveWeight = tonumber(weight[id] or 0)
    state.inflight = tonumber(inflight[id] or 0)
    state.ewmaUs = tonumber(ewma[id])
    backends[#backends + 1] = state
  end
  return cjson.encode({ version = pool.version, policy = pool.policy, panic = pool.panic, backends = backends })
end

-- Answer: gateway → backend → count.
local function rows(keys, args)
  local answer = {}
  for _, gateway in ipairs(redis.call('ZRANGE', keys[14], 0, -1)) do
    answer[gateway] = {}
    for id, n in pairs(hash(args[1] .. gateway)) do answer[gateway][id] = tonumber(n) end
  end
  return cjson.encode(answer)
end

local function remove(keys, args)
  for _, gateway in ipairs(redis.call('ZRANGE', keys[14], 0, -1)) do redis.call('DEL', args[1] .. gateway) end
  redis.call('DEL', unpack(keys))
  return '1'
end

redis.register_function('settle_@version@', settle)
redis.register_function('configure_@version@', configure)
redis.register_function('observe_@version@', observe)
redis.register_function('set_mode_@version@', set_mode)
redis.register_function('read_@version@', read_pool)
redis.register_function('rows_@version@', rows)
redis.register_function('remove_@version@', remove)
