"""While ``tools.chaos`` runs: is any entry outdated for longer than the lag that is reported?"""

from __future__ import annotations

import itertools
import json
import time
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, Any, NamedTuple

import pymysql
import redis

from mysql_redis_cache import MRCError
from tools.chaos_shop import CALLS, READS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mysql_redis_cache import MRCClient

__all__ = ["TOLERANCE", "Delays", "Report", "Sighting", "Watch", "judge"]

TOLERANCE = 0.5
"""Seconds between two looks at the lag, or at an entry, on a busy machine; beyond it nothing is excused."""


class Report(NamedTuple):
    """What a follower that leads says of itself.

    Attributes:
        moment: when, in seconds.
        who: the follower.
        lag: in seconds.
    """

    moment: float
    who: int
    lag: float


class Sighting(NamedTuple):
    """An outdated entry.

    Attributes:
        since: when the first look that saw it had ended: it had been outdated for longer by then.
        seen: when the last look that saw it began.
        entry: names and params.
    """

    since: float
    seen: float
    entry: Any = None

    @property
    def length(self) -> float:
        """Seconds."""
        return self.seen - self.since


class Delays(NamedTuple):
    """How long entries were outdated.

    Attributes:
        longest: the one that was for the longest time, in seconds.
        lag: the longest that a leader has reported.
        counted: the longest that counted: while nobody leads the time until somebody does is lag as well.
        late: those that were outdated for longer than the lag that counted, each with that.
    """

    longest: float
    lag: float
    counted: float
    late: list[tuple[Sighting, float]]


def judge(reports: Iterable[Report], sightings: Iterable[Sighting]) -> Delays:
    """Hold how long entries were outdated against the lag that was reported meanwhile."""
    reports, sightings = sorted(reports), list(sightings)
    counted = _counted(reports)
    moments = [moment for moment, _ in counted]

    def lag_at(moment: float) -> float:
        first = max(bisect_left(moments, moment - TOLERANCE) - 1, 0)
        last = bisect_right(moments, moment + TOLERANCE)
        ends = [*moments[first + 1 : last], moment]  # until then each has grown
        grown = [
            lag + max(0.0, min(end, moment) - told)
            for (told, lag), end in zip(counted[first:last], ends, strict=False)
        ]
        return max(grown, default=float("inf"))

    late = [(each, lag_at(each.seen)) for each in sightings]
    return Delays(
        max([each.length for each in sightings], default=0.0),
        max([each.lag for each in reports], default=0.0),
        max([lag for _, lag in counted], default=0.0),
        [(each, lag) for each, lag in late if each.length > lag + TOLERANCE],
    )


def _counted(reports: list[Report]) -> list[tuple[float, float]]:
    """Return moments, and the lag that counts then.

    Who leads after a silence owes it on top of the lag, which it tells from then on, until it has been level.
    """
    heard: dict[int, float] = {}
    owed: dict[int, tuple[float, float]] = {}
    counted: list[tuple[float, float]] = []
    for moment, who, lag in reports:
        if counted and moment - heard.get(who, float("-inf")) > TOLERANCE:
            told, before = counted[-1]
            owed[who] = moment, before + moment - told
        heard[who] = moment
        began, debt = owed.get(who, (moment, 0.0))
        if moment - lag > began:
            owed.pop(who, None)
            debt = 0.0
        counted.append((moment, lag + debt))
    return counted


class Watch:
    """Looks at entries and rows in turn.

    Args:
        client: returns the client that reads from the server that takes writes.
        cache: Redis.
    """

    def __init__(self, client: Callable[[], MRCClient], cache: redis.Redis) -> None:
        self._client, self._cache = client, cache
        keys = [client().explain(READS[names], params, names).key for names, params in CALLS]
        self._turn = itertools.cycle(zip(keys, CALLS, strict=True))
        self._outdated: dict[str, tuple[bytes, int, float]] = {}
        self.sightings: list[Sighting] = []
        self.looks = 0

    def act(self) -> None:
        """Look at the next entry; servers that are away show nothing."""
        key, call = next(self._turn)
        began = time.monotonic()
        try:
            seen = self._look(key, *call)
        except (MRCError, pymysql.Error, redis.RedisError, OSError):
            return
        if seen is None:
            self._outdated.pop(key, None)
            return
        payload, end, since = self._outdated.get(key, (b"", 0, 0.0))
        if payload == seen[0] and abs(end - seen[1]) <= 2:  # the same, not another that was loaded since
            self.sightings.append(Sighting(since, began, call))
        else:
            self._outdated[key] = (*seen, time.monotonic())

    def forget(self) -> None:
        """Entries that a Redis brought back count from now on."""
        self._outdated.clear()

    def _look(self, key: str, names: tuple[str, ...], params: list[Any]) -> tuple[bytes, int] | None:
        """Return an entry, as it is in Redis, and the millisecond of its end, if it is outdated."""
        before = self._entry(key)
        if before is None:
            return None
        rows = self._client().query(READS[names], params)
        after = self._entry(key)
        self.looks += 1
        is_same = after is not None and after[0] == before[0] and abs(after[1] - before[1]) <= 2
        return before if is_same and json.loads(before[0]) != rows else None

    def _entry(self, key: str) -> tuple[bytes, int] | None:
        asked = self._cache.pipeline()
        for command in (["GET", key], ["PTTL", key], ["TIME"]):
            asked.execute_command(*command)
        payload, left, (seconds, microseconds) = asked.execute()
        return None if payload is None else (payload, seconds * 1000 + microseconds // 1000 + left)
