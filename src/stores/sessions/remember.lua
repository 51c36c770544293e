-- Notes that a user has sessions in a partition that is not the user's home, before it has one there, so that
-- ending all sessions of the user finds it.
-- KEYS  session-partitions:{user}
-- ARGV  1 partition, 2 how long from now it may have a session, ms; a day is added, 3 'new' or 'known'
-- Returns 1
local now = clock()
local moment = now + tonumber(ARGV[2]) + 86400000
-- The first write decides what a full Redis does: it refuses to note a session that is to be, never one that is.
if ARGV[3] == 'known' then
  redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', text(now))
end
redis.call('ZADD', KEYS[1], 'GT', text(moment), ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', text(now))
outlive(KEYS[1], moment)
return 1
