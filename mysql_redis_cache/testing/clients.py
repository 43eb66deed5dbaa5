"""Clients whose entries are those of one test alone."""

from __future__ import annotations

import os
import uuid
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Unpack

from mysql_redis_cache.client import MRCClient
from mysql_redis_cache.errors import CacheUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mysql_redis_cache.options import ClientOptions

__all__ = ["fresh_client", "fresh_namespace"]


def fresh_namespace() -> str:
    """Return a namespace that nobody has used, with the name of pytest-xdist's worker in it."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    return f"test-{worker}-{uuid.uuid4().hex[:12]}"


@contextmanager
def fresh_client(
    mysql_config: Mapping[str, Any] | str, redis_config: object = None, **options: Unpack[ClientOptions]
) -> Iterator[MRCClient]:
    """Make a client in a namespace of its own; drop its entries and close it at the end of the block.

    Args:
        mysql_config: as for ``MRCClient``.
        redis_config: as for ``MRCClient``.
        **options: as for ``MRCClient``; with a *namespace* of yours it is that one.
    """
    options.setdefault("namespace", fresh_namespace())
    with MRCClient(mysql_config, redis_config, **options) as client:
        try:
            yield client
        finally:
            with suppress(CacheUnavailable):  # the entries end by their ttl, and nobody asks for them
                client.drop_all()
