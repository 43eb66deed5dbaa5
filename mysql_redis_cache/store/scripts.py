"""The Lua that runs inside Redis: each step of the protocol that must be atomic, in one script.

Every script may be sent twice (a reply can get lost) and does no harm the second time. ``KEYS[1]`` is an
entry and ``KEYS[2]`` its lease, which share a cluster slot; what ``index.tracks`` names follows on single
servers only.
"""

from __future__ import annotations

from hashlib import sha1
from typing import NamedTuple, Self

from .index import LONGEST_MEMBER, ROOT

__all__ = ["ACQUIRE", "BEGIN", "DISCARD", "FILL", "PUT", "RELEASE", "RENEW", "SETTLE", "Script"]


class Script(NamedTuple):
    """A script and the SHA-1 under which Redis remembers it."""

    source: bytes
    sha: bytes

    @classmethod
    def of(cls, source: str) -> Self:
        """Make it of its text."""
        text = source.encode()
        return cls(text, sha1(text).hexdigest().encode())


_script = Script.of


# Shared by all that touch the index of a namespace. Its state has these moments:
#
#   unindexed  until when entries may live that are in no index, so that a drop has to sweep
#   unknown    since when it is not known whether there are such entries; negative if some may be in a part of
#              the index only, of which others were evicted
#   over       until when the registry must be there; negative if Redis evicts what has a TTL
#
# While there is no state nobody uses an index, and nobody leaves a mark. It is begun when somebody does: then
# entries of others may be left, unless the database is found to hold none. ``drops.settling`` finds out.
_STATE = """
local function clock()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
local function info(section, pattern)
  local text = redis.pcall('INFO', section)
  return type(text) == 'string' and string.match(text, pattern)
end
local function policy()
  return info('memory', 'maxmemory_policy:(%l+)')
end
local function begin(state, now)
  if type(redis.pcall('ZSCORE', state, 'over')) == 'table' then redis.call('UNLINK', state) end
  local page = redis.pcall('SCAN', '0', 'MATCH', '*=*', 'COUNT', 1000)
  if page.err or page[1] ~= '0' or #page[2] > 0 then
    local spared = info('stats', 'evicted_keys:(%d+)') == '0' and (policy() or 'allkeys') ~= 'allkeys'
    redis.call('ZADD', state, spared and now or -now, 'unknown')
  end
  redis.call('ZADD', state, policy() == 'volatile' and -now or now, 'over')
end
"""

# Shared by the scripts that start a lease or store a value: register(horizon) puts the entry into its sets,
# and those into the registry; or, without them, leaves a mark. Members leave by score alone: a drop that
# removed them would hide a lease taken meanwhile from the next drop.
#
# Nothing is left behind, since all has a TTL; but where Redis evicts what has one it has none, and sets end
# when others are written to: more of them than are, so that they cannot pile up, and not many more.
#
# What must be there and is not was evicted: whatever was in it is taken to be in no index while it may live.
# A moment that is pushed on is pushed a little further, so that sets in use are spared most of it.
_REGISTER = f"""
local ROOT, LONGEST_MEMBER = '{ROOT.decode()}:', {LONGEST_MEMBER}
local state, registry = KEYS[3], KEYS[4]
local function alive(moment, now)
  return moment and tonumber(moment) >= now
end
local function mark(moment)
  redis.call('ZADD', state, 'GT', moment, 'unindexed')
end
local function keep(key, over, now, lasting)
  if lasting then redis.pcall('PERSIST', key) else redis.call('PEXPIRE', key, over - now) end
end
local function pushed(known, over, now, horizon)
  return alive(known, now + 1) and math.max(over + math.floor(horizon / 64), tonumber(known)) or over
end
local function enter(set, member, now, horizon, lasting)
  local digest, over = string.sub(set, #ROOT + 1), now + horizon
  local oldest, known = redis.call('ZRANGE', set, 0, 1, 'WITHSCORES'), redis.call('ZSCORE', registry, digest)
  local missing = #oldest == 0
  if missing and alive(known, now) then mark(known) end
  for i = 1, #oldest, 2 do
    if not alive(oldest[i + 1], now) then redis.call('ZREM', set, oldest[i]) end
  end
  redis.call('ZADD', set, 'GT', over, member)
  if alive(known, over) and not missing then return 0 end
  over = pushed(known, over, now, horizon)
  redis.call('ZADD', registry, over, digest)
  keep(set, over, now, lasting)
  return over
end
local function register(horizon)
  local now, member, first, taken = clock(), KEYS[1], 5, #KEYS == 3
  if not taken and #KEYS[1] > LONGEST_MEMBER then
    local holder = redis.pcall('GET', KEYS[5])
    member, first, taken = string.sub(KEYS[5], #ROOT + 1), 6, holder and holder ~= KEYS[1]
  end
  local known = redis.pcall('ZSCORE', state, 'over')
  if type(known) ~= 'string' then
    if #KEYS == 3 then return end
    begin(state, now)
    known = redis.call('ZSCORE', state, 'over')
  end
  if taken then return mark(now + horizon) end
  local lasting = tonumber(known) < 0
  known = math.abs(known)
  local oldest = redis.call('ZRANGE', registry, 0, 0, 'WITHSCORES')
  local missing = #oldest == 0
  if missing and known > now then mark(known) end
  if first == 6 and redis.call('PTTL', KEYS[5]) < horizon then
    if lasting then
      redis.call('SET', KEYS[5], KEYS[1])
      redis.call('ZADD', registry, 'GT', now + horizon, member)
    else
      redis.call('SET', KEYS[5], KEYS[1], 'PX', horizon)
    end
  end
  local over = 0
  for i = first, #KEYS do over = math.max(over, enter(KEYS[i], member, now, horizon, lasting)) end
  if not missing and not alive(oldest[2], now) then
    local past, count = string.format('(%.0f', now), 2 * (#KEYS - 4) + 2
    local gone = redis.call('ZRANGE', registry, '-inf', past, 'BYSCORE', 'LIMIT', 0, count)
    for _, digest in ipairs(gone) do
      redis.call('UNLINK', ROOT .. digest)
      redis.call('ZREM', registry, digest)
    end
  end
  if known >= over and not missing then return end
  over, lasting = pushed(known, over, now, horizon), policy() == 'volatile'
  redis.call('ZADD', state, lasting and -over or over, 'over')
  keep(registry, over, now, lasting)
end
local function registered(needed)
  if redis.pcall('ZSCORE', state, 'unknown') then return false end
  if #KEYS == 3 then return alive(redis.call('ZSCORE', state, 'unindexed'), clock() + needed) end
  local member = #KEYS[1] > LONGEST_MEMBER and string.sub(KEYS[5], #ROOT + 1) or KEYS[1]
  return alive(redis.call('ZSCORE', KEYS[#KEYS], member), clock() + needed)
end
"""


def _registering(how: str) -> str:
    """Return what registers an entry: nothing, if its client has no index, and nobody else uses one."""
    needed = "#KEYS > 3 or #KEYS == 3 and redis.pcall('ZSCORE', KEYS[3], 'over')"
    return f"if {needed} then {_STATE}{_REGISTER}{how} end"


# A value that Redis does not take: what is cached is outdated by it, and nobody need wait for it.
_STORE = """
local function store(payload, ttl)
  local stored = redis.pcall('SET', KEYS[1], payload, 'EX', ttl)
  if stored.err then redis.call('DEL', KEYS[1]) end
  redis.call('DEL', KEYS[2])
  return stored.err and stored or 1
end
"""

# KEYS: the state. A drop that finds none begins one.
BEGIN = _script(
    _STATE
    + """
if type(redis.pcall('ZSCORE', KEYS[1], 'over')) ~= 'string' then begin(KEYS[1], clock()) end
"""
)

# KEYS: the state. ARGV: since when it was unknown, ms for which entries may live that are in no index
SETTLE = _script(
    _STATE
    + """
if redis.call('ZSCORE', KEYS[1], 'unknown') ~= ARGV[1] then return end
redis.call('ZREM', KEYS[1], 'unknown')
if tonumber(ARGV[2]) > 0 then redis.call('ZADD', KEYS[1], 'GT', clock() + ARGV[2], 'unindexed') end
"""
)

# ARGV: token, lease ms, newer-than ms, horizon ms → 1 won, 0 lost, {left ms, value} found.
# An entry without an end has infinitely much left. Whatever lies under the lease's name and is none goes.
ACQUIRE = _script(
    """
local value = redis.pcall('GET', KEYS[1])
if type(value) == 'string' then
  local left = redis.call('PTTL', KEYS[1])
  if (left == -1 and math.huge or left) > tonumber(ARGV[3]) then return {left, value} end
end
local holder = redis.pcall('GET', KEYS[2])
if type(holder) == 'string' and holder ~= ARGV[1] then return 0 end
"""
    + _registering("register(tonumber(ARGV[4]))")
    + """
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return 1
"""
)

# ARGV: token, payload, ttl s → 1 stored, 0 refused
FILL = _script(
    _STORE
    + """
if redis.pcall('GET', KEYS[2]) ~= ARGV[1] then return 0 end
return store(ARGV[2], ARGV[3])
"""
)

# ARGV: token → 1 given back, 0 not ours
RELEASE = _script(
    """
if redis.pcall('GET', KEYS[2]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[2])
"""
)

# ARGV: token → as RELEASE; the entry goes whoever holds the lease
DISCARD = _script(
    """
redis.call('DEL', KEYS[1])
if redis.pcall('GET', KEYS[2]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[2])
"""
)

# ARGV: token, lease ms, horizon ms, ms for which the entry has to be registered → 1 renewed, 0 lost
RENEW = _script(
    """
if redis.pcall('GET', KEYS[2]) ~= ARGV[1] then return 0 end
"""
    + _registering("if not registered(tonumber(ARGV[4])) then register(tonumber(ARGV[3])) end")
    + """
return redis.call('PEXPIRE', KEYS[2], ARGV[2])
"""
)

# ARGV: payload, ttl s, horizon ms: the value is the caller's word, so a load in flight must not overwrite it
PUT = _script(
    _STORE
    + _registering(
        """
  local is_registered, why = pcall(register, tonumber(ARGV[3]))
  if not is_registered then
    redis.call('DEL', KEYS[1], KEYS[2])
    return type(why) == 'table' and why or redis.error_reply(tostring(why))
  end
"""
    )
    + " return store(ARGV[1], ARGV[2])"
)
