-- Creates a session, if its id is free and its user may have one more.
-- KEYS  S, U, N, X, F (its refresh family, else S again), H (session-partitions of the user, if this is the
--       user's home, else S again), then per victim its S and its F (S again where it has none)
-- ARGV  1 ref, 2 user, 3 data, 4 metadata, 5 policy, 6 ttl ms, 7 own ttl ms or 0, 8 absolute ttl ms or 0,
--       9 limit or 0, 10 'reject' or 'evict_oldest', 11 family or '', 12 refresh ttl ms,
--       13 fingerprint of the refresh secret, 14 how many further victims to name, then the victims' index members
-- Returns {'ok', how many victims it ended, times} | {'exists'} | {'remains'} (an ended or unreadable session has to be cleared first)
--       | {'limit'} | {'evict', members…} (to be passed as victims; 100 are to be ended first) | {'elsewhere'} (the user has
--       sessions in other partitions, which have to be counted too)
local S, U, N, X, F, H = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local ref, user = ARGV[1], ARGV[2]
local limit = tonumber(ARGV[9])
local family = ARGV[11]
local now, micros = clock()

if redis.call('EXISTS', S) == 1 then
  local fields = read(S, 'user', 'times')
  local old = parse_times(fields[2])
  if fields[1] and old and old.expires > now then
    return { 'exists' }
  end
  return { 'remains' }
end

local victims = {}
if limit > 0 then
  if H ~= S and #redis.call('ZRANGE', H, '(' .. text(now), '+inf', 'BYSCORE', 'LIMIT', '0', '1') > 0 then
    return { 'elsewhere' }
  end
  local live = redis.call('ZRANGE', U, '(' .. text(now), '+inf', 'BYSCORE')
  local excess = #live + 1 - limit
  if excess > 0 then
    if ARGV[10] == 'reject' then
      return { 'limit' }
    end
    local offered = {}
    for i = 15, #ARGV do
      offered[ARGV[i]] = 2 * (i - 15) + 7
    end
    table.sort(live)
    local wanted = math.min(math.max(excess, math.min(excess + tonumber(ARGV[14]), 99)), 100, #live)
    local complete = true
    for i = 1, excess do
      local at = offered[live[i]]
      if at then
        victims[#victims + 1] = { live[i], KEYS[at], KEYS[at + 1] }
      else
        complete = false
      end
    end
    if not complete then
      return { 'evict', unpack(live, 1, wanted) }
    end
  end
end

local t = { created = micros, last = now, expires = 0, absolute = 0, own = tonumber(ARGV[7]), kept = 0 }
if ARGV[8] ~= '0' then
  t.absolute = now + tonumber(ARGV[8])
end
prolong(t, now, ARGV[5], tonumber(ARGV[6]), 'renew')
-- The first write is one that grows: a full Redis refuses it, and then nothing has been written.
redis.call('HSET', S, 'user', user, 'data', ARGV[3], 'metadata', ARGV[4], 'version', '1')
for _, victim in ipairs(victims) do
  redis.call('DEL', victim[2])
  redis.call('DEL', victim[3])
  unindex(U, N, X, victim[1], user)
end
if limit > 0 then
  redis.call('ZREMRANGEBYSCORE', U, '-inf', text(now))
end

if family ~= '' then
  t.kept = capped(t, now + tonumber(ARGV[12]))
  redis.call('HSET', S, 'family', family)
  redis.call('HSET', F, 'current', ARGV[13], 'session', ref, 'user', user, 'expires', text(t.kept))
  redis.call('PEXPIREAT', F, text(t.kept))
end
keep(S, U, N, X, ref, user, t)
return { 'ok', text(#victims), format_times(t) }
