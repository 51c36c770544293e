-- Stores a new API key of a tenant.
-- KEYS: tenant, api-key, tenant-keys, changes
-- ARGV: key id, API key (JSON), token of this change
-- Returns: 1, or 0 when there is no such tenant
if redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
redis.call('SET', KEYS[2], ARGV[2])
redis.call('ZADD', KEYS[3], 0, ARGV[1])
redis.call('SET', KEYS[4], ARGV[3])
return 1
