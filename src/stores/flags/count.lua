-- Adds to how often flags gave their variants on a day. A tenant that has no flags any more is being deleted: nothing is
-- written for it.
-- KEYS: flagset, flag-evaluations of the day
-- ARGV: when the day's counts end (ms), then of each flag its key and `variant count` for each variant, separated by spaces
-- Returns: how many flags were counted
if redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
for i = 2, #ARGV, 2 do
  local order, counts = {}, {}
  local stored = redis.call('HGET', KEYS[2], ARGV[i]) or ''
  for variant, count in string.gmatch(stored .. ' ' .. ARGV[i + 1], '(%S+) (%d+)') do
    if not counts[variant] then
      order[#order + 1] = variant
    end
    counts[variant] = (counts[variant] or 0) + count
  end
  local parts = {}
  for place, variant in ipairs(order) do
    parts[place] = variant .. string.format(' %.0f', counts[variant])
  end
  redis.call('HSET', KEYS[2], ARGV[i], table.concat(parts, ' '))
end
redis.call('PEXPIREAT', KEYS[2], ARGV[1])
return (#ARGV - 1) / 2
