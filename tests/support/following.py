"""A follower in a thread, and entries that it should drop."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mysql_redis_cache.follow import Follower
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mysql_redis_cache import MRCClient
    from tests.support.binlogs import LoggedServer

__all__ = ["Cached", "following", "rules_for", "wait_followed"]


@contextmanager
def following(
    *arguments: Any, level: bool = True, kind: type[Follower] = Follower, **options: Any
) -> Iterator[Follower]:
    """Run a follower until the block ends; what it raised is raised there."""
    follower = kind(*arguments, **{"lease": 1.0, **options})
    raised: list[BaseException] = []

    def run() -> None:
        try:
            follower.run()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        if level:
            assert wait_until(lambda: raised or follower.stats()["lag"] == 0.0, 20)
        yield follower
    finally:
        follower.stop()
        thread.join(20)
        assert not thread.is_alive()
        follower.close()
    if raised:
        raise raised[0]


class Cached:
    """Reads through the cache of a server, and what is cached of them."""

    def __init__(self, server: LoggedServer, client: MRCClient) -> None:
        self.server = server
        self.client = client

    def read(self, table: str, **values: Any) -> list[dict[str, Any]]:
        """Read rows by columns; the names of the pairs are those of the columns."""
        where = " AND ".join([f"{name} <=> ?" for name in values])
        sql = f"SELECT * FROM {table} WHERE {where}"
        return self.client.query_with_cache(sql, list(values.values()), list(values))

    def is_cached(self, table: str, **values: Any) -> bool:
        """Whether such a read is cached."""
        where = " AND ".join([f"{name} <=> ?" for name in values])
        sql = f"SELECT * FROM {table} WHERE {where}"
        missing = object()
        return self.client.read_from_cache(sql, list(values.values()), list(values), missing) is not missing

    def wait_gone(self, table: str, seconds: float = 10.0, **values: Any) -> float:
        """Wait until a read is not cached any more; return how long that took."""
        began = time.monotonic()
        while self.is_cached(table, **values):
            assert time.monotonic() - began < seconds, f"{table} {values} is still cached"
            time.sleep(0.001)
        return time.monotonic() - began


def wait_followed(follower: Follower, server: LoggedServer) -> None:
    """Wait until what the server has logged up to now is dropped and saved."""
    end = server.position()

    def has_come() -> bool:
        place = follower.stats()
        return (place["file"], place["offset"]) >= (end.file, end.position)

    assert wait_until(has_come, 20)


def rules_for(schema: str, tables: Mapping[str, Any]) -> dict[str, Any]:
    """Rules of tables of one schema."""
    return {f"{schema}.{table}": rule for table, rule in tables.items()}
