-- Forgets jobs that are finished.
-- KEYS: jobs, jobs-finished, then each job
-- ARGV: the id of each job
-- Returns: how many there were
local forgotten = 0
for i, id in ipairs(ARGV) do
  if redis.call('ZREM', KEYS[2], id) == 1 then
    redis.call('ZREM', KEYS[1], id)
    redis.call('DEL', KEYS[2 + i])
    forgotten = forgotten + 1
  end
end
return forgotten
