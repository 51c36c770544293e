-- Reads a page of the policies, by name.
-- KEYS: rate-limit-policies, rate-limit-policy-names
-- ARGV: where it starts ('-', or '(' and the name before), how many at most
-- Returns: {names, policies (JSON)}
local names = redis.call('ZRANGE', KEYS[2], ARGV[1], '+', 'BYLEX', 'LIMIT', 0, ARGV[2])
if #names == 0 then
  return {names, names}
end
return {names, redis.call('HMGET', KEYS[1], unpack(names))}
