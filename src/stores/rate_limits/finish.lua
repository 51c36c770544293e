-- Counts what hold.lua holds for checks, or lets it go. What has been free since is not counted: so a repetition
-- changes nothing.
-- KEYS  of each check, as in prelude.lua
-- ARGV  1 id of the hold, 2 'count' or 'cancel', then of each check, as in prelude.lua
-- Returns of each check what check.lua does, all in one list
local now = clock()
local checks, subjects = read(3, now)
for place, check in ipairs(checks) do
  local line = check.line
  local member = ARGV[1] .. '.' .. place .. ' ' .. check.name .. ' ' .. text(check.cost)
  -- Whatever is past is let go by `save`.
  local held = redis.call('ZSCORE', check.subject.holds, member)
  if held and held + 0 > now then
    redis.call('ZREM', check.subject.holds, member)
    line.held = max(line.held - check.cost, 0)
    check.subject.changed = true
    if ARGV[2] == 'count' then
      count(check, now, check.cost)
    end
  end
  check.allowed, check.wait = true, 0
end
save(subjects, now)
return describe(checks, now)
