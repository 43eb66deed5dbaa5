"""Near caches without clients: what is fetched, kept and served."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from mysql_redis_cache import Near
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from mysql_redis_cache.near import Kept, NearCache

__all__ = ["KEY", "LONG", "User", "keep", "served", "want"]

KEY = b"UserId=1_" + b"0" * 40
# So long that what ends here does not end by it.
LONG = Near(ttl=60, heartbeat=30)


class User:
    """Somebody who needs a near cache; it ends with him."""


def served(cache: NearCache, key: bytes = KEY) -> Kept | None:
    """Return what it would answer."""
    return cache.get(key, time.monotonic())


def want(cache: NearCache, key: bytes = KEY) -> None:
    """Have it fetched, as by the second of two reads."""
    cache.want(key, 1)
    cache.want(key, 1)


def keep(cache: NearCache, key: bytes = KEY) -> Kept:
    """Have it kept."""
    want(cache, key)
    assert wait_until(lambda: served(cache, key) or want(cache, key))
    kept = served(cache, key)
    assert kept is not None
    return kept
