-- Stands before everything in check.lua, so that the usual check pays for nothing else: one check with sliding_window
-- that is allowed, of a subject with no other window and nothing held. Whatever else there is falls through.
-- The same rule as in algorithms.lua; 4096ths keep all products below 2^53, where numbers are exact.
local time = redis.call('TIME')
local micros = time[2]
local now = time[1] * 1000 + (micros - micros % 1000) / 1000
local stored = redis.call('GET', KEYS[1])

if #ARGV == 4 and ARGV[1] == 'sliding_window' then
  local head, window, expires, start, previous, current
  if stored then
    head, window, expires, start, previous, current =
      string.match(stored, '^(sliding_window (%d+) (%d+) 0 0 (%d+) (%d+) )(%d+)$')
  end
  if not stored or window == ARGV[2] then
    local length, cost = ARGV[2] + 0, ARGV[4] + 0
    local elapsed = stored and now - start or 2 * length
    local used = cost
    if elapsed < 0 then
      elapsed = 0
    end
    if elapsed < length then
      local share = (length - elapsed) * 4096
      local weighed = previous * ((share - share % length) / length)
      current = current + cost
      used = current + (weighed - weighed % 4096) / 4096
    elseif elapsed < 2 * length and current ~= '0' then
      elapsed = elapsed - length
      local share = (length - elapsed) * 4096
      local weighed = current * ((share - share % length) / length)
      used = cost + (weighed - weighed % 4096) / 4096
      expires = string.format('%.0f', start + 3 * length)
      head = string.format('sliding_window %s %s 0 0 %.0f %s ', ARGV[2], expires, start + length, current)
      current = cost
    else
      elapsed = 0
      expires = string.format('%.0f', now + 2 * length)
      head = string.format('sliding_window %s %s 0 0 %.0f 0 ', ARGV[2], expires, now)
      current = cost
    end
    if used <= ARGV[3] + 0 then
      redis.call('SET', KEYS[1], head .. current, 'PXAT', expires)
      return { 1, used, length - elapsed, 0 }
    end
  end
end

