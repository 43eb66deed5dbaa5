"""How a follower is doing, for those who watch it."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from mysql_redis_cache.observe import Counters, Events, LateInvalidation

if TYPE_CHECKING:
    from .place import Position

__all__ = ["Progress"]

logger = logging.getLogger("mysql_redis_cache.follow")


class Progress:
    """Counters and moments, written by one thread and read by others.

    Args:
        name: of the follower.
        silence: seconds without a word from the server after which it is not taken to be idle any more.
        max_lag: seconds of lag that are worth a warning, and an event.

    Attributes:
        events: tells those who listen.
        pending: transactions that the server had committed, and that were not dropped, when last asked.
    """

    def __init__(self, name: str, silence: float, max_lag: float) -> None:
        self.name = name
        self.counters, self.events = Counters(), Events()
        self.pending = 0
        self.is_leader = False
        self.position: Position | None = None
        self.problem = ""
        self._silence = silence
        self._level_at = self._heard_at = time.monotonic()
        self._is_level = self._is_late = False
        self._max_lag = max_lag

    def stand_by(self) -> None:
        """Note that another follower leads, whose lag is its own to tell."""
        self.is_leader, self.problem = False, ""
        self._is_level = False

    def begin(self, moment: float) -> None:
        """Note that nothing is outdated by what was changed before a moment; of the rest nothing is known."""
        self._level_at = moment
        self._is_level = False

    def lose_touch(self) -> None:
        """Note that the server is not heard any more, whatever it may have to say."""
        self._is_level = False

    def hear(self) -> None:
        """Note that the server has said something that is not dropped yet."""
        self._heard_at = time.monotonic()
        self._is_level = False

    def be_level(self) -> None:
        """Note that everything the server has said is dropped."""
        self._heard_at = self._level_at = time.monotonic()
        self._is_level = True
        self.pending = 0
        self.problem = ""

    @property
    def lag(self) -> float:
        """Seconds: no change is older and not dropped, as far as the server has told of it."""
        now = time.monotonic()
        if self._is_level and now - self._heard_at < self._silence:
            return 0.0
        return now - self._level_at

    def warn(self) -> None:
        """Say once that it has fallen behind, and once that it has caught up; to be called now and then."""
        lag = self.lag if self.is_leader else 0.0
        if lag > self._max_lag and not self._is_late:
            logger.warning("the follower is %.1f s behind; it waits for: %s", lag, self.problem or "nothing")
            self.events.publish(LateInvalidation(client=self.name, lag=lag, problem=self.problem))
        elif self._is_late and not lag:
            logger.info("the follower has caught up")
        self._is_late = lag > self._max_lag or (self._is_late and lag > 0)

    def snapshot(self) -> dict[str, Any]:
        """Return all of it."""
        position = self.position
        return {
            "leader": self.is_leader,
            "lag": self.lag if self.is_leader else None,
            "pending": self.pending if self.is_leader else None,
            "problem": self.problem,
            "server": position.server if position else "",
            "file": position.file if position else "",
            "offset": position.offset if position else 0,
            "gtids": position.gtids if position else "",
            "prepared": len(position.prepared) if position else 0,
            **dict.fromkeys(_COUNTED, 0),
            **self.counters.snapshot(),
        }


_COUNTED = (
    *("events", "transactions", "batches", "values", "dropped"),
    *("wide", "afresh", "reconnects", "retries"),
)
