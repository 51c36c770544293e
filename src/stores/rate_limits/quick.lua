-- Stands before everything in check.lua, so that the usual check pays for nothing else: one check with sliding_window
-- that is allowed, of a subject with no other window and nothing held; its answer is {units used, ms until quota comes
-- back}. Whatever else there is falls through, with what is known of the state and of the time.
-- The same rule as in algorithms.lua; 4096ths keep all products below 2^53, where numbers are exact.
local stored, now

if ARGV[1] == 'sliding_window' and not ARGV[5] then
  local call, state, length = redis.call, KEYS[1], ARGV[2]
  -- The state ends with its only line: how long it lives yet tells the time, and costs half of what TIME does.
  local left = call('PTTL', state)
  if left >= 0 then
    stored = call('GET', state)
  end
  local window, expires, start, previous, place, current
  if stored then
    window, expires, start, previous, place, current =
      string.match(stored, '^sliding_window (%d+) (%d+) 0 0 (%d+) (%d+) ()(%d+)$')
  end
  local cost, room = ARGV[4] + 0, ARGV[3] + 0
  if window == length then
    length, now = length + 0, expires - left
    local elapsed = now - start
    local fading, used = previous, current + cost
    local rolls = elapsed >= length
    if rolls then
      elapsed, fading, used = elapsed - length, current, cost
    end
    local written = used
    if fading ~= '0' then
      local share = (length - elapsed) * 4096
      local weighed = fading * ((share - share % length) / length)
      used = used + (weighed - weighed % 4096) / 4096
    end
    if used <= room and elapsed >= 0 and elapsed < length and not (rolls and fading == '0') then
      if rolls then
        start = start + length
        expires = string.format('%.0f', start + 2 * length)
        stored = string.format('sliding_window %s %s 0 0 %.0f %s %.0f', window, expires, start, fading, cost)
        call('SET', state, stored, 'PXAT', expires)
      else
        call('SET', state, string.sub(stored, 1, place - 1) .. written, 'KEEPTTL')
      end
      return { used, length - elapsed }
    end
  elseif left == -2 and cost <= room then
    local time = call('TIME')
    local micros = time[2]
    now = time[1] * 1000 + (micros - micros % 1000) / 1000
    local expires = string.format('%.0f', now + 2 * length)
    call('SET', state, string.format('sliding_window %s %s 0 0 %.0f 0 %.0f', length, expires, now, cost), 'PXAT', expires)
    return { cost, length }
  end
end

