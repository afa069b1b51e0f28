-- What probes, agents and time say: libs/core/ledger/model/health.ts. `wished` tells when an agent last said what it asks
-- for; what it asks for is kept with its backend's health.
local observe_findings, pass_time, mend_findings
do

local AGENT_TTL_MS = 30000
local NO_WISH = { weightPercent = 100, drain = false }

-- @param asked nil: nothing, not even that it asks for nothing
local function set_wish(pool, b, asked, story)
  local more = b.More
  local before = more.weightPercent and { weightPercent = more.weightPercent, drain = more.drain }
  more.weightPercent, more.drain = asked and asked.weightPercent, asked and asked.drain
  local was, is = before or NO_WISH, asked or NO_WISH
  local same = was.weightPercent == is.weightPercent and was.drain == is.drain
  if same and (before == nil) == (asked == nil) then return end
  keep_health(pool, b)
  if same then return end
  tell_change(story, b, { type = 'agent', backend = b.Id, weightPercent = is.weightPercent, drain = is.drain })
end

local function wish(pool, b, asked, story)
  set_wish(pool, b, asked, story)
  b.More.wishedMs = pool.now
  tell_wish(pool, b)
  pool.nextVoidMs = min(pool.nextVoidMs, pool.now + AGENT_TTL_MS)
end

-- Nobody repeated it.
local function void(pool, b, story)
  set_wish(pool, b, nil, story)
  b.More.wishedMs = nil
  redis.call('ZREM', pool.keys.wished, b.Id)
end

local function observe_finding(pool, b, finding, story, transitions)
  local more = b.More
  if finding.dueMs then
    more.probedMs = min(finding.dueMs, pool.now)
    tell_probed(pool, b)
  end
  if finding.metrics then learn_metrics(pool, b, finding.metrics) end
  if finding.agent then
    wish(pool, b, finding.agent, story)
  elseif more.wishedMs and pool.now >= more.wishedMs + AGENT_TTL_MS then
    void(pool, b, story)
  end
  local from = more.health
  observe_probe(pool, b, finding.ok, finding.detail)
  transitions[#transitions + 1] = tell_health(story, b, from)
end

-- Two monitors that overlap tell of the same probe, or of one before it.
local function is_known(b, finding)
  return finding.dueMs and b.More.probedMs and finding.dueMs <= b.More.probedMs
end

-- Answers the transitions, and the ids of those whose health is in doubt.
function observe_findings(pool, findings)
  local story, transitions, joining = new_story(), {}, {}
  local reported, observed, doubtful, seen = {}, {}, {}, {}
  for _, finding in ipairs(findings) do
    local b = known_backend(pool, finding.backend)
    if b.More.url == finding.url then
      if not seen[b] then observed[#observed + 1] = b end
      seen[b] = true
      if not is_known(b, finding) then
        local used, health = is_used(b), b.More.health
        observe_finding(pool, b, finding, story, transitions)
        if finding.metrics then reported[#reported + 1] = b end
        if health == 'unhealthy' and b.More.health == 'healthy' or not used and is_used(b) then joining[b.Id] = true end
      end
    end
  end
  judge(pool, reported)
  if #story.entries > 0 then reindex(pool, joining, story) end
  for _, b in ipairs(observed) do
    if is_doubtful(pool, b) then doubtful[#doubtful + 1] = b.Id end
  end
  return transitions, doubtful
end

-- The members of a sorted set that are due, in the order of their names; and when the next one is.
local function take_due(pool, key, due_ms)
  local ids, due = redis.call('ZRANGEBYSCORE', key, '-inf', due_ms), {}
  know(pool, ids)
  for i, id in ipairs(ids) do due[i] = pool.backends[id] end
  table.sort(due, function(a, b) return a.Place < b.Place end)
  return due
end

local function first_of(key)
  local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
  return tonumber(first[2]) or math.huge
end

-- Who was out for long enough returns unproven, and wishes that nobody repeats are void.
function pass_time(pool)
  if pool.now < pool.nextOutMs and pool.now < pool.nextVoidMs then return end
  local keys, story, joining = pool.keys, new_story(), {}
  for _, b in ipairs(take_due(pool, keys.out, pool.now)) do
    observe_time(pool, b)
    tell_health(story, b, 'unhealthy')
    joining[b.Id] = true
  end
  for _, b in ipairs(take_due(pool, keys.wished, pool.now - AGENT_TTL_MS)) do
    local used = is_used(b)
    void(pool, b, story)
    if not used and is_used(b) then joining[b.Id] = true end
  end
  pool.nextOutMs, pool.nextVoidMs = first_of(keys.out), first_of(keys.wished) + AGENT_TTL_MS
  if #story.entries > 0 then reindex(pool, joining, story) end
end

-- After a clock was set back.
function mend_findings(pool, b)
  local more, now = b.More, pool.now
  if more.probedMs and more.probedMs > now then
    more.probedMs = now
    tell_probed(pool, b)
  end
  if more.wishedMs and more.wishedMs > now then
    more.wishedMs = now
    tell_wish(pool, b)
    pool.nextVoidMs = min(pool.nextVoidMs, now + AGENT_TTL_MS)
  end
end

end
