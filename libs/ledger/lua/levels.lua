-- Who is next, for plain wants under a policy that fills backends evenly: many have the same load then, and among those
-- the one picked last comes last. So there is a list for each load, in the order of the last picks; a pick takes from
-- the head of the lowest and appends to a higher one. It answers the same as queue.lua, in a third of the steps. What the
-- call has touched is in the lists, the others are read from `order` as they are needed.
local open_levels, pick_from_levels
do

local PAGE_MIN, PAGE_MAX = 4, 256
local PLACES = 2 ^ 24 -- more than there are backends

-- The heap has each load once.
local function push_level(levels, level)
  local heap, i = levels.heap, levels.size + 1
  levels.size = i
  while i > 1 do
    local parent = (i - i % 2) / 2
    if heap[parent] <= level then break end
    heap[i] = heap[parent]
    i = parent
  end
  heap[i] = level
end

local function pop_level(levels)
  local heap, size = levels.heap, levels.size
  local level, i = heap[size], 1
  heap[size] = nil
  levels.size = size - 1
  if size == 1 then return end
  while 2 * i < size do
    local child = 2 * i
    if child + 1 < size and heap[child + 1] < heap[child] then child = child + 1 end
    if level <= heap[child] then break end
    heap[i] = heap[child]
    i = child
  end
  heap[i] = level
end

-- Nobody of this load may have been picked later.
local function append(levels, level, b)
  local tail = levels.last[level]
  if tail then
    tail.After = b
  else
    levels.first[level] = b
    push_level(levels, level)
  end
  levels.last[level] = b
  b.After = nil
end

-- The first of `order` that was neither touched nor picked by this call, or nil.
local function ahead(pool, levels)
  while true do
    local id = levels.page[levels.at]
    if id then
      local b = pool.backends[id]
      if not b.Touched then return b end
      levels.at = levels.at + 1
    elseif levels.complete then
      return nil
    else
      levels.page = redis.call('ZRANGE', pool.keys.order, levels.offset, levels.offset + levels.pageSize - 1)
      know(pool, levels.page)
      levels.complete = #levels.page < levels.pageSize
      levels.at, levels.offset = 1, levels.offset + levels.pageSize
      levels.pageSize = min(4 * levels.pageSize, PAGE_MAX)
    end
  end
end

-- By number of the last pick, who it was; used again by every call.
local turns, owners = {}, {}

-- Those never picked come first, in the order of their names.
function open_levels(pool)
  local levels = { first = {}, last = {}, heap = {}, size = 0, page = {}, at = 1, offset = 0, pageSize = PAGE_MIN,
    complete = false }
  local touched, size = pool.touched, 0
  for i = 1, touched.size do
    local b = touched[i]
    b.Key = score(pool, b)
    if b.Key then
      local turn = b.Tick > 0 and b.Tick or b.Place - PLACES
      size = size + 1
      turns[size], owners[turn] = turn, b
    end
  end
  for i = #turns, size + 1, -1 do turns[i] = nil end
  table.sort(turns)
  for i = 1, size do
    local turn = turns[i]
    local b = owners[turn]
    owners[turn] = nil
    append(levels, (b.Key - b.Tick) / TICK_SPAN, b)
  end
  pool.levels, pool.keyed = levels, true
  return levels
end

-- Whether who is read from `order` goes before the first of the lists, which has this level.
local function goes_first(untouched, level, b)
  if not untouched then return false end
  if not b then return true end
  local other = (untouched.Score - untouched.Tick) / TICK_SPAN
  if other ~= level then return other < level end
  return untouched.Tick < b.Tick or (untouched.Tick == b.Tick and untouched.Place < b.Place)
end

-- Makes so many picks, '' where nobody is left. Written out in one loop, with locals for what it
-- changes of pool and gateway: this is where most of the time of a settle goes.
function pick_from_levels(pool, gateway, run, picks)
  local levels = pool.levels or open_levels(pool)
  local heap, first, last = levels.heap, levels.first, levels.last
  local row, changed, tick, usual = gateway.row, gateway.changed, pool.tick, pool.usual
  local changes = changed.size
  local untouched = ahead(pool, levels)
  local lowest_untouched = untouched and (untouched.Score - untouched.Tick) / TICK_SPAN or math.huge
  for i = 1, run do
    local level = heap[1]
    local b = level and first[level]
    if b and (level < lowest_untouched or not goes_first(untouched, level, b)) then
      local after = b.After
      first[level] = after
      if after then
        b.After = nil
      else
        last[level] = nil
        pop_level(levels)
      end
    elseif untouched then
      b = untouched
      b.After = nil
      touch(pool, b)
      untouched = ahead(pool, levels)
      lowest_untouched = untouched and (untouched.Score - untouched.Tick) / TICK_SPAN or math.huge
    else
      for j = i, run do picks[j] = '' end
      break
    end
    local id = b.Id
    picks[i] = id
    local entry = row[id] or new_entry(pool, gateway, b, 0)
    entry.n = entry.n + 1
    if not entry.changed then
      changes = changes + 1
      entry.changed, changed[changes] = true, entry
    end
    tick = tick + 1
    b.Tick = tick
    local n = b.N + 1
    b.N = n
    level = nil
    if n >= b.Room then
      b.Key = nil
    elseif usual then
      level = (n + 0.5) / b.Weight * LOAD_STEPS
      level = level < LOAD_MAX and level - level % 1 or LOAD_MAX
      b.Key = level * TICK_SPAN + tick
    else
      b.Key = score(pool, b)
      level = (b.Key - tick) / TICK_SPAN
    end
    if level then
      local tail = last[level]
      if tail then
        tail.After = b
        last[level] = b
      else
        append(levels, level, b)
      end
    end
  end
  pool.total = pool.total + tick - pool.tick
  pool.tick, changed.size = tick, changes
end

end
