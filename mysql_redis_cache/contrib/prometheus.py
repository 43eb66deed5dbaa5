"""Prometheus: ``export(client)`` has the figures of clients and servers on the application's metrics page.

Nothing is done where a read is a hit: the counts are there anyway, and are taken when somebody asks. Where
``PROMETHEUS_MULTIPROC_DIR`` is set, nobody is asked but the files of ``prometheus_client``, so a thread of
each process that does anything brings them up to date every second.

``export_follower(follower)`` has those of a process that follows the binary log.
"""

from __future__ import annotations

import atexit
import os
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from mysql_redis_cache.calls import watch_of
from mysql_redis_cache.observe.metrics import DURATIONS, METRICS, SECONDS
from mysql_redis_cache.observe.readings import together
from mysql_redis_cache.runtime import Repeater, process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from prometheus_client import Metric as Family
    from prometheus_client.metrics import MetricWrapperBase

    from mysql_redis_cache.calls import Watched
    from mysql_redis_cache.follow import Follower
    from mysql_redis_cache.observe import Watch
    from mysql_redis_cache.observe.readings import Duration, Metric

    _State = dict[str, Any]
    _Values = dict[str, float]
    _Series = tuple[Metric, tuple[str, ...]]

__all__ = ["Exporter", "FollowerExporter", "export", "export_follower", "page"]

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


# --- followers ---------------------------------------------------------------------------------------------


class _Followed(NamedTuple):
    """A metric of a follower.

    Attributes:
        name: Prometheus' name, without ``_total``.
        help: what it is.
        read: gives its values from ``stats()``, by that of the label ``kind``; by "" without such a label.
        is_gauge: whether it may go down.
    """

    name: str
    help: str
    read: Callable[[_State], _Values]
    is_gauge: bool = False


def _plain(name: str) -> Callable[[_State], _Values]:
    """Read one of the state; what only a leader knows may be ``None``."""
    return lambda state: {} if state[name] is None else {"": state[name]}


def _file(state: _State) -> _Values:
    number = state["file"].rpartition(".")[2]
    return {"": int(number)} if number.isdecimal() else {}


def _drops(state: _State) -> _Values:
    return {"exact": state["values"], "wide": state["wide"]}


FOLLOWED = (
    _Followed("mrc_follow_leader", "1 if it leads, 0 if it stands by.", _plain("leader"), is_gauge=True),
    _Followed(
        "mrc_follow_lag_seconds",
        "No change is older and not dropped, as the leader knows.",
        _plain("lag"),
        is_gauge=True,
    ),
    _Followed(
        "mrc_follow_pending_transactions",
        "Transactions that are committed and not dropped, as the leader knows.",
        _plain("pending"),
        is_gauge=True,
    ),
    _Followed("mrc_follow_file", "Number of the log's file that its position is in.", _file, is_gauge=True),
    _Followed("mrc_follow_offset_bytes", "Its position in that file.", _plain("offset"), is_gauge=True),
    _Followed("mrc_follow_events", "Events of the log that were read.", _plain("events")),
    _Followed("mrc_follow_transactions", "Transactions that were read.", _plain("transactions")),
    _Followed("mrc_follow_drops", "Values dropped one by one, and names that were dropped whole.", _drops),
    _Followed("mrc_follow_dropped_entries", "Entries that were deleted.", _plain("dropped")),
    _Followed("mrc_follow_afresh", "How often the names of all rules were dropped.", _plain("afresh")),
    _Followed("mrc_follow_reconnects", "Interruptions.", _plain("reconnects")),
    _Followed("mrc_follow_retries", "Drops that Redis did not take at once.", _plain("retries")),
)


def export_follower(*followers: Follower, registry: CollectorRegistry = REGISTRY) -> FollowerExporter:
    """Have the figures of followers of the binary log exported, with their names as the label ``follower``.

    They are taken when somebody asks. Where ``PROMETHEUS_MULTIPROC_DIR`` is set nobody does: give a follower
    a process of its own.

    Args:
        *followers: those of this process, each with another name.
        registry: where, if not in the one that all use.

    Returns:
        The exporter, which ends with ``close()``.

    Raises:
        ValueError: that registry has such an exporter already.
    """
    return FollowerExporter(followers, registry)


def page(*followers: Follower) -> Callable[[], bytes]:
    """Return what writes the figures of followers, and of nothing else, as Prometheus reads them."""
    registry = CollectorRegistry()
    export_follower(*followers, registry=registry)
    return lambda: generate_latest(registry)


class FollowerExporter:
    """A collector of the figures of followers. Made by ``export_follower``."""

    def __init__(self, followers: Iterable[Follower], registry: CollectorRegistry) -> None:
        self._followers, self._registry = tuple(followers), registry
        registry.register(self)

    def collect(self) -> Iterable[Family]:
        """Return the figures as they are now."""
        now = [(follower.name, follower.stats()) for follower in self._followers]
        return [_family(metric, now) for metric in FOLLOWED]

    def close(self) -> None:
        """Export nothing more."""
        self._registry.unregister(self)


def _family(metric: _Followed, now: Iterable[tuple[str, _State]]) -> Family:
    values = [(name, kind, value) for name, state in now for kind, value in metric.read(state).items()]
    labels = ["follower", "kind"] if metric.read is _drops else ["follower"]
    make = GaugeMetricFamily if metric.is_gauge else CounterMetricFamily
    family: Any = make(metric.name, metric.help, labels=labels)
    for *named, value in values:
        family.add_metric(named[: len(labels)], value)
    return family  # type: ignore[no-any-return]
