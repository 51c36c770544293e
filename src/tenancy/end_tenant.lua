-- Takes a tenant out of the list, for a job that deletes it: from then on none of its API keys opens anything.
-- KEYS: tenant, tenants, changes, job-of (the deletion of the tenant)
-- ARGV: tenant id, id of the job, token of this change
-- Returns: 1, or 0 when there is no such tenant or the job is not the one in force
if redis.call('GET', KEYS[4]) ~= ARGV[2] or redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('SET', KEYS[3], ARGV[3])
return 1
