-- What a script sees: the base functions that Redis gives its scripts, string, table, math and redis, all
-- read-only, with KEYS and ARGV set anew for each run. Nothing here loads code, reads a file or a clock,
-- or lets one run leave anything behind for the next.
--
-- Called with: call(...) -> reply, refusal line or nil; sha1hex(text); line() -> of the calling script;
-- exhausted() -> whether the run has used up its instructions.
-- Returns: the environment, the table behind it, and what runs a script in protected mode.

local call, sha1hex, line, exhausted = ...
local error, pcall, xpcall, select, setmetatable, tostring, type = error, pcall, xpcall, select, setmetatable, tostring, type

local function readonly(contents)
  local function refuse() error("Attempt to modify a readonly table", 2) end
  return setmetatable({}, { __index = contents, __newindex = refuse, __metatable = false })
end

-- A script must not catch the end of its budget and go on.
local function settled(ok, ...)
  if not ok and exhausted() then error((...), 0) end
  return ok, ...
end

-- As in Redis, what pcall catches of a refusal is its line; xpcall's handler is given the table.
local function flattened(ok, result, ...)
  if not ok and type(result) == "table" and type(result.err) == "string" then return false, result.err end
  return ok, result, ...
end

local redis = {}

function redis.call(...)
  local reply, refusal = call(...)
  if refusal then error({ err = refusal, line = line() }, 0) end
  return reply
end

function redis.pcall(...)
  local reply, refusal = call(...)
  if refusal then return { err = refusal } end
  return reply
end

local function one_string(...)
  return select("#", ...) == 1 and type((...)) == "string"
end

local function misused()
  return { err = "ERR wrong number or type of arguments" }
end

function redis.error_reply(...)
  if not one_string(...) then return misused() end
  local text = string.gsub((...), "^%-", "")
  if not string.find(text, " ", 1, true) then text = "ERR " .. text end
  return { err = text }
end

function redis.status_reply(...)
  if not one_string(...) then return misused() end
  return { ok = (...) }
end

function redis.sha1hex(...)
  if select("#", ...) ~= 1 then error({ err = "ERR wrong number of arguments", line = line() }, 0) end
  return sha1hex(tostring((...)))
end

string.dump = nil
math.random, math.randomseed = nil, nil
getmetatable("").__metatable = false

local globals = setmetatable({
  _VERSION = _VERSION, assert = assert, error = error, getmetatable = getmetatable, ipairs = ipairs, next = next,
  pairs = pairs, rawequal = rawequal, rawget = rawget, select = select, setmetatable = setmetatable,
  tonumber = tonumber, tostring = tostring, type = type, unpack = unpack,
  pcall = function(...) return flattened(settled(pcall(...))) end,
  xpcall = function(...) return settled(xpcall(...)) end,
  math = readonly(math), redis = readonly(redis), string = readonly(string), table = readonly(table),
}, {
  __index = function(_, name)
    error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
  end,
})

return readonly(globals), globals, pcall
