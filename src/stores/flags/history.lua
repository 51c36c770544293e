-- Reads what is remembered of changes, the newest first.
-- KEYS: flagset, flagset-history
-- ARGV: the version from which on downward (0 for the newest), the lowest version, how many are remembered, 1 to read the
--       document too, how many are read at a time
-- Returns: {version of the set, document or '', {what is remembered of each version, nothing where that is forgotten}}
local version = tonumber(redis.call('HGET', KEYS[1], 'version') or '0')
local from = tonumber(ARGV[1])
if from == 0 or from > version then
  from = version
end
local lowest = math.max(tonumber(ARGV[2]), version - ARGV[3], from - ARGV[5] + 1, 1)
local fields = {}
for number = from, lowest, -1 do
  fields[#fields + 1] = string.format('%.0f', number)
end
local document = ''
if ARGV[4] == '1' then
  document = redis.call('HGET', KEYS[1], 'document') or ''
end
if #fields == 0 then
  return {string.format('%.0f', version), document, {}}
end
return {string.format('%.0f', version), document, redis.call('HMGET', KEYS[2], unpack(fields))}
