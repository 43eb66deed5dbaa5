"""When to stop asking Redis: a circuit breaker without clock or threads of its own."""

from __future__ import annotations

import math
from enum import Enum

__all__ = ["Breaker", "State"]


class State(Enum):
    """Where the breaker stands.

    ::

        CLOSED ── failures in a row ──▶ OPEN ── pause over ──▶ PROBING
          ▲                              ▲                       │
          └────────── success ───────────┼──── failure ──────────┘
    """

    CLOSED = "closed"
    OPEN = "open"
    PROBING = "probing"


class Breaker:
    """Opens after *failures* failures in a row; lets one probe through after *pause* seconds.

    Reading the state and bumping a count are single bytecodes, and a race costs one probe too many at worst,
    so there is no lock: the breaker is asked on every read.

    Args:
        failures: how many failures in a row open it.
        pause: seconds for which it stays open before a probe.
    """

    def __init__(self, failures: int = 3, pause: float = 2.0) -> None:
        self.state = State.CLOSED
        self._limit = failures
        self._pause = pause
        self._failures = 0
        self._retry_at = 0.0
        self._changed_at = -math.inf

    @property
    def is_closed(self) -> bool:
        """Whether Redis is asked as usual."""
        return self.state is State.CLOSED

    def is_shut(self, now: float) -> bool:
        """Return whether ``allows`` would say no; asking this uses up no probe."""
        return self.state is not State.CLOSED and now < self._retry_at

    def allows(self, now: float) -> bool:
        """Return whether to ask Redis at the moment *now* (seconds of a monotonic clock)."""
        if self.state is State.CLOSED:
            return True
        if now < self._retry_at:
            return False
        # One probe per pause: a probe that never reports back is followed by the next.
        self._retry_at = now + self._pause
        self.state = State.PROBING
        return True

    def succeeded(self, began: float) -> bool:
        """Note an answer to what was asked at the moment *began*; return whether this closed the breaker.

        What was asked before the last change of state says nothing about the state now.
        """
        if began < self._changed_at:
            return False
        self._failures = 0
        if self.state is State.CLOSED:
            return False
        self.state = State.CLOSED
        self._changed_at = began
        return True

    def failed(self, began: float, now: float) -> bool:
        """Note at the moment *now* that what was asked at *began* failed; return whether this opened it."""
        if began < self._changed_at:
            return False
        self._failures += 1
        if self._failures < self._limit and self.state is State.CLOSED:
            return False
        opened = self.state is State.CLOSED
        if opened:
            self._changed_at = now
        self.state = State.OPEN
        self._retry_at = now + self._pause
        return opened
