-- Clears ended sessions from a partition's indexes.
-- KEYS  N, X
-- ARGV  1 how many at most
-- Returns how many
local now = clock()
local ended = redis.call('ZRANGE', KEYS[2], '-inf', text(now), 'BYSCORE', 'LIMIT', '0', ARGV[1])
if #ended > 0 then
  redis.call('ZREM', KEYS[1], unpack(ended))
  redis.call('ZREM', KEYS[2], unpack(ended))
end
return #ended
