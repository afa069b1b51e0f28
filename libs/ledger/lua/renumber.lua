-- Keeps ticks and turns inside what a score can hold, without changing who is next. O(n log n), once in millions of picks.
local renumber
do

local function renumber_ticks(pool)
  local picked = {}
  for _, b in ipairs(know_all(pool)) do
    if b.Tick > 0 then picked[#picked + 1] = b end
  end
  table.sort(picked, function(a, b) return a.Tick < b.Tick end) -- no two are alike
  for i, b in ipairs(picked) do
    b.Tick = i
    touch(pool, b)
  end
  pool.tick = #picked
  store(pool)
end

local function rebase_turns(pool)
  local past = floor(pool.turn)
  if past < TURNS_REBASE_LOAD then return end
  pool.turn = pool.turn - past
  for _, b in ipairs(know_all(pool)) do
    if b.Weight then
      b.turns = max(0, b.turns - past * b.Weight)
      touch(pool, b)
    end
  end
  store(pool)
end

function renumber(pool, wants)
  if pool.tick + wants > TICK_MAX then renumber_ticks(pool) end
  if pool.turned then rebase_turns(pool) end
end

end
