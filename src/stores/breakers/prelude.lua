-- What the breaker scripts share. Stands before each of them, or after what they need not have it for.
--
-- Moments are milliseconds since the epoch by the backend's clock. S breakers, P breaker-settings, N breaker-names.
-- A state is read into a table with the names that it is written with: since (when it changed last, and no two of its
-- changes at the same moment: calls that were let through carry it), ends (of the open time or of a forced state), opened
-- (times since it was closed), successes (of probes), row (of failures), by (whose question changed it) and from.

local MOST_BREAKERS = 10000
-- Where counts end: sums of a few are still exact.
local MOST = 2 ^ 50
local NUMBERS = { 'ends', 'opened', 'successes', 'row' }
-- What no settings are without.
local SETTINGS = {
  'success_threshold', 'timeout', 'multiplier', 'timeout_max', 'jitter', 'minimum_calls', 'failure_rate', 'slow_call_rate',
  'permits', 'permit_ttl', 'quorum',
}
local STATES = { closed = 1, open = 1, half_open = 1, forced_open = 1, forced_closed = 1, disabled = 1 }

local function text(number)
  return string.format('%.0f', number)
end

local function sum(a, b)
  return math.min(a + b, MOST)
end

local function clock()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- Settings that cannot be read are as if there were none: who wrote them may have been another release.
local function parse_policy(settings, defaults)
  local policy = {}
  for name, number in string.gmatch(settings or defaults, '([%l_]+)=(%d+)') do
    policy[name] = tonumber(number)
  end
  for _, name in ipairs(SETTINGS) do
    if settings and not policy[name] then
      return parse_policy(nil, defaults)
    end
  end
  return policy
end

local function clear(b)
  b.ends, b.by, b.from, b.actor, b.reason = nil, nil, nil, nil, nil
  b.row, b.successes = 0, 0
  b.instances, b.buckets, b.probes = {}, {}, {}
end

-- What is not stored, or cannot be read, is closed.
local function parse(stored)
  local b = { state = 'closed', since = 0, opened = 0, failures = {} }
  clear(b)
  local head = stored and string.match(stored, '^[^\n]*')
  local state = head and string.match(head, '^([%l_]+) since=%d')
  if not state or not STATES[state] then
    return b
  end
  b.state, b.since = state, tonumber(string.match(head, ' since=(%d+)'))
  for _, name in ipairs(NUMBERS) do
    b[name] = tonumber(string.match(head, ' ' .. name .. '=(%d+)')) or b[name]
  end
  b.by, b.from = string.match(head, ' by=(%S+) from=(%S+)')
  for kind, rest in string.gmatch(stored, '\n(%l+) ([^\n]*)') do
    if kind == 'failure' then
      b.failures[#b.failures + 1] = rest
    elseif kind == 'instance' then
      local digest, at, in_row = string.match(rest, '^(%S+) (%d+) (%d)$')
      if digest then
        b.instances[#b.instances + 1] = { digest = digest, at = tonumber(at), in_row = in_row == '1' }
      end
    elseif kind == 'bucket' then
      local start, calls, failures, slow = string.match(rest, '^(%d+) (%d+) (%d+) (%d+)$')
      if start then
        b.buckets[#b.buckets + 1] = {
          start = tonumber(start), calls = tonumber(calls), failures = tonumber(failures), slow = tonumber(slow),
        }
      end
    elseif kind == 'probe' then
      local id, ends, instance = string.match(rest, '^(%S+) (%d+) (.*)$')
      if id then
        b.probes[#b.probes + 1] = { id = id, ends = tonumber(ends), instance = instance }
      end
    elseif kind == 'actor' or kind == 'reason' then
      b[kind] = rest
    end
  end
  return b
end

-- The text of a state, or nil where there is nothing to remember.
local function format(b)
  local head = b.state .. ' since=' .. text(b.since)
  for _, name in ipairs(NUMBERS) do
    if b[name] and b[name] > 0 then
      head = head .. ' ' .. name .. '=' .. text(b[name])
    end
  end
  if b.by then
    head = head .. ' by=' .. b.by .. ' from=' .. b.from
  end
  local lines = { head }
  for _, name in ipairs({ 'actor', 'reason' }) do
    if b[name] then
      lines[#lines + 1] = name .. ' ' .. b[name]
    end
  end
  for _, probe in ipairs(b.probes) do
    lines[#lines + 1] = 'probe ' .. probe.id .. ' ' .. text(probe.ends) .. ' ' .. probe.instance
  end
  for _, failure in ipairs(b.failures) do
    lines[#lines + 1] = 'failure ' .. failure
  end
  for _, i in ipairs(b.instances) do
    lines[#lines + 1] = 'instance ' .. i.digest .. ' ' .. text(i.at) .. (i.in_row and ' 1' or ' 0')
  end
  for _, k in ipairs(b.buckets) do
    lines[#lines + 1] = string.format('bucket %.0f %.0f %.0f %.0f', k.start, k.calls, k.failures, k.slow)
  end
  if #lines == 1 and head == 'closed since=0' then
    return nil
  end
  return table.concat(lines, '\n')
end

-- Changes the state and begins anew. The path is what it went through in this call, for whoever announces it.
local function turn(b, state, moment)
  b.path = (b.path or b.state) .. ' ' .. state
  b.state, b.since = state, math.max(moment, b.since + 1)
  clear(b)
  if state ~= 'open' and state ~= 'half_open' then
    b.opened = 0
  end
end

-- What time alone has changed. It changed when its time was over, whoever sees it first.
local function settle(b, now)
  if b.ends and b.ends <= now then
    turn(b, b.state == 'open' and 'half_open' or 'closed', b.ends)
  end
end

local function may_be_new(N)
  return redis.call('ZCARD', N) < MOST_BREAKERS
end

-- Writes a state if it is another one than what is stored. Returns false where the breaker would be one too many.
local function keep(S, N, name, b, stored, settings)
  local new = format(b)
  if not new then
    if stored then
      redis.call('HDEL', S, name)
      if not settings then
        redis.call('ZREM', N, name)
      end
    end
  elseif not stored then
    if not settings and not may_be_new(N) then
      return false
    end
    redis.call('HSET', S, name, new)
    if not settings then
      redis.call('ZADD', N, '0', name)
    end
  elseif new ~= stored then
    -- A full Redis refuses whatever might grow as the first write, and a breaker must not stay open for that.
    local done = redis.pcall('HSET', S, name, new)
    if type(done) == 'table' and done.err then
      redis.call('HDEL', S, name)
      redis.call('HSET', S, name, new)
    end
  end
  return true
end
