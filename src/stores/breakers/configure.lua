-- Gives a breaker its settings. Its state stays.
-- KEYS  S, P, N
-- ARGV  1 name, 2 settings
-- Returns {'ok', now, state text or ''} | {'full'} (one breaker too many)
local S, P, N, name = KEYS[1], KEYS[2], KEYS[3], ARGV[1]
local stored = redis.call('HGET', S, name)
local is_new = not stored and not redis.call('HGET', P, name)
if is_new and not may_be_new(N) then
  return { 'full' }
end
redis.call('HSET', P, name, ARGV[2])
if is_new then
  redis.call('ZADD', N, '0', name)
end
return { 'ok', clock(), stored or '' }
