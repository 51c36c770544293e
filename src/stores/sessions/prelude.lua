-- What the session scripts share. Stands before each of them.
--
-- Moments are milliseconds since the epoch by the backend's clock, except `created`: microseconds.
-- S session:{ref}, U user-sessions:{user}, N sessions, X session-expiries; all of one partition.

local function text(number)
  return string.format('%.0f', number)
end

local function clock()
  local time = redis.call('TIME')
  local seconds, micros = tonumber(time[1]), tonumber(time[2])
  return seconds * 1000 + math.floor(micros / 1000), seconds * 1000000 + micros
end

-- The six numbers of the field `times`, or nil when they are not that.
local function parse_times(field)
  if not field then
    return nil
  end
  local created, last, expires, absolute, own, kept = string.match(field, '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+)$')
  if not created then
    return nil
  end
  return {
    created = tonumber(created),
    last = tonumber(last),
    expires = tonumber(expires),
    absolute = tonumber(absolute),
    own = tonumber(own),
    kept = tonumber(kept),
  }
end

local function format_times(t)
  return string.format('%.0f %.0f %.0f %.0f %.0f %.0f', t.created, t.last, t.expires, t.absolute, t.own, t.kept)
end

local function capped(t, moment)
  if t.absolute > 0 then
    return math.min(moment, t.absolute)
  end
  return moment
end

-- When the hash ends: with the session, or with the refresh token that can bring it back.
local function ends(t)
  return math.max(t.expires, t.kept)
end

-- The member of every index: sorts by creation. In X the user follows, so that who clears it knows where else to.
local function member(t, ref)
  return string.format('%016.0f', t.created) .. ref
end

-- Notes a use at `now` and sets the new expiry.
-- policy 'fixed' (lives `ttl` after each use) or 'adaptive'; a ttl of the session's own wins over both.
-- how 'slide' (a use), 'set' (exactly now + ttl), 'renew' (a refresh: a fresh start).
local function prolong(t, now, policy, ttl, how)
  local expires
  if t.own > 0 or policy == 'fixed' then
    expires = now + (t.own > 0 and t.own or ttl)
    if how ~= 'set' then
      expires = math.max(expires, t.expires)
    end
  else
    local idle = now - t.last
    local span = 900000
    if idle <= 300000 or how == 'renew' then
      span = 3600000
    elseif idle <= 1800000 then
      span = 1800000
    end
    expires = now + span
    if t.absolute == 0 and how ~= 'renew' then
      -- Two hours after the creation, or as long as a refresh has already granted.
      expires = math.min(expires, math.max(math.floor(t.created / 1000) + 7200000, t.expires))
    end
  end
  t.expires = capped(t, expires)
  t.last = now
end

-- The fields of a session, or none where something else has its key.
local function read(S, ...)
  local fields = redis.pcall('HMGET', S, ...)
  return fields.err and {} or fields
end

-- Writes the moments of the session, lets its hash live as long as they say, and puts it into the indexes, which live
-- until they are empty: Redis must not evict what tells it of sessions that it still has.
local function keep(S, U, N, X, ref, user, t)
  local moment = ends(t)
  local m = member(t, ref)
  redis.call('HSET', S, 'times', format_times(t))
  redis.call('PEXPIREAT', S, text(moment))
  redis.call('ZADD', U, text(moment), m)
  redis.call('ZADD', N, '0', m)
  redis.call('ZADD', X, text(moment), m .. user)
end

local function unindex(U, N, X, m, user)
  redis.call('ZREM', U, m)
  redis.call('ZREM', N, m)
  redis.call('ZREM', X, m .. user)
end
