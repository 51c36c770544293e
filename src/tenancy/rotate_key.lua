-- Stores the successor of an API key, and ends the old one or sets its end.
-- KEYS: old api-key, old api-key-used, new api-key, tenant-keys, changes
-- ARGV: old key id, old API key as it was read (JSON), old API key as it shall be (JSON, empty to revoke it),
--       new key id, new API key (JSON), token of this change
-- Returns: 1, or 0 when the old key was changed or is gone
if redis.call('GET', KEYS[1]) ~= ARGV[2] then
  return 0
end
if ARGV[3] == '' then
  redis.call('DEL', KEYS[1], KEYS[2])
  redis.call('ZREM', KEYS[4], ARGV[1])
else
  redis.call('SET', KEYS[1], ARGV[3])
end
redis.call('SET', KEYS[3], ARGV[5])
redis.call('ZADD', KEYS[4], 0, ARGV[4])
redis.call('SET', KEYS[5], ARGV[6])
return 1
