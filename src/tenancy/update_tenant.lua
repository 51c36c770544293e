-- Replaces a tenant, unless somebody changed it since it was read.
-- KEYS: tenant, changes
-- ARGV: tenant as it was read (JSON), tenant as it shall be (JSON)
-- Returns: the new count of changes, or 0 when it was changed or is gone
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2])
return redis.call('INCR', KEYS[2])
