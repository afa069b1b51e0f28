-- Commands on many members at once

local function write(command, key, list)
  for i = 1, #list, CHUNK do redis.call(command, key, unpack(list, i, math.min(i + CHUNK - 1, #list))) end
end

-- Numbers of `ids` in a hash (HMGET) or sorted set (ZMSCORE), into `into`; what is not there stays nil.
local function read(command, key, ids, into)
  for i = 1, #ids, CHUNK do
    local last = math.min(i + CHUNK - 1, #ids)
    local values = redis.call(command, key, unpack(ids, i, last))
    for j = 1, last - i + 1 do
      if values[j] then into[ids[i + j - 1]] = tonumber(values[j]) end
    end
  end
  return into
end

local function pairs_of(flat)
  local map = {}
  for i = 1, #flat, 2 do map[flat[i]] = flat[i + 1] end
  return map
end

local function hash(key) return pairs_of(redis.call('HGETALL', key)) end
local function scores(key) return pairs_of(redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')) end
