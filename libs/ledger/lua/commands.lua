-- Commands on many members at once, and numbers as text

local CHUNK = 4000 -- arguments per command; Lua's unpack takes 8000

-- @param size of the list, where it is longer than what is to be written
local function write(command, key, list, size)
  size = size or #list
  if size == 0 then return end
  if size <= CHUNK then
    redis.call(command, key, unpack(list, 1, size))
    return
  end
  for i = 1, size, CHUNK do redis.call(command, key, unpack(list, i, min(i + CHUNK - 1, size))) end
end

-- What HMGET or ZMSCORE answer for `ids`, in their order; false for what is not there.
local function read(command, key, ids)
  local size = #ids
  if size <= CHUNK then return size > 0 and redis.call(command, key, unpack(ids)) or {} end
  local values = {}
  for i = 1, size, CHUNK do
    local part = redis.call(command, key, unpack(ids, i, min(i + CHUNK - 1, size)))
    for j = 1, #part do values[i + j - 1] = part[j] end
  end
  return values
end

-- Whole numbers as text: Redis would take longer to turn a number into it. Small ones are made once.
local TEXTS_MAX = 4096
local texts = {}

local function text_of(whole)
  local text = texts[whole]
  if text then return text end
  text = string.format('%d', whole)
  if whole < TEXTS_MAX then texts[whole] = text end
  return text
end

local function exact(number) return string.format('%.17g', number) end

-- Also of none: cjson takes an empty table for an object.
local function list_text(list) return #list > 0 and cjson.encode(list) or '[]' end

local function add(list, a, b)
  local size = #list
  list[size + 1] = a
  list[size + 2] = b
end

-- A short sorted set or hash is kept by Redis as one list that it searches from the start, which costs four times as
-- much per change as the real thing. A long member makes it the real thing, and it stays so until it is empty or loaded
-- from a file again.
local LONG = '~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~'

local function spread_set(key)
  redis.call('ZADD', key, 0, LONG)
  redis.call('ZREM', key, LONG)
end

local function spread_hash(key)
  redis.call('HSET', key, LONG, '')
  redis.call('HDEL', key, LONG)
end
