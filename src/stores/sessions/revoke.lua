-- Ends sessions of one user, with their refresh tokens.
-- KEYS  U, N, X, then per session its S and its F (S again where it has none)
-- ARGV  1 user as read, 2 version that the one session must have, or '', 3 ref of the session to spare, or '',
--       4 'room' (a session is to be created: a full Redis refuses, so that none is ended for nothing) or '', then per session its index member
-- Returns {'ok', sessions ended, sessions of the user left here but for the spared one (counted to two)}
--       | {'moved'} (a session that is not at the version, not this user's, or another one by now; only for a single one)
local U, N, X = KEYS[1], KEYS[2], KEYS[3]
local now = clock()
local ended = {}
for i = 5, #ARGV do
  local S, F = KEYS[2 * i - 6], KEYS[2 * i - 5]
  local fields = read(S, 'user', 'version', 'times')
  local t = fields[1] and parse_times(fields[3])
  -- Under the same id there may be another session by now, of this user or not.
  local other = t and (fields[1] ~= ARGV[1] or member(t, string.sub(ARGV[i], 17)) ~= ARGV[i])
  if not other and (not t or ARGV[2] == '' or fields[2] == ARGV[2]) then
    ended[#ended + 1] = { S, F, ARGV[i] }
  elseif #ARGV == 5 then
    return { 'moved' }
  end
end

if ARGV[4] == 'room' then
  -- A write that would grow, if there were such a member.
  redis.call('ZADD', U, 'XX', '0', '-')
end
local count = 0
for _, session in ipairs(ended) do
  count = count + redis.call('DEL', session[1])
  redis.call('DEL', session[2])
  unindex(U, N, X, session[3], ARGV[1])
end
redis.call('ZREMRANGEBYSCORE', U, '-inf', text(now))
local left = 0
for _, m in ipairs(redis.call('ZRANGE', U, '-inf', '+inf', 'BYSCORE', 'LIMIT', '0', '2')) do
  if string.sub(m, 17) ~= ARGV[3] then
    left = left + 1
  end
end
return { 'ok', count, left }
