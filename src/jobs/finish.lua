-- Finishes a job.
-- KEYS: job, job-of, jobs-unfinished, jobs-finished
-- ARGV: job id, holder, state, error (empty for none), done, total (empty where it is unknown), cursor, how many finished
--       jobs are kept, how many are named at most
-- Returns: 1 and the ids of the oldest finished jobs beyond those that are kept, or 0 when the lease was lost
local job = redis.call('HMGET', KEYS[1], 'state', 'holder')
if job[1] ~= 'running' or job[2] ~= ARGV[2] then
  return { 0 }
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], 'state', ARGV[3], 'error', ARGV[4], 'done', ARGV[5], 'total', ARGV[6], 'cursor', ARGV[7],
  'finished', now, 'lease', '0')
if redis.call('GET', KEYS[2]) == ARGV[1] then
  redis.call('DEL', KEYS[2])
end
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('ZADD', KEYS[4], 0, ARGV[1])
local beyond = math.min(redis.call('ZCARD', KEYS[4]) - ARGV[8], ARGV[9])
if beyond <= 0 then
  return { 1 }
end
return { 1, unpack(redis.call('ZRANGE', KEYS[4], 0, beyond - 1)) }
