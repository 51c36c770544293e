local policy = parse_policy(settings, ARGV[2])
local now, count = clock(), tonumber(ARGV[4])
local width = policy.window and math.max(math.ceil(policy.window / 10), 1)
local b = parse(stored)
settle(b, now)

local function answer()
  return { b.state, b.ends or 0, b.path or '' }
end

local function open()
  local opened = sum(b.opened, 1)
  turn(b, 'open', now)
  b.opened = opened
  local time = math.min(policy.timeout * (policy.multiplier / 1000) ^ (opened - 1), policy.timeout_max)
  time = time + time * (policy.jitter / 1000) * (tonumber(ARGV[10]) / 65535)
  b.ends = math.max(now + math.floor(time), b.since + 1)
end

-- Keeps the last failing instances, as many as the quorum asks for, the latest last.
local function note_instance(in_row)
  for at, known in ipairs(b.instances) do
    if known.digest == ARGV[8] then
      in_row = in_row or known.in_row
      table.remove(b.instances, at)
      break
    end
  end
  b.instances[#b.instances + 1] = { digest = ARGV[8], at = now, in_row = in_row }
  while #b.instances > math.max(policy.quorum, 1) do
    table.remove(b.instances, 1)
  end
end

-- Ten buckets of a tenth of the window each. Those that were kept under another window are sorted into these.
local function add_to_window(slow)
  local old = b.buckets
  b.buckets = {}
  if not width then
    return
  end
  old[#old + 1] = { start = now, calls = count, failures = failed and count or 0, slow = slow and count or 0 }
  local known = {}
  for _, k in ipairs(old) do
    local start = k.start - k.start % width
    if start <= now and start > now - 10 * width then
      local into = known[start]
      if into then
        into.calls, into.failures, into.slow = sum(into.calls, k.calls), sum(into.failures, k.failures), sum(into.slow, k.slow)
      else
        k.start, known[start] = start, k
        b.buckets[#b.buckets + 1] = k
      end
    end
  end
end

-- Instances are remembered for the row that they are in, and for the window.
local function forget_instances()
  local kept = {}
  for _, known in ipairs(b.instances) do
    known.in_row = known.in_row and b.row > 0 and policy.failure_threshold ~= nil
    if known.in_row or width and known.at > now - 10 * width then
      kept[#kept + 1] = known
    end
  end
  b.instances = kept
end

local function is_too_much()
  local in_row, in_window = 0, 0
  for _, known in ipairs(b.instances) do
    in_row = in_row + (known.in_row and 1 or 0)
    in_window = in_window + (width and known.at > now - 10 * width and 1 or 0)
  end
  if policy.failure_threshold and b.row >= policy.failure_threshold and in_row >= policy.quorum then
    return true
  end
  local calls, failures, slow = 0, 0, 0
  for _, k in ipairs(b.buckets) do
    calls, failures, slow = calls + k.calls, failures + k.failures, slow + k.slow
  end
  return width and calls >= policy.minimum_calls and in_window >= policy.quorum
    and (failures * 1000000 >= policy.failure_rate * calls
      or policy.slow_call_duration and slow * 1000000 >= policy.slow_call_rate * calls)
end

-- A call that was let through in an earlier state says nothing of this one.
local has_permit = ARGV[6] ~= ''
if has_permit and ARGV[6] ~= text(b.since) or b.state == 'disabled' then
  b.path = nil
  return answer()
end
local instance = ARGV[9]
if has_permit and b.state == 'half_open' then
  -- One that was reported already, or whose permit was given to another, is not known any more.
  local is_known = false
  for at, probe in ipairs(b.probes) do
    if probe.id == ARGV[7] then
      is_known, count = true, 1
      instance = instance ~= '' and instance or probe.instance
      table.remove(b.probes, at)
      break
    end
  end
  if not is_known then
    b.path = nil
    return answer()
  end
end

if failed then
  table.insert(b.failures, 1, text(now) .. ' ' .. ARGV[3] .. ' ' .. text(count) .. ' ' .. instance)
  b.failures[6] = nil
end
if b.state == 'half_open' then
  if failed then
    open()
  else
    b.successes = sum(b.successes, count)
    if b.successes >= policy.success_threshold then
      turn(b, 'closed', now)
    end
  end
elseif b.state == 'closed' or b.state == 'forced_closed' then
  local slow = width and ARGV[5] ~= '' and policy.slow_call_duration and tonumber(ARGV[5]) >= policy.slow_call_duration
  b.row = failed and sum(b.row, count) or 0
  forget_instances()
  if failed or slow then
    note_instance(failed and policy.failure_threshold ~= nil)
  end
  add_to_window(slow)
  if b.state == 'closed' and is_too_much() then
    open()
  end
end
if not keep(S, N, name, b, stored, settings) then
  return { 'full', 0, '' }
end
return answer()
