"""Clients of three kinds over the tests' servers: blocking, and the facade on asyncio and on trio."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pymysql
import pytest

from mysql_redis_cache import AsyncMRCClient, MRCClient
from tests.client.drivers import BlockingDriver, FacadeDriver
from tests.support.urls import mysql_arguments

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from pymysql.connections import Connection

USERS = [(123, "Ada", 6), (124, "Bob", 6), (125, "Cy", 7)]


@pytest.fixture(params=["blocking", "asyncio", "trio"])
def kind(request: pytest.FixtureRequest) -> str:
    """Which client the test runs over."""
    return str(request.param)


@pytest.fixture
def anyio_backend(kind: str) -> str:
    """The event loop that runs the test's coroutine; the blocking client has no use for it."""
    return "asyncio" if kind == "blocking" else kind


@pytest.fixture
async def make_client(kind: str, mysql_url: str, redis_url: str) -> AsyncIterator[Callable[..., Any]]:
    """Make clients that are closed after the test: ``make_client(redis=None, namespace="shop")``."""
    made: list[Any] = []

    def make(*, mysql: Any = mysql_url, redis: Any = redis_url, **options: Any) -> Any:
        client: Any
        if kind == "blocking":
            client = BlockingDriver(MRCClient(mysql, redis, **options))
        else:
            client = FacadeDriver(AsyncMRCClient(mysql, redis, **options))
        made.append(client)
        return client

    yield make
    for client in made:
        await client.aclose()


@pytest.fixture
def client(make_client: Callable[..., Any]) -> Any:
    """A client with the default options."""
    return make_client()


@pytest.fixture(scope="session")
def _users_table(mysql_url: str) -> Iterator[None]:
    with closing(pymysql.connect(**mysql_arguments(mysql_url), autocommit=True)) as connection:
        with connection.cursor() as cursor:
            cursor.execute(
                "CREATE TABLE users (id INT PRIMARY KEY, name VARCHAR(40), store_id INT) ENGINE=InnoDB"
            )
        yield


@pytest.fixture
def users(_users_table: None, mysql_admin: Connection) -> Connection:
    """The table ``users`` as it is at the start of the test; an administrator's connection to change it."""
    with mysql_admin.cursor() as cursor:
        cursor.execute("DELETE FROM users")
        cursor.executemany("INSERT INTO users VALUES (%s, %s, %s)", USERS)
    return mysql_admin


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], list[str]]:
    """Note the queries that a client sends to MySQL: ``asked = loads(client)``."""

    def watch(client: Any) -> list[str]:
        asked: list[str] = []
        query = client._core.database.query

        def noting(text: str, params: Any = None, **options: Any) -> Any:
            asked.append(text)
            return query(text, params, **options)

        monkeypatch.setattr(client._core.database, "query", noting)
        return asked

    return watch
