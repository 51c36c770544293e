-- Notes that all sessions of a user are being ended, for those servers that hold some of them elsewhere.
-- KEYS  session-revocations:{user}
-- ARGV  1 ref of the session to spare, or '-', 2 how long to keep the note, ms, 3 when that was asked for, µs, or '' for
--       now
-- Returns 1
local K = KEYS[1]
local now, micros = clock()
redis.call('ZADD', K, 'GT', ARGV[3] ~= '' and ARGV[3] or text(micros), ARGV[1])
-- A session is spared by at most one of two notes with different names, so the last two say all.
local notes = redis.call('ZRANGE', K, '-inf', '+inf', 'BYSCORE')
for i = 1, #notes - 2 do
  redis.call('ZREM', K, notes[i])
end
redis.call('PEXPIREAT', K, text(now + tonumber(ARGV[2])))
return 1
