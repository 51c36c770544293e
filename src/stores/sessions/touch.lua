-- Notes a use of a session, or sets its expiry.
-- KEYS  S, U, N, X
-- ARGV  1 ref, 2 user as read, 3 policy, 4 ttl ms, 5 'slide' or 'set', 6 own ttl ms from now on, or '' to leave it,
--       7 times as read, or '': what is set late must not replace what was set since
-- Returns {'ok', user, data, metadata, version, times} | {'gone'} | {'moved'} (it is not as it was read)
local S, U, N, X = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local now = clock()
local fields = redis.call('HMGET', S, 'user', 'data', 'metadata', 'version', 'times')
local t = parse_times(fields[5])
if not fields[1] or not t or t.expires <= now then
  return { 'gone' }
end
if fields[1] ~= ARGV[2] then
  return { 'moved' }
end
if ARGV[7] ~= '' and fields[5] ~= ARGV[7] then
  if t.own ~= tonumber(ARGV[6]) then
    return { 'moved' }
  end
  -- Set by the first run, or by another since.
  return { 'ok', fields[1], fields[2], fields[3], fields[4], fields[5] }
end

if ARGV[6] ~= '' then
  t.own = tonumber(ARGV[6])
end
prolong(t, now, ARGV[3], tonumber(ARGV[4]), ARGV[5])
-- The first write is one that does not grow: a full Redis lets the rest follow.
redis.call('ZREMRANGEBYSCORE', U, '-inf', text(now))
keep(S, U, N, X, ARGV[1], ARGV[2], t)
return { 'ok', fields[1], fields[2], fields[3], fields[4], format_times(t) }
