-- Replaces or patches a session that is as its writer read it.
-- KEYS  S, U, N, X, U2 (the sessions of the user it is to have; U itself for the same), F (its refresh family,
--       else S again), session-fence:{user as read}
-- ARGV  1 ref, 2 user as read, 3 version as read, 4 family as read or '' (matters for another user),
--       5 user to be, 6 data, 7 metadata, 8 own ttl ms, 0 for none, or '' to leave it, 9 policy, 10 ttl ms,
--       11 'slide' or 'set'
-- Returns {'ok', times} | {'gone'} | {'moved'} (it is not as it was read, or may not move now)
local S, U, N, X, U2, F = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local now = clock()
local fields = redis.call('HMGET', S, 'user', 'version', 'times', 'family')
local t = parse_times(fields[3])
if not fields[1] or not t or t.expires <= now then
  return { 'gone' }
end
if fields[1] ~= ARGV[2] or fields[2] ~= ARGV[3] or U2 ~= U and (fields[4] or '') ~= ARGV[4] then
  return { 'moved' }
end
if U2 ~= U and redis.call('EXISTS', KEYS[7]) == 1 then
  return { 'moved' }
end

if ARGV[8] ~= '' then
  t.own = tonumber(ARGV[8])
end
prolong(t, now, ARGV[9], tonumber(ARGV[10]), ARGV[11])
-- The first write is one that grows: a full Redis refuses it, and then nothing has been written.
redis.call('HSET', S, 'user', ARGV[5], 'data', ARGV[6], 'metadata', ARGV[7], 'version', text(tonumber(ARGV[3]) + 1))
if U2 ~= U then
  redis.call('ZREM', U, member(t, ARGV[1]))
  redis.call('ZREM', X, member(t, ARGV[1]) .. ARGV[2])
  if ARGV[4] ~= '' and redis.call('EXISTS', F) == 1 then
    redis.call('HSET', F, 'user', ARGV[5])
  end
end
keep(S, U2, N, X, ARGV[1], ARGV[5], t)
return { 'ok', format_times(t) }
