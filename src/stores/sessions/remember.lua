-- Notes that a user has sessions in a partition that is not the user's home, before it has one there, so that
-- ending all sessions of the user finds it.
-- KEYS  session-partitions:{user}, session-expiries (of the user's home)
-- ARGV  1 partition, 2 how long from now it may have a session, ms; a day is added, 3 'new' or 'known', 4 user
-- Returns 1
local H, X = KEYS[1], KEYS[2]
local now = clock()
local moment = text(now + tonumber(ARGV[2]) + 86400000)
-- The first write decides what a full Redis does: it refuses to note a session that is to be, never one that is.
if ARGV[3] == 'known' then
  redis.call('ZREMRANGEBYSCORE', H, '-inf', text(now))
end
redis.call('ZADD', H, 'GT', moment, ARGV[1])
redis.call('ZADD', X, 'GT', moment, 'p' .. ARGV[1] .. ARGV[4])
return 1
