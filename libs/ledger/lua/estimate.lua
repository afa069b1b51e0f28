-- What is learned about a backend, and how that enters its load: libs/core/ledger/estimate.ts, in the same order of
-- operations.
local learn, learn_metrics, judge, judge_stalest
do

local MEMORY_MS = 5000
local SAMPLE_STEPS = 1024
local SAMPLES_MAX = 1024 * SAMPLE_STEPS
local NEUTRAL_SPAN = 1024
local PRIOR_SAMPLES = 2
local DOUBT = 2
local PENALTY = 8
local SLOWEST = 16
local FASTEST = 1 / 2
local REPORT_TTL_MS = 10000
local REPORTS_SPAN = 64
local CRITERION_MAX = 100
local JUDGE_AFTER_MS = 200
local JUDGE_AT_ONCE = 16

local function away(ms) return ms < 0 and -ms or ms end

-- How much of what was known then still counts.
local function fresh(age_ms) return max(0, MEMORY_MS - away(age_ms)) / MEMORY_MS end

local function counted(pool, latency_us)
  local latency_ns, usual = latency_us * 1000, pool.neutralNs
  return usual == 0 and latency_ns or min(latency_ns, SLOWEST * usual)
end

local function learn_neutral(pool, success, latency_us)
  local usual = pool.neutralNs
  local requests = min(NEUTRAL_SPAN, pool.neutralRequests + success)
  local step = ((counted(pool, latency_us) - usual) * success) / max(success, requests)
  pool.neutralNs = max(1, floor(usual + step + 0.5))
  pool.neutralRequests = requests
end

local function learned_of(b)
  b.learned = b.learned or nothing_learned()
  return b.learned
end

function learn(pool, b, success, failure, latency_us)
  if success > 0 then learn_neutral(pool, success, latency_us) end
  if success + failure == 0 or pool.neutralNs == 0 then return end
  local sum = success * counted(pool, latency_us) + failure * (PENALTY * pool.neutralNs)
  local l = learned_of(b)
  local kept = l.samples * fresh(pool.now - l.observedMs)
  local all = kept + (success + failure) * SAMPLE_STEPS
  l.latencyNs = floor((kept * l.latencyNs + SAMPLE_STEPS * sum) / all + 0.5)
  l.errorPpm = floor((kept * l.errorPpm + SAMPLE_STEPS * failure * 1e6) / all + 0.5)
  l.samples = min(SAMPLES_MAX, floor(all))
  l.observedMs = pool.now
  teach(pool, b)
end

-- What backends report of themselves. The pool's mean has the field '' of the same hash.
local function neutral_metrics(pool)
  if not pool.neutralMetrics then
    local text = redis.call('HGET', pool.keys.metrics, '')
    pool.neutralMetrics = text and use_metrics(text) or {}
  end
  return pool.neutralMetrics
end

local function metrics_text(metrics)
  local texts = {}
  for name, m in pairs(metrics) do texts[name] = { exact(m.value), exact(m.atMs), exact(m.reports) } end
  return cjson.encode(texts)
end

-- What nobody reports any more.
local function forget_old(metrics, now)
  for name, m in pairs(metrics) do
    if away(now - m.atMs) >= REPORT_TTL_MS then metrics[name] = nil end
  end
end

-- What nobody reports any more is forgotten.
local function recent(pool, metrics)
  local kept = {}
  for name, m in pairs(metrics or {}) do
    if away(pool.now - m.atMs) < REPORT_TTL_MS then kept[name] = m end
  end
  return kept
end

local function store_metrics(pool, field, metrics)
  if next(metrics) == nil then
    redis.call('HDEL', pool.keys.metrics, field)
  else
    redis.call('HSET', pool.keys.metrics, field, metrics_text(metrics))
  end
end

function learn_metrics(pool, b, metrics)
  local learned = learned_of(b)
  local own, all = recent(pool, learned.metrics), recent(pool, neutral_metrics(pool))
  for name, value in pairs(metrics) do
    own[name] = { value = value, atMs = pool.now, reports = 1 }
    local usual = all[name] or { value = 0, reports = 0 }
    local mean = (usual.value * usual.reports + value) / (usual.reports + 1)
    all[name] = { value = mean, atMs = pool.now, reports = min(usual.reports + 1, REPORTS_SPAN) }
  end
  learned.metrics, pool.neutralMetrics = own, all
  store_metrics(pool, b.Id, own)
  store_metrics(pool, '', all)
end

local function samples_now(pool, l) return (l.samples * fresh(pool.now - l.observedMs)) / SAMPLE_STEPS end

-- How many times slower than the pool's mean, as far as that is beyond doubt; 1 otherwise.
local function slowness(pool, l)
  local samples, usual = samples_now(pool, l), pool.neutralNs
  if samples <= 0 or usual == 0 then return 1 end
  local prior = PRIOR_SAMPLES * usual
  local ratio = (samples * l.latencyNs + prior) / (samples * usual + prior)
  local margin = 1 + DOUBT / math.sqrt(samples)
  if ratio <= margin and ratio * margin >= 1 then return 1 end
  return max(FASTEST, min(SLOWEST, ratio))
end

local function reported(pool, l, name)
  local own = l.metrics and l.metrics[name]
  if own and away(pool.now - own.atMs) < REPORT_TTL_MS then return own.value end
  local usual = neutral_metrics(pool)[name]
  return usual and usual.value or 0
end

local function judged_value(pool, b, l, name)
  if name == 'connections' or name == 'distance' then return nil end
  if name == 'latency' then return slowness(pool, l) end
  if name == 'cost' then return b.More.cost end
  if name ~= 'errors' then return reported(pool, l, name) end
  local samples = samples_now(pool, l)
  return (samples * l.errorPpm) / ((samples + 1) * 1e6)
end

local function judgement(pool, b, l)
  if pool.policy == 'least-time' then return floor(slowness(pool, l) * BIAS_STEPS) end
  local sum = 0
  for _, c in ipairs(pool.criteria) do
    local value = judged_value(pool, b, l, c.name)
    if value then sum = sum + min(max(0, value / c.scale), CRITERION_MAX) * c.weight end
  end
  return floor(sum * BIAS_STEPS)
end

function judge(pool, list)
  if not pool.judged then return end
  local judged = {}
  for _, b in ipairs(list) do
    b.bias = judgement(pool, b, learned_of(b))
    teach(pool, b)
    add(judged, pool.now, b.Id)
  end
  write('ZADD', pool.keys.judged, judged)
end

-- Time passes over what was learned: those judged longest ago are judged again, a few at a time.
function judge_stalest(pool)
  if not pool.judged then return end
  local ids = redis.call('ZRANGEBYSCORE', pool.keys.judged, '-inf', pool.now - JUDGE_AFTER_MS, 'LIMIT', 0, JUDGE_AT_ONCE)
  if #ids == 0 then return end
  know(pool, ids)
  local stale = {}
  for i, id in ipairs(ids) do stale[i] = pool.backends[id] end
  judge(pool, stale)
end

end
