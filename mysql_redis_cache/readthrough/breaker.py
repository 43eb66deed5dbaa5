"""When to stop asking Redis: a circuit breaker without clock or threads of its own."""

from __future__ import annotations

import math

__all__ = ["Breaker"]

FIRST_PAUSE = 0.075
LONGEST_PAUSE = 2.0


class Breaker:
    """Opens after *failures* failures in a row; lets one probe through after a pause that grows.

    ::

        closed ── failures in a row ──▶ open ◀── failure, the next pause is twice as long
          ▲                              │ ▲                          │
          │                     pause over │                          │
          └───────── success ───────── probe ─────────────────────────┘

    Failures that go on at the same moment are one: a stall of the server, or of this process, strikes all
    that is under way. A short outage costs little, since the first probe comes soon.

    Reading the state and bumping a count are single bytecodes, and a race costs one probe too many at worst,
    so there is no lock: the breaker is asked on every read. Moments are seconds of a monotonic clock.

    Args:
        failures: how many failures in a row open it.
        pause: seconds for which it stays open before the first probe.
        longest: seconds that the pauses do not exceed.

    Attributes:
        is_closed: whether Redis is asked as usual.
    """

    def __init__(self, failures: int = 2, pause: float = FIRST_PAUSE, longest: float = LONGEST_PAUSE) -> None:
        self.is_closed = True
        self._limit = failures
        self._first_pause = pause
        self._longest_pause = longest
        self._pause = pause
        self._failures = 0
        self._last_failed_at = -math.inf
        self._retry_at = 0.0
        self._changed_at = -math.inf

    def is_shut(self, now: float) -> bool:
        """Return whether ``allows`` would say no; asking this uses up no probe."""
        return not self.is_closed and now < self._retry_at

    def allows(self, now: float) -> bool:
        """Return whether to ask Redis at the moment *now*: as usual, or as a probe."""
        if self.is_closed:
            return True
        if now < self._retry_at:
            return False
        # One probe per pause: a probe that never reports back is followed by the next.
        self._wait_longer(now)
        return True

    def succeeded(self, began: float) -> bool:
        """Note an answer to what was asked at the moment *began*; return whether this closed the breaker.

        What was asked before the last change of state says nothing about the state now.
        """
        if began < self._changed_at:
            return False
        self._failures = 0
        if self.is_closed:
            return False
        self.is_closed = True
        self._changed_at = began
        return True

    def failed(self, began: float, now: float) -> bool:
        """Note at the moment *now* that what was asked at *began* failed; return whether this opened it."""
        if began < self._changed_at or began < self._last_failed_at:
            return False
        self._last_failed_at = now
        self._failures += 1
        if not self.is_closed:
            return False
        if self._failures < self._limit:
            return False
        self.is_closed = False
        self._changed_at = now
        self._pause = self._first_pause
        self._wait_longer(now)
        return True

    def _wait_longer(self, now: float) -> None:
        self._retry_at = now + self._pause
        self._pause = min(2 * self._pause, self._longest_pause)
