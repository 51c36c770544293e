-- Writes a set of flags, whole, if it is at the version that its writer read.
-- KEYS: flagset, flagset-history
-- ARGV: version that was read (0 for none), document, changed, digest, what to remember of the change (JSON), how many
--       changes are remembered
-- Returns: {version, updated (ms)}, or {} when it is at another version
local version = tonumber(redis.call('HGET', KEYS[1], 'version') or '0')
if version ~= tonumber(ARGV[1]) then
  return {}
end
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
local written = string.format('%.0f', version + 1)
redis.call('HSET', KEYS[1], 'version', written, 'document', ARGV[2], 'changed', ARGV[3], 'digest', ARGV[4], 'updated', now)
redis.call('HSET', KEYS[2], written, now .. ' ' .. ARGV[5])
redis.call('HDEL', KEYS[2], string.format('%.0f', version + 1 - ARGV[6]))
return {written, now}
