-- Who is next, for the picks of one call: those the call has touched, by their scores as they are now, together with the
-- others as `order` has them, of which only as many are read as are needed. One queue per part of the order.
--
-- A heap of scores, and beside it whose they are. An entry counts only as long as it is its backend's present `key`:
-- whoever is picked gets a new one, wherever the old one may lie.
local sink, push, pop, peek, open_queues, move
do

local PAGE_MIN, PAGE_MAX = 4, 256

local function before(score_a, a, score_b, b) return score_a < score_b or (score_a == score_b and a.Place < b.Place) end

-- Moves what stands at `i` to where it belongs, towards the leaves.
function sink(q, i, key, b)
  local keys, items, size = q.keys, q.items, q.size
  while true do
    local child = 2 * i
    if child > size then break end
    local least = keys[child]
    if child < size then
      local right = keys[child + 1]
      if right < least or (right == least and items[child + 1].Place < items[child].Place) then
        child, least = child + 1, right
      end
    end
    if key < least or (key == least and b.Place < items[child].Place) then break end
    keys[i], items[i] = least, items[child]
    i = child
  end
  keys[i], items[i] = key, b
end

function push(q, key, b)
  local keys, items, i = q.keys, q.items, q.size + 1
  q.size = i
  while i > 1 do
    local parent = (i - i % 2) / 2
    if not before(key, b, keys[parent], items[parent]) then break end
    keys[i], items[i] = keys[parent], items[parent]
    i = parent
  end
  keys[i], items[i] = key, b
end

function pop(q)
  local size = q.size
  local key, b = q.keys[size], q.items[size]
  q.size = size - 1
  if size > 1 then sink(q, 1, key, b) end
end

local function new_queue(order)
  return { order = order, keys = {}, items = {}, size = 0, offset = 0, page = PAGE_MIN, upTo = -1, last = nil,
    complete = false, waiting = {}, dueTick = math.huge }
end

-- What the call has touched is in the heap already, or full.
local function read_page(pool, q)
  local ids = redis.call('ZRANGE', q.order, q.offset, q.offset + q.page - 1)
  know(pool, ids)
  local backends = pool.backends
  for i = 1, #ids do
    local b = backends[ids[i]]
    if not b.Touched then
      b.Key = b.Score
      push(q, b.Score, b)
    end
    q.last = b
  end
  if q.last then q.upTo = q.last.Score end
  q.complete = #ids < q.page
  q.offset = q.offset + #ids
  q.page = min(4 * q.page, PAGE_MAX)
end

-- The first of the queue, or nil. What was read is enough as long as the first stands before the last one read.
function peek(pool, q)
  while true do
    local key, first = q.keys[1], q.items[1]
    if q.size == 0 then
      if q.complete then return nil end
      read_page(pool, q)
    elseif key ~= first.Key then
      pop(q)
    elseif key < q.upTo or q.complete or (key == q.upTo and first.Place <= q.last.Place) then
      return first
    else
      read_page(pool, q)
    end
  end
end

function open_queues(pool)
  local queues, by_order = {}, {}
  for i, order in ipairs(order_keys(pool)) do
    queues[i] = new_queue(order)
    by_order[order] = queues[i]
  end
  pool.queues, pool.queueOf, pool.keyed = queues, by_order, true
  for i = 1, pool.touched.size do
    local b = pool.touched[i]
    b.Key = score(pool, b)
    if b.Key then push(by_order[order_key(pool, b)], b.Key, b) end
  end
  return queues
end

-- Its score has changed. @param first the queue that it is the first of, nil when it may be anywhere
function move(pool, b, first)
  b.Key = score(pool, b)
  if first then
    if b.Key then sink(first, 1, b.Key, b) else pop(first) end
  elseif b.Key then
    push(pool.queueOf[order_key(pool, b)], b.Key, b)
  end
end

end
