-- Clears what has ended from a partition's indexes.
-- KEYS  N, X, then what else names an ended member: U of its user, or session-partitions of the user it notes
-- ARGV  per member of X the place in KEYS of what else names it, and the member
-- Returns how many were cleared
local N, X = KEYS[1], KEYS[2]
local now = clock()
local ended, sessions, others = {}, {}, {}
for i = 1, #ARGV, 2 do
  local member = ARGV[i + 1]
  local score = redis.call('ZSCORE', X, member)
  -- It may have been used since it was found.
  if score and tonumber(score) <= now then
    local named
    if string.sub(member, 1, 1) == 'p' then
      named = string.sub(member, 2, 3)
    else
      named = string.sub(member, 1, 59)
      sessions[#sessions + 1] = named
    end
    local other = others[ARGV[i]] or {}
    others[ARGV[i]] = other
    other[#other + 1] = named
    ended[#ended + 1] = member
  end
end

for place, named in pairs(others) do
  redis.call('ZREM', KEYS[tonumber(place)], unpack(named))
end
if #sessions > 0 then
  redis.call('ZREM', N, unpack(sessions))
end
if #ended > 0 then
  redis.call('ZREM', X, unpack(ended))
end
return #ended
