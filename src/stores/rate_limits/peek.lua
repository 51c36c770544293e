-- Tells what check.lua would answer to one check, and writes nothing.
-- KEYS  of the check, as in prelude.lua
-- ARGV  of the check, as in prelude.lua
-- Returns {allowed 1 or 0, units used, ms until quota comes back, ms to wait}
local now = clock()
local checks = read(1, now)
judge_all(checks, now)
return describe(checks, now)
