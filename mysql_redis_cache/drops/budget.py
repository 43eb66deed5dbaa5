"""The time a drop may take."""

from __future__ import annotations

import time

from mysql_redis_cache.errors import DropTimeout

__all__ = ["Budget"]


class Budget:
    """The time a drop may take, from now on.

    Args:
        timeout: seconds.
    """

    def __init__(self, timeout: float) -> None:
        self.seconds = timeout
        self._until = time.monotonic() + timeout

    def left(self) -> float:
        """Return the seconds left, 0 if it is over."""
        return max(0.0, self._until - time.monotonic())

    def check(self, stage: str, dropped: int) -> None:
        """Raise ``DropTimeout`` if the time is over.

        Args:
            stage: what the drop is doing.
            dropped: how many entries it has deleted.
        """
        if not self.left():
            raise DropTimeout(self.seconds, stage, dropped)
