-- Forgets what was used by a subject and what is held of it, under every algorithm and window.
-- KEYS  state, holds, then its logs
-- ARGV  the windows of those logs, as they stand in the state
-- Returns how many keys there were | -1 (there are other logs by now)
local place = 0
for window in string.gmatch(redis.call('GET', KEYS[1]) or '', 'sliding_log (%d+)') do
  place = place + 1
  if ARGV[place] ~= window then
    return -1
  end
end
if place ~= #ARGV then
  return -1
end
return redis.call('DEL', unpack(KEYS))
