"""Transactions and loads in contexts that are not those they began in."""

from __future__ import annotations

import asyncio
import contextvars
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from fastapi import Depends, FastAPI
from fastapi.responses import StreamingResponse
from fastapi.testclient import TestClient

from mysql_redis_cache import AsyncMRCClient, MRCClient
from tests.client.drivers import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from pymysql.connections import Connection

pytestmark = pytest.mark.anyio

QUERY = "SELECT name FROM users WHERE id = ?"
tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant", default="public")


def name_of(users: Connection, user: int = 123) -> str:
    with users.cursor() as cursor:
        cursor.execute("SELECT name FROM users WHERE id = %s", [user])
        return str(cursor.fetchall()[0][0])


@pytest.fixture(name="blocking")
def _blocking(mysql_url: str, redis_url: str) -> Iterator[MRCClient]:
    with MRCClient(mysql_url, redis_url, stale_while_revalidate=60) as client:
        yield client


def transacting(client: MRCClient) -> Iterator[Any]:
    """A dependency, a fixture, a streamed answer: a generator around a transaction."""
    with client.transaction() as tx:
        yield tx


@pytest.mark.parametrize("raises", [False, True])
def test_a_transaction_may_end_in_another_context(
    blocking: MRCClient, users: Connection, raises: bool
) -> None:
    """It commits, or rolls back, as it would in its own; the drops run; nothing is left open."""
    blocking.query_with_cache(QUERY, [123], ["UserId"])
    block = transacting(blocking)
    tx = contextvars.copy_context().run(next, block)
    tx.execute("UPDATE users SET name = 'Eve' WHERE id = 123")
    tx.drop_outdated_cache(["UserId"], [123])
    end = contextvars.copy_context()
    if raises:
        with pytest.raises(KeyError):
            end.run(block.throw, KeyError("x"))
    else:
        assert end.run(next, block, None) is None

    expected = "Ada" if raises else "Eve"
    assert name_of(users) == expected
    assert blocking.query_with_cache(QUERY, [123], ["UserId"]) == [{"name": expected}]
    assert blocking.get_mysql_pool().in_use == 0


def test_a_transaction_in_fastapi_s_dependency(blocking: MRCClient, users: Connection) -> None:
    """``def`` dependencies begin and end in two copies of the context, the endpoint runs in a third."""
    app = FastAPI()

    def get_tx() -> Iterator[Any]:
        yield from transacting(blocking)

    async def get_async_tx() -> AsyncIterator[Any]:
        async with AsyncMRCClient(blocking).transaction() as tx:
            yield tx

    @app.post("/blocking/{name}")
    def rename(name: str, tx: Any = Depends(get_tx)) -> None:  # noqa: B008 - FastAPI's way
        tx.execute("UPDATE users SET name = ? WHERE id = 123", [name])
        tx.drop_outdated_cache(["UserId"], [123])

    @app.post("/async/{name}")
    async def rename_async(name: str, tx: Any = Depends(get_async_tx)) -> None:  # noqa: B008 - as above
        await tx.execute("UPDATE users SET name = ? WHERE id = 123", [name])
        tx.drop_outdated_cache(["UserId"], [123])

    @app.get("/stream", response_class=StreamingResponse)
    def stream() -> Any:
        def lines() -> Iterator[str]:
            with blocking.transaction() as tx:
                for row in tx.query("SELECT name FROM users ORDER BY id"):
                    yield str(row["name"])

        return StreamingResponse(lines())

    with TestClient(app) as web:
        for way, name in (("blocking", "Eve"), ("async", "Flo")):
            assert web.post(f"/{way}/{name}").status_code == 200
            assert name_of(users) == name
            assert blocking.query_with_cache(QUERY, [123], ["UserId"]) == [{"name": name}]
        assert web.get("/stream").text == "FloBobCy"
    assert blocking.get_mysql_pool().in_use == 0


def test_two_clients_transactions_side_by_side(mysql_url: str, redis_url: str, users: Connection) -> None:
    """Each client's cached reads see its own transaction, whichever was opened last."""
    with MRCClient(mysql_url, redis_url, namespace="one") as one, MRCClient(mysql_url, redis_url) as two:
        assert one.query_with_cache(QUERY, [123], ["UserId"]) == [{"name": "Ada"}]
        with one.transaction() as mine:
            mine.execute("UPDATE users SET name = 'Eve' WHERE id = 123")
            with two.transaction() as yours:
                yours.execute("UPDATE users SET name = 'Flo' WHERE id = 124")
                assert one.query_with_cache(QUERY, [123], ["UserId"]) == [{"name": "Eve"}]
                assert two.query_with_cache(QUERY, [123], ["UserId"]) == [{"name": "Ada"}]
                assert two.query_with_cache(QUERY, [124], ["UserId"]) == [{"name": "Flo"}]


def test_a_refresh_behind_runs_in_the_reader_s_context(blocking: MRCClient, users: Connection) -> None:
    """Who reads for a tenant has it refreshed for that tenant; an open transaction of his is not in it."""

    def report() -> dict[str, Any]:
        seen = blocking.query(QUERY, [123]), blocking.query_with_cache(QUERY, [124], ["UserId"], cache=False)
        return {"tenant": tenant.get(), "names": [rows[0]["name"] for rows in seen]}

    def read() -> Any:
        tenant.set("acme")
        return blocking.with_cache(report, "report", ["acme"], ["Tenant"], ttl=1)

    def in_a_transaction() -> Any:
        with blocking.transaction() as tx:
            tx.execute("UPDATE users SET name = 'Eve' WHERE id = 124")
            behind = blocking.with_cache(report, "report", ["acme"], ["Tenant"], ttl=1)
            raise LookupError(behind)

    contextvars.copy_context().run(read)
    contextvars.copy_context().run(_age, blocking)
    contextvars.copy_context().run(read)
    asyncio.run(until(lambda: blocking.stats()["fills"] == 2, "the refresh"))
    with pytest.raises(LookupError):
        contextvars.copy_context().run(in_a_transaction)

    assert contextvars.copy_context().run(read) == {"tenant": "acme", "names": ["Ada", "Bob"]}


def _age(client: MRCClient) -> None:
    """Let the entry be past its ttl, as if time had gone by."""
    entries: Any = client._core.cache
    for key in entries.entries._link.call(b"KEYS", b"Tenant=*"):
        entries.entries._link.call(b"PEXPIRE", key, 59_000)


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_the_mark_of_a_load_ends_with_it(mysql_url: str, redis_url: str, anyio_backend: str) -> None:
    """A task that was started inside a load, and lives on, reads through the cache like everybody else."""
    calls, may_go_on, seen = [], anyio.Event(), []
    async with AsyncMRCClient(mysql_url, redis_url) as client, anyio.create_task_group() as tasks:

        async def live_on() -> None:
            await may_go_on.wait()
            seen.extend([await client.with_cache(load, "sig") for _ in range(3)])

        async def load() -> int:
            calls.append(1)
            if len(calls) == 1:
                tasks.start_soon(live_on)
            return len(calls)

        assert await client.with_cache(load, "sig") == 1
        may_go_on.set()

    assert (seen, len(calls)) == ([1, 1, 1], 1)


def test_the_mark_of_a_load_is_its_client_s(mysql_url: str, redis_url: str) -> None:
    """A load that reads the same text through another client uses that one's cache."""
    with MRCClient(mysql_url, redis_url) as one, MRCClient(mysql_url, redis_url, namespace="two") as two:
        for _ in range(3):
            one.with_cache(lambda: two.query_with_cache("SELECT 1 AS a"), "SELECT 1 AS a", refresh=True)

        assert two.stats()["fills"] == 1
        assert two.stats()["hits"] == 2


def test_a_load_may_read_its_own_key(blocking: MRCClient) -> None:
    """It then loads without flight or lease; it would wait for itself."""
    asked: list[int] = []

    def load() -> int:
        asked.append(1)
        return 1 if len(asked) > 1 else 1 + blocking.with_cache(load, "own")

    assert blocking.with_cache(load, "own") == 2
