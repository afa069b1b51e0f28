#!lua name=evenkeel_ledger_@version@
-- The ledger in Redis: rows are the facts, `inflight` is their sum, `order` is the index a pick reads. Everything a
-- call changes, it changes atomically. libs/core/ledger/model.ts is the same in plain words, and the names are its
-- names; one contract suite and random traces hold both to equal answers. Where they differ, this one looks at no more
-- backends than a call touches. One library of several files, joined in the order that library.ts names; each is
-- a block, before which stands what it has for those after it (Lua allows 200 locals outside of blocks).
--
-- KEYS of every function: [1] the pool's `meta`; the names of its other keys (docs/redis.md) begin alike, in one slot
--   [2] one that never exists (libs/ledger/keys.ts says what for)
-- ARGV of every function: [1] event channel  [2] pool  [3] now in ms, '' for Redis's clock  [4…] see the function
-- Answers are text; '' for a pool never configured.
--
-- Nothing may depend on the order of `pairs`, nor on comparing strings: Lua compares as the server's locale does.
-- What has to be in the order of names uses `Place`, a backend's position in it.

local GATEWAY_TTL_MS = 3000
local EXPIRE_AT_ONCE = 64

-- A library sees no globals while it is loaded; every function begins with this.
local floor, ceil, min, max
local function use_globals() floor, ceil, min, max = math.floor, math.ceil, math.min, math.max end
