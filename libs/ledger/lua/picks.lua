-- The picks: who serves a want. libs/core/ledger/model/picks.ts
-- A want is { x = excluded, z = zone, r = ranked, names with blanks between, s = backend of the session, p = preferred
-- backend, b = below how many in flight }, or PLAIN.
local serve
do

local DRAWS_MAX = 8
-- Policies under which many have the same load.
local LEVELLED = { ['least-connections'] = true, first = true }
local CHANCE_MULTIPLIER, CHANCE_MODULUS = 48271, 2 ^ 31 - 1

local function usable(pool, want, b)
  return b.N < b.Room and not (want.x and excludes(want, b.Id))
end

local function next_share(pool)
  pool.chance = (pool.chance * CHANCE_MULTIPLIER) % CHANCE_MODULUS
  return pool.chance / CHANCE_MODULUS
end

local function draw(pool)
  local at = next_share(pool) * pool.drawWeight
  local ids = redis.call('ZRANGEBYSCORE', pool.keys.draws, '(' .. exact(at), '+inf', 'LIMIT', 0, 1)
  return known_backend(pool, ids[1])
end

-- Draws by weight until one can be used and is not `other`; a starting backend turns down what exceeds its weight.
-- Answers it and how many draws are left.
local function draw_other(pool, want, other, draws)
  while draws > 0 and pool.drawWeight > 0 do
    draws = draws - 1
    local b = draw(pool)
    local declines = b.Weight < b.More.fullWeight and next_share(pool) * b.More.fullWeight > b.Weight
    if not declines and b ~= other and usable(pool, want, b) then return b, draws end
  end
  return nil, draws
end

-- Its share of all that is in flight on those that may be picked, with this one, times the bound; at least 1.
local function bound_of(pool, b)
  return ceil((pool.hashBound * (pool.total + 1) * b.Weight) / pool.totalWeight)
end

-- Of the statement that is being served; used again by every one.
local picks = {}

-- How a policy picks, where that is not the lowest score.
local CHOICES = {
  random = function(pool, want) return (draw_other(pool, want, nil, DRAWS_MAX)) end,

  ['two-choices'] = function(pool, want)
    local first, left = draw_other(pool, want, nil, DRAWS_MAX)
    local second = draw_other(pool, want, first, left)
    if not first or not second then return first end
    return score(pool, second) < score(pool, first) and second or first
  end,

  hash = function(pool, want)
    for id in string.gmatch(want.r or '', '%S+') do
      local b = known_backend(pool, id)
      if usable(pool, want, b) and not too_soon(pool, b) and b.N + 1 <= bound_of(pool, b) then return b end
    end
  end,
}

local function sticking(pool, want)
  local b = want.s and known_backend(pool, want.s)
  return b and usable(pool, want, b) and b or nil
end

-- Bound by the route, not chosen: tiers say nothing of it, and panic does not make it ready.
local function preferred(pool, want)
  local b = known_backend(pool, want.p)
  local more = b.More
  if not more.url or not is_used(b) or more.health ~= 'healthy' then return nil end
  if b.N >= more.maxInflight or (want.x and excludes(want, b.Id)) then return nil end
  local below = want.b
  if b.joinedMs and pool.panic == 0 then below = max(1, floor(below * risen(pool, b))) end
  return b.N < below and b or nil
end

-- Who could not be picked for a while takes one turn at once, then goes on with the others: nothing is caught up.
local function take_turn(pool, b)
  pool.turn = max(pool.turn, b.turns / b.Weight)
  b.turns = max(b.turns, turns_at(pool.turn, b.Weight)) + 1
end

-- By the policy. Answers the backend, and the queue that it is the first of, nil when it may be anywhere.
local function choose(pool, want)
  local choice = CHOICES[pool.policy]
  local b = choice and choice(pool, want)
  if b then return b end
  return lowest(pool, want)
end

-- What its preferred backend has no room for is kept off it as long as anybody else may take it.
local function choose_elsewhere(pool, want)
  local others = { x = { want.p }, z = want.z, r = want.r }
  for i, id in ipairs(want.x or {}) do others.x[i + 1] = id end
  local b, first = choose(pool, others)
  if b then return b, first end
  return choose(pool, want)
end

-- Answers the backend's id, '' when none may take the want.
local function pick(pool, gateway, want)
  local b, first = sticking(pool, want), nil
  if not b and want.p then b = preferred(pool, want) end
  if not b then
    b, first = (want.p and choose_elsewhere or choose)(pool, want)
    if not b then return '' end
    if pool.turned then take_turn(pool, b) end
  end
  take(pool, gateway, b)
  if pool.queues then move(pool, b, first) end
  return b.Id
end

-- A run of plain wants where nothing but the lowest score counts: the same as a `pick` for each.
local function pick_run(pool, gateway, done, run)
  local q = (pool.queues or open_queues(pool))[1]
  for i = done + 1, done + run do
    local b = peek(pool, q)
    if b then
      if pool.turned then take_turn(pool, b) end
      take(pool, gateway, b)
      b.Key = score(pool, b)
      if b.Key then sink(q, 1, b.Key, b) else pop(q) end
    end
    picks[i] = b and b.Id or ''
  end
end

local function serve_each(pool, gateway, s)
  local by_score_alone = not CHOICES[pool.policy] and not pool.byZone and pool.starting == 0
  local done = 0
  for _, want in ipairs(s.wants) do
    local run = type(want) == 'number' and want or 1
    if run == want and by_score_alone then
      pick_run(pool, gateway, done, run)
    else
      for i = done + 1, done + run do picks[i] = pick(pool, gateway, run == want and PLAIN or want) end
    end
    done = done + run
  end
end

-- Whether all wants of the call are plain; counts them.
local function all_plain(statements)
  local wants, plain = 0, true
  for _, s in ipairs(statements) do
    wants = wants + s.wanted
    plain = plain and (s.wanted == 0 or s.wants[1] == s.wanted)
  end
  return plain, wants
end

function serve(pool, statements)
  local plain, wants = all_plain(statements)
  if wants == 0 then return end
  renumber(pool, wants)
  local by_levels = plain and LEVELLED[pool.policy] and pool.starting == 0
  for _, s in ipairs(statements) do
    if s.wanted > 0 then
      local gateway = pool.gateways[s.gateway]
      restate(pool, gateway)
      if by_levels then
        pick_from_levels(pool, gateway, s.wanted, picks)
      else
        serve_each(pool, gateway, s)
      end
      s.picks = table.concat(picks, ',', 1, s.wanted)
    end
  end
end

end
