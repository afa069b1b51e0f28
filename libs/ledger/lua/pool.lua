-- A call's view of its pool. What `meta` holds as numbers are fields of the same names; backends and rows are read when
-- they are needed and written when the call ends.
local NUMBERS, NAMES, SPREAD_EVERY, clock, use_params, new_view, open, order_key, order_keys, save_numbers
do

NUMBERS = { 'version', 'configVersion', 'panic', 'tick', 'total', 'totalWeight', 'drawWeight', 'chance', 'rampedMs',
  'learnsAtMs', 'neutralNs', 'neutralRequests', 'turn', 'failing', 'active', 'healthy' }
NAMES = { 'order', 'inflight', 'weight', 'draws', 'facts', 'health', 'out', 'picked', 'turns', 'joined', 'full',
  'learned', 'judged', 'metrics', 'gateways', 'seqs', 'window', 'probed', 'wished', 'events' }
SPREAD_EVERY = 128 -- calls

local JUDGED = { ['least-time'] = true, criteria = true }
local DRAWN = { random = true, ['two-choices'] = true }

function clock(arg)
  if arg ~= '' then return tonumber(arg) end
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000 + floor(tonumber(t[2]) / 1000)
end

-- PoolFacts without its backends, as text. The order of a pool that reckons with distance is kept by zone.
function use_params(pool, text)
  local params = cjson.decode(text)
  for name, value in pairs(params) do pool[name] = value end
  pool.load = LOADS[pool.policy]
  pool.usual = pool.load == LOADS['least-connections'] and not pool.slotted
  pool.judged, pool.drawn, pool.turned = JUDGED[pool.policy], DRAWN[pool.policy], pool.policy == 'round-robin'
  pool.byZone = pool.policy == 'geo' or (pool.policy == 'criteria' and criterion(pool, 'distance') ~= nil)
end

function new_view(key)
  local prefix = string.sub(key, 1, -5) -- without "meta"
  local pool = { key = key, prefix = prefix, size = 0, calls = 0, stored = {}, keys = {}, backends = {}, gateways = {},
    touched = { size = 0 }, weighed = {}, taught = {}, restated = {}, expired = {}, seen = {}, seqs = {},
    neutralMetrics = nil, nextOutMs = 0, nextVoidMs = 0, oldestSeenMs = 0, windowed = {}, probed = {}, wishes = {},
    told = false }
  for _, name in ipairs(NAMES) do pool.keys[name] = prefix .. name end
  return pool
end

-- Nil where something is missing: written by an earlier release, or half lost.
local function read_view(key)
  local pool = new_view(key)
  local values = redis.call('HMGET', key, 'rev', 'params', unpack(NUMBERS))
  pool.rev = values[1]
  if not values[2] then return nil end
  use_params(pool, values[2])
  if not pool.failures then return nil end
  for i, name in ipairs(NUMBERS) do
    pool[name] = tonumber(values[i + 2])
    if not pool[name] then return nil end
    pool.stored[name] = pool[name]
  end
  pool.starting = redis.call('ZCARD', pool.keys.joined)
  return pool
end

function open(keys, args)
  use_globals()
  local rev = redis.call('HGET', keys[1], 'rev')
  if not rev then return nil end
  local pool = take_remembered(keys[1])
  if not pool or pool.rev ~= rev then pool = read_view(keys[1]) end
  if not pool then return nil end
  pool.channel, pool.name, pool.now = args[1], args[2], clock(args[3])
  return pool
end

function order_key(pool, b)
  return pool.byZone and b.More.zone and pool.keys.order .. ':' .. b.More.zone or pool.keys.order
end

function order_keys(pool)
  local keys = { pool.keys.order }
  if pool.byZone then
    for i, zone in ipairs(pool.zones) do keys[i + 1] = pool.keys.order .. ':' .. zone end
  end
  return keys
end

function save_numbers(pool)
  pool.rev = new_rev()
  local changed, stored = { 'rev', pool.rev }, pool.stored
  for i = 1, #NUMBERS do
    local name = NUMBERS[i]
    local number = pool[name]
    if number ~= stored[name] then
      stored[name] = number
      add(changed, name, number)
    end
  end
  redis.call('HSET', pool.key, unpack(changed))
end

end
