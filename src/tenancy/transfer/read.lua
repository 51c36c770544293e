-- Reads a key as a whole.
-- KEYS: the key
-- ARGV: its type: string, hash or zset
-- Returns: when it ends (ms, 0 for never), then its value, its fields and values, or its members and scores; nothing where
--          there is no such key
local ttl = redis.call('PTTL', KEYS[1])
if ttl == -2 then
  return {}
end
local ends = '0'
if ttl >= 0 then
  local now = redis.call('TIME')
  ends = string.format('%.0f', now[1] * 1000 + math.floor(now[2] / 1000) + ttl)
end
if ARGV[1] == 'string' then
  return {ends, {redis.call('GET', KEYS[1])}}
elseif ARGV[1] == 'hash' then
  return {ends, redis.call('HGETALL', KEYS[1])}
end
return {ends, redis.call('ZRANGE', KEYS[1], '0', '-1', 'WITHSCORES')}
