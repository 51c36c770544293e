-- Notes that a tenant's flags changed, above everything that was noted before.
-- KEYS: flag-changes
-- ARGV: tenant, how many tenants may be noted
-- Returns: its score (ms)
local newest = redis.call('ZRANGE', KEYS[1], '0', '0', 'REV', 'WITHSCORES')
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local score = string.format('%.0f', math.max(now, (newest[2] or 0) + 1))
redis.call('ZADD', KEYS[1], score, ARGV[1])
if redis.call('ZCARD', KEYS[1]) > tonumber(ARGV[2]) then
  redis.call('ZREM', KEYS[1], redis.call('ZRANGE', KEYS[1], '0', '0')[1])
end
return score
