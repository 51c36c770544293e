-- Counts checks if all of them are allowed (or only shadowed), else none.
-- KEYS  of each check, as in prelude.lua
-- ARGV  of each check, as in prelude.lua
-- Returns of each check {allowed 1 or 0, units used, ms until quota comes back, ms to wait}, all in one list
--       | {place} (the check at this place, from 0, is of a subject with too many windows)
--       | {units used, ms until quota comes back} (a single check is allowed: quick.lua)
now = now or clock()
local checks, subjects, crowded = read(1, now, stored)
if crowded then
  return { crowded }
end
if judge_all(checks, now) then
  for _, check in ipairs(checks) do
    count(check, now, check.cost)
  end
end
save(subjects, now)
return describe(checks, now)
