-- Writes a key, or some of it beside what is there.
-- KEYS: the key
-- ARGV: its type: string, hash or zset; when it ends (ms, 0 for never); its value, fields and values, or scores and members
-- Returns: 1
if ARGV[1] == 'string' then
  redis.call('SET', KEYS[1], ARGV[3])
elseif ARGV[1] == 'hash' then
  redis.call('HSET', KEYS[1], unpack(ARGV, 3))
else
  redis.call('ZADD', KEYS[1], unpack(ARGV, 3))
end
if ARGV[2] ~= '0' then
  redis.call('PEXPIREAT', KEYS[1], ARGV[2])
end
return 1
