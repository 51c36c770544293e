-- The four ways to count. Each has three functions over a line (see prelude.lua) and a check:
--   look(line, now, check)        brings the line to now: units in use, ms until quota comes back (0 when none is used)
--   wait(line, now, free, check)  ms until at most `free` units are in use, when now there are more; the line was looked at
--   add(line, now, cost, check)   counts, even beyond the limit; the line was looked at
-- All numbers are integers below 2^53, and so is every product: quotients round as they would without bounds.
local floor, ceil, min, max = math.floor, math.ceil, math.min, math.max
local MOST = 2199023255552
local MOST_LOGGED = 100000
local rules = {}

-- a start of the window or 0, b used in the one before, c used in it
rules.sliding_window = {
  look = function(line, now)
    local window, elapsed = line.window, max(now - line.a, 0)
    -- Over, or nothing was used in the window that would count on: the next use begins another.
    if elapsed >= 2 * window or elapsed >= window and line.c == 0 then
      line.a, line.b, line.c = 0, 0, 0
      return 0, 0
    end
    if elapsed >= window then
      line.a, line.b, line.c = line.a + window, line.c, 0
      elapsed = elapsed - window
      -- quick.lua counts on it.
      line.expires = max(line.expires, line.a + 2 * window)
    end
    local used = line.c + floor(line.b * floor((window - elapsed) * 4096 / window) / 4096)
    return used, used > 0 and window - elapsed or 0
  end,
  wait = function(line, now, free)
    local window, elapsed = line.window, max(now - line.a, 0)
    -- What was used in the window before has to fade, or, one window later, what was used in this one.
    local fading, rest, from = line.b, free - line.c, -elapsed
    if rest < 0 then
      fading, rest, from = line.c, free, window - elapsed
    end
    local share = ceil((rest + 1) * 4096 / fading)
    return from + window - ceil(share * window / 4096) + 1
  end,
  add = function(line, now, cost)
    if line.a == 0 then
      line.a = now
    end
    line.c = min(line.c + cost, MOST)
    line.expires = max(line.expires, line.a + 2 * line.window)
  end,
}

-- a start of the window, c used in it
rules.fixed_window = {
  look = function(line, now)
    local start = now - now % line.window
    -- Not so when the clock was set back: what was used is used.
    if line.a < start then
      line.a, line.c = start, 0
    end
    return line.c, line.c > 0 and line.a + line.window - now or 0
  end,
  wait = function(line, now)
    return line.a + line.window - now
  end,
  add = function(line, _, cost)
    line.c = min(line.c + cost, MOST)
    line.expires = max(line.expires, line.a + line.window)
  end,
}

-- a time of the level, b level in drops, c drops in a unit
rules.token_bucket = {
  look = function(line, now, check)
    local unit = check.unit
    if line.c ~= unit then
      if line.b > 0 then
        -- Another limit by now: whole units, and what is left in 4096ths of one, rounded up.
        local rest = line.b % line.c
        local parts = ceil(ceil(rest * 4096 / line.c) * unit / 4096)
        line.b = min((line.b - rest) / line.c * unit + parts, 2 ^ 53, MOST * unit)
      end
      line.c = unit
    end
    if now > line.a then
      line.a, line.b = now, max(line.b - (now - line.a) * check.drops, 0)
    end
    local empty = line.a + ceil(line.b / check.drops)
    if line.b > 0 and empty > line.expires then
      -- It drains more slowly by now. Whoever is denied counts nothing, and the level must outlive the wait.
      line.expires, check.subject.changed = empty, true
    end
    local used = ceil(line.b / unit)
    return used, used > 0 and ceil((line.b - (used - 1) * unit) / check.drops) or 0
  end,
  wait = function(line, _, free, check)
    return ceil((line.b - free * check.unit) / check.drops)
  end,
  add = function(line, _, cost, check)
    line.b = min(line.b + cost * check.unit, 2 ^ 53, MOST * check.unit)
    line.expires = max(line.expires, line.a + ceil(line.b / check.drops))
  end,
}

-- Nothing in the line but when it ends. The log has an entry for each use: score when, member `total:cost` with what
-- was used before it since the log began. So the sum of a stretch is the difference of its ends.
local function entry(member)
  local total, cost = string.match(member, '^(%d+):(%d+)$')
  return tonumber(total), tonumber(cost)
end

rules.sliding_log = {
  look = function(line, now, check)
    if not line.total then
      line.total, line.base = 0, 0
      local first = redis.call('ZRANGE', check.log, '(' .. string.format('%.0f', now - line.window), '+inf', 'BYSCORE',
        'LIMIT', '0', '1', 'WITHSCORES')
      if #first > 0 then
        local last = redis.call('ZRANGE', check.log, '0', '0', 'REV', 'WITHSCORES')
        local total, cost = entry(last[1])
        line.total, line.newest, line.last = total + cost, tonumber(last[2]), last[1]
        line.base, line.first = entry(first[1])
        line.oldest = tonumber(first[2])
      end
    end
    local used = line.total - line.base
    return used, used > 0 and line.oldest + line.window - now or 0
  end,
  wait = function(line, now, free, check)
    local enough = line.total - free
    if line.base + line.first >= enough then
      return line.oldest + line.window - now
    end
    local low, high = 0, redis.call('ZCARD', check.log) - 1
    local leaves = line.newest
    while low <= high do
      local middle = floor((low + high) / 2)
      local place = string.format('%.0f', middle)
      local found = redis.call('ZRANGE', check.log, place, place, 'WITHSCORES')
      local total, cost = entry(found[1])
      if total + cost >= enough then
        leaves, high = tonumber(found[2]), middle - 1
      else
        low = middle + 1
      end
    end
    return leaves + line.window - now
  end,
  add = function(line, now, cost, check)
    local used = line.total - line.base
    local counted = min(cost, MOST - used)
    if counted <= 0 then
      return
    end
    -- No entry is before one that is there, even when the clock was set back.
    local at = max(now, line.newest or 0)
    if line.total + counted > 2 ^ 52 then
      -- The total has no room left: what is used counts as used now.
      redis.call('DEL', check.log)
      line.total, line.base, counted, line.oldest = 0, 0, used + counted, nil
    elseif check.shadow and used + counted > MOST_LOGGED and redis.call('ZCARD', check.log) >= MOST_LOGGED then
      -- Nobody stops a shadow. From here on a 4096th of the window has one entry.
      local part = ceil(line.window / 4096)
      if at - at % part == line.newest - line.newest % part then
        local total, there = entry(line.last)
        redis.call('ZREM', check.log, line.last)
        line.total, counted = total, counted + there
        if line.base == total then
          line.oldest = nil
        end
      end
    end
    line.last = string.format('%016.0f:%.0f', line.total, counted)
    redis.call('ZADD', check.log, string.format('%.0f', at), line.last)
    redis.call('ZREMRANGEBYSCORE', check.log, '-inf', string.format('%.0f', now - line.window))
    redis.call('PEXPIREAT', check.log, string.format('%.0f', at + line.window))
    if not line.oldest then
      line.oldest, line.first = at, counted
    end
    line.total, line.newest = line.total + counted, at
    -- Outlives the log, and is written at most once in a window.
    if line.expires < at + line.window then
      line.expires = at + 2 * line.window
    end
  end,
}

