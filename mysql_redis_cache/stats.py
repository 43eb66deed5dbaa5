"""Counters: cheap to bump from any thread, read as one snapshot."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Counters"]


class Counters:
    """Named counters that threads bump without a lock.

    ``itertools.count`` advances in one bytecode, so no increment is lost under the GIL; the price is that
    reading one is an advance too, which ``snapshot`` takes back.
    """

    def __init__(self) -> None:
        self._bumps: dict[str, Callable[[], int]] = {}
        self._reads: dict[str, int] = {}
        self._counts: dict[str, count[int]] = {}

    def bump(self, name: str) -> None:
        """Add one to the counter *name*."""
        counter = self._counts.get(name)
        if counter is None:
            counter = self._counts.setdefault(name, count())
        next(counter)

    def snapshot(self) -> dict[str, int]:
        """Return all counters by name."""
        return {name: self._value(name, counter) for name, counter in sorted(self._counts.items())}

    def _value(self, name: str, counter: count[int]) -> int:
        reads = self._reads.get(name, 0)
        self._reads[name] = reads + 1
        return next(counter) - reads
