-- Rows: what each gateway says it holds, in absolute numbers. libs/core/ledger/model/rows.ts
local new_entry, store_rows, restate, take, expire_gateways, state_rows
do

local ENTRIES_KEPT, SPARE_MAX = 512, 1024

-- What a gateway holds of one backend: `n` as stated, `saved` as Redis has it. A few entries stay when they are 0; others
-- are used again, which is cheaper than collecting them.
local spare = { size = 0 }

function new_entry(pool, gateway, b, n)
  local entry
  if spare.size > 0 then
    entry = spare[spare.size]
    spare.size = spare.size - 1
    entry.b, entry.n, entry.saved = b, n, n
  else
    entry = { b = b, n = n, saved = n, changed = false }
  end
  gateway.row[b.Id] = entry
  gateway.entries = gateway.entries + 1
  pool.size = pool.size + ENTRY_BYTES
  return entry
end

local function drop_entry(pool, gateway, entry)
  gateway.row[entry.b.Id] = nil
  gateway.entries = gateway.entries - 1
  pool.size = pool.size - ENTRY_BYTES
  if spare.size == SPARE_MAX then return end
  spare.size = spare.size + 1
  spare[spare.size], entry.b = entry, nil
end

local function read_gateway(pool, name, seq)
  local gateway = { name = name, key = pool.prefix .. 'row:' .. name, seq = tonumber(seq), row = {},
    changed = { size = 0 }, restated = false, entries = 0, calls = 0 }
  if gateway.seq then
    local flat = redis.call('HGETALL', gateway.key)
    know(pool, flat, 2)
    for i = 1, #flat, 2 do new_entry(pool, gateway, pool.backends[flat[i]], tonumber(flat[i + 1])) end
  end
  pool.gateways[name] = gateway
end

local function know_gateways(pool, names)
  local missing = {}
  for _, name in ipairs(names) do
    if not pool.gateways[name] then missing[#missing + 1] = name end
  end
  for i, seq in ipairs(read('HMGET', pool.keys.seqs, missing)) do read_gateway(pool, missing[i], seq) end
end

function restate(pool, gateway)
  if gateway.restated then return end
  gateway.restated = true
  pool.restated[#pool.restated + 1] = gateway
end

-- The gateway must be restated, and `n` another number than before.
local function hold(pool, gateway, entry, n)
  local b, delta = entry.b, n - entry.n
  entry.n = n
  if not entry.changed then
    local changed = gateway.changed
    local size = changed.size + 1
    entry.changed, changed.size, changed[size] = true, size, entry
  end
  b.N = b.N + delta
  if b.Weight then pool.total = pool.total + delta end
  if not b.Touched then touch(pool, b) end
end

-- One more, picked now.
function take(pool, gateway, b)
  local tick = pool.tick + 1
  pool.tick, b.Tick = tick, tick
  local entry = gateway.row[b.Id] or new_entry(pool, gateway, b, 0)
  hold(pool, gateway, entry, entry.n + 1)
end

-- @param except set of ids
local function drop_row(pool, gateway, except)
  for id, entry in pairs(gateway.row) do
    if entry.n > 0 and not except[id] then hold(pool, gateway, entry, 0) end
  end
end

-- Takes out those who have not stated anything for their time to live: the longest silent first.
function expire_gateways(pool, stating)
  if pool.oldestSeenMs > pool.now - GATEWAY_TTL_MS then return end
  local key = pool.keys.gateways
  local dead = redis.call('ZRANGEBYSCORE', key, '-inf', pool.now - GATEWAY_TTL_MS, 'LIMIT', 0, EXPIRE_AT_ONCE)
  know_gateways(pool, dead)
  local all = #dead < EXPIRE_AT_ONCE
  for _, name in ipairs(dead) do
    if stating[name] then
      all = false -- its statement may be refused
    else
      local gateway = pool.gateways[name]
      restate(pool, gateway)
      drop_row(pool, gateway, {})
      pool.expired[#pool.expired + 1] = name
      pool.gateways[name] = nil
      pool.size = pool.size - gateway.entries * ENTRY_BYTES
      gateway.entries = 0
    end
  end
  local limit = '(' .. exact(pool.now - GATEWAY_TTL_MS)
  local alive = redis.call('ZRANGEBYSCORE', key, limit, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
  pool.oldestSeenMs = all and (tonumber(alive[2]) or math.huge) or 0
end

-- A partial statement builds on the one before it. Where that one was never applied, or was undone because Redis came
-- back with older data, the row is not what the gateway thinks: it is asked to state all of it.
local function state_row(pool, s)
  local gateway, held = pool.gateways[s.gateway], s.held
  s.resync = not s.full and gateway.seq ~= s.seq - 1
  gateway.seq = s.seq
  restate(pool, gateway)
  if s.full then
    local stated = {}
    for i = 1, #held, 2 do stated[held[i]] = true end
    drop_row(pool, gateway, stated)
  end
  local row, all_known = gateway.row, false
  for i = 1, #held, 2 do
    local entry, n = row[held[i]], held[i + 1]
    if not entry then
      if not all_known then know(pool, held, 2) end
      all_known = true
      entry = new_entry(pool, gateway, pool.backends[held[i]], 0)
    end
    if n ~= entry.n then hold(pool, gateway, entry, n) end
  end
end

-- Applies what the statements hold; answers those that count, which are marked as applied.
function state_rows(pool, statements)
  local stating, names, newest = {}, {}, {}
  for _, s in ipairs(statements) do
    if not stating[s.gateway] then names[#names + 1] = s.gateway end
    stating[s.gateway] = true
    newest[s.gateway] = max(newest[s.gateway] or 0, s.seq)
  end
  expire_gateways(pool, stating)
  know_gateways(pool, names)
  local applied, seen, seqs = {}, pool.seen, pool.seqs
  for _, s in ipairs(statements) do
    local known = pool.gateways[s.gateway].seq
    if s.seq == newest[s.gateway] and not (known and s.seq <= known) then
      state_row(pool, s)
      s.applied = true
      applied[#applied + 1] = s
      add(seen, pool.now, s.gateway)
      add(seqs, s.gateway, s.seq)
    end
  end
  if #applied > 0 then pool.oldestSeenMs = min(pool.oldestSeenMs, pool.now) end
  return applied
end

-- Lists of the arguments of one command; used again by every call.
local set, gone = {}, {}

-- Who has stated something, and who is gone: together with the rows, so that no call that fails half way leaves a number
-- of a statement whose row was not written.
local function store_gateways(pool)
  local keys = pool.keys
  write('ZREM', keys.gateways, pool.expired)
  write('HDEL', keys.seqs, pool.expired)
  write('ZADD', keys.gateways, pool.seen)
  write('HSET', keys.seqs, pool.seqs)
  pool.expired, pool.seen, pool.seqs = {}, {}, {}
end

-- Writes what has changed of the rows.
function store_rows(pool)
  store_gateways(pool)
  for _, gateway in ipairs(pool.restated) do
    local changed, sets, gones = gateway.changed, 0, 0
    for i = 1, changed.size do
      local entry = changed[i]
      local n = entry.n
      entry.changed = false
      if n ~= entry.saved then
        entry.saved = n
        if n > 0 then
          set[sets + 1], set[sets + 2] = entry.b.Id, texts[n] or text_of(n)
          sets = sets + 2
        else
          gones = gones + 1
          gone[gones] = entry.b.Id
        end
      end
      if n == 0 and gateway.entries > ENTRIES_KEPT then drop_entry(pool, gateway, entry) end
    end
    changed.size, gateway.restated = 0, false
    write('HDEL', gateway.key, gone, gones)
    write('HSET', gateway.key, set, sets)
    gateway.calls = gateway.calls + 1
    if gateway.calls % SPREAD_EVERY == 0 then spread_hash(gateway.key) end
  end
  pool.restated = {}
end

end
