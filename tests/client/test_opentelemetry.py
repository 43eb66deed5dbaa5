"""``contrib.opentelemetry`` with the real SDK: metrics, and spans under those of the caller."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pymysql
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode, get_current_span

from mysql_redis_cache import MRCServer
from mysql_redis_cache.contrib.instrumentor import MRCInstrumentor
from mysql_redis_cache.contrib.opentelemetry import instrument
from mysql_redis_cache.database.config import parse_mysql_config
from tests.client.drivers import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis
    from opentelemetry.sdk.trace import ReadableSpan
    from pymysql.connections import Connection

pytestmark = pytest.mark.anyio

USER = "SELECT name FROM users WHERE id = ?"
COLUMN = "SELECT no_such_column FROM users WHERE id = ? AND name = 'secret'"


class Telemetry:
    """An SDK that keeps what it is given."""

    def __init__(self, **options: Any) -> None:
        self._spans, self._reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracers = TracerProvider(**options)
        self.tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        self.meters = MeterProvider([self._reader])
        self.providers: Any = {"tracer_provider": self.tracers, "meter_provider": self.meters}

    def request(self) -> Any:
        """A span of the application."""
        return self.tracers.get_tracer("application").start_as_current_span("request")

    def spans(self) -> list[ReadableSpan]:
        """The spans that have ended since the last time, in the order of their beginnings."""
        spans = sorted(self._spans.get_finished_spans(), key=lambda each: each.start_time or 0)
        self._spans.clear()
        return spans

    def points(self) -> dict[tuple[str, ...], Any]:
        """The metrics by name and the values of their attributes."""
        data: Any = self._reader.get_metrics_data()
        return {
            (metric.name, *point.attributes.values()): point
            for of_resource in data.resource_metrics
            for of_scope in of_resource.scope_metrics
            for metric in of_scope.metrics
            for point in metric.data.data_points
        }


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    """An SDK of the test's own."""
    telemetry = Telemetry()
    yield telemetry
    telemetry.meters.shutdown()
    telemetry.tracers.shutdown()


async def read(client: Any, number: int = 123, **options: Any) -> Any:
    return await client.query_with_cache(USER, [number], ["UserId"], 100, **options)


def parent_of(span: ReadableSpan, spans: list[ReadableSpan]) -> str | None:
    """The name of the span that *span* is in."""
    return next(
        (each.name for each in spans if span.parent and each.context.span_id == span.parent.span_id), None
    )


async def test_metrics(client: Any, users: Connection, telemetry: Telemetry) -> None:
    """Counts are observed, durations recorded; those of two clients with one name together."""
    instrument(client.inner, **telemetry.providers)
    before = telemetry.points()
    await read(client, label="user_name")
    await read(client)
    await client.drop_outdated_cache(["UserId"], [123])

    points = telemetry.points()

    assert before["mysql_redis_cache.requests", "default", "hit"].value == 0
    for result, count in (("hit", 1), ("miss", 1), ("near_hit", 0), ("bypass", 0), ("unavailable", 0)):
        assert points["mysql_redis_cache.requests", "default", result].value == count
    assert points["mysql_redis_cache.loads", "default", "ok"].value == 1
    assert points["mysql_redis_cache.load.duration", "default", "ok"].count == 1
    assert points["mysql_redis_cache.load.duration", "default", "ok"].explicit_bounds[:2] == (0.0005, 0.001)
    assert points["mysql_redis_cache.drop.duration", "default", "ok"].count == 1
    assert points["mysql_redis_cache.drop.entries", "default"].value == 1
    assert points["mysql_redis_cache.query.requests", "default", "user_name", "hit"].value == 1
    assert points["mysql_redis_cache.redis.available", "default"].value == 1
    assert points["db.client.connection.max", "default"].value == 10
    assert points["db.client.connection.count", "default", "used"].value == 0
    attributes = dict(points["db.client.connection.count", "default", "idle"].attributes)
    assert attributes == {
        "db.client.connection.pool.name": "default",
        "db.client.connection.state": "idle",
    }


async def test_instruments_are_made_once(
    make_client: Callable[..., Any], users: Connection, telemetry: Telemetry, redis_url: str, caplog: Any
) -> None:
    """For clients and servers of one meter; whoever is instrumented twice is so once."""
    first, second = make_client(name="web"), make_client(name="web")
    with MRCServer(redis_url, name="drops") as server:
        for each in (first.inner, second.inner, first.inner, server):
            end = instrument(each, **telemetry.providers)
        await read(first)
        await read(second, 124)
        server.drop_all()
        with telemetry.request():
            await read(first)

        points = telemetry.points()
        assert points["mysql_redis_cache.requests", "web", "miss"].value == 3
        assert points["mysql_redis_cache.load.duration", "web", "ok"].count == 3
        assert points["mysql_redis_cache.drops", "drops", "ok"].value == 1
        assert [each.name for each in telemetry.spans()].count("mysql_redis_cache.read") == 1
        end()
        assert ("mysql_redis_cache.drops", "drops", "ok") not in telemetry.points()
    assert not caplog.records


async def test_a_miss_is_a_span_with_its_load(
    client: Any, users: Connection, telemetry: Telemetry, mysql_url: str, server_flavour: str
) -> None:
    """Under the caller's, with the stable names of the semantic conventions; a hit is none."""
    instrument(client.inner, **telemetry.providers)
    await client.query("SELECT 1")  # the server has said what it is
    with telemetry.request():
        await read(client, label="user_name")
        await read(client)

    spans = telemetry.spans()

    assert [(each.name, each.kind) for each in spans] == [
        ("request", SpanKind.INTERNAL),
        ("mysql_redis_cache.read", SpanKind.INTERNAL),
        ("SELECT users", SpanKind.CLIENT),
    ]
    _, of_read, of_load = spans
    assert parent_of(of_read, spans) == "request"
    assert parent_of(of_load, spans) == "mysql_redis_cache.read"
    assert of_read.start_time <= of_load.start_time < of_load.end_time <= of_read.end_time
    key = client.get_key_from_query(USER, [123], ["UserId"])
    assert dict(of_read.attributes) == {
        "mysql_redis_cache.name": "default",
        "mysql_redis_cache.key.digest": key[-40:],
        "mysql_redis_cache.key.names": ("UserId",),
        "mysql_redis_cache.query": "user_name",
        "mysql_redis_cache.result": "miss",
        "mysql_redis_cache.reason": "it was not cached",
    }
    where = parse_mysql_config(mysql_url).server()
    assert dict(of_load.attributes) == {
        "db.system.name": server_flavour,
        "db.namespace": where.database,
        "db.operation.name": "SELECT",
        "db.query.summary": "SELECT users",
        "db.query.text": USER,
        "server.address": where.address,
        "server.port": where.port,
    }
    assert of_load.instrumentation_scope.name == "mysql_redis_cache"
    assert of_load.instrumentation_scope.schema_url == "https://opentelemetry.io/schemas/1.44.0"


async def test_a_failed_load_is_an_error(client: Any, users: Connection, telemetry: Telemetry) -> None:
    """With MySQL's number; and no value is in any span."""
    instrument(client.inner, **telemetry.providers)
    with telemetry.request(), pytest.raises(pymysql.OperationalError):
        await client.query_with_cache(COLUMN, [1], ["UserId"], cache=False)

    _, of_read, of_load = telemetry.spans()

    assert of_load.attributes["db.response.status_code"] == of_load.attributes["error.type"] == "1054"
    assert of_load.status.status_code is StatusCode.ERROR
    assert of_read.attributes["error.type"] == "OperationalError"
    assert of_read.attributes["mysql_redis_cache.result"] == "bypass"


async def test_values_in_texts_are_masked(client: Any, users: Connection, telemetry: Telemetry) -> None:
    """If the text has no params; or texts are left out."""
    instrument(client.inner, **telemetry.providers)
    with telemetry.request():
        await client.query_with_cache("SELECT id FROM users WHERE name = 'Ada'")
    assert telemetry.spans()[2].attributes["db.query.text"] == "SELECT id FROM users WHERE name = ?"

    instrument(client.inner, **telemetry.providers, db_query_text=False)
    with telemetry.request():
        await read(client)
    assert "db.query.text" not in telemetry.spans()[2].attributes


async def test_spans_of_functions_go_under_their_load(client: Any, telemetry: Telemetry) -> None:
    """What a cached function does is part of it, and what comes after is not."""
    instrument(client.inner, **telemetry.providers)

    def weather() -> int:
        with telemetry.tracers.get_tracer("application").start_as_current_span("ask"):
            return 7

    async def weather_soon() -> int:
        return weather()

    for fn in (weather, weather if client.is_blocking else weather_soon):
        with telemetry.request() as request:
            await client.with_cache(fn, "weather", cache=False)
            assert get_current_span() is request
            await read_nothing(client)

        spans = telemetry.spans()
        by_name = {each.name: each for each in spans}
        assert parent_of(by_name["ask"], spans) == "mysql_redis_cache.load"
        assert by_name["mysql_redis_cache.load"].attributes == {"mysql_redis_cache.signature": "weather"}
        assert by_name["mysql_redis_cache.load"].kind is SpanKind.INTERNAL


async def test_tasks_and_threads_have_their_own_traces(
    client: Any, users: Connection, telemetry: Telemetry
) -> None:
    """Loads that go on at once are each under the request that asked."""
    instrument(client.inner, **telemetry.providers)
    together = threading.Barrier(3)

    def load(number: int) -> int:
        together.wait(10)
        return number

    async def ask(number: int) -> None:
        with telemetry.request():
            await client.with_cache(lambda: load(number), f"load {number}")

    assert await client.together([lambda number=number: ask(number) for number in range(3)]) == [None] * 3

    spans = telemetry.spans()
    loads = [each for each in spans if each.name == "mysql_redis_cache.load"]
    assert len({each.context.trace_id for each in loads}) == 3
    assert [parent_of(each, spans) for each in loads] == ["mysql_redis_cache.read"] * 3
    assert len(spans) == 9


@pytest.mark.parametrize("kind", ["asyncio", "trio"], indirect=True)
async def test_a_cancelled_load_ends_its_spans(client: Any, telemetry: Telemetry) -> None:
    """As one that failed; and the task goes on in its own span."""
    instrument(client.inner, **telemetry.providers)
    with telemetry.request() as request:
        with anyio.CancelScope() as scope:

            async def for_ever() -> None:
                scope.cancel()
                await anyio.sleep_forever()

            await client.with_cache(for_ever, "for ever")
        assert get_current_span() is request

    ended = {each.name: each for each in telemetry.spans()}
    assert set(ended) == {"request", "mysql_redis_cache.read", "mysql_redis_cache.load"}
    assert ended["mysql_redis_cache.read"].attributes["error.type"] == "CancelledError"
    assert ended["mysql_redis_cache.load"].status.status_code is StatusCode.ERROR
    assert "Cancelled" in ended["mysql_redis_cache.load"].attributes["error.type"]


def test_only_clients_and_servers_are_instrumented() -> None:
    """Nothing else has events."""
    with pytest.raises(TypeError, match="MRCClient or MRCServer"):
        instrument("redis://localhost")  # type: ignore[arg-type]


def test_opentelemetry_instrument_finds_it() -> None:
    """By its entry point: without a line of code, every client is followed."""
    program = (
        "from mysql_redis_cache import MRCClient;"
        "print(MRCClient('mysql://localhost', None).events.follows_reads)"
    )
    command = [Path(sys.executable).parent / "opentelemetry-instrument", sys.executable, "-c", program]
    environment = {**os.environ, "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": ""}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, env=environment)

    assert done.stdout.strip() == "True", done.stderr


async def read_nothing(client: Any) -> None:
    """A read that is nobody's, within a request."""
    await client.read_from_cache("SELECT 1")


async def test_who_shares_a_load_has_a_link_to_it(client: Any, telemetry: Telemetry) -> None:
    """From another trace; and a span of the wait."""
    instrument(client.inner, **telemetry.providers)
    begun, go = threading.Event(), threading.Event()

    def slow() -> int:
        begun.set()
        assert go.wait(10)
        return 7

    async def lead() -> None:
        with telemetry.request():
            await client.with_cache(slow, "slow")

    async def follow() -> None:
        await client.happens(begun)
        threading.Timer(0.05, go.set).start()
        with telemetry.request():
            await client.with_cache(slow, "slow")

    assert await client.together([lead, follow]) == [None, None]

    spans = telemetry.spans()
    (load,) = [each for each in spans if each.name == "mysql_redis_cache.load"]
    (shared,) = [
        each for each in spans if (each.attributes or {}).get("mysql_redis_cache.result") == "shared"
    ]
    (wait,) = [
        each
        for each in spans
        if each.name == "mysql_redis_cache.wait" and each.parent.span_id == shared.context.span_id
    ]
    assert [each.context.span_id for each in shared.links] == [load.context.span_id]
    assert shared.context.trace_id != load.context.trace_id
    assert shared.start_time <= wait.start_time < wait.end_time <= shared.end_time


async def test_drops_are_spans(client: Any, users: Connection, telemetry: Telemetry) -> None:
    """With how many entries they deleted."""
    instrument(client.inner, **telemetry.providers)
    await read(client)
    with telemetry.request():
        await client.drop_outdated_cache(["UserId"], [123])

    spans = telemetry.spans()

    assert [each.name for each in spans] == ["request", "mysql_redis_cache.drop"]
    assert parent_of(spans[1], spans) == "request"
    assert dict(spans[1].attributes) == {
        "mysql_redis_cache.name": "default",
        "mysql_redis_cache.key.names": ("UserId",),
        "mysql_redis_cache.drop.entries": 1,
    }


async def test_hits_are_spans_for_those_who_ask(client: Any, users: Connection, telemetry: Telemetry) -> None:
    """They cost as much as a good part of the hit itself."""
    instrument(client.inner, **telemetry.providers, hits=True)
    await read(client)
    with telemetry.request():
        await read(client)

    assert [each.attributes.get("mysql_redis_cache.result") for each in telemetry.spans()] == [None, "hit"]


async def test_no_span_where_none_is_recorded(client: Any, users: Connection) -> None:
    """Neither without a request, nor in one that is not sampled."""
    telemetry = Telemetry(sampler=ALWAYS_OFF)
    end = instrument(client.inner, **telemetry.providers)
    await read(client)
    with telemetry.request():
        await read(client, cache=False)
        await client.drop_outdated_cache(["UserId"], [123])
    end()

    assert telemetry.spans() == []
    assert not client.inner.events.heard


async def test_a_refresh_behind_the_reader_has_its_load(
    client: Any, users: Connection, telemetry: Telemetry, redis_client: redis.Redis
) -> None:
    """Nobody waits for it, so it has no span of a read; the reader's answer is stale."""
    instrument(client.inner, **telemetry.providers)
    await read(client, stale_while_revalidate=100)
    redis_client.pexpire(client.get_key_from_query(USER, [123], ["UserId"]), 50_000)
    with telemetry.request():
        await read(client, stale_while_revalidate=100)
        await until(lambda: client.stats().fills == 2, "the refresh")

    spans = telemetry.spans()

    assert [parent_of(each, spans) for each in spans if each.name == "SELECT users"] == ["request"]
    results = [(each.attributes or {}).get("mysql_redis_cache.result") for each in spans]
    assert [each for each in results if each] == ["stale"]


async def test_all_clients_are_instrumented_at_once(
    make_client: Callable[..., Any], users: Connection, telemetry: Telemetry
) -> None:
    """Those there are and those made later, until that ends."""
    before = make_client(name="before")
    instrumentor = MRCInstrumentor()
    instrumentor.instrument(**telemetry.providers)
    try:
        later = make_client(name="later")
        with telemetry.request():
            await read(before)
            await read(later, 124)
    finally:
        instrumentor.uninstrument()

    names = [(each.attributes or {}).get("mysql_redis_cache.name") for each in telemetry.spans()]
    assert [each for each in names if each] == ["before", "later"]
    assert not before.inner.events.heard
