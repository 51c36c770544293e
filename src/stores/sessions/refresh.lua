-- Takes a refresh token of a known family. The current one rotates the family and the session's id; the one
-- before it, within the grace, is told the salt from which its presenter derives the same successor again;
-- any other ends the session and the family. The salt also tells a repeated call from a repeated token.
-- KEYS  F, S (the session as read from F), S2 (under the new id), U, N, X, session-fence:{user}
-- ARGV  1 family, 2 ref as read, 3 user as read, 4 new ref, 5 fingerprint presented, 6 fingerprint of the next,
--       7 salt, 8 grace ms, 9 refresh ttl ms, 10 policy, 11 ttl ms
-- Returns {'ok', user, data, metadata, version, times} | {'repeat', salt, expires} | {'reused'} | {'invalid'}
--       | {'moved'} (the family is not as it was read, or the session may not move now)
local F, S, S2, U, N, X = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local ref, user, presented = ARGV[2], ARGV[3], ARGV[5]
local now = clock()
local f = redis.call('HMGET', F, 'current', 'previous', 'salt', 'rotated', 'session', 'user', 'expires')
if not f[1] then
  return { 'invalid' }
end
if f[2] == presented and (f[3] == ARGV[7] or now - tonumber(f[4]) <= tonumber(ARGV[8])) then
  return { 'repeat', f[3], f[7] }
end
if f[5] ~= ref or f[6] ~= user then
  return { 'moved' }
end
local fields = redis.call('HMGET', S, 'user', 'data', 'metadata', 'version', 'times', 'family')
local t = parse_times(fields[5])
if not t or fields[1] ~= user or fields[6] ~= ARGV[1] then
  return { 'invalid' }
end

if f[1] ~= presented then
  redis.call('DEL', S)
  redis.call('DEL', F)
  unindex(U, N, X, member(t, ref), user)
  return { 'reused' }
end

if redis.call('EXISTS', KEYS[7]) == 1 then
  return { 'moved' }
end
redis.call('RENAME', S, S2)
unindex(U, N, X, member(t, ref), user)
t.kept = capped(t, now + tonumber(ARGV[9]))
prolong(t, now, ARGV[10], tonumber(ARGV[11]), 'renew')
redis.call('HSET', F, 'current', ARGV[6], 'previous', presented, 'salt', ARGV[7], 'rotated', text(now),
  'session', ARGV[4], 'expires', text(t.kept))
redis.call('PEXPIREAT', F, text(t.kept))
keep(S2, U, N, X, ARGV[4], user, t)
return { 'ok', fields[1], fields[2], fields[3], fields[4], format_times(t) }
