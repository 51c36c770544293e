-- Exchanges the envelopes of a sealed record for those of the same content under another data key, unless it was written
-- meanwhile.
-- KEYS: record, sealed-records, sealing-floor
-- ARGV: sealed as they were read, sealed, details, version of the data key, member of sealed-records
-- Returns: 1, 0 when it was written meanwhile, 2 when this data key is about to be destroyed in its turn, 3 when there is no
--          record, which then is not listed any more
local sealed = redis.call('HGET', KEYS[1], 'sealed')
if not sealed then
  redis.call('ZREM', KEYS[2], ARGV[5])
  return 3
end
if sealed ~= ARGV[1] then
  return 0
end
if tonumber(redis.call('GET', KEYS[3]) or '0') > tonumber(ARGV[4]) then
  return 2
end
redis.call('HSET', KEYS[1], 'sealed', ARGV[2], 'details', ARGV[3], 'key', ARGV[4])
redis.call('ZADD', KEYS[2], ARGV[4], ARGV[5])
return 1
