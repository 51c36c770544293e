-- Gives one caller at a time the right to refresh a token, which the caller has read. The answer holds nothing of it: answers
-- of operations are kept for a minute.
-- KEYS: record, token-fencing
-- ARGV: version that was read, SHA-256 of the lease, how long it is exclusive (ms), 'server' when the server itself wants it,
--       which waits after a failure (else empty)
-- Returns: {'granted', fencing number}, {'held', ms that are left}, or {'changed'} when it is at another version, {'absent'},
--          {'revoked'}, {'expired'}
local record = redis.call('HMGET', KEYS[1], 'version', 'expires', 'refreshable', 'revoked', 'retry_at', 'lease_until')
local version, expires, refreshable, revoked, retry_at, lease_until = unpack(record)
if not version then
  return {'absent'}
end
if version ~= ARGV[1] then
  return {'changed'}
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if revoked then
  return {'revoked'}
end
if refreshable == '0' and expires ~= '0' and tonumber(expires) <= now then
  return {'expired'}
end
local left = tonumber(lease_until or '0') - now
if left > 0 then
  return {'held', left}
end
if ARGV[4] == 'server' and tonumber(retry_at or '0') > now then
  return {'held', tonumber(retry_at) - now}
end
redis.call('HSET', KEYS[1], 'lease', ARGV[2], 'lease_until', string.format('%.0f', now + tonumber(ARGV[3])))
return {'granted', redis.call('INCR', KEYS[2])}
