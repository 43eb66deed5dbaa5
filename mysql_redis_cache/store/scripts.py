"""The Lua that runs inside Redis: each step of the protocol that must be atomic, in one script.

Every script may be sent twice (a reply can get lost) and does no harm the second time. ``KEYS[1]`` is an
entry and ``KEYS[2]`` its lease, which share a cluster slot; the index keys follow on single servers only.
"""

from __future__ import annotations

from hashlib import sha1
from typing import NamedTuple

__all__ = ["ACQUIRE", "FILL", "PUT", "RELEASE", "RENEW", "Script"]


class Script(NamedTuple):
    """A script and the SHA-1 under which Redis remembers it."""

    source: bytes
    sha: bytes


def _script(source: str) -> Script:
    text = source.encode()
    return Script(text, sha1(text).hexdigest().encode())


# Shared by the scripts that start a lease or store a value: register(horizon_ms) puts the entry into the
# index of each of its pairs (KEYS[4..]) and those into the registry (KEYS[3]); or, without an index, leaves
# a mark in the registry that makes index drops sweep. Scores are milliseconds of Redis's own clock: nothing
# here has a TTL, or eviction under volatile-* would take it. Members leave by score alone: a drop that
# removed them would hide a lease taken meanwhile from the next drop. The registry serves to end the indexes
# that nobody writes to any more, two per call.
_REGISTER = """
local function register(horizon)
  if #KEYS == 2 then return end
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  if #KEYS == 3 then
    redis.call('ZADD', KEYS[3], 'GT', now + horizon, 'unindexed')
    return
  end
  for i = 4, #KEYS do
    redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', now)
    redis.call('ZADD', KEYS[i], 'GT', now + horizon, KEYS[1])
    redis.call('ZADD', KEYS[3], 'GT', now + horizon, KEYS[i])
  end
  for _, over in ipairs(redis.call('ZRANGE', KEYS[3], '-inf', now, 'BYSCORE', 'LIMIT', 0, 2)) do
    if over ~= 'unindexed' then redis.call('UNLINK', over) end
    redis.call('ZREM', KEYS[3], over)
  end
end
"""

# ARGV: token, lease ms, newer-than ms, horizon ms → 1 won, 0 lost, {left ms, value} found.
# An entry without an end has infinitely much left. Whatever lies under the lease's name and is none goes.
ACQUIRE = _script(
    _REGISTER
    + """
local value = redis.pcall('GET', KEYS[1])
if type(value) == 'string' then
  local left = redis.call('PTTL', KEYS[1])
  if (left == -1 and math.huge or left) > tonumber(ARGV[3]) then return {left, value} end
end
local holder = redis.pcall('GET', KEYS[2])
if type(holder) == 'string' and holder ~= ARGV[1] then return 0 end
register(tonumber(ARGV[4]))
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return 1
"""
)

# ARGV: token, payload, ttl s → 1 stored, 0 refused. A value that Redis does not take ends the lease as well.
FILL = _script(
    """
if redis.pcall('GET', KEYS[2]) ~= ARGV[1] then return 0 end
local stored = redis.pcall('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
redis.call('DEL', KEYS[2])
return stored.err and stored or 1
"""
)

# ARGV: token → 1 given back, 0 not ours
RELEASE = _script(
    """
if redis.pcall('GET', KEYS[2]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[2])
"""
)

# ARGV: token, lease ms, horizon ms → 1 renewed, 0 lost
RENEW = _script(
    _REGISTER
    + """
if redis.pcall('GET', KEYS[2]) ~= ARGV[1] then return 0 end
register(tonumber(ARGV[3]))
return redis.call('PEXPIRE', KEYS[2], ARGV[2])
"""
)

# ARGV: payload, ttl s, horizon ms: the value is the caller's word, so a load in flight must not overwrite it
PUT = _script(
    _REGISTER
    + """
register(tonumber(ARGV[3]))
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
redis.call('DEL', KEYS[2])
return 1
"""
)
