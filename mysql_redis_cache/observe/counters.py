"""Counters: cheap to bump from any thread, read as one snapshot."""

from __future__ import annotations

from collections import deque
from itertools import count, islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Counters", "advance", "value_of"]


class Counters:
    """Named counters that threads bump without taking a lock.

    Advancing an ``itertools.count`` is one C call, so no bump is lost; its value is read off its ``repr``,
    the only way that does not advance it.

    Args:
        used: called when something is counted for the first time, of each name.
    """

    def __init__(self, used: Callable[[], object] | None = None) -> None:
        self._used = used
        self._counts: dict[str, count[int]] = {}

    def clear(self) -> None:
        """Count from nought."""
        self._counts = {}

    def bump(self, name: str, by: int = 1) -> None:
        """Add one, or *by*, to the counter *name*."""
        if by < 1:
            return
        counter = self._counts.get(name)
        if counter is None:
            counter = self._counts.setdefault(name, count())
            if self._used is not None:
                self._used()
        advance(counter, by)

    def snapshot(self) -> dict[str, int]:
        """Return the counters that have been bumped, by name."""
        return {name: value_of(counter) for name, counter in sorted(self._counts.copy().items())}


def advance(counter: count[int], by: int) -> None:
    """Advance an ``itertools.count`` by *by*, at least one, losing nothing that other threads do."""
    if by == 1:
        next(counter)
    else:
        deque(islice(counter, by), maxlen=0)  # takes them off in C


def value_of(counter: count[int]) -> int:
    """Return what an ``itertools.count`` stands at."""
    return int(repr(counter)[len("count(") : -1])
