"""Which entries the index names for some drops, if it can be trusted to name them all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mysql_redis_cache.keys import Finder
from mysql_redis_cache.store.entries import REGISTRY, UNINDEXED, index_key

from .sweep import checked

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mysql_redis_cache.keys import Matcher
    from mysql_redis_cache.store import Link

    from .budget import Budget

__all__ = ["LOOKUPS", "look_up"]

STAGE = "looking up entries"
LOOKUPS = 1000
"""How many are sent in one round trip: the server answers them within milliseconds."""


def look_up(link: Link, matchers: Sequence[Matcher], budget: Budget) -> list[bytes] | None:
    """Return the keys of the entries that *matchers* are for; ``None`` if the index may be incomplete."""
    (part,), _ = link.parts()  # there is no index on a cluster
    questions = list(_questions(matchers))
    found: dict[bytes, None] = {}
    budget.check(STAGE)
    with budget.bounding(), part.server.pinned(budget.left) as pinned:
        for start in range(0, len(questions), LOOKUPS):
            budget.check(STAGE)
            asked = [*questions[start : start + LOOKUPS], *_DOUBTS]
            *answers, time_, unindexed_until, memory = checked(pinned.calls(asked))
            if _is_doubtful(time_, unindexed_until, memory):
                return None
            for answer in answers:
                found.update(dict.fromkeys(answer))
    return [name for name, _ in Finder([matchers]).entries(found)]


_DOUBTS = ((b"TIME",), (b"ZSCORE", REGISTRY, UNINDEXED), (b"INFO", b"memory"))


def _is_doubtful(time_: Any, unindexed_until: Any, memory: bytes) -> bool:
    if unindexed_until is not None and float(unindexed_until) >= int(time_[0]) * 1000:
        return True
    return b"maxmemory_policy:allkeys-" in memory


def _questions(matchers: Sequence[Matcher]) -> Iterator[tuple[Any, ...]]:
    """Yield a command for each combination of pairs; its reply are the members that have them all."""
    for matcher in matchers:
        indexes = [index_key(matcher.prefix, text) for text in matcher.texts]
        if len(indexes) > 1 and matcher.require_all:
            yield (b"ZINTER", len(indexes), *indexes)
        else:
            yield from [(b"ZRANGE", index, 0, -1) for index in indexes]
