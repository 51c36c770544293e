-- Gives a lease back without a new token.
-- KEYS: record
-- ARGV: SHA-256 of the lease, 'revoked' when the provider says that the refresh token is not valid (else empty), how long the
--       server shall wait before it tries again (ms, 0 for not at all)
-- Returns: 1, or 0 when the lease is not the last one given
if redis.call('HGET', KEYS[1], 'lease') ~= ARGV[1] then
  return 0
end
redis.call('HDEL', KEYS[1], 'lease', 'lease_until')
if ARGV[2] == 'revoked' then
  redis.call('HSET', KEYS[1], 'revoked', '1')
end
if ARGV[3] ~= '0' then
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  redis.call('HSET', KEYS[1], 'retry_at', string.format('%.0f', now + tonumber(ARGV[3])))
end
return 1
