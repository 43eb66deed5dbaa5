"""``contrib.fastapi`` and ``contrib.starlette``: a client as long as the application runs."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

import pytest
from fastapi import Depends, FastAPI, HTTPException, WebSocket
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Mount, Route

from mysql_redis_cache import ClosedError, MRCClient, Transaction
from mysql_redis_cache.contrib import starlette
from mysql_redis_cache.contrib.fastapi import BlockingCache, Cache, cache_of, lifespan
from tests.contrib.conftest import USER
from tests.support.counted import counted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@pytest.fixture
def app(mysql_url: str, redis_url: str, tables: None) -> FastAPI:
    """An application without endpoints."""
    return FastAPI(lifespan=lifespan(mysql_url, redis_url, namespace="shop"))


def test_endpoints_are_given_the_client(app: FastAPI) -> None:
    """Coroutines its asynchronous face, functions the blocking one: the same entries and counters."""

    @app.get("/async")
    async def read(cache: Cache) -> Any:
        return await cache.query_with_cache(USER, [1], ["UserId"])

    @app.get("/blocking")
    def read_blocking(cache: BlockingCache) -> Any:
        return [cache.query_with_cache(USER, [1], ["UserId"]), counted(cache.stats())]

    with TestClient(app) as browser:
        assert browser.get("/async").json() == [{"name": "Ada"}]
        assert browser.get("/blocking").json() == [
            [{"name": "Ada"}],
            {"misses": 1, "fills": 1, "hits": 1},
        ]


def test_websockets_are_given_it_too(app: FastAPI) -> None:
    """As requests are."""

    @app.websocket("/names")
    async def names(socket: WebSocket, cache: Cache) -> None:
        await socket.accept()
        await socket.send_json(await cache.query_with_cache(USER, [1], ["UserId"]))

    with TestClient(app) as browser, browser.websocket_connect("/names") as socket:
        assert socket.receive_json() == [{"name": "Ada"}]


def test_it_is_open_as_long_as_the_application_runs(app: FastAPI) -> None:
    """And a new one is made when that starts again, as it does in each test."""
    seen: list[MRCClient] = []

    @app.get("/")
    def read(cache: BlockingCache) -> Any:
        seen.append(cache)
        return cache.query_with_cache(USER, [1], ["UserId"])

    for _ in range(2):
        with TestClient(app) as browser:
            assert browser.get("/").json() == [{"name": "Ada"}]
        with pytest.raises(ClosedError):
            seen[-1].query("SELECT 1")
    assert seen[0] is not seen[1]


def test_a_lifespan_of_one_s_own_enters_it(mysql_url: str, redis_url: str, tables: None) -> None:
    """And adds to what requests have."""

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        async with lifespan(mysql_url, redis_url)(app) as state:
            yield {**state, "more": 1}

    app = FastAPI(lifespan=life)

    @app.get("/")
    async def read(cache: Cache) -> Any:
        return await cache.query_with_cache(USER, [1], ["UserId"])

    with TestClient(app) as browser:
        assert browser.get("/").json() == [{"name": "Ada"}]
        assert browser.app_state["more"] == 1


def test_without_the_lifespan_it_says_so() -> None:
    """Where it was not given, and where a test does not enter it."""
    app = FastAPI(lifespan=lifespan("mysql://localhost", None))

    @app.get("/")
    async def read(cache: Cache) -> None: ...

    for each in (app, FastAPI(routes=app.routes)):
        with pytest.raises(RuntimeError, match="give it lifespan=lifespan"):
            TestClient(each).get("/")


def test_a_bad_config_ends_the_start() -> None:
    """Not the first request."""
    app = FastAPI(lifespan=lifespan("mysql://localhost", "http://localhost"))

    with pytest.raises(ValueError, match="redis://"), TestClient(app):
        pass


def test_a_test_gives_a_client_of_its_own(app: FastAPI, mysql_url: str) -> None:
    """As it does for any dependency."""

    @app.get("/")
    async def read(cache: Cache) -> Any:
        return await cache.query("SELECT 1 AS one")

    class Fake:
        async def query(self, query: str) -> list[int]:
            return [1]

    app.dependency_overrides[cache_of] = Fake
    assert TestClient(app).get("/").json() == [1]


def unit_of_work(cache: BlockingCache) -> Iterator[Transaction]:
    with cache.transaction() as tx:
        yield tx


UnitOfWork = Annotated[Transaction, Depends(unit_of_work, scope="function")]


def test_a_dependency_is_a_transaction_around_the_endpoint(app: FastAPI) -> None:
    """FastAPI ends it in another thread and context: committed before the answer, or rolled back."""

    @app.get("/")
    async def read(cache: Cache) -> Any:
        return await cache.query_with_cache(USER, [1], ["UserId"])

    @app.put("/{name}")
    def rename(name: str, tx: UnitOfWork) -> None:
        tx.execute("UPDATE users SET name = ? WHERE id = 1", [name])
        tx.drop_outdated_cache(["UserId"], [1])
        if name == "Bob":
            raise HTTPException(409)

    with TestClient(app) as browser:
        assert browser.get("/").json() == [{"name": "Ada"}]
        assert browser.put("/Ann").status_code == 200
        assert browser.get("/").json() == [{"name": "Ann"}]
        assert browser.put("/Bob").status_code == 409
        assert browser.get("/").json() == [{"name": "Ann"}]


def test_starlette_alone(mysql_url: str, redis_url: str, tables: None) -> None:
    """Endpoints ask for the client of their request, those of mounted applications too."""

    async def user(request: Any) -> JSONResponse:
        cache = starlette.cache_of(request)
        return JSONResponse(await cache.query_with_cache(USER, [1], ["UserId"]))

    def name(request: Any) -> PlainTextResponse:
        cache = starlette.blocking_cache_of(request)
        return PlainTextResponse(cache.query_with_cache(USER, [1], ["UserId"])[0]["name"])

    inner = Starlette(routes=[Route("/name", name)])
    app = Starlette(
        routes=[Route("/user", user), Mount("/inner", inner)],
        lifespan=starlette.lifespan(mysql_url, redis_url),
    )

    with TestClient(app) as browser:
        assert browser.get("/user").json() == [{"name": "Ada"}]
        assert browser.get("/inner/name").text == "Ada"
