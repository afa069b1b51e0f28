-- What this server's Lua remembers between calls: of each pool, what was read of it and not changed since by anyone else.
-- Redis holds all of it; this only saves reading it again. `rev` in meta tells: every call that changes anything of a
-- pool leaves a rev there that was never used before, so what was remembered with the present one is still true. After
-- a restart, a failover, FLUSHALL, or a call of another release's functions it is another one, and all is read anew.
local BACKEND_BYTES, ENTRY_BYTES, take_remembered, remember, new_rev
do

-- About what Lua needs for a record of a backend, and for an entry of a row.
BACKEND_BYTES, ENTRY_BYTES = 2400, 260

local REMEMBERED_BYTES_MAX = 128 * 2 ^ 20 -- of all pools; past it all are forgotten

local remembered, remembered_size = {}, 0
local mark, calls = nil, 0

-- A call takes the pool out and puts it back when it has succeeded: what a failed one has half changed is forgotten.
function take_remembered(key)
  local pool = remembered[key]
  if not pool then return nil end
  remembered[key] = nil
  remembered_size = remembered_size - pool.size
  return pool
end

function remember(pool)
  if pool.size > REMEMBERED_BYTES_MAX then return end
  if remembered_size + pool.size > REMEMBERED_BYTES_MAX then
    remembered, remembered_size = {}, 0
  end
  remembered[pool.key] = pool
  remembered_size = remembered_size + pool.size
end

-- Unique over servers and their lives: the time of the first one, and where this Lua's memory lies.
function new_rev()
  if not mark then
    local time = redis.call('TIME')
    mark = time[1] .. '.' .. time[2] .. '.' .. string.sub(tostring({}), 8) .. '.'
  end
  calls = calls + 1
  return mark .. calls
end

end
