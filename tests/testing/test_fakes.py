"""On a fake Redis: the very protocol, in one process."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import fakeredis
import pytest

from mysql_redis_cache import CacheUnavailable, MRCClient, MRCServer
from mysql_redis_cache.testing import elapse, fake_redis, fresh_client, recording, unavailable
from mysql_redis_cache.testing.faces import prefix_of

if TYPE_CHECKING:
    from collections.abc import Iterator

NOWHERE = "mysql://127.0.0.1:1/none"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with fake_redis() as url:
        yield url


@pytest.mark.parametrize("index", [False, True])
def test_reads_and_drops(url: str, index: bool) -> None:
    """With an index too, though the fake has no INFO."""
    answers = iter(range(100))
    with fresh_client(NOWHERE, url, index=index, stale_if_error=10) as client:
        names = prefix_of(client)[:-1]
        for _ in range(2):
            assert client.with_cache(lambda: next(answers), "q", [1, "x" * 100], ["A", "B"]) == 0
        with MRCServer(url, namespace=names, index=index) as server:
            assert server.drop_outdated_cache(["A", "B"], [1, "x" * 100]) == 1
            assert server.drop_outdated_cache(["A"], [1]) == 0
        assert client.with_cache(lambda: next(answers), "q", [1, "x" * 100], ["A", "B"], refresh=True) == 1
        client.write_to_cache("q", 2, [2], ["A"])
        assert client.drop_many("A", range(10)) == 2
        assert client.drop_query("q", any_params=True) == 0


def test_one_load_of_a_cold_key(url: str) -> None:
    """Among clients, as among processes."""
    loads: list[int] = []
    start = threading.Barrier(8)

    def load() -> int:
        loads.append(1)
        return 7

    with fresh_client(NOWHERE, url) as one, fresh_client(NOWHERE, url, namespace=prefix_of(one)[:-1]) as two:

        def ask(number: int) -> int:
            start.wait(10)
            return (one, two)[number % 2].with_cache(load, "q")

        with ThreadPoolExecutor(8) as threads:
            assert [*threads.map(ask, range(8))] == [7] * 8
    assert loads == [1]


def test_conditions_and_recordings(url: str) -> None:
    """All of them work there."""
    with fresh_client(NOWHERE, url) as client, recording(client) as seen:
        client.with_cache(lambda: 1, "q", ttl=100)
        client.with_cache(lambda: 1, "q", ttl=100)
        seen.assert_reads(hits=1, loads=1)
        assert elapse(client, 200) == 1
        with unavailable(client), pytest.raises(CacheUnavailable):
            client.drop_all()
        assert client.drop_all() == 0


def test_a_client_of_the_fake_is_refused() -> None:
    """Its connections are none; the message says what to do."""
    with pytest.raises(TypeError, match="is a client of fakeredis"):
        MRCClient(NOWHERE, fakeredis.FakeRedis())


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names it."""
    monkeypatch.setattr("mysql_redis_cache.testing.fakes.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r'fakeredis and lupa: pip install "fakeredis\[lua\]"'):
        fake_redis().__enter__()
