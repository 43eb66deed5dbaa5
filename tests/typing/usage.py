# pyright: strict, reportUnnecessaryTypeIgnoreComment=true, reportUnusedExpression=false
"""What users write, as their type checkers see it. Never run: ``make lint`` checks it with mypy and pyright.

``assert_type`` is what must be inferred. A line that must be an error says so for both checkers, and each
complains where it finds none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple, TypedDict, assert_type
from zoneinfo import ZoneInfo

import attrs
import msgspec
import pydantic
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from mysql_redis_cache import AsyncMRCClient, AsyncMRCServer, MRCClient, MRCServer, WriteResult
from mysql_redis_cache.contrib.fastapi import BlockingCache, Cache
from mysql_redis_cache.contrib.flask import MRC
from mysql_redis_cache.contrib.sqlalchemy import after_commit, statement
from mysql_redis_cache.testing import Recorder, disabled, elapse, fresh_client, recording, unavailable

MYSQL, REDIS = "mysql://app@localhost/shop", "redis://localhost"
USER = "SELECT id, name FROM users WHERE id = ?"
USERS = "SELECT id, name FROM users WHERE id IN (?)"
Row = dict[str, Any]


@dataclass
class User:
    id: int
    name: str


class Struct(msgspec.Struct):
    id: int


@attrs.define
class Attributes:
    id: int


class Model(pydantic.BaseModel):
    id: int


class Named(NamedTuple):
    id: int


class Columns(TypedDict):
    id: int


def reads(client: MRCClient) -> None:
    """Rows of dicts, of classes, of one column; the only row."""
    assert_type(client.query_with_cache(USER, [1], ["UserId"], 60), list[Row])
    assert_type(client.query_with_cache(USER, [1], one=True), Row | None)
    assert_type(client.query_with_cache(USER, [1], ["UserId"], 60, into=User), list[User])
    assert_type(client.query_with_cache(USER, [1], into=User, one=True, refresh=True), User | None)
    assert_type(client.query_with_cache(USER, [1], into=Struct), list[Struct])
    assert_type(client.query_with_cache(USER, [1], into=Attributes), list[Attributes])
    assert_type(client.query_with_cache(USER, [1], into=Model), list[Model])
    assert_type(client.query_with_cache(USER, [1], into=Named), list[Named])
    assert_type(client.query_with_cache(USER, [1], into=Columns), list[Columns])
    assert_type(client.query_with_cache(USER, [1], into=dict[str, int]), list[dict[str, int]])
    assert_type(client.query_with_cache("SELECT COUNT(*) FROM users", into=int, one=True), int | None)
    assert_type(client.query_with_cache(USER, {"id": 1}, ttl=60, into=Decimal), list[Decimal])
    assert_type(client.query(USER, [1]), list[Row])
    assert_type(client.query(USER, [1], one=True), Row | None)
    assert_type(client.query(USER, [1], into=User), list[User])
    assert_type(client.query(USER, [1], into=User, one=True), User | None)
    assert_type(client.query_many_with_cache([(USER, [1])]), list[list[Row]])
    assert_type(client.query_many_with_cache([(USER, [1])], into=User), list[list[User]])
    assert_type(client.query_many_with_cache([(USER, [1])], into=User, one=True), list[User | None])
    assert_type(client.query_many_with_cache([(USER, [1]), ("x",)], into=[User, int]), list[Any])
    assert_type(client.get_many(USERS, [1], key="id", name="UserId"), dict[int, Row])
    assert_type(client.get_many(USERS, {"a"}, key="id", name="UserId", into=User), dict[str, User])
    assert_type(client.execute("DELETE FROM users"), WriteResult)
    assert_type(client.drop_outdated_cache(["UserId"], [1]), int)
    client.wait_for(client.execute("DELETE FROM users").gtid, 5)
    name: str = client.query_with_cache(USER, [1])[0]["name"]
    print(name)


def wrong_reads(client: MRCClient) -> None:
    """What is wrong is found where it is written."""
    client.query_with_cache(USER, [1], into=User)[0].nmae  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    client.query_with_cache(USER, [1], into=User, one=True).name  # type: ignore[union-attr] # pyright: ignore[reportOptionalMemberAccess]
    client.query_with_cache(USER, [1], refesh=True)  # type: ignore[call-overload] # pyright: ignore[reportCallIssue]
    client.query_with_cache(1)  # type: ignore[call-overload] # pyright: ignore[reportArgumentType]
    client.query(USER, [1], into=User)[0].total  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    client.nonsense()  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    MRCClient(MYSQL, REDIS, timezone=2)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    MRCClient(MYSQL, REDIS, names_pace="x")  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]


def load() -> User:
    """Load one."""
    return User(1, "Ada")


async def load_later() -> User:
    """Load one, later."""
    return User(1, "Ada")


def functions(client: MRCClient) -> None:
    """They keep their types."""
    assert_type(client.with_cache(load, "user_v1"), User)
    assert_type(client.with_cache(lambda: {"a": 1}, "a_v1"), dict[str, int])
    assert_type(client.with_cache(load, "user_v1", into=User), User)
    assert_type(client.with_cache(lambda: [1], "users_v1", into=list[User]), list[User])


blocking = MRCClient(MYSQL, REDIS, timezone=ZoneInfo("Europe/Rome"))
facade = AsyncMRCClient(MYSQL, REDIS, timezone="UTC", namespace="shop")


@blocking.cached("user_v1", ["UserId"], into=User)
def user(user_id: int, *, deep: bool = False) -> User:
    """Load a user."""
    return User(user_id, str(deep))


@blocking.cached("names_v1", ["UserId"], ttl=60)
def names(user_id: int) -> list[dict[str, str]]:
    """Load names."""
    return [{"name": str(user_id)}]


@blocking.cached("count_v1")
def count() -> int | None:
    """Count."""
    return None


@facade.cached("user_v2", ["UserId"], into=User)
async def user_later(user_id: int) -> User:
    """Load a user."""
    return User(user_id, "Ada")


@facade.cached("count_v2")
async def count_later(store_id: int) -> int:
    """Count."""
    return store_id


@blocking.cached("when_v1")  # type: ignore[type-var] # pyright: ignore[reportArgumentType]
def when() -> datetime:
    """Load what JSON does not give back."""
    return datetime(2026, 1, 1)


@blocking.cached("ada_v1")  # type: ignore[type-var] # pyright: ignore[reportArgumentType]
def ada() -> User:
    """Load what JSON does not give back."""
    return User(1, "Ada")


def cached() -> None:
    """Arguments and results are those of the function."""
    assert_type(user(1, deep=True), User)
    assert_type(names(1), list[dict[str, str]])
    assert_type(count(), int | None)
    user("1")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    user(1, deeep=True)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    assert_type(user.key(1), str)
    assert_type(user.drop(1), bool)
    assert_type(user.refresh(1, deep=True), User)
    assert_type(names.uncached(1), list[dict[str, str]])
    user.drop("1")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


class Views:
    """Methods."""

    @blocking.cached("total_v1", {"user_id": "UserId"}, ignore=["self"], tags={"Table": "orders"})
    def total(self, user_id: int) -> int:
        """Add up."""
        return user_id

    @facade.cached("total_v2", ignore=["self"])
    async def total_later(self, user_id: int) -> int:
        """Add up, later."""
        return user_id


def methods(views: Views) -> None:
    """Bound to their object."""
    assert_type(views.total(1), int)
    assert_type(views.total.drop(1), bool)
    views.total("1")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


async def methods_later(views: Views) -> None:
    """The same, awaited."""
    assert_type(await views.total_later(1), int)
    assert_type(await views.total_later.refresh(1), int)
    assert_type(await user_later.drop(1), bool)
    task = asyncio.create_task(user_later(1))
    assert_type(await task, User)
    views.total_later.drop(1)  # type: ignore[unused-coroutine] # pyright: ignore[reportUnusedCoroutine]


def lifetimes(client: MRCClient) -> None:
    """Seconds, or what gives them."""
    client.query_with_cache("SELECT 1", ttl=lambda rows: 60 if rows else None)
    client.query_with_cache("SELECT 1", ttl="60")  # type: ignore[call-overload] # pyright: ignore[reportArgumentType]


later = MRCClient.deferred()
assert_type(later, MRCClient)
later.configure(MYSQL, REDIS, namespace="shop")
later.configur(MYSQL)  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


def aids_for_tests(mysql: str, redis: str, later: AsyncMRCClient) -> None:
    """Of either client."""
    with (
        fresh_client(mysql, redis, index=True) as client,
        recording(client, later, names={"users": "Id"}) as seen,
    ):
        assert_type(client, MRCClient)
        assert_type(seen, Recorder)
        assert_type(seen.loads, list[str])
        with client.disabled(), later.disabled(), disabled(client, later), unavailable(client):
            assert_type(elapse(later, timedelta(hours=1)), int)


async def reads_later(client: AsyncMRCClient) -> None:
    """The same, awaited."""
    assert_type(await client.query_with_cache(USER, [1], ["UserId"], 60), list[Row])
    assert_type(await client.query_with_cache(USER, [1], one=True), Row | None)
    assert_type(await client.query_with_cache(USER, [1], into=User), list[User])
    assert_type(await client.query_with_cache(USER, [1], into=User, one=True, cache=False), User | None)
    assert_type(await client.query(USER, [1]), list[Row])
    assert_type(await client.query(USER, [1], into=User, one=True), User | None)
    assert_type(await client.query_many_with_cache([(USER, [1])], into=int), list[list[int]])
    assert_type(await client.get_many(USERS, [1], key="id", name="UserId", into=User), dict[int, User])
    assert_type(await client.with_cache(load_later, "user_v1"), User)
    assert_type(await client.with_cache(load, "user_v1"), User)
    assert_type(await client.with_cache(load_later, "user_v1", into=User), User)
    assert_type(await user_later(1), User)
    assert_type(await client.drop_outdated_cache(["UserId"], [1]), int)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(count_later(6))
    assert_type(task.result(), int)
    assert_type(asyncio.create_task(user_later(1)), asyncio.Task[User])
    again: Callable[[int], Coroutine[Any, Any, User]] = user_later
    print(again)


async def forgotten(client: AsyncMRCClient) -> None:
    """An await that is not there is an error."""
    client.query_with_cache(USER, [1])  # type: ignore[unused-coroutine] # pyright: ignore[reportUnusedCoroutine]
    client.query_with_cache(USER, [1], into=User)[0]  # type: ignore[index] # pyright: ignore[reportIndexIssue]
    client.query(USER, [1])  # type: ignore[unused-coroutine] # pyright: ignore[reportUnusedCoroutine]
    client.with_cache(load, "x")  # type: ignore[unused-coroutine] # pyright: ignore[reportUnusedCoroutine]
    client.drop_outdated_cache(["UserId"], [1])  # type: ignore[unused-coroutine] # pyright: ignore[reportUnusedCoroutine]
    client.execute("DELETE FROM users")  # type: ignore[unused-coroutine] # pyright: ignore[reportUnusedCoroutine]
    user_later(1)  # type: ignore[unused-coroutine] # pyright: ignore[reportUnusedCoroutine]
    await client.query_with_cache(USER, refesh=True)  # type: ignore[call-overload] # pyright: ignore[reportCallIssue]


async def blocks() -> None:
    """``async with`` gives the facades."""
    async with MRCClient(MYSQL, REDIS) as client:
        assert_type(client, AsyncMRCClient)
        assert_type(await client.query_with_cache(USER, [1], into=User), list[User])
        client.drop_outdated_cache(["UserId"], [1])  # type: ignore[unused-coroutine] # pyright: ignore[reportUnusedCoroutine]
        client.nonsense  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
        async with client.transaction() as tx:
            assert_type(await tx.query(USER, [1]), list[Row])
            tx.execute("DELETE FROM users")  # type: ignore[unused-coroutine] # pyright: ignore[reportUnusedCoroutine]
    async with MRCServer(REDIS) as server:
        assert_type(server, AsyncMRCServer)
        server.drop_outdated_cache(["UserId"], [1])  # type: ignore[unused-coroutine] # pyright: ignore[reportUnusedCoroutine]
        server.wait_for("0-1-7", 5)  # type: ignore[unused-coroutine] # pyright: ignore[reportUnusedCoroutine]
    with MRCClient(MYSQL, REDIS) as plain:
        assert_type(plain, MRCClient)
    with blocking.transaction() as inside:
        assert_type(inside.query(USER, [1]), list[Row])


def frameworks(cache: MRC, session: Session, async_session: AsyncSession, client: AsyncMRCClient) -> None:
    """What belongs to an application is a client; what a session is followed by takes drops."""

    @cache.cached("greeting", ["UserId"])
    def greeting(user: int) -> str:
        return str(user)

    assert_type(greeting(1), str)
    assert_type(cache.query_with_cache(USER, [1], into=User, one=True), User | None)
    assert_type(cache.query_with_cache(*statement(text(USER)), ttl=60, into=User), list[User])
    assert_type(cache.client, MRCClient)
    after_commit(session, cache).drop_outdated_cache(["UserId"], [1])
    after_commit(async_session, client).drop_many("UserId", [1])
    after_commit(session, cache).query(USER)  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


async def dependencies(cache: Cache, blocking: BlockingCache) -> None:
    """They are the two clients."""
    assert_type(await cache.query_with_cache(USER, [1]), list[Row])
    assert_type(blocking.query_with_cache(USER, [1]), list[Row])
