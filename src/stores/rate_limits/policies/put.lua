-- Keeps a policy under a name.
-- KEYS: rate-limit-policies, rate-limit-policy-names
-- ARGV: name, policy (JSON), how many a tenant may have
-- Returns: 'created', 'replaced', or 'full' when it would be one more than that
local known = redis.call('ZSCORE', KEYS[2], ARGV[1])
if not known and redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[3]) then
  return 'full'
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], 0, ARGV[1])
return known and 'replaced' or 'created'
