"""Looking whether what is cached is what MySQL has: a share of the hits, behind the readers' backs.

A hit proves nothing if the drop that should have come was forgotten. So some are checked: what Redis holds is
read, the answer is loaded, and Redis is read again; only what stood still there meanwhile is compared. What
differs may be a write whose drop is under way, so it is looked at once more later, and only then judged.
"""

from __future__ import annotations

import logging
import math
import random
import time
from collections import deque
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakMethod

import orjson

from mysql_redis_cache.errors import MRCError
from mysql_redis_cache.observe import StaleFound
from mysql_redis_cache.runtime import apart

if TYPE_CHECKING:
    from collections.abc import Callable

    from mysql_redis_cache.database import ExternalConnection
    from mysql_redis_cache.observe import Watch
    from mysql_redis_cache.store import Entries

    from .reads import Read

__all__ = ["LATER", "TICK", "Checked", "Verdict", "Verifier", "compare"]

logger = logging.getLogger("mysql_redis_cache.verify")

TICK = 0.2
"""Seconds between two rounds."""

AT_ONCE = 2
"""How many hits are looked at in one: ten loads a second, and as many again if all of them differ."""

WAITING = 100
"""How many wait for that; while there are as many, none is added."""

TOLD = 1000
"""Queries of which it is remembered that they were logged."""

LATER = 2.0
"""Seconds after which what differed is looked at once more."""


class Verdict(Enum):
    """What a look at an entry gave."""

    FRESH = "it is what MySQL has"
    STALE = "it is not"
    DOUBTFUL = "it is not, but a drop may be under way"
    VOID = "nothing can be said: it is gone, or changed meanwhile"


_NOTHING = Verdict.VOID, b"", 0.0


class Checked(NamedTuple):
    """A read whose entry is looked at.

    Attributes:
        read: the read.
        load: gives the JSON of what MySQL has.
        seen: the entry as it was when it was first found to differ.
        due: when to look again.
    """

    read: Read
    load: Callable[[], bytes]
    seen: bytes = b""
    due: float = 0.0


class Verifier:
    """Checks a share of the hits of one client, in rounds that a thread of its own makes.

    Args:
        entries: the entries in Redis.
        load: gives the JSON of a read's answer, past the cache; a method, whose object is not kept alive.
        watch: counts, and tells of what is stale.
        share: of the hits, from 0 to 1.
        external: the connection of a framework's that loads go over, if they do.
    """

    def __init__(
        self,
        entries: Entries,
        load: Callable[[Read], bytes],
        watch: Watch,
        share: float,
        external: ExternalConnection | None = None,
    ) -> None:
        self._entries, self._watch, self._share = entries, watch, share
        self._external = external
        self._load = WeakMethod(load)
        self._new: deque[Checked] = deque(maxlen=WAITING)
        self._doubts: deque[Checked] = deque(maxlen=WAITING)
        self._told: set[int] = set()

    def sample(self, read: Read) -> None:
        """Have a hit checked, by chance."""
        if random.random() >= self._share or len(self._new) >= WAITING:  # noqa: S311 - a sample, no secret
            return
        self._new.append(self._check_of(read))

    def __call__(self) -> bool:
        """Make a round; return whether the client is still there."""
        if self._load() is None:
            return False
        for _ in range(min(AT_ONCE, len(self._new))):
            self.look(self._new.popleft())
        while self._doubts and self._doubts[0].due <= time.monotonic():
            self.look_again(self._doubts.popleft())
        return True

    def first_look(self, read: Read) -> tuple[Verdict, Checked]:
        """Look at the entry of a read at once; what is doubtful is for ``second_look``, a moment later.

        Raises:
            Exception: what Redis or the load raised.
        """
        return self._look(self._check_of(read))

    def look(self, checked: Checked) -> Verdict:
        """Look at an entry for the first time; what differs is looked at again later."""
        try:
            verdict, seen = self._look(checked)
        except Exception:  # noqa: BLE001 - whatever it is, a reader will meet it and be told
            return Verdict.VOID
        if verdict is Verdict.DOUBTFUL:
            self._doubts.append(seen)
        return verdict

    def _look(self, checked: Checked) -> tuple[Verdict, Checked]:
        verdict, seen, _ = self._compare(checked)
        if verdict is Verdict.FRESH:
            self._watch.bump("verified")
        return verdict, checked._replace(seen=seen, due=time.monotonic() + LATER)

    def _check_of(self, read: Read) -> Checked:
        again = read.again()
        load = partial(self._loaded, again)
        here = load if self._external is None else self._external.apart(load)
        return Checked(again, apart(here))

    def look_again(self, checked: Checked) -> Verdict:
        """Look at one that differed as ``second_look`` does, but raise nothing."""
        try:
            return self.second_look(checked)
        except Exception:  # noqa: BLE001 - as in look
            return Verdict.VOID

    def second_look(self, checked: Checked) -> Verdict:
        """Look at one that differed; if it is as it was, and still differs, it is stale.

        Raises:
            Exception: what Redis or the load raised.
        """
        verdict, seen, left = self._compare(checked)
        if verdict is not Verdict.DOUBTFUL or seen != checked.seen:
            return Verdict.VOID
        self._watch.bump("verified")
        self._tell(checked.read, left)
        return Verdict.STALE

    def _compare(self, checked: Checked) -> tuple[Verdict, bytes, float]:
        """Return what a look gives, the bytes that were there, and the seconds that they had left."""
        read = checked.read
        before = self._entries.get_aged(read.raw)
        if before is None or before.left <= read.policy.grace:
            return _NOTHING
        loaded = checked.load()
        after = self._entries.get(read.raw)
        if after != before.payload:
            return _NOTHING
        is_same = compare(loaded, before.payload, is_query=read.is_query)
        return (Verdict.FRESH if is_same else Verdict.DOUBTFUL), before.payload, before.left

    def _loaded(self, read: Read) -> bytes:
        load = self._load()
        if load is None:
            raise MRCError("the client is gone")
        return load(read)

    def _tell(self, read: Read, left: float) -> None:
        self._watch.bump("stale_found")
        if self._watch.events.heard:
            is_known = read.lifespan is None and left < math.inf
            age = read.policy.age(read.ttl, left) if is_known else None
            self._watch.tell(StaleFound(**read.described(), left=left, age=age), read.key)
        if hash(read.query) in self._told:
            return
        if len(self._told) >= TOLD:
            self._told.clear()
        self._told.add(hash(read.query))
        about = read.described()
        logger.warning(
            "an entry is outdated, and no drop came: its pairs are %s, its query is %s (*%s)",
            ", ".join(about["names"]) or "none",
            read.label or " ".join(read.query.split())[:200],
            about["digest"],
        )


def compare(loaded: bytes, cached: bytes, *, is_query: bool) -> bool:
    """Tell whether two answers are one; rows without an order of their own may stand in another."""
    if loaded == cached:
        return True
    if not is_query:
        return False
    try:
        one, other = orjson.loads(loaded), orjson.loads(cached)
    except ValueError:
        return False
    if not (isinstance(one, list) and isinstance(other, list) and len(one) == len(other)):
        return False
    return sorted(map(orjson.dumps, one)) == sorted(map(orjson.dumps, other))
