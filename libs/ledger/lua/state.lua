-- The pool as an operator sees it.
local mend_clock, state_text
do

-- A clock that was set back must not keep anything waiting for as long as it went back. Looked after here, not on the
-- decision path: every gateway has the pool read now and then.
function mend_clock(pool)
  local keys, now = pool.keys, pool.now
  local function later(key, than) return redis.call('ZRANGEBYSCORE', key, '(' .. exact(than), '+inf') end
  local function set_to_now(key)
    for _, member in ipairs(later(key, now)) do redis.call('ZADD', key, now, member) end
  end
  set_to_now(keys.gateways)
  set_to_now(keys.judged)
  pool.oldestSeenMs = min(pool.oldestSeenMs, now)
  pool.rampedMs = min(pool.rampedMs, now)
  pool.learnsAtMs = min(pool.learnsAtMs, now)
  local joined = later(keys.joined, now)
  know(pool, joined)
  for _, b in ipairs(know_all(pool)) do
    mend_health(pool, b)
    mend_findings(pool, b)
  end
  store_findings(pool) -- what is due is asked of Redis
  for _, id in ipairs(joined) do
    pool.backends[id].joinedMs = now
    weigh(pool, pool.backends[id])
  end
end

local function whole(number) return number and string.format('%d', number) or 'null' end

local function found(more)
  if not more.detail and not more.weightPercent and more.ejections == 0 then return '' end
  return string.format(',%s,%d,%d,%s,%s', more.detail and cjson.encode(more.detail) or 'null', more.ejections,
    more.returnsMs, whole(more.weightPercent), tostring(more.drain == true))
end

local function metrics_state(metrics)
  local texts = {}
  for name, m in pairs(metrics) do texts[#texts + 1] = cjson.encode(name) .. ':' .. exact(m.value) end
  return '{' .. table.concat(texts, ',') .. '}'
end

-- [in flight, effective weight, health, reason, since, mode, latency in ns, metrics, probed,
--   and, where there is something to say: detail, ejections, returns, percent of its weight that its agent asks for,
--   whether that asks to drain]
local function backend_state(b)
  local more, learned = b.More, b.learned
  return string.format('[%d,%.17g,"%s","%s",%d,"%s",%d,%s,%s%s]', b.N, b.Weight or 0, more.health, more.reason, more.sinceMs,
    more.mode, learned and learned.latencyNs or 0, learned and learned.metrics and metrics_state(learned.metrics) or '{}',
    whole(more.probedMs), found(more))
end

-- { version, policy, panic, facts = of each backend, as configured, states = of each }
function state_text(pool)
  local all, ids, states = know_all(pool), {}, {}
  for i, b in ipairs(all) do
    ids[i] = b.Id
    states[i] = backend_state(b)
  end
  local facts = read('HMGET', pool.keys.facts, ids)
  return string.format('{"version":%d,"policy":"%s","panic":%s,"facts":[', pool.version, pool.policy,
    pool.panic == 1 and 'true' or 'false') .. table.concat(facts, ',') .. '],"states":[' .. table.concat(states, ',') .. ']}'
end

end
