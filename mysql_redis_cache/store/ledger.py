"""Where a follower of a binary log has come to, and which of several leads: kept where the entries are.

A Redis that restarts from an older snapshot brings back deleted entries, and with them the position of that
time, so that what follows is dropped again. Every write compares first: whoever was deposed, or does not know
of what is there, writes nothing. Nor does whoever knows it from before Redis was started anew: that may have
brought back what was deleted in between, with the very same position.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from .scripts import Script

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .config import Link

__all__ = ["Deposed", "Ledger", "WentBack"]

_RUN = """
local function run()
  local text = redis.pcall('INFO', 'server')
  return type(text) == 'string' and string.match(text, 'run_id:(%x+)') or ''
end
"""

# What is no hash is no state of ours.
_FIELD = """
local function field(name)
  local found = redis.pcall('HGET', KEYS[2], name)
  return type(found) == 'string' and found or ''
end
"""

# KEYS: the leader, the state. ARGV: token, ms, lag in ms or '' → -2 another leads, else to what the lag that
# was told last has grown by now, in ms by Redis's clock; -1 if none was
_LEAD = Script.of(
    _FIELD
    + """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return -2 end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local level = tonumber(field('level'))
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
if ARGV[3] ~= '' then redis.pcall('HSET', KEYS[2], 'level', now - ARGV[3]) end
return level and math.max(now - level, 0) or -1
"""
)

# KEYS: the leader. ARGV: token
_RESIGN = Script.of(
    """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""
)

# KEYS: the leader, the state → version, state, which start of Redis this is
_LOAD = Script.of(_RUN + _FIELD + "return {field('version'), field('state'), run()}")

# KEYS: the leader, the state. ARGV: version, start of Redis → whether both are what is there
_IS_KNOWN = Script.of(_RUN + _FIELD + "return (field('version') == ARGV[1] and run() == ARGV[2]) and 1 or 0")

# KEYS: the leader, the state. ARGV: token, ms, version that is there ('' for none), start of Redis, new
# version, state → 1 written, 0 another leads, -1 it is another version or start. Who leads is told afresh, if
# nobody does.
_SAVE = Script.of(
    _RUN
    + _FIELD
    + """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
if field('version') ~= ARGV[3] or run() ~= ARGV[4] then return -1 end
if redis.call('TYPE', KEYS[2]).ok ~= 'hash' then redis.call('DEL', KEYS[2]) end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('HSET', KEYS[2], 'version', ARGV[5], 'state', ARGV[6])
return 1
"""
)


class Deposed(Exception):
    """Another follower leads by now."""


class WentBack(Exception):
    """Redis was started anew, or has another version of the state than it had acknowledged."""


_ANOTHER = -2
_WENT_BACK = "Redis was started anew, or does not have the position that it had acknowledged"


class Ledger:
    """The state of followers that share a name.

    Args:
        link: the way to Redis.
        name: the name; one for each server that is followed.
        lease: seconds after which a leader that gives no sign of life is followed by another.
    """

    def __init__(self, link: Link, name: str, lease: float) -> None:
        self._link = link
        self._state = b"{mrc:follow:%b}" % name.encode()  # in braces: one slot of a cluster
        self._leader = self._state + b":leader"
        self._token = uuid4().hex.encode()
        self._milliseconds = round(lease * 1000)
        self._version = self._run = b""

    def lead(self, lag: float | None = None) -> float | None:
        """Become the leader, or stay it.

        Args:
            lag: seconds by which the leader is behind, for its successor.

        Returns:
            seconds by which who led before is behind by now, ``0.0`` if none told; ``None``: another leads.

        Raises:
            CacheUnavailable: Redis did not answer.
        """
        told = b"" if lag is None else round(lag * 1000)
        age = self._link.script(_LEAD, [self._leader, self._state], self._token, self._milliseconds, told)
        return None if age == _ANOTHER else max(age, 0) / 1000

    def resign(self) -> None:
        """Have another lead at once."""
        self._link.script(_RESIGN, [self._leader], self._token)

    def load(self) -> dict[str, Any] | None:
        """Return the state, to be written over by ``save``; ``None`` if there is none that can be read.

        Raises:
            CacheUnavailable: Redis did not answer.
        """
        self._version, state, self._run = self._link.script(_LOAD, [self._leader, self._state])
        return _parsed(state)

    def confirm(self) -> None:
        """Look whether the state is there that was loaded or saved before.

        Raises:
            WentBack: it is not, or Redis was started anew.
            CacheUnavailable: Redis did not answer.
        """
        known = (self._version, self._run)
        if not self._link.script(_IS_KNOWN, [self._leader, self._state], *known):
            raise WentBack(_WENT_BACK)

    def peek(self) -> dict[str, Any] | None:
        """Return the state, for those who only look."""
        return _parsed(self._link.call(b"HGET", self._state, b"state"))

    def save(self, state: Mapping[str, Any]) -> None:
        """Write the state over the one that was loaded or saved before.

        Raises:
            Deposed: another leads.
            WentBack: what is there is not what was, or Redis was started anew.
            CacheUnavailable: Redis did not answer.
        """
        version = uuid4().hex.encode()
        known = (self._token, self._milliseconds, self._version, self._run)
        arguments = (*known, version, json.dumps(state))
        done = self._link.script(_SAVE, [self._leader, self._state], *arguments)
        if done == 0:
            raise Deposed("another follower leads")
        if done != 1 and not self._was_written(version):
            raise WentBack(_WENT_BACK)
        self._version = version

    def _was_written(self, version: bytes) -> bool:
        """Whether the state is there that a save, whose reply got lost and that was sent again, wrote."""
        return bool(self._link.call(b"HGET", self._state, b"version") == version)


def _parsed(state: bytes | None) -> dict[str, Any] | None:
    try:
        found = json.loads(state or b"")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
