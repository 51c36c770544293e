-- Removes a sealed record, or one that has expired by itself, of which it is then remembered for a day that it has.
-- KEYS: record, its list, sealed-records, token-expiries, token-expired
-- ARGV: name in the list, member of sealed-records, version that it must be at (empty for any), 'expired' when it must have
--       expired (else empty)
-- Returns: 1; 0 when there is none, 2 when it is at another version, 3 when it has not expired
local version = redis.call('HGET', KEYS[1], 'version')
if not version then
  return ARGV[4] == '' and redis.call('DEL', KEYS[5]) or 0
end
if ARGV[3] ~= '' and version ~= ARGV[3] then
  return 2
end
if ARGV[4] == 'expired' then
  local time = redis.call('TIME')
  local expires = tonumber(redis.call('HGET', KEYS[1], 'expires'))
  local refreshable = redis.call('HGET', KEYS[1], 'refreshable')
  if refreshable == '1' or expires == 0 or expires > time[1] * 1000 + math.floor(time[2] / 1000) then
    return 3
  end
end
-- A full Redis takes what grows from a script that has deleted something first: this is what makes room.
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[2])
redis.call('ZREM', KEYS[4], ARGV[2])
if ARGV[4] == 'expired' then
  redis.call('SET', KEYS[5], '1', 'PX', '86400000')
else
  redis.call('DEL', KEYS[5])
end
return 1
