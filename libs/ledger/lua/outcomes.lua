-- What traffic says: libs/core/ledger/model/health.ts and learning.ts. A statement brings its outcomes as text of their own,
--   [backend, successes, failures, failures in row, latency in µs, metrics or 0, …],
-- which is not even decoded where nothing is to be learned from it and nobody has failed.
local observe_outcomes
do

local STRIDE = 6
local LEARN_BURST_MS = 64
local LEARNED_PER_MS = 4

-- Whether to learn from a statement: always where the policy judges; else the mean is only shown, and some are enough.
local function shall_learn(pool, reported)
  if pool.judged then return true end
  if pool.learnsAtMs > pool.now then return false end
  pool.learnsAtMs = max(pool.learnsAtMs, pool.now - LEARN_BURST_MS) + reported / LEARNED_PER_MS
  return true
end

local function observe_statement(pool, outcomes, learning, reported, story)
  know(pool, outcomes, STRIDE)
  for i = 1, #outcomes, STRIDE do
    local id, success, failure, in_row, latency, metrics = unpack(outcomes, i, i + STRIDE - 1)
    local b = pool.backends[id]
    if b.More.url then
      if learning then
        reported[#reported + 1] = b
        learn(pool, b, success, failure, latency)
        if metrics ~= 0 then learn_metrics(pool, b, metrics) end
      end
      local before = b.More.health
      observe_traffic(pool, b, success, failure, in_row)
      tell_health(story, b, before)
    end
  end
end

function observe_outcomes(pool, statements)
  local reported, story = {}, new_story()
  for _, s in ipairs(statements) do
    if s.reported > 0 then
      local learning = shall_learn(pool, s.reported)
      if learning or s.failed or pool.failing > 0 then
        observe_statement(pool, cjson.decode(s.outcomes), learning, reported, story)
      end
    end
  end
  if #reported > 0 then judge(pool, reported) end
  if #story.entries > 0 then reindex(pool, {}, story) end -- traffic only ever takes backends out
end

end
