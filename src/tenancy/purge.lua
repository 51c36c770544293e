-- Deletes keys of a tenant that is gone, where the mark of whoever deletes them stands beside them.
-- KEYS: deletion, then the keys, all of one partition
-- ARGV: the mark
-- Returns: how many there were, or -1 without the mark
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return -1
end
return redis.call('UNLINK', unpack(KEYS, 2))
