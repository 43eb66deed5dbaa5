"""OpenTelemetry: metrics of clients and servers, and spans of what is slow: misses, loads, waits and drops.

Needs the API alone; who sets up an SDK, before or after, gets figures and spans. A span is made where the
caller's is recorded, so a trace has no hole where the drivers are called past what others instrument.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from time import time_ns
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakSet, ref

from opentelemetry import context, metrics, trace
from opentelemetry.metrics import Observation
from opentelemetry.trace import SpanKind, StatusCode

from mysql_redis_cache import sql
from mysql_redis_cache.calls import watch_of
from mysql_redis_cache.observe import Bypass, Drop, Hit, Load, Loading, Miss, NearHit, Stale, Watch
from mysql_redis_cache.observe.metrics import DURATIONS, METRICS, SECONDS
from mysql_redis_cache.observe.readings import together

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from opentelemetry.context import Context
    from opentelemetry.metrics import Meter, MeterProvider
    from opentelemetry.trace import Span, SpanContext, Tracer, TracerProvider

    from mysql_redis_cache.calls import Watched
    from mysql_redis_cache.observe import Answer
    from mysql_redis_cache.observe.readings import Duration, Metric

__all__ = ["instrument"]

SCOPE = "mysql_redis_cache"
SCHEMA = "https://opentelemetry.io/schemas/1.44.0"
MYSQL_PORT = 3306
SHORTEST_WAIT = 0.001
"""Seconds below which nobody was waited for: it takes a moment to see that nobody else loads."""
REMEMBERED = 10_000
"""Loads that others may link to."""


def instrument(
    source: Watched | Watch,
    *,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    hits: bool = False,
    db_query_text: bool = True,
) -> Callable[[], None]:
    """Have the metrics and spans of a client or server exported.

    Args:
        source: the client or server, blocking or asynchronous. One that is instrumented already is so anew.
        tracer_provider: makes the spans; by default the one that is set for all.
        meter_provider: makes the metrics; by default the one that is set for all.
        hits: make spans of hits too, each of which costs more than the hit itself.
        db_query_text: have the texts of queries in spans. Values of params are in none of them; values in a
            text without params are masked.

    Returns:
        A function that ends that.

    Raises:
        TypeError: *source* is neither a client nor a server.
    """
    watch = source if isinstance(source, Watch) else watch_of(source)
    if watch in _ends:
        _ends[watch]()
    tracer = trace.get_tracer(SCOPE, tracer_provider=tracer_provider, schema_url=SCHEMA)
    figures = _figures_of(meter_provider)
    ends = [*_Spans(tracer, with_text=db_query_text).follow(watch, hits=hits), *figures.follow(watch)]

    whose = ref(watch)  # not kept alive

    def end() -> None:
        for each in ends:
            each()
        if (watch := whose()) is not None:
            figures.watches.discard(watch)
            _ends.pop(watch, None)

    _ends[watch] = end
    return end


_ends: WeakKeyDictionary[Watch, Callable[[], None]] = WeakKeyDictionary()


# Metrics


class _Figures:
    """The instruments of one meter, which may be made once, for whoever shows figures by it."""

    def __init__(self, meter: Meter) -> None:
        self.watches: WeakSet[Watch] = WeakSet()
        for metric in METRICS:
            self._make(meter, metric)
        self._durations = {
            duration: meter.create_histogram(
                duration.name, "s", duration.help, explicit_bucket_boundaries_advisory=SECONDS
            )
            for duration in DURATIONS
        }

    def follow(self, watch: Watch) -> list[Callable[[], None]]:
        """Show the figures of *watch*; return what ends its durations."""
        self.watches.add(watch)
        return [
            watch.events.subscribe(partial(self._measured, duration), duration.kinds)
            for duration in DURATIONS
        ]

    def _make(self, meter: Meter, metric: Metric) -> None:
        about: Any = (metric.name, [partial(self._observed, metric)], metric.unit, metric.help)
        if not metric.is_gauge:
            meter.create_observable_counter(*about)
        elif metric.combine is sum:
            meter.create_observable_up_down_counter(*about)
        else:
            meter.create_observable_gauge(*about)

    def _observed(self, metric: Metric, options: object) -> Iterable[Observation]:  # noqa: ARG002 - a callback's
        named = [(watch.name, watch.stats()) for watch in list(self.watches)]
        for (name, *values), value in together(metric, named).items():
            yield Observation(value, _attributes(metric, name, zip(metric.labels, values, strict=True)))

    def _measured(self, duration: Duration, event: Any) -> None:
        labels = zip(("result",), duration.result_of(event), strict=False)
        self._durations[duration].record(event.seconds, _attributes(duration, event.client, labels))


def _attributes(metric: Metric | Duration, name: str, labels: Iterable[tuple[str, str]]) -> dict[str, str]:
    if metric.name.startswith("db."):
        prefix, whose = "db.client.connection", "db.client.connection.pool.name"
    else:
        prefix, whose = SCOPE, f"{SCOPE}.name"
    return {whose: name, **{f"{prefix}.{label}": value for label, value in labels}}


def _figures_of(provider: MeterProvider | None) -> _Figures:
    key = _GLOBAL if provider is None else provider
    if key not in _by_provider:
        _by_provider[key] = _Figures(metrics.get_meter(SCOPE, meter_provider=provider, schema_url=SCHEMA))
    return _by_provider[key]


class _Global:
    """Stands for the provider that is set for all, whichever that will be."""


_GLOBAL = _Global()
_by_provider: WeakKeyDictionary[Any, _Figures] = WeakKeyDictionary()


# Spans


@dataclass(slots=True)
class _Open:
    """The spans of a read whose load goes on."""

    read: Span | None  # None of a refresh that nobody waits for
    load: Span
    began: int
    outside: Context
    inside: Context


class _Spans:
    """Makes spans of events, under the span that is current where they happen."""

    def __init__(self, tracer: Tracer, *, with_text: bool) -> None:
        self._tracer = tracer
        self._with_text = with_text
        self._open: dict[int, _Open] = {}
        self._loads: OrderedDict[int, SpanContext] = OrderedDict()

    def follow(self, watch: Watch, *, hits: bool) -> list[Callable[[], None]]:
        """Make spans of what *watch* tells; return what ends that."""
        answers = [Miss, Stale, Bypass, *([Hit, NearHit] if hits else [])]
        return [
            watch.events.subscribe(self._loading, [Loading]),
            watch.events.subscribe(self._loaded, [Load]),
            watch.events.subscribe(self._answered, answers),
            watch.events.subscribe(self._dropped, [Drop]),
        ]

    def _loading(self, event: Loading) -> None:
        if not event.read or not trace.get_current_span().is_recording():
            return
        began = time_ns()
        read = None if event.is_behind else self._read_span(event, began - int(event.since * 1e9))
        load = self._load_span(event, began, None if read is None else trace.set_span_in_context(read))
        inside, outside = trace.set_span_in_context(load), context.get_current()
        self._open[event.read] = _Open(read, load, began, outside, inside)
        self._loads[event.read] = load.get_span_context()
        if len(self._loads) > REMEMBERED:
            self._loads.popitem(last=False)
        context.attach(inside)

    def _loaded(self, event: Load) -> None:
        spans = self._open.get(event.read)
        if spans is None:
            return
        if context.get_current() is spans.inside:  # not by the token of attach: this may be another context
            context.attach(spans.outside)
        if event.code is not None:
            spans.load.set_attribute("db.response.status_code", str(event.code))
        _fail(spans.load, event.error if event.code is None else str(event.code))
        spans.load.end()
        if spans.read is None:
            del self._open[event.read]

    def _answered(self, event: Answer) -> None:
        spans, now = self._open.pop(event.read, None), time_ns()
        read = None if spans is None else spans.read
        if read is None:
            if not trace.get_current_span().is_recording():
                return
            read = self._read_span(event, now - int(event.seconds * 1e9))
        read.set_attribute(f"{SCOPE}.result", _result_of(event))
        if event.reason:
            read.set_attribute(f"{SCOPE}.reason", event.reason)
        if event.wait_seconds > SHORTEST_WAIT:
            self._wait_span(event, read, now if spans is None else spans.began)
        if isinstance(event, Miss) and (led_by := self._loads.get(event.led_by or 0)) is not None:
            read.add_link(led_by)
        _fail(read, event.error)
        read.end()

    def _dropped(self, event: Drop) -> None:
        if not trace.get_current_span().is_recording():
            return
        about: dict[str, Any] = {
            f"{SCOPE}.name": event.client,
            f"{SCOPE}.key.names": event.names,
            f"{SCOPE}.drop.entries": event.entries,
        }
        began = time_ns() - int(event.seconds * 1e9)
        span = self._tracer.start_span(f"{SCOPE}.drop", attributes=about, start_time=began)
        _fail(span, event.error)
        span.end()

    def _read_span(self, event: Loading | Answer, began: int) -> Span:
        about: dict[str, Any] = {
            f"{SCOPE}.name": event.client,
            f"{SCOPE}.key.digest": event.digest,
            f"{SCOPE}.key.names": event.names,
        }
        if event.label is not None:
            about[f"{SCOPE}.query"] = event.label
        return self._tracer.start_span(f"{SCOPE}.read", attributes=about, start_time=began)

    def _load_span(self, event: Loading, began: int, inside: Context | None) -> Span:
        if event.server is None:
            name, kind, about = f"{SCOPE}.load", SpanKind.INTERNAL, {f"{SCOPE}.signature": event.query}
        else:
            name, kind, about = self._described(event)
        return self._tracer.start_span(name, inside, kind, about, start_time=began)

    def _described(self, event: Loading) -> tuple[str, SpanKind, dict[str, Any]]:
        server: Any = event.server
        statement, summary = sql.statement(event.query), sql.summary(event.query)
        about = {
            "db.system.name": server.system,
            "db.namespace": server.database,
            "db.operation.name": statement.verb or None,
            "db.query.summary": summary or None,
            "server.address": server.address,
            "server.port": server.port if server.port != MYSQL_PORT else None,
        }
        if self._with_text:
            about["db.query.text"] = sql.masked(event.query) if statement.takes_nothing else event.query
        known = {name: value for name, value in about.items() if value is not None}
        return summary or statement.verb or server.system, SpanKind.CLIENT, known

    def _wait_span(self, event: Answer, read: Span, ended: int) -> None:
        inside = trace.set_span_in_context(read)
        began = ended - int(event.wait_seconds * 1e9)
        self._tracer.start_span(f"{SCOPE}.wait", inside, start_time=began).end(ended)


def _result_of(event: Answer) -> str:
    if isinstance(event, Miss):
        return "shared" if event.is_shared else "unavailable" if event.is_unavailable else "miss"
    return {Hit: "hit", NearHit: "near_hit", Stale: "stale"}.get(type(event), "bypass")


def _fail(span: Span, error: str | None) -> None:
    if error is not None:
        span.set_attribute("error.type", error)
        span.set_status(StatusCode.ERROR)
