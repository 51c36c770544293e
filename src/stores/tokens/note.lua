-- Notes that something may be sealed in a partition, before it is.
-- KEYS: sealed-partitions, sealing-floor (of the partition where the list is)
-- ARGV: partition, version of the data key
-- Returns: 1, or 0 when the data key is about to be destroyed
if tonumber(redis.call('GET', KEYS[2]) or '0') > tonumber(ARGV[2]) then
  return 0
end
redis.call('ZADD', KEYS[1], 0, ARGV[1])
return 1
