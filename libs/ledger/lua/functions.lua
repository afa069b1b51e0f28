-- The functions

-- ARGV[5]: statements. Answer: { version, replies = { { status, resync, picks } } }
local function settle(keys, args)
  local pool = open(keys, args)
  if not pool then return '' end
  local now = clock(args[4])
  local replies, applied = state_rows(pool, cjson.decode(args[5]), now)
  return_unproven(pool, now)
  observe_outcomes(pool, applied, now)
  serve(pool, applied)
  return cjson.encode({ version = pool.version, replies = replies })
end

local function forget_backend(pool, id)
  for _, key in ipairs({ 'facts', 'health', 'modes', 'strikes', 'ewma' }) do redis.call('HDEL', pool[key], id) end
  for _, key in ipairs({ 'picked', 'turns', 'out' }) do redis.call('ZREM', pool[key], id) end
end

-- A new address is a new backend: what was found out about the old one is void.
local function configure_backend(pool, facts, old, now)
  if not old or old.url ~= facts.url then
    keep_health(pool, facts.id, initial_health('initial', now))
    redis.call('HSET', pool.ewma, facts.id, 0)
  end
  if old and old.weight ~= facts.weight then
    -- The load stays, so that a new weight changes the rate from now on and nothing is caught up.
    local turns = tonumber(redis.call('ZSCORE', pool.turns, facts.id) or 0)
    if turns > 0 then redis.call('ZADD', pool.turns, math.floor(turns * facts.weight / old.weight), facts.id) end
  end
  redis.call('HSET', pool.facts, facts.id, cjson.encode(facts))
  if facts.maxInflight ~= cjson.null then redis.call('HSET', pool.caps, facts.id, facts.maxInflight) end
end

-- ARGV[5]: PoolFacts. Answer: the pool's version.
local function configure(keys, args)
  local facts, now = cjson.decode(args[5]), clock(args[4])
  local meta = keys[1]
  local known = tonumber(redis.call('HGET', meta, 'configVersion') or -1)
  if known >= facts.configVersion then return redis.call('HGET', meta, 'version') end
  if known < 0 then redis.call('HSET', meta, 'version', now, 'tick', 0) end
  local policy = redis.call('HGET', meta, 'policy')
  redis.call('HSET', meta, 'configVersion', facts.configVersion, 'policy', facts.policy, 'rise', facts.rise,
    'fall', facts.fall, 'holdMs', facts.holdMs)
  local pool = open(keys, args)
  if policy ~= facts.policy then redis.call('DEL', pool.turns) end
  redis.call('DEL', pool.caps)
  local olds, stays = hash(pool.facts), {}
  for _, backend in ipairs(facts.backends) do
    stays[backend.id] = true
    configure_backend(pool, backend, olds[backend.id] and cjson.decode(olds[backend.id]), now)
  end
  for id in pairs(olds) do
    if not stays[id] then forget_backend(pool, id) end
  end
  redis.call('HSET', meta, 'capped', redis.call('EXISTS', pool.caps))
  pool.capped = redis.call('EXISTS', pool.caps) == 1
  reindex(pool, nil)
  return tostring(redis.call('HGET', meta, 'version'))
end

local function url_of(pool, id) return cjson.decode(redis.call('HGET', pool.facts, id)).url end

-- ARGV[5]: findings. Answer: the transitions they caused.
local function observe(keys, args)
  local pool = open(keys, args)
  if not pool then return '' end
  local now, transitions, changes, states = clock(args[4]), {}, {}, {}
  for _, finding in ipairs(cjson.decode(args[5])) do
    local id = finding.backend
    local state = states[id]
    if not state then
      local text = redis.call('HGET', pool.health, id)
      state = text and cjson.decode(text)
      states[id] = state
    end
    if state and finding.url == url_of(pool, id) then
      local from = state.health
      local changed = observe_probe(pool, id, state, finding.ok, now)
      if changed then
        states[id] = changed
        changes[#changes + 1] = change(pool, id, changed)
        transitions[#transitions + 1] = { backend = id, from = from, to = changed.health, reason = changed.reason }
      end
    end
  end
  if #changes > 0 then reindex(pool, changes) end
  return #transitions > 0 and cjson.encode(transitions) or '[]'
end

-- ARGV[5]: backend  ARGV[6]: mode. Answer: '1', or '0' when there is no such backend.
local function set_mode(keys, args)
  local pool = open(keys, args)
  if not pool then return '' end
  local id, mode = args[5], args[6]
  local health = redis.call('HGET', pool.health, id)
  if not health then return '0' end
  if (redis.call('HGET', pool.modes, id) or 'active') == mode then return '1' end
  if mode == 'active' then
    redis.call('HDEL', pool.modes, id)
  else
    redis.call('HSET', pool.modes, id, mode)
  end
  reindex(pool, { change(pool, id, cjson.decode(health)) })
  return '1'
end

-- A clock that was set back must not keep dead gateways, or backends that are out, for as long as it went back. Looked
-- after here, not on the decision path: every gateway has the pool read now and then.
local function mend_clock(pool, now)
  for _, gateway in ipairs(redis.call('ZRANGEBYSCORE', pool.gateways, '(' .. now, '+inf')) do
    redis.call('ZADD', pool.gateways, now, gateway)
  end
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', pool.out, '(' .. now + pool.hold_ms, '+inf')) do
    redis.call('ZADD', pool.out, now + pool.hold_ms, id)
  end
end

-- Answer: the pool as an operator sees it, after dead gateways were taken out.
local function read_pool(keys, args)
  local pool = open(keys, args)
  if not pool then return '' end
  local now, delta = clock(args[4]), {}
  mend_clock(pool, now)
  expire_gateways(pool, {}, now, delta)
  carry(pool, delta)
  return_unproven(pool, now)
  local inflight, weight, ewma, backends = scores(pool.inflight), scores(pool.weight), hash(pool.ewma), {}
  for id, b in pairs(backends_of(pool)) do
    local state = b.facts
    state.health, state.reason, state.sinceMs, state.mode = b.health.health, b.health.reason, b.health.sinceMs, b.mode
    state.effectiveWeight = tonumber(weight[id] or 0)
    state.inflight = tonumber(inflight[id] or 0)
    state.ewmaUs = tonumber(ewma[id])
    backends[#backends + 1] = state
  end
  return cjson.encode({ version = pool.version, policy = pool.policy, panic = pool.panic, backends = backends })
end

-- Answer: gateway → backend → count.
local function rows(keys, args)
  local answer = {}
  for _, gateway in ipairs(redis.call('ZRANGE', keys[14], 0, -1)) do
    answer[gateway] = {}
    for id, n in pairs(hash(args[1] .. gateway)) do answer[gateway][id] = tonumber(n) end
  end
  return cjson.encode(answer)
end

-- ARGV[5]: version of the configuration that has the pool no more.
local function remove(keys, args)
  local known = tonumber(redis.call('HGET', keys[1], 'configVersion') or 0)
  if known > tonumber(args[5]) then return '0' end
  for _, gateway in ipairs(redis.call('ZRANGE', keys[14], 0, -1)) do redis.call('DEL', args[1] .. gateway) end
  redis.call('DEL', unpack(keys))
  return '1'
end

redis.register_function('settle_@version@', settle)
redis.register_function('configure_@version@', configure)
redis.register_function('observe_@version@', observe)
redis.register_function('set_mode_@version@', set_mode)
redis.register_function('read_@version@', read_pool)
redis.register_function('rows_@version@', rows)
redis.register_function('remove_@version@', remove)
