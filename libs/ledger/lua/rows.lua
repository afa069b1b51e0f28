-- Rows

local function add(delta, id, n) delta[id] = (delta[id] or 0) + n end

-- Carries the differences into counts and index.
local function carry(pool, delta)
  local ids = {}
  for id in pairs(delta) do ids[#ids + 1] = id end
  if #ids == 0 then return end
  know(pool, ids)
  for _, id in ipairs(ids) do pool.n[id] = math.max(0, (pool.n[id] or 0) + delta[id]) end
  store(pool, ids)
end

local function expire_gateways(pool, stating, now, delta)
  local dead = redis.call('ZRANGEBYSCORE', pool.gateways, '-inf', now - GATEWAY_TTL_MS, 'LIMIT', 0, EXPIRE_MAX)
  for _, gateway in ipairs(dead) do
    if not stating[gateway] then
      local key = pool.row_prefix .. gateway
      for id, n in pairs(hash(key)) do add(delta, id, -tonumber(n)) end
      redis.call('DEL', key)
      redis.call('ZREM', pool.gateways, gateway)
      redis.call('HDEL', pool.seqs, gateway)
    end
  end
end

local function state_row(pool, s, delta)
  local key, ids, zeros, counts = pool.row_prefix .. s.gateway, {}, {}, {}
  for id in pairs(s.held) do ids[#ids + 1] = id end
  local old = {}
  if s.full then
    old = hash(key)
    for id, n in pairs(old) do
      if not s.held[id] then
        add(delta, id, -tonumber(n))
        zeros[#zeros + 1] = id
      end
    end
  else
    read('HMGET', key, ids, old)
  end
  for _, id in ipairs(ids) do
    local n = s.held[id]
    add(delta, id, n - (tonumber(old[id]) or 0))
    if n > 0 then
      counts[#counts + 1] = id
      counts[#counts + 1] = n
    else
      zeros[#zeros + 1] = id
    end
  end
  write('HDEL', key, zeros)
  write('HSET', key, counts)
end

-- A partial statement builds on the one before it. Where that one was never applied, or was undone because Redis came
-- back with older data, the row is not what the gateway thinks: it is asked to state all of it.
--
-- Applies what the statements hold; answers the replies, picks still missing, and the statements that counted.
local function state_rows(pool, statements, now)
  local stating, newest, gateways, delta = {}, {}, {}, {}
  for _, s in ipairs(statements) do
    if not stating[s.gateway] then gateways[#gateways + 1] = s.gateway end
    stating[s.gateway] = true
    newest[s.gateway] = math.max(newest[s.gateway] or 0, s.seq)
  end
  expire_gateways(pool, stating, now, delta)
  local seqs = read('HMGET', pool.seqs, gateways, {})
  local replies, applied, seen, numbers = {}, {}, {}, {}
  for i, s in ipairs(statements) do
    local last = seqs[s.gateway]
    if s.seq < newest[s.gateway] or (last and s.seq <= last) then
      replies[i] = { status = 'stale', resync = false, picks = {} }
      for j = 1, #s.wants do replies[i].picks[j] = cjson.null end
    else
      state_row(pool, s, delta)
      seqs[s.gateway] = s.seq
      replies[i] = { status = 'applied', resync = not s.full and last ~= s.seq - 1, picks = {} }
      applied[#applied + 1] = s
      s.picks = replies[i].picks
      seen[#seen + 1] = now
      seen[#seen + 1] = s.gateway
      numbers[#numbers + 1] = s.gateway
      numbers[#numbers + 1] = s.seq
    end
  end
  write('ZADD', pool.gateways, seen)
  write('HSET', pool.seqs, numbers)
  carry(pool, delta)
  return replies, applied
end
