"""Readers, a writer behind their back, and nobody but a follower to drop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mysql_redis_cache import MRCClient
from tests.support.binlogs import LoggedServer
from tests.support.following import Cached

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def server(logged_url: str) -> Iterator[LoggedServer]:
    """The writer's connection, to a schema without tables."""
    server = LoggedServer(logged_url)
    server.run("SET NAMES utf8mb4", "SET SESSION time_zone = '+00:00'")
    yield server
    tables = [next(iter(row.values())) for row in server.ask("SHOW TABLES")]
    if tables:
        listed = ", ".join([f"`{table}`" for table in tables])
        server.run("SET FOREIGN_KEY_CHECKS = 0", f"DROP TABLE {listed}", "SET FOREIGN_KEY_CHECKS = 1")
    server.close()


@pytest.fixture
def cached(server: LoggedServer, redis_url: str) -> Iterator[Cached]:
    """Reads through the cache."""
    with MRCClient(server.url, redis_url) as client:
        yield Cached(server, client)
