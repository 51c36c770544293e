-- Forgets a breaker: from now on it is closed, and has no settings.
-- KEYS  S, P, N
-- ARGV  1 name
-- Returns the states it went through, or ''
local S, P, N, name = KEYS[1], KEYS[2], KEYS[3], ARGV[1]
local b, now = parse(redis.call('HGET', S, name)), clock()
settle(b, now)
if b.state ~= 'closed' then
  turn(b, 'closed', now)
end
redis.call('HDEL', S, name)
redis.call('HDEL', P, name)
redis.call('ZREM', N, name)
return b.path or ''
