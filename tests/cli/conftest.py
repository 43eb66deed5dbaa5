"""The command line in this process, and a cache for it to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mysql_redis_cache import MRCClient
from mysql_redis_cache.cli.app import mrc
from tests.support.commands import runner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from click.testing import Result

QUERY = "SELECT ? AS id, ? AS store"


@pytest.fixture
def run(
    mysql_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., Result]:
    """Run a command: ``run("ls", "UserId=1", given="…")``; nobody is there to answer."""
    monkeypatch.setenv("MRC_MYSQL_URL", mysql_url)
    monkeypatch.setenv("MRC_REDIS_URL", redis_url)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, given: str | None = None) -> Result:
        return runner().invoke(mrc, arguments, input=given)

    return run


@pytest.fixture
def env(mysql_url: str, redis_url: str) -> dict[str, str]:
    """The same as an environment for a process."""
    return {"MRC_MYSQL_URL": mysql_url, "MRC_REDIS_URL": redis_url}


@pytest.fixture
def client(mysql_url: str, redis_url: str) -> Iterator[MRCClient]:
    """A client of the application whose cache is looked at."""
    with MRCClient(mysql_url, f"{redis_url}?socket_timeout=10") as client:
        yield client


@pytest.fixture
def filled(client: MRCClient) -> Callable[..., str]:
    """Cache an entry: ``filled(1, 6)`` is of user 1 in store 6; returns its key."""

    def fill(user: int, store: int, **options: Any) -> str:
        client.query_with_cache(QUERY, [user, store], ["UserId", "StoreId"], **options)
        return client.get_key_from_query(
            QUERY, [user, store], ["UserId", "StoreId"], tags=options.get("tags")
        )

    return fill
