-- Sets a state by hand, or lets the breaker decide again.
-- KEYS  S, P, N
-- ARGV  1 name, 2 state: 'forced_open', 'forced_closed', 'disabled', or 'closed' to decide again, 3 actor, 4 reason or '',
--       5 for how long, ms, or ''
-- Returns {'ok', now, state text or '', settings or '', the states it went through or ''} | {'full'} (one breaker too many)
local S, P, N, name, wanted = KEYS[1], KEYS[2], KEYS[3], ARGV[1], ARGV[2]
local stored, settings = redis.call('HGET', S, name), redis.call('HGET', P, name)
local now = clock()
local b = parse(stored)
settle(b, now)
if b.state ~= wanted then
  turn(b, wanted, now)
elseif wanted == 'closed' then
  clear(b)
end
if wanted ~= 'closed' then
  b.actor, b.reason = ARGV[3], ARGV[4] ~= '' and ARGV[4] or nil
  b.ends = ARGV[5] ~= '' and math.max(now + tonumber(ARGV[5]), b.since + 1) or nil
end
if not keep(S, N, name, b, stored, settings) then
  return { 'full' }
end
return { 'ok', now, format(b) or '', settings or '', b.path or '' }
