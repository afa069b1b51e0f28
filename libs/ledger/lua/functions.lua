-- The functions

-- ARGV[4]: statements  ARGV[5…]: the outcomes of each. Answer: see encode_replies.
local function settle(keys, args)
  local pool = open(keys, args)
  if not pool then return '' end
  local statements = decode_statements(args[4], args, 5)
  local applied = state_rows(pool, statements)
  pass_time(pool)
  observe_outcomes(pool, applied)
  advance_slow_start(pool)
  judge_stalest(pool)
  serve(pool, applied)
  close(pool)
  return encode_replies(pool, statements)
end

-- ARGV[4]: PoolFacts without backends  ARGV[5]: [JSON of a backend with `rank` and `place`, …]. Answer: the pool's version.
local function configure(keys, args)
  local params = cjson.decode(args[4])
  local pool = open(keys, args)
  if pool and pool.configVersion >= params.configVersion then
    remember(pool)
    return string.format('%d', pool.version)
  end
  pool = pool or new_pool(keys, args)
  local joining, story = reconfigure(pool, args[4], cjson.decode(args[5]))
  reindex(pool, joining, story)
  close(pool)
  return string.format('%d', pool.version)
end

-- ARGV[4]: findings. Answer: { transitions = those they caused, doubtful = ids }.
local function observe(keys, args)
  local pool = open(keys, args)
  if not pool then return '' end
  local transitions, doubtful = observe_findings(pool, cjson.decode(args[4]))
  close(pool)
  return '{"transitions":' .. list_text(transitions) .. ',"doubtful":' .. list_text(doubtful) .. '}'
end

-- ARGV[4]: backend  ARGV[5]: mode. Answer: '1', or '0' when there is no such backend.
local function set_mode(keys, args)
  local pool = open(keys, args)
  if not pool then return '' end
  local b, mode = known_backend(pool, args[4]), args[5]
  local from = b.More.mode
  if b.More.url and from ~= mode then
    b.More.mode = mode
    keep_health(pool, b)
    local story = new_story()
    tell_change(story, b, { type = 'mode', backend = b.Id, from = from, to = mode })
    reindex(pool, mode == 'active' and { [b.Id] = true } or {}, story)
  end
  close(pool)
  return b.More.url and '1' or '0'
end

-- Answer: the pool as an operator sees it, after dead gateways were taken out.
local function read_pool(keys, args)
  local pool = open(keys, args)
  if not pool then return '' end
  mend_clock(pool)
  expire_gateways(pool, {})
  pass_time(pool)
  advance_slow_start(pool)
  close(pool)
  return state_text(pool)
end

-- Answer: gateway → backend → count.
local function rows(keys)
  local prefix, answer = string.sub(keys[1], 1, -5), {}
  for _, gateway in ipairs(gateways_of(prefix)) do
    local row, flat = {}, redis.call('HGETALL', prefix .. 'row:' .. gateway)
    for i = 1, #flat, 2 do row[flat[i]] = tonumber(flat[i + 1]) end
    answer[gateway] = row
  end
  return cjson.encode(answer)
end

-- ARGV[4]: version of the configuration that has the pool no more.
local function remove(keys, args)
  local pool = open(keys, args)
  if not pool then return '' end
  if pool.configVersion > tonumber(args[4]) then
    remember(pool)
    return '0'
  end
  retire(pool)
  return '1'
end

redis.register_function('settle_@version@', settle)
redis.register_function('configure_@version@', configure)
redis.register_function('observe_@version@', observe)
redis.register_function('set_mode_@version@', set_mode)
redis.register_function('read_@version@', read_pool)
redis.register_function('rows_@version@', rows)
redis.register_function('remove_@version@', remove)
