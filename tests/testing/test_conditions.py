"""What tests put an application under: no cache, no Redis, time that has passed."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from mysql_redis_cache import AsyncMRCClient, AsyncMRCServer, CacheUnavailable, MRCClient, MRCServer
from mysql_redis_cache.testing import disabled, elapse, fresh_client, fresh_namespace, unavailable
from tests.support.cluster import PrivateCluster

if TYPE_CHECKING:
    from collections.abc import Iterator

    import redis

QUERY = ("SELECT ? AS n", [1], ["N"])
LIST = "SELECT 5 AS n WHERE 5 IN (?)"
ROWS = [{"n": 1}]


@pytest.fixture
def client(mysql_url: str, redis_url: str) -> Iterator[MRCClient]:
    with fresh_client(mysql_url, redis_url) as client:
        yield client


def counted(client: MRCClient) -> tuple[int, int]:
    """Return how many hits and misses there were."""
    stats = client.stats()
    return stats.hits, stats.misses


def test_a_fresh_client_sees_and_leaves_nothing(
    mysql_url: str, redis_url: str, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has a namespace of its own, and drops what is in it; others' entries stay."""
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw3")
    assert fresh_namespace().startswith("test-gw3-")
    assert fresh_namespace() != fresh_namespace()

    with fresh_client(mysql_url, redis_url) as other:
        other.query_with_cache(*QUERY)
        with fresh_client(mysql_url, redis_url, index=True) as client:
            client.query_with_cache(*QUERY)
            assert counted(client) == (0, 1)
        assert len(redis_client.keys("test-*")) == 1
    assert redis_client.keys("test-*") == []


def test_a_fresh_client_ends_without_redis(mysql_url: str) -> None:
    """A test of an outage may leave Redis away."""
    with fresh_client(mysql_url, "redis://127.0.0.1:1") as client:
        assert client.query_with_cache(*QUERY) == ROWS


def test_disabled_is_for_all_threads(client: MRCClient) -> None:
    """Unlike ``client.disabled()``: a test does not know where the application asks."""
    client.query_with_cache(*QUERY)
    with disabled(client, AsyncMRCClient(client)):
        thread = threading.Thread(target=client.query_with_cache, args=QUERY)
        thread.start()
        thread.join()
        assert anyio.run(AsyncMRCClient(client).query_with_cache, *QUERY) == ROWS
        assert client.read_from_cache(*QUERY, "nothing") == "nothing"
    assert counted(client) == (0, 1)
    client.query_with_cache(*QUERY)
    assert counted(client) == (1, 1)


def test_disabled_is_for_clients(redis_url: str) -> None:
    """A server reads nothing."""
    with MRCServer(redis_url) as server, pytest.raises(TypeError, match="for clients"), disabled(server):  # type: ignore[arg-type]
        pass
    with pytest.raises(TypeError, match="client or server of mysql_redis_cache, not str"), disabled("client"):  # type: ignore[arg-type]
        pass


@pytest.mark.parametrize("options", [{}, {"index": True}, {"near": True}], ids=["plain", "index", "near"])
def test_while_redis_is_unavailable(mysql_url: str, redis_url: str, options: dict[str, Any]) -> None:
    """Reads go to MySQL, drops raise, nothing waits; after the block all is as before, at once."""
    with fresh_client(mysql_url, redis_url, **options) as client:
        server = MRCServer(redis_url)
        client.query_with_cache(*QUERY)
        hits, misses = counted(client)
        with unavailable(client, server):
            for _ in range(10):
                assert client.query_with_cache(*QUERY) == ROWS
                assert client.get_many(LIST, [5], key="n", name="N") == {5: {"n": 5}}
            for face in (client, server):
                with pytest.raises(CacheUnavailable, match="by unavailable"):
                    face.drop_outdated_cache(["N"], [1])
            with pytest.raises(CacheUnavailable):
                client.write_to_cache("a", 1)
            assert client.read_from_cache(*QUERY, "nothing") == "nothing"
        assert counted(client) == (hits, misses)
        assert client.query_with_cache(*QUERY) == ROWS
        assert counted(client)[1] == misses
        assert client.drop_outdated_cache(["N"], [1]) == 1
        server.close()


def test_a_lease_that_could_not_be_given_back(client: MRCClient, redis_client: redis.Redis) -> None:
    """It is after the block, so that the next read may load and fill."""

    def load() -> int:
        away.__enter__()
        return 1

    away = unavailable(client)
    client.with_cache(load, "one")
    away.__exit__(None, None, None)
    assert redis_client.keys("*:lease") == []


def test_the_block_may_end_by_an_error(client: MRCClient) -> None:
    """As a test does that fails: the next one finds all as it was."""
    client.query_with_cache(*QUERY)
    with suppress(LookupError), unavailable(client):
        for _ in range(10):
            client.query_with_cache(*QUERY)
        raise LookupError
    client.query_with_cache(*QUERY)
    assert counted(client) == (1, 1)


def test_unavailable_to_the_facades(client: MRCClient, redis_url: str) -> None:
    """They are faces of the same."""

    async def main() -> None:
        async with AsyncMRCServer(redis_url) as server:
            facade = AsyncMRCClient(client)
            with unavailable(facade, server):
                assert await facade.query_with_cache(*QUERY) == ROWS
                with pytest.raises(CacheUnavailable):
                    await server.drop_outdated_cache(["N"], [1])
            assert await server.drop_outdated_cache(["N"], [1]) == 0

    anyio.run(main)


def test_a_cluster_is_unavailable_as_well(mysql_url: str) -> None:
    """And its entries grow older."""
    with PrivateCluster() as cluster, fresh_client(mysql_url, cluster.client()) as client:
        client.query_with_cache(*QUERY, 100)
        with unavailable(client):
            assert client.query_with_cache(*QUERY) == ROWS
            with pytest.raises(CacheUnavailable):
                client.drop_outdated_cache(["N"], [1])
        assert elapse(client, 200) == 1


@pytest.mark.parametrize("near", [False, True])
def test_time_that_has_passed(mysql_url: str, redis_url: str, redis_client: redis.Redis, near: bool) -> None:
    """Entries of the namespace are older, each by as much; those of others, and what has no end, are not."""
    redis_client.set("foreign", "x", ex=50)
    with fresh_client(mysql_url, redis_url, near=near) as client:
        client.query_with_cache(*QUERY, 100)
        client.query_with_cache("SELECT 2 AS n", ttl=1000)
        for _ in range(3):
            client.query_with_cache(*QUERY)

        assert elapse(client, 60) == 0
        assert client.read_from_cache(*QUERY) == ROWS
        assert elapse(client, 60) == 1
        assert client.read_from_cache(*QUERY, "nothing") == "nothing"
        assert client.read_from_cache("SELECT 2 AS n") == [{"n": 2}]
        assert elapse(client, 2000) == 1
        assert redis_client.ttl("foreign") > 40
        with pytest.raises(ValueError, match="seconds must be at least 0"):
            elapse(client, -1)


def test_an_entry_in_its_grace(mysql_url: str, redis_url: str) -> None:
    """Past its ttl it is served if the load fails."""
    with fresh_client(mysql_url, redis_url, stale_if_error=1000) as client:
        answers: list[Any] = [1]
        client.with_cache(answers.pop, "number", ttl=100)
        elapse(client, 200)
        assert client.with_cache(answers.pop, "number", ttl=100) == 1
        assert elapse(client, 2000) == 1
        with pytest.raises(IndexError):
            client.with_cache(answers.pop, "number", ttl=100)


def test_a_client_without_redis(mysql_url: str) -> None:
    """Has no entries that could be older, and no Redis that could be away."""
    with MRCClient(mysql_url) as client, unavailable(client):
        assert elapse(client, 5) == 0
        assert client.query_with_cache(*QUERY) == ROWS
