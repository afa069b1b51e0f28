-- How a pool is ordered: libs/core/ledger/score.ts.
local LOAD_STEPS, LOAD_MAX, TICK_SPAN, TICK_MAX, TURNS_REBASE_LOAD, BIAS_STEPS, criterion, LOADS, score_of_load, score
do

LOAD_STEPS = 8192
LOAD_MAX = 2 ^ 30 - 1
TICK_SPAN = 2 ^ 23
TICK_MAX = TICK_SPAN - 1
TURNS_REBASE_LOAD = 2 ^ 16
BIAS_STEPS = 1024
local SLOTS_FREE = 3 / 4

local function filled(b)
  local n, slots = b.N, b.slots
  if slots then return max(n + 0.5, SLOTS_FREE * slots) / b.Weight end
  return n == 0 and 0 or (n + 0.5) / b.Weight
end

function criterion(pool, name)
  for _, c in ipairs(pool.criteria) do
    if c.name == name then return c end
  end
end

LOADS = {
  ['least-connections'] = filled,
  ['round-robin'] = function(b) return b.turns / b.Weight end,
  ['least-time'] = function(b) return (max(b.N + 1, SLOTS_FREE * (b.slots or 0)) * b.bias) / (BIAS_STEPS * b.Weight) end,
  ['two-choices'] = filled,
  random = filled,
  first = function(b) return b.rank end,
  hash = filled,
  geo = function(b) return b.N == 0 and 0 or (b.N + 0.5) / b.Weight end,
  criteria = function(b, pool)
    local connections = criterion(pool, 'connections')
    local own = connections and (filled(b) * connections.weight) / connections.scale or 0
    return own + b.bias / BIAS_STEPS
  end,
}

-- `load - load % 1` is `floor`, without the call: all of this is done for every pick.
function score_of_load(load)
  local steps = load * LOAD_STEPS
  steps = steps - steps % 1
  return (steps < LOAD_MAX and steps or LOAD_MAX) * TICK_SPAN
end

-- Nil while a pick may not take the backend: not eligible, or full. The usual case is done without calls.
function score(pool, b)
  local n = b.N
  if n >= b.Room then return nil end
  if n > 0 and pool.usual then
    local steps = (n + 0.5) / b.Weight * LOAD_STEPS
    steps = steps - steps % 1
    return (steps < LOAD_MAX and steps or LOAD_MAX) * TICK_SPAN + b.Tick
  end
  return score_of_load(pool.load(b, pool)) + b.Tick
end

end
