-- Deletes the policy of a name.
-- KEYS: rate-limit-policies, rate-limit-policy-names
-- ARGV: name
-- Returns: 1, or 0 when there is none
redis.call('HDEL', KEYS[1], ARGV[1])
return redis.call('ZREM', KEYS[2], ARGV[1])
