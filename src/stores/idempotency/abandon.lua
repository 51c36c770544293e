-- Forgets a request that changed nothing, unless its key is another's by now: what arrives late must not take away the
-- answer to the request that came after it.
-- KEYS  the record
-- ARGV  1 the note of the attempt that is abandoned
-- Returns 1, or 0 when there is another record or none
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
redis.call('DEL', KEYS[1])
return 1
