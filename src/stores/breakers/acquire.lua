local now = clock()
local b = parse(stored)
settle(b, now)
if b.state == 'open' or b.state == 'forced_open' then
  return { 0, b.state, b.since, b.ends and b.ends - now or 0, '' }
end

if b.state == 'half_open' then
  local policy = parse_policy(redis.call('HGET', P, name), ARGV[3])
  local live, ends, is_mine = {}, {}, false
  for _, probe in ipairs(b.probes) do
    is_mine = is_mine or probe.id == id
    if probe.ends > now then
      live[#live + 1] = probe
      ends[#ends + 1] = probe.ends
    end
  end
  if not is_mine then
    local permits = math.max(policy.permits, 1)
    if #live >= permits then
      -- Where fewer may be under way than are, one end is not enough.
      table.sort(ends)
      return { 0, b.state, b.since, ends[#live - permits + 1] - now, '' }
    end
    live[#live + 1] = { id = id, ends = now + policy.permit_ttl, instance = ARGV[4] }
    b.probes = live
  end
end

local path = b.path
if path then
  b.by, b.from = id, string.match(path, '^%S+')
elseif b.by == id then
  path = b.from .. ' ' .. b.state
end
if path or b.state == 'half_open' then
  keep(S, N, name, b, stored, true)
end
return { 1, b.state, b.since, 0, path or '' }
