-- Holds what checks ask for, if all of them are allowed (or only shadowed), else nothing. It is free by itself after a
-- while, unless it is settled before.
-- KEYS  of each check, as in prelude.lua, then for a reservation its record
-- ARGV  1 id of the hold, 2 how long it lasts, 3 what the record is to hold after its end, or '' for no record, then of
--       each check, as in prelude.lua
-- Returns of each check what check.lua does, all in one list, then when the hold ends | {place} as check.lua
local now = clock()
local ends = now + ARGV[2]
local checks, subjects, crowded = read(4, now)
if crowded then
  return { crowded }
end

local function member(place, check)
  return ARGV[1] .. '.' .. place .. ' ' .. check.name .. ' ' .. text(check.cost)
end

local function is_held(subject)
  for _, line in ipairs(subject.order) do
    if line.held > 0 then
      return true
    end
  end
  return false
end

-- A repetition finds what it held.
local held = redis.call('ZSCORE', checks[1].subject.holds, member(1, checks[1]))
if held then
  for _, check in ipairs(checks) do
    check.allowed, check.wait = true, 0
  end
  ends = tonumber(held)
elseif judge_all(checks, now) then
  for place, check in ipairs(checks) do
    local line, subject = check.line, check.subject
    if not is_held(subject) then
      -- What no line counts is of a state that ended or was evicted: it would take its units off what is held from now on.
      redis.call('DEL', subject.holds)
    end
    redis.call('ZADD', subject.holds, text(ends), member(place, check))
    local last = redis.call('ZRANGE', subject.holds, '0', '0', 'REV', 'WITHSCORES')
    -- Not a moment longer than any line that counts it.
    redis.call('PEXPIREAT', subject.holds, text(last[2] + 0))
    line.held = line.held + check.cost
    line.free = line.free > 0 and min(line.free, ends) or ends
    line.expires = max(line.expires, ends)
    subject.changed = true
  end
  if ARGV[3] ~= '' then
    redis.call('SET', KEYS[#KEYS], text(ends) .. ' ' .. ARGV[3], 'PXAT', text(ends))
  end
end
save(subjects, now)
local answer = describe(checks, now)
answer[#answer + 1] = ends
return answer
