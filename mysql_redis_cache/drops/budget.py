"""The time a drop may take."""

from __future__ import annotations

import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from mysql_redis_cache.errors import CacheUnavailable, DropTimeout
from mysql_redis_cache.store import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Budget"]


class Budget:
    """The time a drop may take from now on, whatever it does or waits for, and how far it has come.

    Args:
        timeout: seconds.

    Attributes:
        seconds: as given.
        dropped: how many entries it has deleted, in all its attempts.
    """

    def __init__(self, timeout: float) -> None:
        self.seconds = timeout
        self.dropped = 0
        self._began = time.monotonic()
        self._stage, self._more = "asking Redis", 0

    def spent(self) -> float:
        """Return the seconds that have passed."""
        return time.monotonic() - self._began

    def left(self) -> float:
        """Return the seconds left, 0 if it is over."""
        return max(0.0, self.seconds - self.spent())

    def check(self, stage: str, dropped: int = 0) -> None:
        """Raise ``DropTimeout`` if the time is over.

        Args:
            stage: what the drop is doing.
            dropped: how many entries it has deleted that are not counted yet.
        """
        self._stage, self._more = stage, dropped
        if not self.left():
            raise self._over()

    def checking(self, stage: str) -> Callable[[], None]:
        """Return a call of ``check``."""
        return partial(self.check, stage)

    @contextmanager
    def bounding(self) -> Iterator[None]:
        """Have what Redis did not answer by the end of the time be a matter of time."""
        try:
            yield
        except Refused:
            raise
        except CacheUnavailable as error:
            if self.left():
                raise
            raise self._over() from error

    def _over(self) -> DropTimeout:
        return DropTimeout(self.seconds, self._stage, self.dropped + self._more)
