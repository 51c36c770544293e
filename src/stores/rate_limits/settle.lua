-- Settles a reservation: counts what was used, in place of what was held. The same settlement again changes nothing.
-- KEYS  of the check, as in prelude.lua, then the record of the reservation
-- ARGV  1 id of the hold, 2 units that were used, 3 how long to know that it was settled, then of the check, as in prelude.lua
-- Returns {'settled'} | {'otherwise'} (it was settled with other units) | {'absent'}
local record = KEYS[#KEYS]
local stored = redis.call('GET', record)
if not stored then
  return { 'absent' }
end
local settled = string.match(stored, '^settled (%d+)')
if settled then
  return { settled == ARGV[2] and 'settled' or 'otherwise' }
end

local now = clock()
local ends = tonumber(string.match(stored, '^%d+'))
if ends <= now then
  return { 'absent' }
end
local checks, subjects = read(4, now)
local check = checks[1]
-- The first write is one that does not grow: a full Redis lets the rest follow.
if redis.call('ZREM', check.subject.holds, ARGV[1] .. '.1 ' .. check.name .. ' ' .. text(check.cost)) == 1 then
  check.line.held = max(check.line.held - check.cost, 0)
  check.subject.changed = true
end
redis.call('SET', record, 'settled ' .. ARGV[2] .. ' ' .. stored, 'PXAT', text(max(ends, now + ARGV[3])))
if ARGV[2] ~= '0' then
  count(check, now, min(tonumber(ARGV[2]), MOST))
end
save(subjects, now)
return { 'settled' }
