"""Where clients post what they have done, for those who watch all processes; each notice ends by itself."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from .failures import Refused

if TYPE_CHECKING:
    from .config import Link

__all__ = ["LIFE", "Noticeboard"]

LIFE = 15
"""Seconds that a notice stays: its client posts the next one long before."""

_LIST_LIFE = 3600


class Noticeboard:
    """The notices of one namespace.

    Args:
        link: the way to Redis.
        prefix: the namespace's.
    """

    def __init__(self, link: Link, prefix: str) -> None:
        self._link = link
        self._list = f"mrc:stats:{prefix or '-:'}list".encode()
        self._each = f"mrc:stats:{prefix or '-:'}"

    def post(self, name: str, notice: bytes) -> None:
        """Post a notice in place of the last one of this *name*.

        Raises:
            CacheUnavailable: Redis did not take it.
        """
        key, now = f"{self._each}{name}".encode(), time.time()
        commands: list[tuple[bytes | int | float, ...]] = [
            (b"SET", key, notice, b"EX", LIFE),
            (b"ZADD", self._list, now + LIFE, key),
            (b"ZREMRANGEBYSCORE", self._list, b"-inf", now),
            (b"EXPIRE", self._list, _LIST_LIFE),
        ]
        for reply in self._link.calls(commands):
            if isinstance(reply, Refused):
                raise reply

    def notices(self) -> list[bytes]:
        """Return those that are there.

        Raises:
            CacheUnavailable: Redis did not answer.
        """
        names = self._link.call(b"ZRANGE", self._list, 0, -1)
        replies = self._link.calls([(b"GET", name) for name in names]) if names else []
        return [reply for reply in replies if isinstance(reply, bytes)]
