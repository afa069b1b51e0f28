-- The lowest score that a want may have: libs/core/ledger/model/picks.ts, `lowest`.
local PLAIN, excludes, lowest
do

-- A want without wishes.
PLAIN = {}

function excludes(want, id)
  for _, excluded in ipairs(want.x) do
    if excluded == id then return true end
  end
  return false
end

-- Those in slow start that were picked too lately wait until enough others were.
local function wait(pool, q, b)
  q.waiting[#q.waiting + 1] = b
  q.dueTick = min(q.dueTick, b.Tick + ceil(pool.totalWeight / (PACE * b.Weight)) - 1)
end

-- Back into the queue with those whose time has come; whoever was picked meanwhile has another entry.
local function end_waiting(pool, q)
  local waiting = q.waiting
  q.waiting, q.dueTick = {}, math.huge
  for _, b in ipairs(waiting) do
    if b.waits == b.Key then
      if too_soon(pool, b) then wait(pool, q, b) else push(q, b.Key, b) end
    end
  end
end

-- The first of the queue that the want may have. Those it excludes are put aside meanwhile.
local function head(pool, q, want, aside)
  if pool.tick >= q.dueTick then end_waiting(pool, q) end
  while true do
    local b = peek(pool, q)
    if not b then return nil end
    if want.x and excludes(want, b.Id) then
      aside[#aside + 1] = b
      pop(q)
    elseif too_soon(pool, b) then
      b.waits = b.Key
      pop(q)
      wait(pool, q, b)
    else
      return b
    end
  end
end

-- A request from nowhere is equally near to all.
local function distance(pool, want, zone)
  local row = want.z and pool.distances[want.z]
  return row and zone and row[zone] or 0
end

local function distance_score(pool, want, zone)
  local c = criterion(pool, 'distance')
  return c and score_of_load((distance(pool, want, zone) * c.weight) / c.scale) or 0
end

-- Three numbers, compared one after the other.
local function rank_of(pool, want, b)
  local own = b.Key
  if pool.policy == 'geo' then
    if own >= score_of_load(pool.spillAt) then return 1, 0, own end
    return 0, distance(pool, want, b.More.zone), own
  end
  if pool.policy == 'criteria' then return 0, own + distance_score(pool, want, b.More.zone), own end
  return 0, 0, own
end

local function precedes(a, b)
  for i = 1, 3 do
    if a[i] ~= b[i] then return a[i] < b[i] end
  end
  return a.backend.Place < b.backend.Place
end

-- Of the heads of all queues; within one queue the lowest score has the lowest rank.
local function best_head(pool, want, aside)
  local best
  for _, q in ipairs(pool.queues) do
    local b = head(pool, q, want, aside)
    if b then
      local rank = { rank_of(pool, want, b) }
      rank.backend, rank.queue = b, q
      if not best or precedes(rank, best) then best = rank end
    end
  end
  return best
end

-- Nobody else is left: then also one that is starting.
local function best_waiting(pool, want)
  local best
  for _, q in ipairs(pool.queues) do
    for _, b in ipairs(q.waiting) do
      if b.waits == b.Key and not (want.x and excludes(want, b.Id)) then
        local rank = { rank_of(pool, want, b) }
        rank.backend = b
        if not best or precedes(rank, best) then best = rank end
      end
    end
  end
  return best
end

-- Answers the backend, and the queue that it is the first of, nil when it is not.
function lowest(pool, want)
  if not pool.queues then open_queues(pool) end
  local aside = {}
  local best = best_head(pool, want, aside) or best_waiting(pool, want)
  for _, b in ipairs(aside) do push(pool.queueOf[order_key(pool, b)], b.Key, b) end
  if not best then return nil end
  -- Those put aside may stand before it again.
  local q = best.queue
  return best.backend, q and q.items[1] == best.backend and q or nil
end

end
