"""The libraries compared; each module wraps one of them as the operations of a :class:`Subject`."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from workload import CACHED_USERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from measure import Operation

Argument = TypeVar("Argument")

OURS = "mysql-redis-cache"
OURS_INDEX = "mysql-redis-cache, index=True"
RAW = "redis-py + orjson by hand"
DOGPILE = "dogpile.cache"
PYPI = "actvalue.mysql-redis-cache"


@dataclass(frozen=True, slots=True)
class Subject:
    """One library, ready to be measured.

    Attributes:
        title: the column's heading.
        version: what is measured, as the package index names it.
        database: the Redis database it caches in (nobody reads another's entries).
        operations: what it can do of ``hit``, ``miss_few``, ``miss_many``, ``key``, ``drop``; what the
            library does not have is left out.
        close: ends connections and processes.
    """

    title: str
    version: str
    database: int
    operations: Mapping[str, Operation]
    close: Callable[[], object] = lambda: None


def timed(work: Callable[[Argument], object], arguments: Iterable[Argument]) -> float:
    """Seconds that *work* takes over all *arguments*."""
    start = time.perf_counter()
    for argument in arguments:
        work(argument)
    return time.perf_counter() - start


def for_cached_users(work: Callable[[int], object]) -> Operation:
    """*work* for the users whose orders are cached, in turn, so that no key is the same twice running."""
    return lambda calls: timed(work, [number % CACHED_USERS + 1 for number in range(calls)])


def for_new_users(work: Callable[[int], object]) -> Operation:
    """*work* for one user after the other, none of them twice."""
    return lambda calls: timed(work, range(1, calls + 1))


def repeated(work: Callable[[int], object], argument: int) -> Operation:
    """*work* for one *argument* every time."""
    return lambda calls: timed(work, [argument] * calls)
