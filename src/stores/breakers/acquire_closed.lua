-- Asks before a call. Running it twice is running it once: a probe is kept under the id of its permit, and so is the
-- question that changed the state.
-- KEYS  S, P, N
-- ARGV  1 name, 2 id of the permit, 3 settings where it has none, 4 instance or ''
-- Returns {1 if the call may be made, state, since, ms until it is worth asking again, or 0 where nobody
-- knows, the states it went through or ''}
local S, P, N, name, id = KEYS[1], KEYS[2], KEYS[3], ARGV[1], ARGV[2]
local stored = redis.call('HGET', S, name)
-- A closed breaker, as nearly all are: nothing else is asked.
local unchanged = not stored and '0' or string.match(stored, '^closed since=(%d+)')
if unchanged and not (stored and string.find(stored, id, 1, true)) then
  return { 1, 'closed', tonumber(unchanged), 0, '' }
end
