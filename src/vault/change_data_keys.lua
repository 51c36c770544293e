-- Replaces a tenant's data keys, unless somebody changed them since they were read.
-- KEYS: data-keys, root-keys, tenant
-- ARGV: data keys as they were read (JSON, empty where there were none), data keys as they shall be (JSON, empty to
--       destroy all), then for each root key by how many the data keys under it change: its id, the difference
-- Returns: 1, 0 when they were changed, or -1 when some shall be kept and there is no such tenant, or all destroyed and
--          there is one: it may have been made after the one whose they were
if (ARGV[2] ~= '') ~= (redis.call('EXISTS', KEYS[3]) == 1) then
  return -1
end
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then
  return 0
end
if ARGV[2] == '' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[2])
end
for i = 3, #ARGV, 2 do
  if tonumber(redis.call('ZADD', KEYS[2], 'INCR', ARGV[i + 1], ARGV[i])) <= 0 then
    redis.call('ZREM', KEYS[2], ARGV[i])
  end
end
return 1
