-- Takes the lease on a job whose next step is due, unless another has it.
-- KEYS: job
-- ARGV: holder, how long the lease lasts (ms), names of fields
-- Returns: those fields of the job, or nothing where it is finished, gone, not due or another's
local job = redis.call('HMGET', KEYS[1], 'state', 'holder', 'lease', 'due', 'started', 'fencing')
local state, holder, lease, due, started, fencing = unpack(job)
if state ~= 'waiting' and state ~= 'running' then
  return false
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if tonumber(due) > now or (holder ~= ARGV[1] and tonumber(lease) > now) then
  return false
end
if holder ~= ARGV[1] then
  fencing = fencing + 1
end
if started == '' then
  started = now
end
redis.call('HSET', KEYS[1], 'state', 'running', 'holder', ARGV[1], 'lease', now + ARGV[2], 'fencing', fencing,
  'started', started)
return redis.call('HMGET', KEYS[1], unpack(ARGV, 3))
