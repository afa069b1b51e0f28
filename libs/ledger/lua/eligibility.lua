-- Who may be picked, and with which share of its weight: libs/core/ledger/eligibility.ts and slow-start.ts.
local PACE, is_used, eligibility, risen, turns_at, set_weight, advance_slow_start, too_soon
do

local OVERPROVISION = 1.4
local WEIGHT_STEP = 1 / 1024
local RAMP_STEP_MS = 250
PACE = 2
local TURN_STEPS = 1024

local function round_weight(weight) return max(floor(weight / WEIGHT_STEP + 0.5), 1) * WEIGHT_STEP end

-- Active, and its agent does not ask to be left alone: libs/core/ledger/agent.ts.
function is_used(b)
  local more = b.More
  return more.mode == 'active' and not more.drain and more.weightPercent ~= 0
end

local function weight_wished(more)
  local weight, percent = more.weight, more.weightPercent
  if not percent or percent == 100 then return weight end
  return round_weight(weight * percent / 100)
end

-- What each weighs is worked out here once.
-- By priority: { active, healthy = backends, share = percent of the load }.
local function tiers_of(all)
  local by_priority, priorities = {}, {}
  for _, b in ipairs(all) do
    local more = b.More
    if is_used(b) then
      local tier = by_priority[more.priority]
      if not tier then
        tier = { active = {}, healthy = {} }
        by_priority[more.priority] = tier
        priorities[#priorities + 1] = more.priority
      end
      more.weighs = weight_wished(more)
      tier.active[#tier.active + 1] = b
      if more.health == 'healthy' then
        tier.healthy[#tier.healthy + 1] = b
      end
    end
  end
  table.sort(priorities)
  local tiers = {}
  for i, priority in ipairs(priorities) do tiers[i] = by_priority[priority] end
  return tiers
end

local function sum_of_weights(backends)
  local sum = 0
  for _, b in ipairs(backends) do sum = sum + b.More.weighs end
  return sum
end

-- Tiers keep their shares, and are used whole; without a healthy backend anywhere, the first has all of the load.
local function trust_no_health(tiers)
  local used = false
  for _, tier in ipairs(tiers) do
    used = used or tier.share > 0
    tier.healthy = tier.active
  end
  if tiers[1] and not used then tiers[1].share = 1 end
end

local function weights_by_share(tiers, shares)
  local used, total, weights = {}, 0, {}
  for _, tier in ipairs(tiers) do
    if tier.share > 0 then
      used[#used + 1] = tier
      total = total + sum_of_weights(tier.healthy)
    end
  end
  for _, tier in ipairs(used) do
    local factor = (tier.share * total) / (shares * sum_of_weights(tier.healthy))
    for _, b in ipairs(tier.healthy) do
      weights[b] = #used == 1 and b.More.weighs or round_weight(b.More.weighs * factor)
    end
  end
  return weights
end

-- Answers whether it is panic, backend → weight of those that may be picked, how many are used and healthy among them.
function eligibility(all, panic_percent)
  local tiers = tiers_of(all)
  local wanting, active, healthy = 100, 0, 0
  for _, tier in ipairs(tiers) do
    active = active + #tier.active
    healthy = healthy + #tier.healthy
    local able = min(100, floor((100 * OVERPROVISION * #tier.healthy) / #tier.active))
    tier.share = min(able, wanting)
    wanting = wanting - tier.share
  end
  local panic = wanting > 0 and healthy * 100 < active * panic_percent
  if panic then trust_no_health(tiers) end
  return panic, weights_by_share(tiers, max(1, 100 - wanting)), active, healthy
end

-- How far one in slow start has come.
function risen(pool, b)
  return min(1, max(pool.slowStartPercent / 100, (pool.now - b.joinedMs) / pool.slowStartMs))
end

local function weight_now(pool, b)
  if not b.More.fullWeight or not b.joinedMs or pool.panic == 1 then return b.More.fullWeight end
  return round_weight(b.More.fullWeight * risen(pool, b))
end

function turns_at(load, weight) return floor(load * weight * TURN_STEPS) / TURN_STEPS end

-- Who comes to be picked takes its turn from now on; a new weight changes the rate from now on: nothing is caught up.
function set_weight(pool, b)
  local before, after = b.Weight, weight_now(pool, b)
  set_effective(b, after)
  if not after then return end
  pool.totalWeight = pool.totalWeight + after
  if not pool.turned then return end
  if not before then
    b.turns = turns_at(pool.turn, after)
  elseif before ~= after then
    b.turns = turns_at(b.turns / before, after)
  end
end

-- Brings the weights of those in slow start up to date.
function advance_slow_start(pool)
  if pool.starting == 0 or pool.now < pool.rampedMs + RAMP_STEP_MS then return end
  pool.rampedMs = pool.now
  local ids = redis.call('ZRANGE', pool.keys.joined, 0, -1)
  know(pool, ids)
  for _, id in ipairs(ids) do
    local b = pool.backends[id]
    if pool.now - b.joinedMs >= pool.slowStartMs then b.joinedMs = nil end
    pool.totalWeight = pool.totalWeight - (b.Weight or 0)
    set_weight(pool, b)
    weigh(pool, b)
  end
end

-- Between two picks of a starting backend lie this many picks of the pool, unless nobody else is left.
function too_soon(pool, b)
  return b.joinedMs and pool.panic == 0
    and pool.tick + 1 - b.Tick < ceil(pool.totalWeight / (PACE * b.Weight))
end

end
