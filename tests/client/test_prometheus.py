"""``contrib.prometheus`` in one process: what a metrics page shows of clients and servers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pymysql
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from mysql_redis_cache import CacheUnavailable, MRCServer
from mysql_redis_cache.contrib.prometheus import export
from mysql_redis_cache.observe.metrics import DURATIONS, METRICS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pymysql.connections import Connection

pytestmark = pytest.mark.anyio

USER = "SELECT name FROM users WHERE id = ?"


@pytest.fixture
def registry() -> Iterator[CollectorRegistry]:
    """A metrics page of the test's own, that ends with it."""
    registry = CollectorRegistry()
    yield registry
    for each in list(registry._collector_to_names):
        each.close()
    assert not registry._collector_to_names


def page(registry: CollectorRegistry) -> dict[tuple[str, ...], float]:
    """Return what the page shows: values by name and labels, that of ``cache`` first."""
    shown: dict[tuple[str, ...], float] = {}
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        for sample in family.samples:
            labels = {name: value for name, value in sample.labels.items() if name != "cache"}
            shown[sample.name, sample.labels["cache"], *labels.values()] = sample.value
    return shown


async def read(client: Any, number: int = 123, **options: Any) -> Any:
    return await client.query_with_cache(USER, [number], ["UserId"], 100, **options)


async def test_all_series_are_there_from_the_start(client: Any, registry: CollectorRegistry) -> None:
    """At nought: the first of something must not be missed by a rate."""
    export(client.inner, registry=registry)

    shown = page(registry)

    assert {value for name, value in shown.items() if not name[0].endswith("_created")} == {0.0, 1.0, 10.0}
    assert shown["mrc_redis_available", "default"] == 1
    assert shown["mrc_pool_max_connections", "default"] == 10
    for result in ("hit", "near_hit", "miss", "bypass", "unavailable"):
        assert shown["mrc_requests_total", "default", result] == 0
    assert shown["mrc_load_duration_seconds_count", "default", "error"] == 0
    assert shown["mrc_drop_duration_seconds_count", "default", "timeout"] == 0
    assert shown["mrc_pool_wait_seconds_count", "default"] == 0


async def test_what_a_client_did(client: Any, users: Connection, registry: CollectorRegistry) -> None:
    """Reads, loads, fills, drops, and labelled queries; the page may be asked again and again."""
    export(client.inner, client.inner, registry=registry)
    for number in (123, 123, 124):
        await read(client, number, label="user_name")
        page(registry)
    await read(client, cache=False)
    await client.drop_outdated_cache(["UserId"], [123])
    with pytest.raises(pymysql.OperationalError):
        await client.query_with_cache("SELECT nothing FROM users", ())

    shown = page(registry)

    requests = {name[2]: value for name, value in shown.items() if name[0] == "mrc_requests_total"}
    assert requests == {"hit": 1, "near_hit": 0, "miss": 3, "bypass": 1, "unavailable": 0}
    loads = {name[2]: value for name, value in shown.items() if name[0] == "mrc_loads_total"}
    timed = {name[2]: value for name, value in shown.items() if name[0] == "mrc_load_duration_seconds_count"}
    assert loads == timed == {"ok": 3, "error": 1}
    assert shown["mrc_fills_total", "default", "stored"] == 2
    assert shown["mrc_drops_total", "default", "ok"] == 1
    assert shown["mrc_dropped_entries_total", "default"] == 1
    assert shown["mrc_drop_duration_seconds_count", "default", "ok"] == 1
    assert shown["mrc_query_requests_total", "default", "user_name", "hit"] == 1
    assert shown["mrc_query_requests_total", "default", "user_name", "miss"] == 2
    assert shown["mrc_query_loads_total", "default", "user_name"] == 3
    assert shown["mrc_query_load_seconds_total", "default", "user_name"] > 0
    assert shown["mrc_pool_connections", "default", "idle"] >= 1


async def test_no_hit_is_slowed_down(client: Any, registry: CollectorRegistry) -> None:
    """Reads are not even followed."""
    export(client.inner, registry=registry)

    assert not client._core.observer.is_on


async def test_those_with_one_name_are_added_up(
    make_client: Callable[..., Any], users: Connection, redis_url: str, registry: CollectorRegistry
) -> None:
    """A client and a server of one namespace are one cache; Redis is there if it is for all of them."""
    client = make_client(namespace="shop")
    away = make_client(redis="redis://127.0.0.1:1", name="shop")
    with MRCServer(redis_url, namespace="shop") as server:
        export(client.inner, away.inner, server, registry=registry)
        await read(client)
        for each in (client, server):
            drop = each.drop_outdated_cache(["UserId"], [123])
            await drop if each is client else drop
        for _ in range(3):
            await read(away)
        with pytest.raises(CacheUnavailable):
            await away.drop_outdated_cache(["UserId"], [123])

        shown = page(registry)

    assert shown["mrc_drops_total", "shop", "ok"] == 2
    assert shown["mrc_drops_total", "shop", "unavailable"] == 1
    assert shown["mrc_drop_duration_seconds_count", "shop", "unavailable"] == 1
    assert shown["mrc_requests_total", "shop", "unavailable"] == 3
    assert shown["mrc_redis_available", "shop"] == 0
    assert shown["mrc_pool_max_connections", "shop"] == 20


async def test_a_registry_takes_one(client: Any, registry: CollectorRegistry) -> None:
    """A second would show everything twice; when the first has ended there is room."""
    exporter = export(client.inner, registry=registry)
    with pytest.raises(ValueError, match="mrc_requests"):
        export(client.inner, registry=registry)
    exporter.close()
    assert not client.inner.events.heard

    export(client.inner, registry=registry)


async def test_only_clients_and_servers_are_exported(registry: CollectorRegistry) -> None:
    """And there must be one."""
    with pytest.raises(ValueError, match="nothing to export"):
        export(registry=registry)
    with pytest.raises(TypeError, match="MRCClient or MRCServer"):
        export("redis://localhost", registry=registry)  # type: ignore[arg-type]


async def test_a_client_that_is_gone_keeps_its_counts(
    make_client: Callable[..., Any], users: Connection, registry: CollectorRegistry
) -> None:
    """The page shows what was counted, and does not keep it alive."""
    client = make_client()
    export(client.inner, registry=registry)
    await read(client)
    await client.aclose()

    assert page(registry)["mrc_requests_total", "default", "miss"] == 1


def test_names_are_told_apart() -> None:
    """In both worlds."""
    for field in ("name", "prometheus"):
        names = [getattr(each, field) for each in (*METRICS, *DURATIONS)]
        assert len(set(names)) == len(names)
