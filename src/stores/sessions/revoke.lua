-- Ends sessions of one user, with their refresh tokens.
-- KEYS  U, N, X, then per session its S and its F (S again where it has none)
-- ARGV  1 user as read, 2 version that the one session must have, or '', 3 ref of the session to spare, or '',
--       then per session its index member
-- Returns {'ok', sessions ended, sessions of the user left here but for the spared one (counted to two)}
--       | {'moved'} (a session that is not at the version, not this user's, or another one by now; only for a single one)
local U, N, X = KEYS[1], KEYS[2], KEYS[3]
local now = clock()
local ended, stale, moved = {}, {}, false
for i = 4, #ARGV do
  local S, F = KEYS[2 * i - 4], KEYS[2 * i - 3]
  local fields = redis.call('HMGET', S, 'user', 'version', 'times')
  local t = fields[1] and parse_times(fields[3])
  if t and member(t, string.sub(ARGV[i], 17)) ~= ARGV[i] then
    -- The indexes still name a damaged session that was replaced under the same id.
    stale[#stale + 1] = ARGV[i]
    moved = true
  elseif t and (fields[1] ~= ARGV[1] or ARGV[2] ~= '' and fields[2] ~= ARGV[2]) then
    moved = true
  else
    ended[#ended + 1] = { S, F, ARGV[i] }
  end
end

for _, m in ipairs(stale) do
  unindex(U, N, X, m)
end
if moved and #ARGV == 4 then
  return { 'moved' }
end
local count = 0
for _, session in ipairs(ended) do
  count = count + redis.call('DEL', session[1])
  redis.call('DEL', session[2])
  unindex(U, N, X, session[3])
end
redis.call('ZREMRANGEBYSCORE', U, '-inf', text(now))
local left = 0
for _, m in ipairs(redis.call('ZRANGE', U, '-inf', '+inf', 'BYSCORE', 'LIMIT', '0', '2')) do
  if string.sub(m, 17) ~= ARGV[3] then
    left = left + 1
  end
end
return { 'ok', count, left }
