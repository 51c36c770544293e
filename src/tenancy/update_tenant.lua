-- Replaces a tenant, unless somebody changed it since it was read.
-- KEYS: tenant, changes
-- ARGV: tenant as it was read (JSON), tenant as it shall be (JSON), token of this change
-- Returns: 1, or 0 when it was changed or is gone
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2])
redis.call('SET', KEYS[2], ARGV[3])
return 1
