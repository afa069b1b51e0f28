-- Writes what a call has changed: each sorted set and hash once, with all of its new members.
local store_findings, store, close
do

-- Lists of the arguments of one command; used again by every call, since filling a new one costs half as much again.
local set, gone = {}, {}

local function store_counts(pool, touched)
  local sets, gones = 0, 0
  for i = 1, touched.size do
    local b = touched[i]
    local n = b.N
    if n ~= b.SavedN then
      b.SavedN = n
      if n > 0 then
        set[sets + 1], set[sets + 2] = texts[n] or text_of(n), b.Id
        sets = sets + 2
      else
        gones = gones + 1
        gone[gones] = b.Id
      end
    end
  end
  write('ZADD', pool.keys.inflight, set, sets)
  write('ZREM', pool.keys.inflight, gone, gones)
end

-- The number of the last pick is part of the score; of those that are in no order it is kept apart.
local function store_parked(pool, parking)
  local sets, gones = 0, 0
  for _, b in ipairs(parking) do
    local tick = not b.Score and b.More.url and b.Tick or 0
    if tick ~= b.Parked then
      b.Parked = tick
      if tick > 0 then
        set[sets + 1], set[sets + 2] = b.Id, tick
        sets = sets + 2
      else
        gones = gones + 1
        gone[gones] = b.Id
      end
    end
  end
  write('HSET', pool.keys.picked, set, sets)
  write('HDEL', pool.keys.picked, gone, gones)
end

local function store_part(pool, key, part, parking)
  local sets, gones = 0, 0
  for i = 1, part.size do
    local b = part[i]
    local value, before = b.Key, b.Score
    if value ~= before then
      b.Score = value
      if value then
        set[sets + 1], set[sets + 2] = value, b.Id
        sets = sets + 2
      else
        gones = gones + 1
        gone[gones] = b.Id
      end
    end
    if not (value and before) then parking[#parking + 1] = b end
    b.Touched = false
  end
  write('ZADD', key, set, sets)
  write('ZREM', key, gone, gones)
end

local function store_order(pool, touched)
  local parking = {}
  if not pool.keyed then
    for i = 1, touched.size do touched[i].Key = score(pool, touched[i]) end
  end
  if pool.byZone then
    local parts = {}
    for i = 1, touched.size do
      local key = order_key(pool, touched[i])
      local part = parts[key] or { size = 0 }
      parts[key], part.size = part, part.size + 1
      part[part.size] = touched[i]
    end
    for key, part in pairs(parts) do store_part(pool, key, part, parking) end
  else
    store_part(pool, pool.keys.order, touched, parking)
  end
  if #parking > 0 then store_parked(pool, parking) end
end

local function store_turns(pool, touched)
  local turns = {}
  for i = 1, touched.size do
    local b = touched[i]
    if b.turns ~= b.savedTurns then
      b.savedTurns = b.turns
      add(turns, b.Id, b.turns)
    end
  end
  write('HSET', pool.keys.turns, turns)
end

local function store_weights(pool, weighed)
  local weights, out, joined, started, full, whole = {}, {}, {}, {}, {}, {}
  for i = 1, #weighed do
    local b = weighed[i]
    if b.Weight ~= b.More.savedWeight then
      b.More.savedWeight = b.Weight
      if b.Weight then
        add(weights, b.Weight, b.Id)
      else
        out[#out + 1] = b.Id
      end
    end
    if b.joinedMs and b.More.fullWeight then
      add(full, b.Id, b.More.fullWeight)
    elseif b.More.savedJoinedMs then
      whole[#whole + 1] = b.Id
    end
    if b.joinedMs ~= b.More.savedJoinedMs then
      if not b.More.savedJoinedMs then pool.starting = pool.starting + 1 end
      if b.joinedMs then
        add(joined, b.joinedMs, b.Id)
      else
        started[#started + 1] = b.Id
        pool.starting = pool.starting - 1
      end
      b.More.savedJoinedMs = b.joinedMs
    end
  end
  local keys = pool.keys
  write('ZADD', keys.weight, weights)
  write('ZREM', keys.weight, out)
  write('ZADD', keys.joined, joined)
  write('ZREM', keys.joined, started)
  write('HSET', keys.full, full)
  write('HDEL', keys.full, whole)
end

local function store_learned(pool, taught)
  local learned = {}
  for i = 1, #taught do
    local b = taught[i]
    local l = b.learned
    l.changed = false
    add(learned, b.Id, struct.pack(LEARNED, l.latencyNs, l.samples, l.errorPpm, l.observedMs, b.bias or 0))
  end
  write('HSET', pool.keys.learned, learned)
end

local function store_backends(pool, touched)
  store_counts(pool, touched)
  if pool.turned then store_turns(pool, touched) end
  if #pool.weighed > 0 then store_weights(pool, pool.weighed) end
  if #pool.taught > 0 then store_learned(pool, pool.taught) end
  store_order(pool, touched)
end

local function store_windows(pool, windowed)
  local open, shut, seen = {}, {}, {}
  for i = #windowed, 1, -1 do
    local b = windowed[i]
    local window = b.More.window
    if not seen[b] then
      seen[b] = true
      if window then
        add(open, b.Id, struct.pack(WINDOW, window.openedMs, window.requests, window.failures))
      else
        shut[#shut + 1] = b.Id
      end
    end
  end
  write('HSET', pool.keys.window, open)
  write('HDEL', pool.keys.window, shut)
end

function store_findings(pool)
  if #pool.windowed > 0 then store_windows(pool, pool.windowed) end
  write('HSET', pool.keys.probed, pool.probed)
  write('ZADD', pool.keys.wished, pool.wishes)
  pool.windowed, pool.probed, pool.wishes, pool.told = {}, {}, {}, false
end

-- Afterwards `order`, `inflight` and `weight` are as the facts are.
function store(pool)
  if #pool.restated > 0 then store_rows(pool) end
  if pool.touched.size > 0 then store_backends(pool, pool.touched) end
  if pool.told then store_findings(pool) end
  pool.touched.size, pool.weighed, pool.taught = 0, {}, {}
  pool.queues, pool.levels, pool.keyed = nil, nil, false
end

function close(pool)
  store(pool)
  save_numbers(pool)
  if pool.calls % SPREAD_EVERY == 0 then
    for _, key in ipairs(order_keys(pool)) do spread_set(key) end
    spread_set(pool.keys.inflight)
    if pool.judged then spread_hash(pool.keys.learned) end
  end
  pool.calls = pool.calls + 1
  remember(pool)
end

end
