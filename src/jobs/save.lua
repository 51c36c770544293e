-- Saves how far a job has got, and renews the lease on it or gives that back.
-- KEYS: job
-- ARGV: holder, how long the lease lasts from now on (ms, 0 to give it back), in how long the next step is due (ms),
--       failures in a row, done, total (empty where it is unknown), cursor
-- Returns: 1, or 0 when the lease was lost
local job = redis.call('HMGET', KEYS[1], 'state', 'holder')
if job[1] ~= 'running' or job[2] ~= ARGV[1] then
  return 0
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], 'lease', now + ARGV[2], 'due', now + ARGV[3], 'failures', ARGV[4], 'done', ARGV[5],
  'total', ARGV[6], 'cursor', ARGV[7])
return 1
