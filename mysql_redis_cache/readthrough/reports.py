"""What a client tells of itself now and then, if it was asked to."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from mysql_redis_cache.errors import CacheUnavailable
from mysql_redis_cache.observe import Notices, Summaries
from mysql_redis_cache.runtime import Repeater
from mysql_redis_cache.store import Noticeboard

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mysql_redis_cache.observe import Stats
    from mysql_redis_cache.options import Options
    from mysql_redis_cache.store import Link

__all__ = ["reports"]

POST_EVERY = 5.0
"""Seconds between two notices."""


def reports(options: Options, stats: Callable[[], Stats], links: Sequence[Link]) -> list[Repeater]:
    """Return what tells of a client, by its options; nothing begins by itself.

    Args:
        options: the client's.
        stats: its method that gives the counts so far.
        links: its ways to Redis, if it has any, the impatient one first.
    """
    found = []
    if options.log_stats is not None:
        summaries = Summaries(options.name, stats)
        found.append(Repeater("mysql_redis_cache-stats", options.log_stats, summaries))
    if options.share_stats and links:
        board = Noticeboard(links[0], options.namespace.prefix)
        notices = Notices(options.name, stats, partial(_post, board))
        found.append(Repeater("mysql_redis_cache-share", POST_EVERY, notices))
    return found


def _post(board: Noticeboard, name: str, notice: bytes) -> None:
    with suppress(CacheUnavailable):  # whose absence is told elsewhere
        board.post(name, notice)
