-- Statements as the caller encodes them (libs/ledger/encoding.ts), and the answer to them.
--   [gateway, seq, 1 when full, [backend, held, …], [plain wants in a run, or a want, …], wants, backends with outcomes,
--    1 when there are failures among them], …; the outcomes of each as one more argument
local decode_statements, encode_replies
do

function decode_statements(text, args, first)
  local statements = cjson.decode(text)
  for i, s in ipairs(statements) do
    statements[i] = { gateway = s[1], seq = s[2], full = s[3] == 1, held = s[4], wants = s[5], wanted = s[6],
      reported = s[7], failed = s[8] == 1, outcomes = args[first + i - 1], resync = false, picks = '' }
  end
  return statements
end

-- Version, then a line for each: s (stale), or a (applied) or r (applied, resync), and the picks with commas between.
function encode_replies(pool, statements)
  local lines = { string.format('%d', pool.version) }
  for i, s in ipairs(statements) do
    lines[i + 1] = not s.applied and 's' or ((s.resync and 'r' or 'a') .. s.picks)
  end
  return table.concat(lines, '\n')
end

end
