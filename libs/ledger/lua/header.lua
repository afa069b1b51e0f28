#!lua name=evenkeel_ledger_@version@
-- The ledger in Redis: rows are the facts, `inflight` is their sum, `order` is the index a pick reads. Everything a
-- call changes, it changes atomically. libs/core/ledger/model.ts is the same in plain words; one contract suite
-- holds both to equal answers. One library of several files, joined in the order that redis-ledger.ts names.
--
-- KEYS of every function, in this order (libs/ledger/keys.ts spells them, docs/redis.md explains them):
--   meta order inflight weight picked turns caps facts health strikes modes out ewma gateways seqs
-- ARGV of every function: [1] prefix of the row keys  [2] event channel  [3] pool  [4] now in ms, '' for Redis's clock
-- Rows (`prefix .. gateway`) are in the same slot as KEYS. All answers are JSON; '' for a pool never configured.

local NAMES = { 'meta', 'order', 'inflight', 'weight', 'picked', 'turns', 'caps', 'facts', 'health', 'strikes',
  'modes', 'out', 'ewma', 'gateways', 'seqs' }

local GATEWAY_TTL_MS = 3000
local EXPIRE_MAX = 64       -- dead gateways taken out per call
local CHUNK = 4000          -- arguments per command; Lua's unpack takes 8000
local LOAD_STEPS = 8192
local LOAD_MAX = 2 ^ 30 - 1
local TICK_SPAN = 2 ^ 23
local TICK_MAX = TICK_SPAN - 1
local TURNS_REBASE_LOAD = 2 ^ 16
local EWMA_SPAN = 8
