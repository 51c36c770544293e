-- Gives one caller at a time the right to refresh a token.
-- KEYS: record
-- ARGV: SHA-256 of the lease, how long it is exclusive (ms), 'server' when the server itself wants it, which waits after a
--       failure (else empty)
-- Returns: {'granted', fencing number, ms, the record's fields as they are read: secrets, details, version, key, created, updated,
--          expires, refreshable, revoked, retry_at}, {'held', ms that are left}, or {'absent'}, {'revoked'}, {'expired'}
local fields = redis.call('HMGET', KEYS[1], 'secrets', 'details', 'version', 'key', 'created', 'updated', 'expires', 'refreshable',
  'revoked', 'retry_at')
if not fields[3] then
  return {'absent'}
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if fields[9] then
  return {'revoked'}
end
if fields[8] == '0' and fields[7] ~= '0' and tonumber(fields[7]) <= now then
  return {'expired'}
end
local left = tonumber(redis.call('HGET', KEYS[1], 'lease_until') or '0') - now
if left > 0 then
  return {'held', left}
end
if ARGV[3] == 'server' and tonumber(fields[10] or '0') > now then
  return {'held', tonumber(fields[10]) - now}
end
local fencing = tonumber(redis.call('HGET', KEYS[1], 'fencing') or '0') + 1
redis.call('HSET', KEYS[1], 'lease', ARGV[1], 'lease_until', string.format('%.0f', now + tonumber(ARGV[2])), 'fencing', fencing)
return {'granted', fencing, now, fields}
