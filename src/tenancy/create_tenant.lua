-- Makes a tenant where there is none.
-- KEYS: tenant, tenants, changes
-- ARGV: tenant id, tenant (JSON), token of this change
-- Returns: 1, or 0 when the id is taken
if redis.call('EXISTS', KEYS[1]) == 1 then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2])
redis.call('ZADD', KEYS[2], 0, ARGV[1])
redis.call('SET', KEYS[3], ARGV[3])
return 1
