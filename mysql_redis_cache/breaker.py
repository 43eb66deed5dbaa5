"""When to stop asking Redis: a circuit breaker without clock or threads of its own."""

from __future__ import annotations

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

    def succeeded(self) -> bool:
        """Note an answer from Redis; return whether this closed the breaker."""
        self._failures = 0
        if self.state is State.CLOSED:
            return False
        self.state = State.CLOSED
        return True

    def failed(self, now: float) -> bool:
        """Note a failure at the moment *now*; return whether this opened the breaker."""
        self._failures += 1
        if self._failures < self._limit and self.state is State.CLOSED:
            return False
        opened = self.state is State.CLOSED
        self.state = State.OPEN
        self._retry_at = now + self._pause
        return opened
