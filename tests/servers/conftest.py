"""Near caches without clients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mysql_redis_cache.near import NearCache, join
from tests.support.keeping import LONG, User

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mysql_redis_cache import Near


@pytest.fixture
def cache_of() -> Iterator[Callable[..., NearCache]]:
    """Open near caches, and end them after the test: ``cache_of(url, Near(ttl=1))``."""
    users: list[tuple[NearCache, User]] = []

    def make(config: object, options: Near = LONG) -> NearCache:
        user = User()
        cache = join(config, options, user)
        users.append((cache, user))
        return cache

    yield make
    for cache, user in users:
        cache.leave(user)
