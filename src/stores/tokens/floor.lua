-- Raises the floor of a partition: from now on nothing is written there under an older data key.
-- KEYS: sealing-floor
-- ARGV: version of the oldest data key that may be used
-- Returns: 1
if tonumber(redis.call('GET', KEYS[1]) or '0') < tonumber(ARGV[1]) then
  redis.call('SET', KEYS[1], ARGV[1])
end
return 1
