"""Drops wait for the strict near caches of other processes; see ``near/roll.py``."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from mysql_redis_cache.near import CALL, ROLL, Sign
from mysql_redis_cache.store import NotNow, Refused
from mysql_redis_cache.store.scripts import Script

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mysql_redis_cache.store import Link

    from .budget import Budget

__all__ = ["READ", "RollCall"]

logger = logging.getLogger("mysql_redis_cache.drops")

WAITING = "waiting for the near caches of other processes"
FIRST_PAUSE, LONGEST_PAUSE = 0.0002, 0.01
READ = (b"HGETALL", ROLL)
"""The command that reads the roll."""

DRIFT = 1.01
"""By how much one clock may run faster than another."""

# KEYS: the roll. ARGV: names and the signs that were seen of them. Who has signed since then stays.
_STRIKE = Script.of(
    """
for i = 1, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then redis.call('HDEL', KEYS[1], ARGV[i]) end
end
"""
)


class _Listener(NamedTuple):
    """One on the roll, as the roll was read: a sign that tells of beats from there on is an answer.

    Attributes:
        name: its name.
        text: its sign, as it stands there.
        sign: the same.
        since: when this process first saw it there; what was vouched for is over a heartbeat later.
    """

    name: bytes
    text: bytes
    sign: Sign
    since: float

    @property
    def over(self) -> float:
        """The moment from which on it serves nothing, unless it has signed anew: its last beat is too old."""
        return self.since + DRIFT * self.sign.milliseconds / 1000

    def has_heard(self, text: bytes | None) -> bool:
        """Return whether *text*, its sign by now, says so; who is off the roll serves nothing of before."""
        if text is None:
            return True
        sign = Sign.of(text)
        return sign is not None and sign.known > self.sign.beats


class RollCall:
    """Waits for the listeners on the roll.

    Args:
        link: the way to Redis.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._is_said = False
        # The signs that stood on the roll when it was last read, and since when: who was killed is waited for
        # once, however little time each drop has.
        self._seen: dict[bytes, tuple[bytes, float]] = {}

    def hear(self, budget: Budget, roll: Any = None) -> None:
        """Return when no strict near cache serves what was deleted before now.

        Args:
            budget: the time that this may take.
            roll: the reply to ``READ``, if that was sent behind the deletions.

        Raises:
            CacheUnavailable: Redis did not answer.
            DropTimeout: the time is over.
        """
        with budget.bounding():
            waiting = self._listeners(self._link.calls([READ])[0] if roll is None else roll)
            if not waiting:
                return
            self._call()
            pause = FIRST_PAUSE
            while waiting := self._waiting(waiting):
                over = min(each.over for each in waiting)
                if time.monotonic() >= over:
                    waiting = self._strike(waiting, time.monotonic())
                    continue
                budget.check(WAITING)
                time.sleep(max(0.0, min(pause, over - time.monotonic(), budget.left())))
                pause = min(2 * pause, LONGEST_PAUSE)

    def _listeners(self, roll: Any) -> list[_Listener]:
        if isinstance(roll, NotNow):
            raise roll
        if isinstance(roll, Refused):
            self._note(roll)
            return []
        pairs = zip(roll[::2], roll[1::2], strict=True)
        before, now = self._seen, time.monotonic()
        self._seen = {name: _since(before.get(name), text, now) for name, text in pairs}
        signed = [(name, *seen, Sign.of(seen[0])) for name, seen in self._seen.items()]
        return [_Listener(name, text, sign, since) for name, text, since, sign in signed if sign is not None]

    def _call(self) -> None:
        """Have all sign at once, if Redis takes it; else they do so at their next beat."""
        try:
            self._link.call(b"SET", CALL, b"")
        except Refused as error:
            self._note(error)

    def _waiting(self, asked: Iterable[_Listener]) -> list[_Listener]:
        listeners = list(asked)
        if not listeners:
            return []
        texts = self._link.call(b"HMGET", ROLL, *[each.name for each in listeners])
        return [each for each, text in zip(listeners, texts, strict=True) if not each.has_heard(text)]

    def _strike(self, waiting: Iterable[_Listener], now: float) -> list[_Listener]:
        """Wait no longer for those whose heartbeat is over; take those off the roll who have not signed."""
        over = [each for each in waiting if now >= each.over]
        self._link.script(_STRIKE, [ROLL], *[part for each in over for part in (each.name, each.text)])
        return [each for each in waiting if each not in over]

    def _note(self, error: Exception) -> None:
        if not self._is_said:
            self._is_said = True
            logger.info("drops do not wait for strict near caches of other processes: %s", error)


def _since(seen: tuple[bytes, float] | None, text: bytes, now: float) -> tuple[bytes, float]:
    """Return a sign, and since when it has been seen."""
    return seen if seen is not None and seen[0] == text else (text, now)
