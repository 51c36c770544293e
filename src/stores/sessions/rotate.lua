-- Gives a session a new id; the old one is invalid at once. Running it twice is running it once: the new id
-- is random, so a session that has it already has it from the first run; and what was created under the old one since
-- is another session.
-- KEYS  S, S2 (under the new id), U, N, X, F (its refresh family, else S again),
--       session-fence:{user}
-- ARGV  1 ref, 2 new ref, 3 user as read, 4 family as read or '', 5 policy, 6 ttl ms, 7 created as read
-- Returns {'ok', user, data, metadata, version, times} | {'gone'} | {'moved'} (it is not as it was read, or may not
--       move now)
local S, S2, U, N, X, F = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local now = clock()
local done = redis.call('HMGET', S2, 'user', 'data', 'metadata', 'version', 'times')
if done[1] then
  return { 'ok', unpack(done) }
end
local fields = redis.call('HMGET', S, 'user', 'data', 'metadata', 'version', 'times', 'family')
local t = parse_times(fields[5])
if not fields[1] or not t or t.expires <= now then
  return { 'gone' }
end
if fields[1] ~= ARGV[3] or (fields[6] or '') ~= ARGV[4] or text(t.created) ~= ARGV[7] or redis.call('EXISTS', KEYS[7]) == 1 then
  return { 'moved' }
end

redis.call('RENAME', S, S2)
unindex(U, N, X, member(t, ARGV[1]), ARGV[3])
if ARGV[4] ~= '' and redis.call('EXISTS', F) == 1 then
  redis.call('HSET', F, 'session', ARGV[2])
end
prolong(t, now, ARGV[5], tonumber(ARGV[6]), 'slide')
keep(S2, U, N, X, ARGV[2], ARGV[3], t)
return { 'ok', fields[1], fields[2], fields[3], fields[4], format_times(t) }
