"""Asking Redis for entries from an event loop, which tells when there is something to read."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mysql_redis_cache.errors import CacheUnavailable
from mysql_redis_cache.store import answers, fits, packed, questions

from .asking import Asking

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mysql_redis_cache.store import Exchange, Found

    from .reads import Read
    from .steps import Claim

__all__ = ["Fetch", "Fetching"]


@dataclass(slots=True)
class Fetch:
    """Reads asked for in one round trip, whose answer an event loop waits for.

    Attributes:
        reads: they.
        exchange: the connection.
        aged: whether the time that each entry has left was asked for, too.
        began: when.
        is_lost: whether the connection is of no use any more.
    """

    reads: Sequence[Read]
    exchange: Exchange
    aged: bool
    began: float
    is_lost: bool = False

    def end(self) -> None:
        """Let go of the connection."""
        if self.is_lost:
            self.exchange.drop()
        else:
            self.exchange.end()


class Fetching(Asking):
    """What ``Asking`` does for threads, for an event loop that must not wait."""

    def begin(self, reads: Sequence[Read], over: Fetch | None = None) -> Fetch | None:
        """Do what ``fetch_many`` does from an event loop, which tells when there is something to ``receive``.

        Args:
            reads: the reads.
            over: another fetch, which is over, and whose connection may be used.

        Returns:
            what is under way; ``None`` if a thread has to fetch them, which may wait.
        """
        if self.is_down:
            return None
        aged = any(read.policy.needs_age for read in reads)
        commands = questions([read.raw for read in reads], aged=aged)
        request = packed(commands)
        if not fits(request):
            return None
        exchange = self.entries.exchange() if over is None else over.exchange
        if exchange is None:
            return None
        fetch = Fetch(reads, exchange, aged, time.monotonic())
        if over is not None:
            over.is_lost = True  # whatever strikes from here on: the connection owes what is asked now
        if exchange.ask(request, len(commands)):
            return fetch
        if over is None:
            fetch.is_lost = True
            fetch.end()
        return None

    def receive(self, fetch: Fetch, *, is_late: bool) -> Sequence[bytes | Found | Claim | None] | None:
        """Return what Redis holds for the reads of *fetch*; ``None`` if it is to be waited for.

        Args:
            fetch: what is under way.
            is_late: whether it has taken too long.
        """
        count = len(fetch.reads)
        try:
            replies = fetch.exchange.receive()
            if replies is None and is_late:
                raise fetch.exchange.late()
            found = None if replies is None else answers(replies, count, aged=fetch.aged)
        except CacheUnavailable as error:
            fetch.is_lost = True
            self._lost(error, fetch.began, fetch.reads[0])
            return [self.away(count)] * count
        if found is not None:
            self._answered(fetch.began)
        return found
