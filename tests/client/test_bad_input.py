"""Bad input: refused before anything is sent, with what to do instead and without anybody's values."""

from __future__ import annotations

import math
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from mysql_redis_cache import AsyncMRCClient, MRCClient, MRCServer
from mysql_redis_cache.policy import LONGEST_WAIT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.proxy import Proxy

pytestmark = pytest.mark.anyio

QUERY = "SELECT * FROM users WHERE id = ?"
SECRET = "hunter2-secret"


class Opaque:
    """Something without text or JSON form."""

    def __repr__(self) -> str:
        return SECRET

    async def fetch(self) -> int:
        return 42


class HugeInt(int):
    """An int that is none by its type."""


class Half(Enum):
    """Text that UTF-8 cannot carry."""

    PAIR = "hunter2-secret\ud83d"


async def perform(call: Callable[[Any], Any], client: Any) -> None:
    """Make a call; what is no coroutine is done already."""
    called = call(client)
    if not isinstance(called, str):
        await called


async def answer() -> int:
    """A coroutine function, for callers who may not pass one."""
    return 42


BAD_READS: dict[str, tuple[Callable[[Any], Any], type[Exception], str]] = {
    "empty query": (lambda c: c.query_with_cache(""), ValueError, "empty"),
    "blank query": (lambda c: c.query_with_cache("  \n"), ValueError, "empty"),
    "bytes as query": (lambda c: c.query_with_cache(b"SELECT 1"), TypeError, "str"),
    "None as query": (lambda c: c.query_with_cache(None), TypeError, "str"),
    "insert": (
        lambda c: c.query_with_cache("INSERT INTO t VALUES (?)", [SECRET]),
        ValueError,
        r"use execute\(\)",
    ),
    "update": (
        lambda c: c.query_with_cache("UPDATE t SET a = ?", [SECRET]),
        ValueError,
        r"use execute\(\)",
    ),
    "write in a CTE": (
        lambda c: c.query_with_cache("WITH x AS (SELECT 1) DELETE FROM t"),
        ValueError,
        r"use execute\(\)",
    ),
    "for update": (
        lambda c: c.query_with_cache(QUERY + " FOR UPDATE", [1]),
        ValueError,
        r"transaction\(\)",
    ),
    "into": (lambda c: c.query_with_cache("SELECT 1 INTO @a"), ValueError, "INTO"),
    "two statements": (lambda c: c.query_with_cache("SELECT 1; SELECT 2"), ValueError, "one by one"),
    "too few params": (lambda c: c.query_with_cache(QUERY), ValueError, "differ in number"),
    "too many params": (
        lambda c: c.query_with_cache(QUERY, [SECRET, SECRET]),
        ValueError,
        "differ in number",
    ),
    "a str as params": (lambda c: c.query_with_cache(QUERY, SECRET), TypeError, "list or tuple"),
    "a dict as params": (lambda c: c.query_with_cache(QUERY, {SECRET: 1}), TypeError, "list or tuple"),
    "a set as params": (lambda c: c.query_with_cache(QUERY, {SECRET}), TypeError, "list or tuple"),
    "a str as names": (lambda c: c.query_with_cache(QUERY, [SECRET], "UserId"), TypeError, "list or tuple"),
    "more names than params": (
        lambda c: c.query_with_cache(QUERY, [SECRET], ["UserId", "StoreId"]),
        ValueError,
        "more names",
    ),
    "a name twice": (
        lambda c: c.query_with_cache(QUERY + " OR id = ?", [SECRET, 2], ["UserId", "UserId"]),
        ValueError,
        "repeated",
    ),
    "an empty name": (lambda c: c.query_with_cache(QUERY, [SECRET], [""]), ValueError, "empty"),
    "= in a name": (lambda c: c.query_with_cache(QUERY, [SECRET], ["User=Id"]), ValueError, "="),
    "an int as name": (lambda c: c.query_with_cache(QUERY, [SECRET], [1]), TypeError, "str"),
    "an object as param": (lambda c: c.query_with_cache(QUERY, [Opaque()]), TypeError, "Opaque"),
    "an aware datetime as param": (
        lambda c: c.query_with_cache(QUERY, [datetime(2026, 1, 1, tzinfo=UTC)]),
        TypeError,
        "datetime",
    ),
    "an empty list as param": (lambda c: c.query_with_cache(QUERY, [[]]), ValueError, "empty"),
    "NaN as param": (lambda c: c.query_with_cache(QUERY, [math.nan], ["UserId"]), ValueError, "(?i)nan"),
    "infinity as param": (lambda c: c.query_with_cache(QUERY, [math.inf]), ValueError, "(?i)inf"),
    "a dict as param": (lambda c: c.query_with_cache(QUERY, [{"id": SECRET}]), TypeError, "dict"),
    "half a surrogate pair": (
        lambda c: c.query_with_cache(QUERY, [SECRET + "\ud83d"]),
        ValueError,
        "surrogate",
    ),
    "a huge int": (lambda c: c.query_with_cache(QUERY, [10**81]), ValueError, "81"),
    "a huge negative int": (lambda c: c.query_with_cache(QUERY, [-(10**81)], ["UserId"]), ValueError, "81"),
    "an int longer than Python prints": (lambda c: c.query_with_cache(QUERY, [10**5000]), ValueError, "81"),
    "a huge int of a subclass": (lambda c: c.query_with_cache(QUERY, [HugeInt(10**81)]), ValueError, "81"),
    "a huge int in a list": (lambda c: c.query_with_cache(QUERY, [[1, 10**81]]), ValueError, "81"),
    "a huge int in a list of others": (
        lambda c: c.query_with_cache(QUERY, [[1, "a", 10**81]]),
        ValueError,
        r"params\[0\]\[2\] has more digits",
    ),
    "a huge int in a tuple in a list": (
        lambda c: c.query_with_cache("SELECT * FROM users WHERE (id, 1) IN (?)", [[(1, 10**81)]]),
        ValueError,
        "81",
    ),
    "a huge int by name": (
        lambda c: c.query_with_cache("SELECT * FROM users WHERE id = %(a)s", {"a": 10**81}),
        ValueError,
        "81",
    ),
    "a huge Decimal": (lambda c: c.query_with_cache(QUERY, [Decimal("1E+82")]), ValueError, "81"),
    "a Decimal that is not finite": (
        lambda c: c.query_with_cache(QUERY, [Decimal("NaN")]),
        ValueError,
        "NaN",
    ),
    "NaN in a list": (lambda c: c.query_with_cache(QUERY, [[1.0, math.nan]]), ValueError, "(?i)nan"),
    "an aware datetime in a list": (
        lambda c: c.query_with_cache(QUERY, [[datetime(2026, 1, 1, tzinfo=UTC)]]),
        TypeError,
        "aware datetime",
    ),
    "an aware time": (lambda c: c.query_with_cache(QUERY, [time(1, tzinfo=UTC)]), TypeError, "aware time"),
    "half a surrogate pair in a list": (
        lambda c: c.query_with_cache(QUERY, [["a", SECRET + "\ud83d"]]),
        ValueError,
        "surrogate",
    ),
    "half a surrogate pair in an Enum": (
        lambda c: c.query_with_cache(QUERY, [Half.PAIR]),
        ValueError,
        "surrogate",
    ),
    "an empty list in a list": (lambda c: c.query_with_cache(QUERY, [[[1], []]]), ValueError, "empty"),
    "a set in a list": (lambda c: c.query_with_cache(QUERY, [[{SECRET}]]), TypeError, "set"),
    "a generator": (lambda c: c.query_with_cache(QUERY, [(n for n in SECRET)]), TypeError, "generator"),
    "a generator as params": (
        lambda c: c.query_with_cache(QUERY, (n for n in SECRET)),
        TypeError,
        "list or tuple, not generator",
    ),
    "the end of a comment": (
        lambda c: c.query_with_cache("SELECT /*! ? */ 1", [SECRET + "*/"]),
        ValueError,
        r"holds /\* or \*/",
    ),
    "three question marks": (lambda c: c.query_with_cache("SELECT ???", [1]), ValueError, r"\?\?\? in it"),
    "no identifier": (lambda c: c.query_with_cache("SELECT ?? FROM t", [""]), ValueError, "identifier"),
    "zero ttl": (lambda c: c.query_with_cache(QUERY, [1], ttl=0), ValueError, "positive"),
    "negative ttl": (lambda c: c.query_with_cache(QUERY, [1], ttl=-1), ValueError, "positive"),
    "NaN ttl": (lambda c: c.query_with_cache(QUERY, [1], ttl=math.nan), ValueError, "positive"),
    "infinite ttl": (lambda c: c.query_with_cache(QUERY, [1], ttl=math.inf), ValueError, "positive"),
    "zero timedelta": (lambda c: c.query_with_cache(QUERY, [1], ttl=timedelta(0)), ValueError, "positive"),
    "a str as ttl": (lambda c: c.query_with_cache(QUERY, [1], ttl="60"), TypeError, "timedelta"),
    "None as ttl": (lambda c: c.query_with_cache(QUERY, [1], ttl=None), TypeError, "timedelta"),
    "a bool as ttl": (lambda c: c.query_with_cache(QUERY, [1], ttl=True), TypeError, "timedelta"),
    "a negative window": (
        lambda c: c.query_with_cache(QUERY, [1], stale_if_error=-1),
        ValueError,
        "stale_if_error",
    ),
    "a str as window": (
        lambda c: c.query_with_cache(QUERY, [1], early_refresh="1"),
        TypeError,
        "early_refresh",
    ),
    "an unknown window": (
        lambda c: c.query_with_cache(QUERY, [1], stale_while_revalidating=1),
        TypeError,
        "stale_while_revalidating.*stale_while_revalidate",
    ),
    "a client's wait as window": (
        lambda c: c.query_with_cache(QUERY, [1], wait_timeout=1),
        TypeError,
        "wait_timeout",
    ),
}
BAD_FUNCTIONS: dict[str, tuple[Callable[[Any], Any], type[Exception], str]] = {
    "empty signature": (lambda c: c.with_cache(len, ""), ValueError, "empty"),
    "no function": (lambda c: c.with_cache(SECRET, "v1"), TypeError, "fn must be a function"),
    "None as function": (lambda c: c.with_cache(None, "v1"), TypeError, "fn must be a function"),
    "bad ttl": (lambda c: c.with_cache(len, "v1", ttl=0), ValueError, "positive"),
    "bad names": (lambda c: c.with_cache(len, "v1", [SECRET], ["a=b"]), ValueError, "="),
    "an object as param": (lambda c: c.with_cache(len, "v1", [Opaque()]), TypeError, "Opaque"),
}
BAD_MANY: dict[str, tuple[Callable[[Any], Any], type[Exception], str]] = {
    "a str": (lambda c: c.query_many_with_cache("SELECT 1"), TypeError, "list"),
    "texts": (lambda c: c.query_many_with_cache(["SELECT 1"]), TypeError, r"queries\[0\]"),
    "an int": (lambda c: c.query_many_with_cache([7]), TypeError, r"queries\[0\]"),
    "a dict": (lambda c: c.query_many_with_cache([{"query": SECRET}]), TypeError, r"queries\[0\]"),
    "an empty tuple": (lambda c: c.query_many_with_cache([()]), TypeError, r"queries\[0\]"),
    "five parts": (
        lambda c: c.query_many_with_cache([("SELECT 1", [], [], {}, 60)]),
        TypeError,
        r"queries\[0\]",
    ),
    "a bad one among good ones": (
        lambda c: c.query_many_with_cache([(QUERY, [1]), (QUERY, [1, SECRET])]),
        ValueError,
        "differ in number",
    ),
    "bad ttl": (lambda c: c.query_many_with_cache([(QUERY, [1])], ttl=-1), ValueError, "positive"),
}
BAD_ENTRIES: dict[str, tuple[Callable[[Any], Any], type[Exception], str]] = {
    "read: empty": (lambda c: c.read_from_cache(""), ValueError, "empty"),
    "read: bytes": (lambda c: c.read_from_cache(b"q"), TypeError, "str"),
    "read: names": (lambda c: c.read_from_cache("q", [SECRET], ["a", "b"]), ValueError, "more names"),
    "write: ttl": (lambda c: c.write_to_cache("q", 1, ttl=0), ValueError, "positive"),
    "write: an object": (lambda c: c.write_to_cache("q", Opaque()), TypeError, r"\$ .*Opaque"),
    "write: an object inside": (
        lambda c: c.write_to_cache("q", {"a": [{"b": Opaque()}]}),
        TypeError,
        r"\$\.a\[0\]\.b .*Opaque",
    ),
    "write: a set": (lambda c: c.write_to_cache("q", {"a": {SECRET}}), TypeError, r"\$\.a .*set"),
    "write: a huge int": (lambda c: c.write_to_cache("q", [2**64]), TypeError, r"\$\[0\] .*64 bits"),
    "write: an int as key": (lambda c: c.write_to_cache("q", {1: SECRET}), TypeError, "keys .*strings"),
    "key: empty": (lambda c: c.get_key_from_query(""), ValueError, "empty"),
    "key: an int longer than Python prints": (
        lambda c: c.get_key_from_query("q", [10**5000], ["a"]),
        ValueError,
        "digits",
    ),
    "read: an int longer than Python prints": (
        lambda c: c.read_from_cache("q", [[10**5000]]),
        ValueError,
        "digits",
    ),
    "key: more names": (lambda c: c.get_key_from_query("q", [], ["a"]), ValueError, "more names"),
}
BAD_DROPS: dict[str, tuple[Callable[[Any], Any], type[Exception], str]] = {
    "different lengths": (
        lambda c: c.drop_outdated_cache(["a", "b"], [SECRET]),
        ValueError,
        "2 names but 1 values",
    ),
    "nothing": (lambda c: c.drop_outdated_cache([], []), ValueError, "empty|at least one"),
    "a str as names": (lambda c: c.drop_outdated_cache("UserId", [SECRET]), TypeError, "list or tuple"),
    "a str as values": (lambda c: c.drop_outdated_cache(["UserId"], SECRET), TypeError, "list or tuple"),
    "= in a name": (lambda c: c.drop_outdated_cache(["a=b"], [SECRET]), ValueError, "="),
    "an empty name": (lambda c: c.drop_outdated_cache([""], [SECRET]), ValueError, "empty"),
    "an object": (lambda c: c.drop_outdated_cache(["a"], [Opaque()]), TypeError, "Opaque"),
    "an empty list": (lambda c: c.drop_outdated_cache(["a"], [[]]), ValueError, "empty"),
    "query: empty": (lambda c: c.drop_query(""), ValueError, "empty"),
    "query: names": (lambda c: c.drop_query("q", [SECRET], ["a", "b"]), ValueError, "more names"),
}
BAD_STATEMENTS: dict[str, tuple[Callable[[Any], Any], type[Exception], str]] = {
    "query: empty": (lambda c: c.query(""), ValueError, "empty"),
    "query: no str": (lambda c: c.query(5), TypeError, "str"),
    "query: count": (lambda c: c.query("SELECT ?", [1, SECRET]), ValueError, "differ in number"),
    "query: NaN": (lambda c: c.query("SELECT ?", [math.nan]), ValueError, "(?i)nan"),
    "execute: empty": (lambda c: c.execute(" "), ValueError, "empty"),
    "execute: an object": (lambda c: c.execute("DELETE FROM t WHERE a = ?", [Opaque()]), TypeError, "Opaque"),
    "either: count": (lambda c: c.query_to_promise("SELECT ?"), ValueError, "differ in number"),
    "either: a str": (lambda c: c.query_to_promise("SELECT ?", SECRET), TypeError, "list or tuple"),
}
ALL = [
    pytest.param(*case, id=f"{group}: {name}")
    for group, cases in {
        "query_with_cache": BAD_READS,
        "with_cache": BAD_FUNCTIONS,
        "query_many": BAD_MANY,
        "entry": BAD_ENTRIES,
        "drop": BAD_DROPS,
        "statement": BAD_STATEMENTS,
    }.items()
    for name, case in cases.items()
]


@pytest.fixture
def proxies(proxy_to: Callable[..., Proxy], mysql_url: str, redis_url: str) -> tuple[Proxy, Proxy]:
    """Proxies before both servers, to see whether anybody comes."""
    return proxy_to(mysql_url), proxy_to(redis_url)


@pytest.mark.parametrize(("call", "error", "says"), ALL)
async def test_bad_input_is_refused_before_anything_is_sent(
    call: Callable[[Any], Any],
    error: type[Exception],
    says: str,
    make_client: Callable[..., Any],
    proxies: tuple[Proxy, Proxy],
) -> None:
    """A clear error, of the builtin type, that repeats no value; neither server hears of it."""
    client = make_client(mysql=proxies[0].url, redis=proxies[1].url)

    with pytest.raises(error, match=says) as caught:
        await perform(call, client)

    assert SECRET not in str(caught.value)
    assert [proxy.connections for proxy in proxies] == [0, 0]


@pytest.mark.parametrize("form", [answer, partial(answer), Opaque().fetch])
def test_a_coroutine_function_is_refused_by_the_blocking_client(
    form: Callable[[], Any], proxies: tuple[Proxy, Proxy]
) -> None:
    """Where a function is known to be a coroutine function, it is refused before anything is sent."""
    with (
        MRCClient(proxies[0].url, proxies[1].url) as client,
        pytest.raises(TypeError, match="AsyncMRCClient"),
    ):
        client.with_cache(form, "v1")

    assert [proxy.connections for proxy in proxies] == [0, 0]


def test_a_lambda_that_returns_a_coroutine_is_refused_by_the_blocking_client(
    mysql_url: str, redis_url: str
) -> None:
    """Such a function shows itself only when it is called; its coroutine is closed, nothing is cached."""
    with MRCClient(mysql_url, redis_url) as client:
        with pytest.raises(TypeError, match="AsyncMRCClient"):
            client.with_cache(lambda: answer(), "v1")

        assert client.with_cache(lambda: "plain", "v1") == "plain"


async def test_a_coroutine_instead_of_a_function_is_refused(
    make_client: Callable[..., Any], proxies: tuple[Proxy, Proxy]
) -> None:
    """``with_cache(fetch(), …)`` has called the function already; the coroutine is closed without a word."""
    client = make_client(mysql=proxies[0].url, redis=proxies[1].url)

    with pytest.raises(TypeError, match=r"fn must be a function.*not call it"):
        await client.with_cache(answer(), "v1")

    assert [proxy.connections for proxy in proxies] == [0, 0]


OPTIONS = {
    "namespace with a brace": ({"namespace": "a{b"}, ValueError, "namespace"),
    "empty namespace": ({"namespace": ""}, ValueError, "namespace"),
    "namespace of another type": ({"namespace": 7}, TypeError, "namespace"),
    "negative window": ({"stale_if_error": -1}, ValueError, "stale_if_error"),
    "NaN window": ({"stale_while_revalidate": math.nan}, ValueError, "stale_while_revalidate"),
    "window of another type": ({"early_refresh": "1"}, TypeError, "early_refresh"),
    "no wait": ({"wait_timeout": 0}, ValueError, "wait_timeout"),
    "a wait longer than locks take": ({"wait_timeout": 1e10}, ValueError, "wait_timeout .* at most 2e"),
    "an endless wait": ({"wait_timeout": math.inf}, ValueError, "wait_timeout"),
    "a wait in Decimal": ({"wait_timeout": Decimal(5)}, TypeError, "wait_timeout"),
    "an endless window": ({"stale_if_error": math.inf}, ValueError, "stale_if_error"),
    "a huge window": ({"stale_while_revalidate": 10**400}, ValueError, "stale_while_revalidate"),
    "negative replicas": ({"wait_replicas": -1}, ValueError, "wait_replicas"),
    "half a replica": ({"wait_replicas": 0.5}, TypeError, "wait_replicas"),
    "size true": ({"max_entry_bytes": True}, TypeError, "max_entry_bytes"),
    "negative size": ({"max_entry_bytes": -1}, ValueError, "max_entry_bytes"),
    "size of another type": ({"max_entry_bytes": "1 MB"}, TypeError, "max_entry_bytes"),
    "unknown dates": ({"dates": "us"}, ValueError, "dates"),
    "unknown option": ({"ttl": 60}, TypeError, "ttl"),
}


@pytest.mark.parametrize(("options", "error", "says"), OPTIONS.values(), ids=OPTIONS)
def test_bad_options_are_refused_at_construction(
    options: dict[str, Any], error: type[Exception], says: str, mysql_url: str, redis_url: str
) -> None:
    """Each is named; the facade refuses the same."""
    for cls in (MRCClient, AsyncMRCClient):
        with pytest.raises(error, match=says):
            cls(mysql_url, redis_url, **options)


@pytest.mark.parametrize("name", ["wait_replicas", "max_entry_bytes", "wait_timeout"])
def test_options_are_checked_without_redis_too(name: str, mysql_url: str) -> None:
    """Else the mistake would show only where there is one."""
    with pytest.raises((TypeError, ValueError), match=name):
        MRCClient(mysql_url, None, **{name: -1})


@pytest.mark.parametrize("timeout", [1e10, math.inf, math.nan, -1, 10**400, True, "5", Decimal(5)], ids=str)
def test_a_wait_for_a_connection_is_a_number_of_seconds(mysql_url: str, timeout: Any) -> None:
    """What a lock cannot wait for is said at once."""
    with MRCClient(mysql_url) as client, pytest.raises((TypeError, ValueError), match="timeout must be"):
        client.get_mysql_pool().connection(timeout)


async def test_the_longest_waits_can_be_waited(
    make_client: Callable[..., Any], mysql_url: str, redis_url: str
) -> None:
    """Wherever there is somebody to wait for: a load, a place in the pool, a drop under way."""
    names = ["connect_timeout", "read_timeout", "write_timeout", "pool_timeout", "query_timeout"]
    patient = "&".join(f"{name}={LONGEST_WAIT:.0f}" for name in names)
    client = make_client(
        mysql=f"{mysql_url}?maxsize=1&{patient}",
        redis=f"{redis_url}?socket_timeout={LONGEST_WAIT}&socket_connect_timeout={LONGEST_WAIT}",
        wait_timeout=LONGEST_WAIT,
    )
    slowly = [lambda: client.query_with_cache("SELECT SLEEP(0.2) AS n", (), (), 1e11)] * 2
    answers = await client.together([*slowly, lambda: client.query("SELECT 1 AS n")])
    assert answers == [[{"n": 0}], [{"n": 0}], [{"n": 1}]]

    drops = [lambda: client.drop_outdated_cache(["Id"], [1], timeout=LONGEST_WAIT)] * 3
    assert await client.together(drops) == [0, 0, 0]
    with client.get_mysql_pool().connection(LONGEST_WAIT) as connection:
        assert connection.open


def test_unknown_configuration_options_are_named(mysql_url: str, redis_url: str) -> None:
    """A misspelt option of either server is an error, not silence."""
    with pytest.raises(ValueError, match=r"hots.*host"):
        MRCClient({"hots": "localhost"}, redis_url)
    with pytest.raises(ValueError, match=r"prot.*port"):
        MRCClient(mysql_url, {"prot": 6379})
    with pytest.raises(ValueError, match=r"prot.*port"):
        MRCServer({"prot": 6379})
    with pytest.raises(TypeError, match="redis_config"):
        MRCServer(None)


def test_a_ready_client_brings_its_own_options(mysql_url: str, redis_url: str) -> None:
    """A facade over a ready client takes no second configuration."""
    with MRCClient(mysql_url) as client:
        with pytest.raises(TypeError, match="ready MRCClient"):
            AsyncMRCClient(client, redis_url)
        with pytest.raises(TypeError, match="ready MRCClient"):
            AsyncMRCClient(client, namespace="shop")
