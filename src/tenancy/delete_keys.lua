-- Deletes API keys of a tenant that is gone, for the job that deletes it.
-- KEYS: job-of (the deletion of the tenant), tenant-keys, then of each key: api-key, api-key-used
-- ARGV: id of the job, then the id of each key
-- Returns: how many the tenant had of them, or -1 when the job is not the one in force
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return -1
end
local deleted = 0
for i = 2, #ARGV do
  if redis.call('ZREM', KEYS[2], ARGV[i]) == 1 then
    redis.call('DEL', KEYS[2 * i - 1], KEYS[2 * i])
    deleted = deleted + 1
  end
end
return deleted
