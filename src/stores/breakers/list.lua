-- Reads breakers by name. Changes nothing.
-- KEYS  S, P, N
-- ARGV  1 the first name, as ZRANGE takes it, 2 how many
-- Returns {now, {names}, {state texts or nothing}, {settings or nothing}}
local now = clock()
local names = redis.call('ZRANGE', KEYS[3], ARGV[1], '+', 'BYLEX', 'LIMIT', '0', ARGV[2])
if #names == 0 then
  return { now, {}, {}, {} }
end
return { now, names, redis.call('HMGET', KEYS[1], unpack(names)), redis.call('HMGET', KEYS[2], unpack(names)) }
