-- Notes when an API key was used, unless it was revoked meanwhile: nothing would delete the note again.
-- KEYS: api-key, api-key-used
-- ARGV: hour (RFC 3339)
-- Returns: 1 when noted, 0 when there is no such key
if redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
redis.call('SET', KEYS[2], ARGV[1])
return 1
