-- Stands after the body of a script that must act once: the body is `run`, and is not run where its operation is known,
-- so that a repetition, however late, changes nothing and hears what the first run answered.
-- KEYS  those of the body, then the operation's, which holds that answer for a minute
-- Returns what the body returns. An error is not kept: a body refuses before it writes.

-- Each value as its kind, its length and its text, so that any bytes come back as they were.
local function pack(value)
  local kind, text = 'n', ''
  if type(value) == 'string' then
    kind, text = 's', value
  elseif type(value) == 'number' then
    kind, text = 'i', string.format('%.17g', value)
  elseif value == true then
    kind, text = 'i', '1'
  elseif type(value) == 'table' then
    if type(value.err) == 'string' then
      kind, text = 'e', value.err
    elseif type(value.ok) == 'string' then
      kind, text = 'o', value.ok
    else
      local items = {}
      while value[#items + 1] ~= nil do
        items[#items + 1] = pack(value[#items + 1])
      end
      kind, text = 'a', table.concat(items)
    end
  end
  return kind .. #text .. ':' .. text
end

-- The value that begins at `at`, and where the next one does.
local function unpacked(packed, at)
  local kind, length, start = string.match(packed, '^(%l)(%d+):()', at)
  local stop = start + tonumber(length)
  local text = string.sub(packed, start, stop - 1)
  if kind == 's' then
    return text, stop
  elseif kind == 'i' then
    return tonumber(text), stop
  elseif kind == 'e' then
    return { err = text }, stop
  elseif kind == 'o' then
    return { ok = text }, stop
  elseif kind == 'a' then
    local items = {}
    while start < stop do
      items[#items + 1], start = unpacked(packed, start)
    end
    return items, stop
  end
  return false, stop
end

local operation = KEYS[#KEYS]
local known = redis.call('GET', operation)
if known then
  return (unpacked(known, 1))
end
local answer = run({ unpack(KEYS, 1, #KEYS - 1) })
if type(answer) ~= 'table' or type(answer.err) ~= 'string' then
  -- Where the body has written, a full Redis takes this too. Where it has not, there is nothing to do twice.
  redis.pcall('SET', operation, pack(answer), 'PX', '60000')
end
return answer
