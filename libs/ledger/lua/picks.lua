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
