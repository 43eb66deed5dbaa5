"""Large and odd shapes: long keys, long values, many rows, wide rows, none; within stated memory."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pymysql
import pytest

from mysql_redis_cache import CacheUnavailable, DatabaseUnavailable, MRCClient, MRCServer
from tests.support.counted import counted
from tests.support.urls import patient
from tools.private_servers import PrivateMySQL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis

    from tests.support.proxy import Proxy
    from tools.private_servers import PrivateRedis

ROOT = Path(__file__).parents[2]
MB = 1 << 20


@pytest.fixture
def client(mysql_url: str, redis_url: str) -> Iterator[MRCClient]:
    with MRCClient(mysql_url, patient(redis_url)) as client:
        yield client


def both(client: MRCClient, query: str, params: list[Any] | None = None, names: tuple[str, ...] = ()) -> Any:
    """Read twice; return what the miss gave, the hit having given the same."""
    before = client.stats()
    missed = client.query_with_cache(query, params, names)
    hit = client.query_with_cache(query, params, names)
    after = client.stats()
    assert (after["misses"] - before.get("misses", 0), after["hits"] - before.get("hits", 0)) == (1, 1)
    assert missed == hit
    return missed


# Shapes


def test_no_rows(client: MRCClient) -> None:
    """An empty answer is an answer, and is cached."""
    assert both(client, "SELECT 1 AS n FROM (SELECT 1) AS t WHERE 1 = ?", [0]) == []


@pytest.mark.parametrize("value", ["", None, [], {}])
def test_empty_values(client: MRCClient, value: object) -> None:
    """A cached nothing is no miss."""
    calls = []
    for _ in range(2):
        assert client.with_cache(lambda: calls.append(1) or value, "empty") == value
    assert calls == [1]


def test_as_many_columns_as_there_may_be(client: MRCClient) -> None:
    """4,096 of them, in order."""
    columns = ", ".join(f"{number} AS c{number}" for number in range(4096))
    (row,) = both(client, f"SELECT {columns}")

    assert list(row.items()) == [(f"c{number}", number) for number in range(4096)]


def test_a_thousand_params(client: MRCClient) -> None:
    """One by one, with a name each, and as one list; a drop by the last finds the entry."""
    numbers = list(range(1000))
    marks = ", ".join("?" * 1000)
    names = tuple(f"N{number}" for number in numbers)
    (row,) = both(client, f"SELECT {', '.join(f'? AS c{number}' for number in numbers)}", numbers, names)

    assert list(row.values()) == numbers
    assert both(client, f"SELECT 7 IN ({marks}) AS found", numbers) == [{"found": 1}]
    assert both(client, "SELECT 7 IN (?) AS found", [numbers], ("Ids",)) == [{"found": 1}]
    assert client.drop_outdated_cache(["N999"], [999]) == 1
    assert client.drop_outdated_cache(["Ids"], [999]) == 1


@pytest.mark.parametrize("index", [False, True], ids=["walk", "index"])
def test_a_key_of_a_megabyte(mysql_url: str, redis_url: str, index: bool) -> None:
    """A long text is part of the key; a drop of it finds its entry and not that of one letter less."""
    text, shorter = "ä" * (MB // 2), "ä" * (MB // 2 - 1)
    with MRCClient(mysql_url, patient(redis_url), index=index) as client:
        for value in (text, shorter):
            length = both(client, "SELECT CHAR_LENGTH(?) AS n", [value], ("Text",))
            assert length == [{"n": len(value)}]
        assert len(client.get_key_from_query("SELECT CHAR_LENGTH(?) AS n", [text], ["Text"])) > MB // 2
        with MRCServer(patient(redis_url), index=index) as server:
            assert server.drop_outdated_cache(["Text"], [text]) == 1
        client.query_with_cache("SELECT CHAR_LENGTH(?) AS n", [shorter], ["Text"])
        assert counted(client.stats()) == {"misses": 2, "fills": 2, "hits": 3}


# max_entry_bytes


def test_results_too_large_are_returned_and_counted(
    mysql_url: str, redis_url: str, redis_client: redis.Redis
) -> None:
    """Exactly that size still fits; one byte more is not stored."""
    with MRCClient(mysql_url, redis_url, max_entry_bytes=len('[{"v":"xxxxx"}]')) as client:
        for length in (5, 6):
            for _ in range(2):
                rows = client.query_with_cache("SELECT REPEAT('x', ?) AS v", [length], ["N"])
                assert rows == [{"v": "x" * length}]
        assert counted(client.stats()) == {"misses": 3, "hits": 1, "fills": 1, "oversized_entries": 2}
    assert len(redis_client.keys("N=*")) == 1


def test_a_value_too_large_to_write_takes_the_place_of_the_old_one(mysql_url: str, redis_url: str) -> None:
    """It is not stored, and what was there before is outdated."""
    with MRCClient(mysql_url, redis_url, max_entry_bytes=10) as client:
        client.write_to_cache("value", "old", [1], ["Id"])
        client.write_to_cache("value", "new and too long", [1], ["Id"])

        assert client.read_from_cache("value", [1], ["Id"], "nothing") == "nothing"
        assert client.stats()["oversized_entries"] == 1


# Many bytes

PEAKS = """
import sys
from mysql_redis_cache import MRCClient

mysql_url, redis_url, query, size, hits = sys.argv[1:]

def peak():
    (line,) = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024

def read():
    return client.query_with_cache(query, [int(size)], ["Size"])

with MRCClient(mysql_url, redis_url) as client:
    client.with_cache(lambda: 1, "warm")
    client.query("SELECT 1")
    before = peak()
    rows = read()
    print(round(peak() - before), len(rows), client.stats())
    for _ in range(int(hits)):
        assert read() == rows
    assert [row.get("id", place) for place, row in enumerate(rows)] == list(range(len(rows)))
"""

# How many megabytes a large value has; its memory is in proportion.
LARGE_MB = int(os.environ.get("MRC_LARGE_MB", "16"))
# What docs/explanation/values.md states: so many times the JSON's bytes while a read lasts.
MISS, HIT = 7, 5
DIGITS = "SELECT 0 AS n" + "".join(f" UNION SELECT {digit}" for digit in range(1, 10))
LARGE = f"SELECT REPEAT('x', 1 << 23) AS v FROM ({DIGITS}) AS digits WHERE n < ? / 8"
MANY = (
    "SELECT a.n + 10 * b.n + 100 * c.n + 1000 * d.n + 10000 * e.n AS id, 'a name' AS name, 1.5 AS price, "
    f"NULL AS nothing FROM {', '.join(f'({DIGITS}) AS {name}' for name in 'abcde')} WHERE ? ORDER BY id"
)


def peaks(*arguments: object) -> tuple[int, int, str]:
    """Read in a process of its own: megabytes it grew by at most, rows, counters."""
    command = [sys.executable, "-c", PEAKS, *map(str, arguments)]
    run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert run.returncode == 0, run.stderr
    grown, rows, counters = run.stdout.split(" ", 2)
    return int(grown), int(rows), counters


def test_large_values(mysql_url: str, redis_url: str) -> None:
    """Read, cached and read again within the memory that the docs state; MRC_LARGE_MB=64 takes longer."""
    missed, _, counters = peaks(mysql_url, patient(redis_url), LARGE, LARGE_MB, 0)
    assert "fills=2" in counters
    hit, _, counters = peaks(mysql_url, patient(redis_url), LARGE, LARGE_MB, 0)
    print(f"{LARGE_MB} MB: a miss took {missed} MB more, a hit {hit}; {counters}")

    assert "hits=2" in counters
    assert missed < MISS * LARGE_MB
    assert hit < HIT * LARGE_MB


def test_100_000_rows(mysql_url: str, redis_url: str) -> None:
    """The hit is the miss, within memory that follows their number."""
    grown, rows, counters = peaks(mysql_url, patient(redis_url), MANY, 1, 1)
    print(f"100,000 rows: a miss took {grown} MB more; {counters}")

    assert rows == 100_000
    assert grown < 100


# Around the size of a packet of MySQL's protocol, which is 16 MiB less one byte

PACKET = 2**24 - 1
TIMES = (1, 2, 3)  # MySQL takes 64 MiB unless told otherwise
AROUND = (-1, 0, 1)


@pytest.fixture(scope="module")
def roomy_url(mysql_server_url: str) -> Iterator[str]:
    """A server that takes statements of 64 MiB."""
    if "MRC_TEST_MYSQL_URL" in os.environ:
        yield mysql_server_url
        return
    with PrivateMySQL(("--max-allowed-packet=64M",)) as server:
        yield server.url


@pytest.mark.real
@pytest.mark.parametrize("times", TIMES)
def test_statements_of_any_size_the_server_takes(roomy_url: str, times: int) -> None:
    """Both ways to send them, each executed once, and the next reply is the next statement's."""
    with MRCClient(f"{roomy_url}?maxsize=1&read_timeout=60") as client:
        for more in AROUND:
            rest = len("SELECT LENGTH('') AS n") + 1  # with the byte that says what is asked
            text = "x" * (PACKET * times + more - rest)
            assert client.query("SELECT LENGTH(?) AS n", [text]) == [{"n": len(text)}]
            assert client.query("SELECT 7 AS n") == [{"n": 7}]
            with client.get_mysql_pool().connection() as connection, connection.cursor() as cursor:
                cursor.execute(f"SELECT LENGTH('{text}') AS n")
                assert cursor.fetchall() == ((len(text),),)


@pytest.mark.real
@pytest.mark.parametrize("times", TIMES)
def test_rows_of_any_size_the_server_sends(roomy_url: str, times: int) -> None:
    """Whether they end with a packet or within one, whether the first value or the last is the long one."""
    with MRCClient(f"{roomy_url}?maxsize=1&read_timeout=60") as client:
        for more in AROUND:
            size = PACKET * times + more - 9  # with the value's own length before it
            rows = client.query(f"SELECT REPEAT('x', {size}) AS v UNION ALL SELECT 'y'")
            assert rows == [{"v": "x" * size}, {"v": "y"}]
            rows = client.query(f"SELECT 1 AS n, REPEAT('x', {size - 2}) AS v UNION ALL SELECT 2, 'y'")
            assert rows == [{"n": 1, "v": "x" * (size - 2)}, {"n": 2, "v": "y"}]
            assert client.query("SELECT 7 AS n") == [{"n": 7}]
            with client.get_mysql_pool().connection() as connection, connection.cursor() as cursor:
                cursor.execute(f"SELECT REPEAT('x', {size})")
                assert len(cursor.fetchall()[0][0]) == size


@pytest.mark.real
def test_a_large_write_happens_once(roomy_url: str) -> None:
    """A blob of 9 MB is 18 MB as a statement."""
    schema = f"large_{uuid.uuid4().hex[:8]}"
    with MRCClient(f"{roomy_url}?read_timeout=60") as client:
        client.execute(f"CREATE DATABASE {schema}")
        try:
            client.execute(f"CREATE TABLE {schema}.t (id INT PRIMARY KEY AUTO_INCREMENT, b LONGBLOB)")
            data = bytes(range(256)) * (9 * MB // 256)
            assert client.execute(f"INSERT INTO {schema}.t (b) VALUES (?)", [data]).affected_rows == 1
            with client.transaction() as tx:
                tx.execute(f"INSERT INTO {schema}.t (b) VALUES (?)", [data])
            assert client.query(f"SELECT COUNT(*) AS n, MAX(b) = MIN(b) AS same FROM {schema}.t") == [
                {"n": 2, "same": 1}
            ]
            assert client.query(f"SELECT b FROM {schema}.t LIMIT 1") == [{"b": data}]
        finally:
            client.execute(f"DROP DATABASE {schema}")


@pytest.mark.real
def test_the_largest_statement_and_one_byte_more(roomy_url: str) -> None:
    """The first is answered; the second is refused before it is sent, by an error that is no outage."""
    with MRCClient(f"{roomy_url}?maxsize=1&read_timeout=60") as client:
        most = client.query("SELECT @@max_allowed_packet AS n")[0]["n"] - 2
        rest = len("SELECT LENGTH('') AS n")
        text = "x" * (most - rest)
        assert client.query("SELECT LENGTH(?) AS n", [text]) == [{"n": len(text)}]
        with pytest.raises(
            pymysql.OperationalError, match=r"max_allowed_packet.; nothing was sent"
        ) as caught:
            client.query("SELECT LENGTH(?) AS n", [text + "x"])
        assert not isinstance(caught.value, ConnectionError)
        assert caught.value.args[0] == 1153


# Beyond what a server takes


def test_a_statement_larger_than_the_server_takes(client: MRCClient) -> None:
    """The error names the setting, nothing of the statement, and the next statement works."""
    (row,) = client.query("SELECT @@max_allowed_packet AS most")
    text = "secret" * (row["most"] // 6 + 1)
    for ask, statement in ((client.query, "SELECT LENGTH(?) AS n"), (client.execute, "DO LENGTH(?)")):
        with pytest.raises((pymysql.OperationalError, DatabaseUnavailable)) as caught:
            ask(statement, [text])
        assert "max_allowed_packet" in str(caught.value)
        assert "secret" not in str(caught.value)
        assert client.execute("DO 1").affected_rows == 0
    assert client.get_mysql_pool().in_use == 0


def test_a_value_larger_than_redis_takes(mysql_url: str, private_redis: Callable[..., PrivateRedis]) -> None:
    """Its reads are answered, uncached; other reads go on being cached; writing it raises."""
    server = private_redis("--proto-max-bulk-len", "1mb")
    with MRCClient(mysql_url, patient(server.url)) as client:
        for number in range(6):
            assert client.with_cache(lambda: "x" * 3 * MB, "large", [number], ["Id"]) == "x" * 3 * MB
        for _ in range(2):
            assert client.with_cache(lambda: 1, "small") == 1
        assert client.stats()["hits"] == 1
        with pytest.raises(CacheUnavailable):
            client.write_to_cache("large", "x" * 3 * MB)


def test_one_slow_large_value_does_not_cost_the_others_the_cache(
    mysql_url: str, redis_url: str, proxy_to: Callable[..., Proxy]
) -> None:
    """Its reads take as long as it takes to come, at more than a megabyte a second."""
    proxy = proxy_to(redis_url)
    with MRCClient(mysql_url, f"{proxy.url}?socket_timeout=1") as client:
        large, small = (lambda: "x" * 2 * MB), (lambda: 1)
        client.with_cache(large, "large")
        client.with_cache(small, "small")
        proxy.drip(65536, 0.02)  # 3 MB a second
        assert client.with_cache(large, "large") == "x" * 2 * MB
        proxy.drip(0, 0)
        assert client.with_cache(small, "small") == 1
        assert counted(client.stats()) == {"misses": 2, "fills": 2, "hits": 2}


def test_a_large_value_is_sent_at_the_pace_of_the_network(
    mysql_url: str, redis_url: str, proxy_to: Callable[..., Proxy]
) -> None:
    """A socket's timeout bounds the sending of a whole buffer; here each piece has it."""
    proxy = proxy_to(redis_url)
    with MRCClient(mysql_url, f"{proxy.url}?socket_timeout=0.5") as client:
        client.with_cache(lambda: 1, "small")
        proxy.drip(65536, 0.008, "requests")  # 8 MB a second, or less on a busy machine
        client.with_cache(lambda: "x" * 10 * MB, "large")
        assert counted(client.stats()) == {"misses": 2, "fills": 2}
