"""``verify``: a forgotten drop is found, and nothing else is taken for one."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from mysql_redis_cache import MRCClient
from mysql_redis_cache.observe import StaleFound
from mysql_redis_cache.readthrough import core, verifying
from mysql_redis_cache.readthrough.verifying import Checked, Verdict, Verifier, compare
from tests.client.drivers import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pymysql.connections import Connection

pytestmark = pytest.mark.anyio

USER = "SELECT name FROM users WHERE id = ?"


@pytest.fixture
def patient(redis_url: str) -> str:
    """A Redis that may take its time: what is not answered soon is not judged."""
    return f"{redis_url}?socket_timeout=10"


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounds follow soon, and so does the second look."""
    monkeypatch.setattr(core, "TICK", 0.01)
    monkeypatch.setattr(verifying, "LATER", 0.1)


def rename(users: Connection, name: str) -> None:
    with users.cursor() as cursor:
        cursor.execute("UPDATE users SET name = %s WHERE id = 123", (name,))


async def read(client: Any, **options: Any) -> Any:
    return await client.query_with_cache(USER, [123], ["UserId"], 100, **options)


async def test_a_forgotten_drop_is_found(
    hasty: None,
    patient: str,
    make_client: Callable[..., Any],
    users: Connection,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is counted, told with the names of its pairs, and logged once for a query."""
    client = make_client(redis=patient, verify=1)
    heard: list[Any] = []
    client.inner.events.subscribe(heard.append, [StaleFound])
    await read(client)
    rename(users, "Ann")
    for _ in range(3):
        await read(client)

    await until(lambda: client.stats().stale_found == 3, "the verdicts")
    assert client.stats().verified == 3
    assert {(each.query, each.names) for each in heard} == {(USER, ("UserId",))}
    assert all(0 <= each.age <= 10 + 15 and 100 - 10 - 15 <= each.left <= 110 for each in heard)
    lines = [each for each in caplog.records if each.name == "mysql_redis_cache.verify"]
    assert len(lines) == 1
    assert "its pairs are UserId" in lines[0].getMessage()
    assert "123" not in lines[0].getMessage().replace(heard[0].digest, "")


async def test_what_is_right_is_left_alone(
    hasty: None, patient: str, make_client: Callable[..., Any], users: Connection
) -> None:
    """Folded params and functions are looked at as well, and no entry is touched."""
    client = make_client(redis=patient, verify=1)
    for _ in range(2):
        await client.query_with_cache(USER, [123])
        await client.with_cache(lambda: {"a": 1}, "function", [[1, "x"]], ["List"])
    loads = client.stats().loads

    await until(lambda: client.stats().verified == 2, "the verdicts")
    assert client.stats().stale_found == 0
    assert client.stats().loads == loads


async def test_a_function_that_gives_something_else_is_stale(
    hasty: None, patient: str, make_client: Callable[..., Any]
) -> None:
    """Its entry should have been dropped."""
    client = make_client(redis=patient, verify=1)
    answers = iter([1, 2, 2, 2, 2])
    for _ in range(2):
        await client.with_cache(lambda: next(answers), "function")

    await until(lambda: client.stats().stale_found == 1, "the verdict")


async def test_a_share_of_none_looks_at_nothing(make_client: Callable[..., Any], users: Connection) -> None:
    """There is not even a thread."""
    client = make_client()
    await read(client)

    assert client._core.cache.verifier is None
    assert client._core._reports == []


@pytest.mark.parametrize(("share", "error"), [(-0.1, ValueError), (1.5, ValueError), ("1", TypeError)])
async def test_bad_shares_are_refused(make_client: Callable[..., Any], share: Any, error: type) -> None:
    """When the client is made."""
    with pytest.raises(error, match="verify"):
        make_client(verify=share)


# The verdicts, look by look


@pytest.fixture
def client(mysql_url: str, patient: str) -> Iterator[MRCClient]:
    with MRCClient(mysql_url, patient) as client:
        yield client


@pytest.fixture
def verifier(client: MRCClient) -> Verifier:
    inner = client._core
    assert inner.cache is not None
    return Verifier(inner.cache.entries, inner.afresh, inner.watch, 1.0)


def checked(client: MRCClient, verifier: Verifier) -> Checked:
    verifier.sample(client._core.reads.of_query(USER, [123], ["UserId"], 100))
    return verifier._new.popleft()


def cached(client: MRCClient) -> None:
    client.query_with_cache(USER, [123], ["UserId"], 100)


def test_a_drop_under_way_is_no_alarm(client: MRCClient, verifier: Verifier, users: Connection) -> None:
    """What differs at first is dropped before the second look, or loaded anew."""
    for is_loaded in (False, True):
        cached(client)
        one = checked(client, verifier)
        rename(users, f"Ann {is_loaded}")
        assert verifier.look(one) is Verdict.DOUBTFUL
        client.drop_outdated_cache(["UserId"], [123])
        if is_loaded:
            cached(client)
        assert verifier.look_again(verifier._doubts.popleft()) is Verdict.VOID
    assert client.stats().stale_found == 0


def test_what_changes_meanwhile_is_not_judged(
    client: MRCClient, verifier: Verifier, users: Connection
) -> None:
    """A drop and a new load between the two questions to Redis: nothing stood still."""
    cached(client)
    one = checked(client, verifier)

    def load_late() -> bytes:
        loaded = one.load()
        rename(users, "Ann")
        client.drop_outdated_cache(["UserId"], [123])
        cached(client)
        return loaded

    assert verifier.look(one._replace(load=load_late)) is Verdict.VOID


def test_what_is_gone_or_past_its_ttl_is_not_judged(client: MRCClient, verifier: Verifier) -> None:
    """A stale answer within the windows is what was asked for."""
    one = checked(client, verifier)
    assert verifier.look(one) is Verdict.VOID
    client.query_with_cache(USER, [123], ["UserId"], 100, stale_if_error=1000)
    verifier.sample(client._core.reads.of_query(USER, [123], ["UserId"], 1, {"stale_if_error": 2000}))
    assert verifier.look(verifier._new.popleft()) is Verdict.VOID


def test_what_fails_is_not_judged(client: MRCClient, verifier: Verifier, users: Connection) -> None:
    """A reader will meet it."""
    cached(client)

    def fail() -> bytes:
        raise LookupError("MySQL is away")

    assert verifier.look(checked(client, verifier)._replace(load=fail)) is Verdict.VOID


def test_it_ends_with_its_client(client: MRCClient, verifier: Verifier) -> None:
    """The thread keeps none alive."""

    class Gone:
        def load(self, read: Any) -> bytes:
            return b""

    gone = Gone()
    assert client._core.cache is not None
    late = Verifier(client._core.cache.entries, gone.load, client._core.watch, 1.0)
    assert late()
    del gone
    assert not late()


def test_no_more_wait_than_is_good(client: MRCClient, verifier: Verifier) -> None:
    """A busy client is looked at now and then, not after the fact."""
    read = client._core.reads.of_query(USER, [123], ["UserId"], 100)
    for _ in range(10 * verifying.WAITING):
        verifier.sample(read)

    assert len(verifier._new) == verifying.WAITING


@pytest.mark.parametrize(
    ("loaded", "seen", "is_query", "is_same"),
    [
        (b'[{"a":1},{"a":2}]', b'[{"a":2},{"a":1}]', True, True),
        (b'[{"a":1},{"a":2}]', b'[{"a":2},{"a":1}]', False, False),
        (b'[{"a":1},{"a":1}]', b'[{"a":1}]', True, False),
        (b'[{"a":1},{"a":1}]', b'[{"a":1},{"a":2}]', True, False),
        (b'[{"a":1}]', b"{nonsense", True, False),
        (b"[]", b"[]", True, True),
    ],
)
def test_rows_may_stand_in_another_order(loaded: bytes, seen: bytes, is_query: bool, is_same: bool) -> None:
    """Without ORDER BY the server owes none."""
    assert compare(loaded, seen, is_query=is_query) is is_same


def test_the_level_of_the_word_is_a_warning() -> None:
    """It reaches whoever has not set up logging."""
    assert verifying.logger.isEnabledFor(logging.WARNING)
