"""What a metric is, and how its values are read off a snapshot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from .events import Drop, PoolTimeout, PoolWait
    from .read_events import Load
    from .stats import QueryStats, Stats

__all__ = [
    "Duration",
    "Metric",
    "by_label",
    "by_query",
    "drops_by_result",
    "loads_by_result",
    "one",
    "together",
]

Samples: TypeAlias = Mapping[tuple[str, ...], float]


class Metric(NamedTuple):
    """A metric that is read off a snapshot.

    Attributes:
        name: OpenTelemetry's name.
        prometheus: Prometheus' name, without ``_total``.
        unit: as OpenTelemetry writes it.
        help: what it is.
        labels: the names of its labels.
        read: gives its values by the values of its labels.
        is_gauge: whether it may go down.
        combine: what several clients of one name make together, of a gauge.
    """

    name: str
    prometheus: str
    unit: str
    help: str
    labels: tuple[str, ...]
    read: Callable[[Stats], Samples]
    is_gauge: bool = False
    combine: Callable[[Iterable[float]], float] = sum


class Duration(NamedTuple):
    """A histogram of seconds, filled by events.

    Attributes:
        name: OpenTelemetry's name.
        prometheus: Prometheus' name.
        help: what it is.
        kinds: the events that it is filled by.
        results: the values that its label ``result`` may have; none if it has no such label.
    """

    name: str
    prometheus: str
    help: str
    kinds: tuple[type[Load | Drop | PoolWait | PoolTimeout], ...]
    results: tuple[str, ...] = ()

    def result_of(self, event: Any) -> tuple[str, ...]:
        """Return the value of its label for an event, if it has one."""
        if not self.results:
            return ()
        if event.error is None:
            return (self.results[0],)
        return ("timeout" if event.error == "DropTimeout" else self.results[-1],)


def together(metric: Metric, named: Iterable[tuple[str, Stats]]) -> dict[tuple[str, ...], float]:
    """Return what clients have together of a metric, by name and labels.

    Args:
        metric: which.
        named: their names and snapshots; several may have one name.
    """
    values: dict[tuple[str, ...], list[float]] = {}
    for name, stats in named:
        for labels, value in metric.read(stats).items():
            values.setdefault((name, *labels), []).append(value)
    return {labels: metric.combine(each) for labels, each in values.items()}


def one(name: str) -> Callable[[Stats], Samples]:
    """Read the number of a snapshot that has this name."""
    number = attrgetter(name)
    return lambda stats: {(): number(stats)}


def by_label(**numbers: str) -> Callable[[Stats], Samples]:
    """Read numbers by the values of the one label."""
    return lambda stats: {(value,): stats[name] for value, name in numbers.items()}


def loads_by_result(stats: Stats) -> Samples:
    """Read how many loads succeeded and failed."""
    return {("ok",): stats.loads - stats.load_failures, ("error",): stats.load_failures}


def drops_by_result(stats: Stats) -> Samples:
    """Read how many drops succeeded, ran out of time, or failed otherwise."""
    unavailable = stats.drop_failures - stats.drop_timeouts
    return {("ok",): stats.drops, ("timeout",): stats.drop_timeouts, ("unavailable",): unavailable}


def by_query(read: Callable[[QueryStats], Samples]) -> Callable[[Stats], Samples]:
    """Read figures of queries by their labels; those without one are left out: they may be any number."""

    def summed(stats: Stats) -> Samples:
        sums: Counter[tuple[str, ...]] = Counter()
        for query in stats.queries:
            if query.label is not None:
                for labels, value in read(query).items():
                    sums[query.label, *labels] += value  # type: ignore[assignment]  # a Counter of floats
        return sums

    return summed
