-- Makes a tenant where there is none.
-- KEYS: tenant, tenants, changes, job-of (the deletion of a tenant of this id)
-- ARGV: tenant id, tenant (JSON), token of this change
-- Returns: 1, 0 when the id is taken, or 2 when a tenant of this id is being deleted
if redis.call('EXISTS', KEYS[1]) == 1 then
  return 0
end
if redis.call('EXISTS', KEYS[4]) == 1 then
  return 2
end
redis.call('SET', KEYS[1], ARGV[2])
redis.call('ZADD', KEYS[2], 0, ARGV[1])
redis.call('SET', KEYS[3], ARGV[3])
return 1
