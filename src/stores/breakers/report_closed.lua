-- Tells how calls went. Running it twice counts them twice.
-- KEYS  S, P, N
-- ARGV  1 name, 2 settings where it has none, 3 'success', 'failure' or 'timeout', 4 how many, 5 ms that one took, or '',
--       6 since (of the permit, or '' without one), 7 id of the permit or '', 8 digest of the instance, 9 instance or '',
--       10 chance, 0 to 65535
-- Returns {state or 'full' (one breaker too many), when it changes by itself or 0, the states it went through or ''}
local S, P, N, name = KEYS[1], KEYS[2], KEYS[3], ARGV[1]
local failed = ARGV[3] ~= 'success'
local stored = redis.call('HGET', S, name)
local settings = redis.call('HGET', P, name)
-- A success where nothing is counted, as nearly all are: nothing is written. Lines of a window are from before it was
-- taken from the settings.
if not failed and not string.find(settings or ARGV[2], 'window=', 1, true) then
  local is_closed = not stored or string.find(stored, '^closed since=%d')
  if is_closed and not (stored and (string.find(stored, ' row=', 1, true) or string.find(stored, '\n[ib]'))) then
    return { 'closed', 0, '' }
  end
end
