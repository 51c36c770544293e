-- Starts a job, unless one of its kind and tenant is unfinished.
-- KEYS: job-of, job, jobs, jobs-unfinished
-- ARGV: job id, kind, tenant (empty where it concerns none)
-- Returns: the id of the unfinished job, which is the new one where there was none
local current = redis.call('GET', KEYS[1])
if current then
  return current
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[2], 'kind', ARGV[2], 'tenant', ARGV[3], 'state', 'waiting', 'done', '0', 'total', '', 'cursor', '',
  'created', now, 'started', '', 'finished', '', 'error', '', 'holder', '', 'lease', '0', 'fencing', '0', 'due', '0',
  'failures', '0')
redis.call('SET', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[3], 0, ARGV[1])
redis.call('ZADD', KEYS[4], 0, ARGV[1])
return ARGV[1]
