"""When a drop waits for more changes, and when it waits no longer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Pace"]

_SHORTEST, _LONGEST = 0.05, 10.0


class Pace:
    """While more has come already, a drop waits for it: as long as the one before took.

    So a walk over all keys, however long it is, serves what came during the one before, and half of the time
    at least goes into reading.

    Args:
        clock: tells seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = 0.0
        self._patience = _SHORTEST

    def begin(self) -> None:
        """Note that the first change of a drop has come."""
        self._began = self._clock()

    @property
    def is_over(self) -> bool:
        """Whether the drop has waited long enough."""
        return self._clock() - self._began >= self._patience

    def took(self, seconds: float) -> None:
        """Note how long a drop took, once Redis carried it out."""
        self._patience = min(max(seconds, _SHORTEST), _LONGEST)
