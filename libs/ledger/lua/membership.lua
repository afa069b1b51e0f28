-- Who is in the pool and may be picked: libs/core/ledger/model/membership.ts. O(n log n), only when that changes.
local reindex
do

-- Running sums of the weights, in the order of names: a draw by weight is one search in them.
local function store_draws(pool, weights)
  redis.call('DEL', pool.keys.draws)
  pool.drawWeight = 0
  if not pool.drawn then return end
  local sums = {}
  for _, b in ipairs(pool.all) do
    if weights[b] then
      pool.drawWeight = pool.drawWeight + weights[b]
      add(sums, pool.drawWeight, b.Id)
    end
  end
  write('ZADD', pool.keys.draws, sums)
end

-- Whether somebody could be picked before and can be from now on.
local function any_stays(all, weights)
  for _, b in ipairs(all) do
    if b.Weight and weights[b] then return true end
  end
  return false
end

-- A new version, and anew who may be picked.
-- @param joining set of ids: new, found healthy or set active with this change; they start slowly, unless nobody else is
--   there to carry the load meanwhile
-- @param story what made it necessary: at least one entry, so that versions of the log have no gaps
function reindex(pool, joining, story)
  local all = know_all(pool)
  local panic, weights, active, healthy = eligibility(all, pool.panicPercent)
  local panicked = panic ~= (pool.panic == 1)
  local slowly = pool.slowStartMs > 0 and not panic and any_stays(all, weights)
  pool.version = pool.version + 1
  pool.panic = panic and 1 or 0
  pool.total, pool.totalWeight = 0, 0
  pool.active, pool.healthy = active, healthy
  for _, b in ipairs(all) do
    if slowly and joining[b.Id] and not b.More.fullWeight then b.joinedMs = pool.now end
    if pool.slowStartMs == 0 then b.joinedMs = nil end
    b.More.fullWeight = weights[b]
    set_weight(pool, b)
    if b.Weight then pool.total = pool.total + b.N end
    if b.Weight ~= b.More.savedWeight or b.joinedMs or b.More.savedJoinedMs then weigh(pool, b) end
  end
  store_draws(pool, weights)
  store(pool)
  publish(pool, story, panicked)
end

end
