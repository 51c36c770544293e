-- Writes a sealed record, whole, if it is at the version that its writer read.
-- KEYS: record, its list, sealed-records, sealing-floor, token-expiries, token-expired
-- ARGV: version that was read (empty where there was none), version that is written, version of the data key, sealed,
--       details, expires (ms, 0 for none), refreshable (1 or 0), name in the list, member of sealed-records, how many may be
--       in the list, SHA-256 of a lease that must be the last one given (empty for none), whether the partition was noted (1 or
--       0), before when the server is not to refresh it (ms, 0 for none)
-- Returns: {'written', created, updated}, {'changed'} when it is at another version, {'lost'} when the lease is not the last
--          one, {'unnoted'} when nobody has noted the partition, {'stale'} when the data key is about to be destroyed, {'full'}
--          when the list is
local version = redis.call('HGET', KEYS[1], 'version') or ''
if ARGV[11] ~= '' and redis.call('HGET', KEYS[1], 'lease') ~= ARGV[11] then
  return {'lost'}
end
if version ~= ARGV[1] then
  return {'changed'}
end
local floor = redis.call('GET', KEYS[4])
if not floor and ARGV[12] == '0' then
  return {'unnoted'}
end
if tonumber(floor or '0') > tonumber(ARGV[3]) then
  return {'stale'}
end
if version == '' and redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[10]) then
  return {'full'}
end
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
local created = redis.call('HGET', KEYS[1], 'created') or now
redis.call('HSET', KEYS[1], 'sealed', ARGV[4], 'details', ARGV[5], 'version', ARGV[2], 'key', ARGV[3], 'created', created,
  'updated', now, 'expires', ARGV[6], 'refreshable', ARGV[7])
if not floor then
  redis.call('SET', KEYS[4], '0')
end
redis.call('HDEL', KEYS[1], 'lease', 'lease_until', 'revoked', 'retry_at')
if ARGV[13] ~= '0' then
  redis.call('HSET', KEYS[1], 'retry_at', ARGV[13])
end
redis.call('ZADD', KEYS[2], 0, ARGV[8])
redis.call('ZADD', KEYS[3], ARGV[3], ARGV[9])
if ARGV[6] ~= '0' and ARGV[7] == '0' then
  redis.call('ZADD', KEYS[5], ARGV[6], ARGV[9])
else
  redis.call('ZREM', KEYS[5], ARGV[9])
end
redis.call('DEL', KEYS[6])
return {'written', created, now}
