-- Writes a session as another store held it, with its refresh family, unless it has been here before: whatever
-- became of it here since then stays so.
-- KEYS  S, U, N, X, F (its refresh family, else S again), session-restored:{ref}
-- ARGV  1 ref, 2 user, 3 data, 4 metadata, 5 version, 6 times, 7 family or '', then the fields of the family and
--       their values
-- Returns 'ok' | 'been' (it is or was here) | 'ended' (its time is over)
local S, U, N, X, F, B = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local now = clock()
local t = parse_times(ARGV[6])
if not t or ends(t) <= now then
  return 'ended'
end
if redis.call('EXISTS', B) == 1 or redis.call('EXISTS', S) == 1 then
  return 'been'
end

-- The first write is one that grows: a full Redis refuses it, and then nothing has been written.
redis.call('HSET', S, 'user', ARGV[2], 'data', ARGV[3], 'metadata', ARGV[4], 'version', ARGV[5])
redis.call('SET', B, '1', 'PX', text(ends(t) - now))
if ARGV[7] ~= '' then
  redis.call('HSET', S, 'family', ARGV[7])
  if #ARGV > 7 then
    redis.call('HSET', F, unpack(ARGV, 8))
    redis.call('PEXPIREAT', F, text(t.kept))
  end
end
keep(S, U, N, X, ARGV[1], ARGV[2], t)
return 'ok'
