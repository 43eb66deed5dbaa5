"""``contrib.sentry`` with the real SDK, whose transactions are caught before they are sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pymysql
import pytest
import sentry_sdk
from sentry_sdk import integrations
from sentry_sdk.transport import Transport

from mysql_redis_cache import observe
from mysql_redis_cache.contrib import sentry
from mysql_redis_cache.contrib.sentry import MRCIntegration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pymysql.connections import Connection
    from sentry_sdk.envelope import Envelope

pytestmark = pytest.mark.anyio

USER = "SELECT name FROM users WHERE id = ?"


@pytest.fixture
def init(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[Any]]]:
    """Set Sentry up, ``init(keys=True)``; what is returned will have the spans of each transaction."""
    ends: list[Callable[[], None]] = []
    monkeypatch.setattr(integrations, "_installed_integrations", set())
    monkeypatch.setattr(integrations, "_processed_integrations", set())
    monkeypatch.setattr(sentry, "on_each", lambda hook: ends.append(observe.on_each(hook)))

    def start(**options: Any) -> list[Any]:
        transactions: list[Any] = []

        class Keeping(Transport):
            def capture_envelope(self, envelope: Envelope) -> None:
                if (event := envelope.get_transaction_event()) is not None:
                    transactions.append(event["spans"])

        sentry_sdk.init(
            "https://key@sentry.invalid/1",
            traces_sample_rate=1.0,
            default_integrations=False,
            integrations=[MRCIntegration(**options)],
            transport=Keeping,
        )
        return transactions

    with sentry_sdk.isolation_scope():
        yield start
    for end in ends:
        end()
    sentry_sdk.get_client().close()
    sentry_sdk.get_global_scope().set_client(None)


async def read(client: Any, **options: Any) -> Any:
    return await client.query_with_cache(USER, [123], ["UserId"], 100, **options)


def told(spans: Any) -> list[tuple[str, str, dict[str, Any]]]:
    """What the spans are, in the order of their beginnings, and the data that are not the same for all."""
    inner = sorted(spans, key=lambda each: each["start_timestamp"])
    assert {each["origin"] for each in inner} <= {"auto.cache.mysql_redis_cache"}
    assert all(each["timestamp"] >= each["start_timestamp"] for each in inner)
    return [
        (
            each["op"],
            each["description"],
            {name: value for name, value in each["data"].items() if "thread" not in name},
        )
        for each in inner
    ]


async def test_the_caches_module(client: Any, users: Connection, init: Any) -> None:
    """Misses and hits, what is stored and dropped; clients made before are seen, too."""
    transactions = init()
    key = f"UserId=…_{client.get_key_from_query(USER, [123], ['UserId'])[-40:]}"
    with sentry_sdk.start_transaction(name="request"):
        await read(client)
        await read(client)
        await client.drop_outdated_cache(["UserId"], [123])

    ((got, load, put, hit, drop),) = map(told, transactions)

    name = {"mysql_redis_cache.name": "default"}
    assert got == ("cache.get", key, {**name, "cache.key": [key], "cache.hit": False})
    assert load[:2] == ("db", USER)
    assert load[2]["db.system"] in {"mysql", "mariadb"}
    assert load[2]["server.address"]
    size = len('[{"name":"Ada"}]')
    assert put == ("cache.put", key, {**name, "cache.key": [key], "cache.item_size": size})
    assert hit == (
        "cache.get",
        key,
        {**name, "cache.key": [key], "cache.hit": True, "cache.item_size": size},
    )
    assert drop == ("cache.remove", "UserId", {**name, "cache.key": ["UserId"]})


async def test_whole_keys_for_those_who_say_so(client: Any, users: Connection, init: Any) -> None:
    """They have values of params in front."""
    transactions = init(keys=True)
    with sentry_sdk.start_transaction(name="request"):
        await read(client)

    keys = [data["cache.key"] for _, _, data in told(transactions[0]) if "cache.key" in data]
    assert keys == [[client.get_key_from_query(USER, [123], ["UserId"])]] * 2


async def test_functions_and_failures(client: Any, users: Connection, init: Any) -> None:
    """A function is none of a database; what failed says so."""
    transactions = init()
    with sentry_sdk.start_transaction(name="request"):
        await client.with_cache(lambda: 7, "weather", cache=False)
        with pytest.raises(pymysql.OperationalError):
            await client.query_with_cache("SELECT nothing FROM users WHERE name = 'Ada'", cache=False)

    (spans,) = transactions
    assert [each[:2] for each in told(spans)] == [
        ("function", "weather"),
        ("db", "SELECT nothing FROM users WHERE name = ?"),
    ]
    # Older SDKs have it among the tags.
    statuses = [each.get("status", (each.get("tags") or {}).get("status")) for each in spans]
    assert statuses == [None, "internal_error"]


async def test_nothing_without_a_transaction(client: Any, users: Connection, init: Any) -> None:
    """And nothing where Sentry runs without the integration."""
    transactions = init()
    await read(client)
    sentry_sdk.get_client().integrations.clear()
    with sentry_sdk.start_transaction(name="request"):
        await read(client)

    assert transactions == [[]]
