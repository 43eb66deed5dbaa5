"""Which entries the index names for some drops, if it can be trusted to name them all."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from mysql_redis_cache.errors import DropTimeout
from mysql_redis_cache.store import NotNow, Refused, index
from mysql_redis_cache.store.scripts import BEGIN

from .budget import Budget
from .settling import settle
from .sweep import checked

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mysql_redis_cache.keys import Matcher
    from mysql_redis_cache.store import Link, Pinned

__all__ = ["LOOKUPS", "Incomplete", "Lookup"]

LOOKUPS = 1000
"""Sets that are asked for in one round trip: the server answers that within milliseconds."""

STAGE = "looking up entries"
PAUSE, LONG_PAUSE = 1.0, 60.0
"""Seconds until it is tried again to make known what is not: when somebody is loading, and otherwise."""

EVICTED = "a part of the index was evicted"
STATE = frozenset({b"over", b"unindexed", b"unknown"})


class Incomplete(Exception):
    """The index may miss an entry: the drop has to look at all keys. The message says why."""


class _Unknown(Incomplete):
    """It is not known whether it does.

    Attributes:
        since: since when, as the state has it; ``None`` if there is no state.
    """

    def __init__(self, since: bytes | None) -> None:
        super().__init__("entries may live that were there before the index")
        self.since = since


class Lookup:
    """The index of a namespace.

    Args:
        link: the way to Redis; there is no index on a cluster.
        prefix: the namespace's.
    """

    def __init__(self, link: Link, prefix: str) -> None:
        ((self._part,), _) = link.parts()
        self._prefix = prefix
        self._state = index.state_name(prefix)
        self._registry = index.registry_name(prefix)
        self._not_before = 0.0

    def entries(self, matchers: Sequence[Matcher], budget: Budget) -> list[bytes]:
        """Return the keys of the entries that *matchers* are for.

        Raises:
            Incomplete: there may be others.
            CacheUnavailable: Redis could not be reached.
            DropTimeout: the time is over.
        """
        found = self._named(matchers, budget)
        while isinstance(found, _Unknown) and self._make_known(found.since, budget):
            found = self._named(matchers, budget)
        if isinstance(found, Incomplete):
            raise found
        return found

    def _named(self, matchers: Sequence[Matcher], budget: Budget) -> list[bytes] | Incomplete:
        budget.check(STAGE)
        with budget.bounding(), self._part.server.pinned(budget.left) as pinned:
            try:
                return _resolved(pinned, self._members(pinned, self._of_pairs(matchers), budget), budget)
            except Incomplete as doubt:
                return doubt  # the connection is as good as before
            except NotNow:
                raise
            except Refused as error:
                return Incomplete(str(error))

    def _make_known(self, since: bytes | None, budget: Budget) -> bool:
        """Begin the index, or find out what is to be known of it, in half the time; return whether it is."""
        began, half = time.monotonic(), Budget(budget.left() / 2)
        if began < self._not_before:
            return False
        self._not_before = began + LONG_PAUSE  # for others, meanwhile, and if it is given up
        try:
            with budget.bounding(), self._part.server.pinned(half.left) as pinned:
                if since is None:
                    pinned.call(b"EVAL", BEGIN.source, 1, self._state)
                is_known = since is None or settle(pinned, self._prefix, since, half)
        except (Refused, DropTimeout):
            return False
        self._not_before = 0.0 if is_known else began + PAUSE
        return is_known

    def _of_pairs(self, matchers: Sequence[Matcher]) -> list[list[bytes]]:
        """Return the digests of each combination of pairs that is enough."""
        found: list[list[bytes]] = []
        for matcher in matchers:
            digests = [index.pair_digest(self._prefix, text) for text in matcher.texts]
            found += [digests] if matcher.require_all else [[digest] for digest in digests]
        return found

    def _members(
        self, pinned: Pinned, combinations: Sequence[Sequence[bytes]], budget: Budget
    ) -> dict[bytes, None]:
        """Return the living members that all sets of one of *combinations* have in common."""
        members: dict[bytes, None] = {}
        for start in range(0, len(combinations), LOOKUPS):
            budget.check(STAGE)
            members.update(self._ask(pinned, combinations[start : start + LOOKUPS]))
        return members

    def _ask(self, pinned: Pinned, combinations: Sequence[Sequence[bytes]]) -> dict[bytes, None]:
        digests = list({digest: None for combination in combinations for digest in combination})
        single = {combination[0] for combination in combinations if len(combination) == 1}
        several = [combination for combination in combinations if len(combination) > 1]
        # What says whether anything was missing is asked for last: until then, nothing could get lost unseen.
        *replies, moments, registry, state, time_ = checked(
            pinned.calls(
                [
                    *[(b"ZRANGE", index.set_name(digest), 0, *_end(digest in single)) for digest in digests],
                    *[_intersection(combination) for combination in several],
                    (b"ZMSCORE", self._registry, *digests),
                    (b"ZRANGE", self._registry, 0, 0),
                    (b"ZRANGE", self._state, 0, len(STATE), b"REV", b"WITHSCORES"),
                    (b"TIME",),
                ]
            )
        )
        now = int(time_[0]) * 1000 + int(time_[1]) // 1000
        _check_state(dict(zip(state[::2], state[1::2], strict=True)), now, is_registered=bool(registry))
        for reply, moment in zip(replies, moments, strict=False):
            if not reply and _is_alive(moment, now):
                raise Incomplete(EVICTED)
        whole = [reply for reply, digest in zip(replies, digests, strict=False) if digest in single]
        return {
            member: None
            for reply in [*whole, *replies[len(digests) :]]
            for member, score in _scores(reply).items()
            if score >= now
        }


def _check_state(state: dict[bytes, bytes], now: int, *, is_registered: bool) -> None:
    """Raise ``Incomplete`` if *state* says that the index is."""
    if b"over" not in state or b"unknown" in state:
        raise _Unknown(state.get(b"unknown"))
    if _is_alive(state.get(b"unindexed"), now):
        raise Incomplete("entries may live that are in no index")
    if abs(float(state[b"over"])) >= now and not is_registered:
        raise Incomplete("the registry of the index was evicted")
    if any(_is_alive(moment, now) for member, moment in state.items() if member not in STATE):
        raise Incomplete("another version of this library registers entries")


def _resolved(pinned: Pinned, members: Iterable[bytes], budget: Budget) -> list[bytes]:
    """Return the keys that are members, or for which a digest is."""
    keys: list[bytes] = []
    digests: list[bytes] = []
    for member in members:
        (digests if index.is_digest(member) else keys).append(member)
    for start in range(0, len(digests), LOOKUPS):
        budget.check(STAGE)
        held = pinned.call(b"MGET", *map(index.set_name, digests[start : start + LOOKUPS]))
        if None in held:
            raise Incomplete(EVICTED)
        keys += held
    return keys


def _end(whole: bool) -> tuple[Any, ...]:
    """Return how far to read a set: to its end, or not beyond the first member."""
    return (-1, b"WITHSCORES") if whole else (0,)


def _intersection(digests: Sequence[bytes]) -> tuple[Any, ...]:
    sets = map(index.set_name, digests)
    return (b"ZINTER", len(digests), *sets, b"AGGREGATE", b"MIN", b"WITHSCORES")


def _scores(reply: Sequence[bytes]) -> dict[bytes, float]:
    return dict(zip(reply[::2], map(float, reply[1::2]), strict=True))


def _is_alive(moment: Any, now: int) -> bool:
    return moment is not None and float(moment) >= now
