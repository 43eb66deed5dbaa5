"""A Redis database of one's own is flushed before each test, so it must hold nothing but what tests wrote."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import redis

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ours_to_flush"]

NOTE = "mrc/redis"
"""Where a run notes which database it uses, until its end; a killed one leaves keys, and this note."""


@contextmanager
def ours_to_flush(url: str, notes: Any) -> Iterator[None]:
    """Refuse a database with keys that no tests wrote; leave it empty.

    Args:
        url: of the database.
        notes: pytest's cache, or ``None``.
    """
    with redis.Redis.from_url(url, socket_timeout=10) as client:
        keys, place = client.dbsize(), _place(client)
        if keys and not (notes is not None and notes.get(NOTE, None) == place):
            pytest.exit(_refusal(keys, place[1]), returncode=2)
        if notes is not None:
            notes.set(NOTE, place)
        yield
        client.flushdb()
        if notes is not None:
            notes.set(NOTE, None)


def _place(client: redis.Redis) -> list[Any]:
    """Name the database, of this server since its start."""
    return [client.info("server")["run_id"], client.connection_pool.connection_kwargs.get("db", 0)]


def _refusal(keys: int, db: int) -> str:
    return (
        f"MRC_TEST_REDIS_URL names database {db} of a Redis that holds {keys} keys which these tests did not "
        "write, and each test would flush it: name an empty one, or, if nobody needs these, FLUSHDB it"
    )
