-- Revokes an API key, if it is this tenant's.
-- KEYS: api-key, api-key-used, tenant-keys, changes
-- ARGV: key id, token of this change
-- Returns: 1, or 0 when the tenant has no such key
if not redis.call('ZSCORE', KEYS[3], ARGV[1]) then
  return 0
end
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('SET', KEYS[4], ARGV[2])
return 1
