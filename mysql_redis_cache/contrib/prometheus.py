"""Prometheus: ``export(client)`` has the figures of clients and servers on the application's metrics page.

Nothing is done where a read is a hit: the counts are there anyway, and are taken when somebody asks. Where
``PROMETHEUS_MULTIPROC_DIR`` is set, nobody is asked but the files of ``prometheus_client``, so a thread of
each process that does anything brings them up to date every second.
"""

from __future__ import annotations

import atexit
import os
import threading
from typing import TYPE_CHECKING, Any

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from mysql_redis_cache.calls import watch_of
from mysql_redis_cache.observe.metrics import DURATIONS, METRICS, SECONDS, together
from mysql_redis_cache.runtime import Repeater, process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from prometheus_client import Metric as Family
    from prometheus_client.metrics import MetricWrapperBase

    from mysql_redis_cache.calls import Watched
    from mysql_redis_cache.observe import Watch
    from mysql_redis_cache.observe.metrics import Duration, Metric

    _Series = tuple[Metric, tuple[str, ...]]

__all__ = ["Exporter", "export"]

EVERY = 1.0
"""Seconds after which the files of a process are brought up to date."""

# Held while figures are handed over. prometheus_client has locks that no child of a fork could have opened:
# nobody forks while this is held, but by a signal handler of the thread that holds it.
_handing_over = threading.RLock()

if hasattr(os, "register_at_fork"):  # Windows does not fork
    os.register_at_fork(
        before=_handing_over.acquire,
        after_in_parent=_handing_over.release,
        after_in_child=_handing_over.release,
    )


def export(*sources: Watched, registry: CollectorRegistry = REGISTRY) -> Exporter:
    """Have the figures of clients and servers exported; call it once in a program.

    Each has its name as the label ``cache``; figures of those with one name are added up.

    Args:
        *sources: clients and servers, blocking or asynchronous.
        registry: where, if not in the one that all use.

    Returns:
        The exporter, which ends with ``close()``.

    Raises:
        ValueError: that registry has such an exporter already, or there is nothing to export.
        TypeError: one is neither a client nor a server.
    """
    return Exporter(*sources, registry=registry)


class Exporter:
    """A collector of the figures of clients and servers. Made by ``export``."""

    def __init__(self, *sources: Watched, registry: CollectorRegistry = REGISTRY) -> None:
        if not sources:
            raise ValueError("there is nothing to export: name clients and servers, as export(client)")
        # Each once: a client and its facade have one watch.
        self._sources = [_Source(watch) for watch in dict.fromkeys(map(watch_of, sources))]
        self._registry = registry
        self._is_alone = "PROMETHEUS_MULTIPROC_DIR" not in os.environ
        # Asked by itself, it has figures of its own to bring up to date first.
        home = self._home = CollectorRegistry() if self._is_alone else registry
        self._metrics: dict[Metric, Any] = {metric: _made(metric, home) for metric in METRICS}
        self._durations = {duration: _histogram(duration, home) for duration in DURATIONS}
        if self._is_alone:
            registry.register(self)
        self._ends = [self._measure(*each) for each in self._durations.items()]
        if not self._is_alone:
            self._ends.append(_Feeder(self, self._watches).end)

    def describe(self) -> Iterable[Family]:
        """Return the metrics that there are, so that a registry takes them once."""
        return self._home.collect()

    def collect(self) -> Iterable[Family]:
        """Return the figures as they are now."""
        self.hand_over()
        return self._home.collect()

    def close(self) -> None:
        """Export nothing more."""
        for end in self._ends:
            end()
        metrics: list[MetricWrapperBase] = [*self._metrics.values(), *self._durations.values()]
        for each in [self] if self._is_alone else metrics:
            self._registry.unregister(each)

    def start_anew(self) -> None:
        """Count from nought, as the sources do in a forked child."""
        for each in self._sources:
            each.handed_over = {}

    def hand_over(self) -> None:
        """Bring the metrics up to date."""
        with _handing_over:
            now = [(source.watch.name, source.watch.stats()) for source in self._sources]
            for metric, shown in self._metrics.items():
                if metric.is_gauge:
                    for labels, value in together(metric, now).items():
                        shown.labels(*labels).set(value)
                    continue
                for source, (name, stats) in zip(self._sources, now, strict=True):
                    for labels, value in metric.read(stats).items():
                        shown.labels(name, *labels).inc(source.since((metric, labels), value))

    @property
    def _watches(self) -> list[Watch]:
        return [each.watch for each in self._sources]

    def _measure(self, duration: Duration, histogram: Histogram) -> Callable[[], object]:
        """Have the histogram of *duration* filled, until what is returned is called."""

        def measured(event: Any) -> None:
            histogram.labels(event.client, *duration.result_of(event)).observe(event.seconds)

        for watch in self._watches:
            for labels in [[result] for result in duration.results] or [[]]:
                histogram.labels(watch.name, *labels)  # there from the start
        ends = [watch.events.subscribe(measured, duration.kinds) for watch in self._watches]
        return lambda: [end() for end in ends]


class _Source:
    """A client or server, and what was handed over of its counts."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.handed_over: dict[_Series, float] = {}

    def since(self, series: _Series, value: float) -> float:
        """Return what came to a count since the last time; one that has become less began anew."""
        before = self.handed_over.get(series, 0.0)
        self.handed_over[series] = value
        return value - before if value >= before else value


class _Feeder:
    """Hands figures over every second, by a daemon thread that starts with the first thing counted.

    A process that counts nothing, as a master that only forks, has none.

    Args:
        exporter: whose.
        watches: who counts.
    """

    def __init__(self, exporter: Exporter, watches: Iterable[Watch]) -> None:
        self._exporter = exporter
        self._repeater = Repeater("mysql_redis_cache-prometheus", EVERY, self._go_on)
        self._ends = [watch.on_use(self._begin) for watch in watches]
        self.after_fork_in_child()
        process.register(self)
        atexit.register(self._finish)

    def after_fork_in_child(self) -> None:
        """Have nothing to tell: what was counted is the parent's."""
        self._exporter.start_anew()
        self._has_begun = False

    def end(self) -> None:
        """Hand over what there is, and nothing more."""
        for end in self._ends:
            end()
        self._repeater.end()
        atexit.unregister(self._finish)
        self._finish()

    def _begin(self) -> None:
        self._has_begun = True
        self._repeater.begin()

    def _go_on(self) -> bool:
        self._exporter.hand_over()
        return True

    def _finish(self) -> None:
        if self._has_begun:
            self._exporter.hand_over()


def _made(metric: Metric, home: CollectorRegistry) -> Counter | Gauge:
    labels = ("cache", *metric.labels)
    if not metric.is_gauge:
        return Counter(metric.prometheus, metric.help, labels, registry=home)
    mode: Any = "livemin" if metric.combine is min else "livesum"
    return Gauge(metric.prometheus, metric.help, labels, registry=home, multiprocess_mode=mode)


def _histogram(duration: Duration, home: CollectorRegistry) -> Histogram:
    labels = ("cache", "result") if duration.results else ("cache",)
    return Histogram(duration.prometheus, duration.help, labels, buckets=SECONDS, registry=home)
