-- What the rate limit scripts share, after algorithms.lua. Moments and durations are milliseconds, by the backend's clock.
--
-- KEYS of a check: state, holds, and under sliding_log its log. ARGV of a check: 1 algorithm, 2 window, 3 limit and
-- burst, 4 cost, 5 'shadow' or '', 6 drops per ms, 7 drops in a unit (buckets; else ''). The last check may end after 4.
--
-- The state of a subject is a line for each algorithm and window:
--   algorithm, window, when the line ends, units held, when the next of them may be free (0: none), a, b, c.
local function text(number)
  return string.format('%.0f', number)
end

local function clock()
  local time = redis.call('TIME')
  return time[1] * 1000 + floor(time[2] / 1000)
end

-- Takes what was held until now out of the lines: at most 1000 at once, the others wait for the next script.
local function release(subject, now)
  local past = redis.call('ZRANGE', subject.holds, '-inf', text(now), 'BYSCORE', 'LIMIT', '0', '1000')
  for _, member in ipairs(past) do
    local name, cost = string.match(member, '^%S+ (%S+ %d+) (%d+)$')
    local line = subject.lines[name]
    if line then
      line.held = max(line.held - cost, 0)
    end
  end
  local left = redis.call('ZRANGE', subject.holds, '(' .. text(now), '+inf', 'BYSCORE', 'LIMIT', '0', '1', 'WITHSCORES')
  for _, line in ipairs(subject.order) do
    if #past == 1000 then
      line.free = now
    elseif #left == 0 then
      line.held = 0
    else
      line.free = tonumber(left[2])
    end
    if line.held == 0 then
      line.free = 0
    elseif line.expires <= now then
      -- More of it is past than was taken out: the line has to be there for the rest.
      line.expires = now + 1000
    end
  end
  subject.past, subject.changed = past, true
end

-- A subject with its lines; `stored` is its state, if that was read already.
local function open(state, holds, now, stored)
  local subject = { state = state, holds = holds, lines = {}, order = {} }
  if stored == nil then
    stored = redis.call('GET', state)
  end
  local due = false
  local pattern = '([%l_]+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+)'
  for algorithm, window, expires, held, free, a, b, c in string.gmatch(stored or '', pattern) do
    -- One that has ended with something held says that there is something to be taken out.
    if expires + 0 > now or held ~= '0' then
      local line = { algorithm = algorithm, window = window + 0, expires = expires + 0, held = held + 0, free = free + 0,
        pending = 0, a = a + 0, b = b + 0, c = c + 0 }
      subject.lines[algorithm .. ' ' .. window] = line
      subject.order[#subject.order + 1] = line
      due = due or line.held > 0 and line.free <= now
    end
  end
  if due then
    release(subject, now)
  end
  return subject
end

-- The checks whose arguments begin at `at`, and their subjects. `crowded` is the place of the first, from 0, whose
-- subject would have more windows than 32.
local function read(at, now, stored)
  local checks, subjects, known, key, crowded = {}, {}, {}, 1, nil
  for i = at, #ARGV, 7 do
    local state = KEYS[key]
    local subject = known[state]
    if not subject then
      subject = open(state, KEYS[key + 1], now, stored)
      known[state], subjects[#subjects + 1] = subject, subject
    end
    stored = nil
    local check = { rule = rules[ARGV[i]], name = ARGV[i] .. ' ' .. ARGV[i + 1], room = ARGV[i + 2] + 0,
      cost = ARGV[i + 3] + 0, shadow = ARGV[i + 4] == 'shadow', drops = tonumber(ARGV[i + 5] or ''),
      unit = tonumber(ARGV[i + 6] or ''), subject = subject }
    key = key + 2
    if ARGV[i] == 'sliding_log' then
      check.log, key = KEYS[key], key + 1
    end
    local line = subject.lines[check.name]
    if not line then
      line = { algorithm = ARGV[i], window = ARGV[i + 1] + 0, expires = 0, held = 0, free = 0, pending = 0, a = 0, b = 0,
        c = 0 }
      if #subject.order >= 32 then
        crowded = crowded or #checks
      end
      subject.lines[check.name] = line
      subject.order[#subject.order + 1] = line
    end
    check.line = line
    checks[#checks + 1] = check
  end
  return checks, subjects, crowded
end

-- How long until the check would be allowed: units that are held come back when they are free. Looks at no more than
-- 1000 of those, and says when the last of them is free if that is not enough.
local function patience(check, now, used)
  local line, rule = check.line, check.rule
  if check.subject.past and #check.subject.past == 1000 then
    -- More of what is held is past: the next script takes it out.
    return 1
  end
  local free = check.room - line.held - line.pending - check.cost
  local best = free >= 0 and rule.wait(line, now, free, check) or nil
  local last
  if line.held > 0 then
    local holds = redis.call('ZRANGE', check.subject.holds, '(' .. text(now), '+inf', 'BYSCORE', 'LIMIT', '0', '1000',
      'WITHSCORES')
    for i = 1, #holds, 2 do
      last = holds[i + 1] - now
      if best and last >= best then
        break
      end
      local name, cost = string.match(holds[i], '^%S+ (%S+ %d+) (%d+)$')
      if name == check.name then
        free = free + cost
        if free >= 0 then
          local wait = max(last, used > free and rule.wait(line, now, free, check) or 0)
          best = min(best or wait, wait)
        end
      end
    end
  end
  -- Checks that together are beyond the limit are never allowed together.
  return best or last or line.window
end

-- Whether the check is allowed, and what it has to wait if not. The next on the same line sees it.
local function judge(check, now)
  local line = check.line
  local used = check.rule.look(line, now, check)
  check.allowed = used + line.held + line.pending + check.cost <= check.room
  check.wait = check.allowed and 0 or patience(check, now, used)
  line.pending = line.pending + check.cost
  return check.allowed or check.shadow
end

-- Judges all of them: whether they may be counted.
local function judge_all(checks, now)
  local pass = true
  for _, check in ipairs(checks) do
    pass = judge(check, now) and pass
  end
  return pass
end

-- How long until the first of what is held of a line is free.
local function first_freed(check, now)
  local holds = redis.call('ZRANGE', check.subject.holds, '(' .. text(now), '+inf', 'BYSCORE', 'LIMIT', '0', '1000',
    'WITHSCORES')
  for i = 1, #holds, 2 do
    if string.match(holds[i], '^%S+ (%S+ %d+) %d+$') == check.name then
      return holds[i + 1] - now
    end
  end
  return max(check.line.free - now, 1)
end

-- The answer to checks: of each whether it was allowed, what is used, when quota comes back, how long to wait.
local function describe(checks, now)
  local answer = {}
  for _, check in ipairs(checks) do
    local line = check.line
    local used, reset = check.rule.look(line, now, check)
    if used == 0 and line.held > 0 then
      reset = first_freed(check, now)
    end
    local at = #answer
    answer[at + 1], answer[at + 2] = check.allowed and 1 or 0, used + line.held
    answer[at + 3], answer[at + 4] = reset, check.wait
  end
  return answer
end

local function count(check, now, cost)
  local line, before = check.line, check.line.expires
  check.rule.look(line, now, check)
  check.rule.add(line, now, cost, check)
  check.subject.changed = check.subject.changed or not check.log or line.expires ~= before
end

-- Writes the lines of the subjects that changed, and forgets what is held no longer.
local function save(subjects, now)
  for _, subject in ipairs(subjects) do
    local lines, latest = {}, 0
    for _, line in ipairs(subject.order) do
      if line.expires > now then
        if line.held == 0 then
          -- quick.lua goes by it.
          line.free = 0
        end
        lines[#lines + 1] = string.format('%s %.0f %.0f %.0f %.0f %.0f %.0f %.0f', line.algorithm, line.window,
          line.expires, line.held, line.free, line.a, line.b, line.c)
        latest = max(latest, line.expires)
      end
    end
    if subject.changed and #lines > 0 then
      redis.call('SET', subject.state, table.concat(lines, '\n'), 'PXAT', text(latest))
    elseif subject.changed then
      redis.call('DEL', subject.state)
    end
    if subject.past and #subject.past > 0 then
      redis.call('ZREM', subject.holds, unpack(subject.past))
    end
  end
end

