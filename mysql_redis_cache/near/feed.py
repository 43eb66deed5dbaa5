"""What is said over one tracked connection, and what the replies and pushes mean. Pure: moments are given.

::

    HELLO 3, CLIENT TRACKING ON    once: from now on the server remembers which keys were read here
    PTTL K, GET K                  K is kept, if its mark, set before this was sent, is still there by then
    push [K, …]                    K has changed: its mark goes, and what is kept of it
    push null                      everything may have changed, as by FLUSHALL
    HELLO 3                        the beat: all pushes of what changed before it stand before its reply
    GET call, HSET roll            goes before a beat where drops of other processes wait; see ``roll.py``
    INFO memory                    once, where they wait: would this Redis evict the roll?

Replies and pushes share one connection, so they come in the order in which the server did what they tell of.
Hence no push is overtaken by a later answer, and an answered beat proves that none is missing up to when it
was sent: until ``heartbeat`` after that moment what is kept may be served, and not a moment longer.

By key, not by prefix (``BCAST``): there the server would send each process each change of anybody's entries,
and a namespace would be needed; like this it sends the changes of what was fetched.

Source: https://redis.io/docs/latest/develop/reference/client-side-caching/ and …/commands/hello/.
"""

from __future__ import annotations

import math
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from mysql_redis_cache.policy import seconds

from .roll import CALL, ROLL, Sign
from .shelf import Kept, Voucher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mysql_redis_cache.options import Near

    from .shelf import Shelf

__all__ = ["Feed", "Unsuitable"]

Command = tuple[bytes, ...]

HELLO = (b"HELLO", b"3")
TRACK = (b"CLIENT", b"TRACKING", b"ON")
MEMORY = (b"INFO", b"memory")

# Queries that found nothing, and values that are none: what is inserted next makes them wrong, and there is
# little to gain from so few bytes.
EMPTY = frozenset({b"[]", b"null"})

# Beats that are sent in the time for which one vouches.
BEATS = 3

# When somebody waits: one that comes after what is waited for, and one that tells that it was answered.
BEATS_CALLED_FOR = 2


class Unsuitable(Exception):
    """The server cannot keep a near cache right: it is a replica, too old, or does not allow it."""


class _Mark:
    """A fetch on its way. What changes meanwhile takes it out of the marks, and nothing is kept."""

    __slots__ = ("key", "left", "sent")

    def __init__(self, key: bytes, sent: float) -> None:
        self.key = key
        self.sent = sent
        self.left: object = None  # milliseconds


class _Beat(NamedTuple):
    number: int
    sent: float
    heard: tuple[Callable[[], object], ...]

    def answer(self) -> None:
        for each in self.heard:
            each()


class Feed:
    """The conversation over one connection, from its begin to its end.

    Args:
        shelf: where the entries are kept.
        options: the near cache's.
        name: under which it stands on the roll, if its near cache is strict.

    Attributes:
        marks: the fetches on their way, by key.
        voucher: that of all entries that came over this connection.
        is_over: whether nothing more is kept or served.
        has_moved: whether a key was asked for that another node of the cluster serves.
    """

    def __init__(self, shelf: Shelf, options: Near, name: bytes = b"") -> None:
        self.name = name if options.strict else b""
        self.marks: dict[bytes, _Mark] = {}
        self.voucher = Voucher()
        self.is_over = False
        self.has_moved = False
        self._shelf = shelf
        self._life = seconds("ttl", options.ttl)
        self._silence = seconds("heartbeat", options.heartbeat)
        self._awaited: deque[Callable[[Any], None]] = deque()
        self._beats: deque[_Beat] = deque()  # those that are not answered
        self._last_beat = -math.inf
        self._count = self._known = self._called_for = 0

    # What to say

    def open(self, now: float, former: bytes = b"") -> list[Command]:
        """Return the first commands; *former* is the name of one that has ended, to leave the roll."""
        self._awaited += (_check_role, _check_tracking)
        return [HELLO, TRACK, *self._ask_of_memory(), *self.leave(former), *self.beat(now)]

    def leave(self, name: bytes) -> list[Command]:
        """Return what takes *name* off the roll; what came over its feed is served no more."""
        if not name:
            return []
        self._awaited.append(_check_roll)
        return [(b"HDEL", ROLL, name)]

    def beat(self, now: float, heard: Iterable[Callable[[], object]] = ()) -> list[Command]:
        """Return a beat; *heard* are called when everything that changed before it is known here."""
        self._last_beat = now
        self._count += 1
        if not self._beats:
            self._called_for = max(0, self._called_for - 1)
        self._beats.append(_Beat(self._count, now, tuple(heard)))
        commands = self._sign() if self.name else []
        self._awaited.append(self._beaten)
        return [*commands, HELLO]

    def fetch(self, keys: Iterable[bytes], now: float) -> list[Command]:
        """Return what fetches those of *keys* that are not on their way; their marks are set."""
        commands: list[Command] = []
        for key in keys:
            if key not in self.marks:
                mark = self.marks[key] = _Mark(key, now)
                self._awaited += (partial(self._aged, mark), partial(self._fetched, mark))
                commands += ((b"PTTL", key), (b"GET", key))
        return commands

    def next_beat(self) -> float:
        """Return the moment for it."""
        if self._called_for and not self._beats:
            return -math.inf
        return self._last_beat + self._silence / BEATS

    def is_silent(self, now: float) -> bool:
        """Return whether a beat was not answered in time."""
        return bool(self._beats) and now > self._beats[0].sent + self._silence

    # What was said

    def replied(self, reply: object) -> None:
        """Note a reply.

        Raises:
            Unsuitable: it says that the server is of no use here, or was not asked for.
        """
        if not self._awaited:
            raise Unsuitable("a reply came that was not asked for")
        self._awaited.popleft()(reply)

    def pushed(self, push: Sequence[Any]) -> None:
        """Note a push."""
        if push[0] != b"invalidate":
            return
        if push[1] is None:
            self.marks.clear()
            self._shelf.clear()
            return
        for key in push[1]:
            if key == CALL:
                self._called_for = BEATS_CALLED_FOR
                continue
            self._shelf.invalidations += 1
            self.forget(key)

    def forget(self, key: bytes) -> None:
        """Keep and serve nothing of *key* that was asked for before now."""
        self.marks.pop(key, None)
        self._shelf.discard(key)

    def end(self) -> None:
        """Keep and serve nothing more."""
        self.is_over = True
        self.voucher.until = -math.inf
        self.marks.clear()
        while self._beats:
            self._beats.popleft().answer()

    # Inside

    def _ask_of_memory(self) -> list[Command]:
        """Return what tells whether the roll stays; a drop that finds none does not wait."""
        if not self.name:
            return []
        self._awaited.append(_check_memory)
        return [MEMORY]

    def _sign(self) -> list[Command]:
        """Return what signs the roll; the call is tracked first, so that none after the sign goes unheard."""
        self._awaited += (_check_call, _check_roll)
        sign = Sign(self._count, self._known, round(self._silence * 1000))
        return [(b"GET", CALL), (b"HSET", ROLL, self.name, sign.packed())]

    def _beaten(self, reply: Any) -> None:
        _check_role(reply)
        if self.is_over:
            return
        beat = self._beats.popleft()
        self._known = beat.number
        self.voucher.until = beat.sent + self._silence
        beat.answer()

    def _aged(self, mark: _Mark, reply: object) -> None:
        mark.left = reply

    def _fetched(self, mark: _Mark, reply: object) -> None:
        if isinstance(reply, Exception) and str(reply).startswith("MOVED "):
            self.has_moved = True
        if self.marks.get(mark.key) is not mark:
            return
        del self.marks[mark.key]
        left = mark.left
        if not isinstance(reply, bytes) or reply in EMPTY or not isinstance(left, int) or left < -1:
            return
        ends = math.inf if left == -1 else mark.sent + left / 1000
        self._shelf.put(mark.key, Kept(reply, min(ends, mark.sent + self._life), ends, self.voucher))


def _check_role(reply: Any) -> None:
    role = reply.get(b"role") if isinstance(reply, dict) else reply
    if role != b"master":
        raise Unsuitable(f"HELLO was answered by {_shown(role)}, not by a master")


def _check_tracking(reply: Any) -> None:
    if reply != b"OK":
        raise Unsuitable(f"CLIENT TRACKING was answered by {_shown(reply)}")


def _check_memory(reply: Any) -> None:
    """Refuse a server that may evict the roll; one that does not tell is taken as it is."""
    if not isinstance(reply, bytes):  # the account may not ask
        return
    about = dict(line.split(":", 1) for line in _shown(reply).splitlines() if ":" in line)
    policy = about.get("maxmemory_policy", "")
    if policy.startswith("allkeys") and about.get("maxmemory") != "0":
        raise Unsuitable(
            f"with maxmemory-policy {policy} Redis may evict the roll of strict near caches "
            f"({ROLL.decode()}), and drops would wait for nobody: set maxmemory-policy volatile-ttl, "
            "or leave strict=True out"
        )


def _check_call(reply: Any) -> None:
    if isinstance(reply, Exception):
        raise Unsuitable(f"GET {CALL.decode()} was answered by {reply}")


def _check_roll(reply: Any) -> None:
    if not isinstance(reply, int):
        raise Unsuitable(f"writing {ROLL.decode()} was answered by {_shown(reply)}")


def _shown(reply: object) -> str:
    return reply.decode("ascii", "replace") if isinstance(reply, bytes) else str(reply)
