"""The one who watches a client: its counters, the figures of its queries, and those who listen."""

from __future__ import annotations

from threading import RLock
from typing import TYPE_CHECKING, Any
from weakref import WeakMethod, WeakSet

from mysql_redis_cache.runtime import process

from .counters import Counters
from .events import Drop, PoolTimeout, PoolWait, Write
from .listening import Events
from .queries import Queries
from .stats import Stats

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Watch", "on_each"]


class Watch:
    """Counts, and tells events to those who listen; decides nothing.

    Args:
        name: of the client, by which its figures are told from others'.
        on_event: a function of one event, the first who listens to all of them.

    Raises:
        TypeError: *on_event* cannot be called.

    Attributes:
        name: as given.
        counters: its counters.
        queries: the figures of its queries.
        events: those who listen.
    """

    def __init__(self, name: str = "default", on_event: Callable[[Any], object] | None = None) -> None:
        self.name = name
        self._used: tuple[Callable[[], object], ...] = ()
        self.counters = Counters(self._is_used)
        self.queries = Queries()
        self.events = Events()
        if on_event is not None:
            self.events.subscribe(on_event)
        self._gauges: WeakMethod[Callable[[], Mapping[str, int]]] | None = None
        self.after_fork_in_child()
        process.register(self)
        _everybody.add(self)

    def after_fork_in_child(self) -> None:
        """Count from nought: what was counted is the parent's."""
        self.counters.clear()
        self.queries.clear()
        # Re-entrant: a signal handler may read, too, and strike where it is held.
        self._lock = RLock()
        self._seconds = {"load_seconds": 0.0, "drop_seconds": 0.0, "pool_wait_seconds": 0.0}

    def bump(self, name: str, by: int = 1) -> None:
        """Add one, or *by*, to a counter, one of ``Stats``."""
        self.counters.bump(name, by)

    def on_use(self, hook: Callable[[], object]) -> Callable[[], None]:
        """Have *hook* called when it counts for the first time, also in a forked child, and now and then.

        Returns:
            a function that ends that.
        """
        with self._lock:
            self._used = (*self._used, hook)

        def end() -> None:
            with self._lock:
                self._used = tuple(each for each in self._used if each is not hook)

        return end

    def _is_used(self) -> None:
        for hook in self._used:
            hook()

    def read_off(self, gauges: Callable[[], Mapping[str, int]]) -> None:
        """Have figures read off by a method whenever they are asked for; its owner is not kept alive."""
        self._gauges = WeakMethod(gauges)

    def stats(self) -> Stats:
        """Return the counts so far, and what there is now."""
        counts, gauges = self.counters.snapshot(), None if self._gauges is None else self._gauges()
        # Sums, so that what is left of one without the other never goes back.
        for whole, part in (("loads", "load_failures"), ("drop_failures", "drop_timeouts")):
            counts[whole] = counts.get(whole, 0) + counts.get(part, 0)
        numbers: dict[str, Any] = {**counts, **self._seconds, **({} if gauges is None else gauges())}
        return Stats(**numbers, queries=self.queries.snapshot())

    def hit(self, query: str, by: int = 1) -> None:
        """Count a hit in Redis, or so many of one query."""
        self.counters.bump("hits", by)
        self.queries.hit(query, by)

    def near_hit(self, query: str) -> None:
        """Count a hit in this process."""
        self.counters.bump("near_hits")
        self.queries.hit(query)

    def miss(self, query: str) -> None:
        """Count a miss."""
        self.counters.bump("misses")
        self.queries.miss(query)

    def loaded(self, query: str, seconds: float, size: int | None) -> None:
        """Count a load, and the bytes of its JSON; ``None`` if it failed."""
        self.counters.bump("load_failures" if size is None else "loads")
        self._add("load_seconds", seconds)
        self.queries.loaded(query, seconds, size)

    def refused(self, counter: str, query: str, why: str) -> None:
        """Count an answer that was not cached, and note why."""
        self.counters.bump(counter)
        self.queries.refused(query, why)

    def dropped(
        self, names: tuple[str, ...], entries: int, seconds: float, error: Exception | None = None
    ) -> None:
        """Count a drop, also one that failed."""
        self.counters.bump("drops" if error is None else _failure_of(error))
        self.counters.bump("dropped_entries", entries)
        self._add("drop_seconds", seconds)
        if self.events.heard:
            failure = None if error is None else type(error).__name__
            self.tell(Drop(names=names, entries=entries, seconds=seconds, error=failure))

    def wrote(self, query: str, rows: int) -> None:
        """Tell of a statement that writes."""
        if self.events.heard:
            self.tell(Write(query=query, rows=rows))

    def pool_waited(self, seconds: float, *, in_vain: bool) -> None:
        """Count a wait for a connection."""
        self.counters.bump("pool_timeouts" if in_vain else "pool_waits")
        self._add("pool_wait_seconds", seconds)
        if self.events.heard:
            self.tell((PoolTimeout if in_vain else PoolWait)(seconds=seconds))

    def tell(self, event: Any, key: str | None = None) -> None:
        """Tell an event to those who listen."""
        event.client = self.name
        self.events.publish(event, key)

    def _add(self, name: str, seconds: float) -> None:
        with self._lock:
            self._seconds[name] += seconds


def _failure_of(error: Exception) -> str:
    return "drop_timeouts" if isinstance(error, TimeoutError) else "drop_failures"


class _Everybody:
    """The watches of this process, and the hooks that each of them is told to, once."""

    def __init__(self) -> None:
        self._watches: WeakSet[Watch] = WeakSet()
        self._hooks: list[Callable[[Watch], object]] = []
        self.after_fork_in_child()
        process.register(self)

    def after_fork_in_child(self) -> None:
        """Go on with the same; a thread that only the parent has may be making a client."""
        self._lock = RLock()

    def add(self, watch: Watch) -> None:
        """Add a watch."""
        with self._lock:
            self._watches.add(watch)
            hooks = tuple(self._hooks)
        for hook in hooks:
            hook(watch)

    def add_hook(self, hook: Callable[[Watch], object]) -> None:
        """Add a hook."""
        with self._lock:
            self._hooks.append(hook)
            watches = list(self._watches)
        for watch in watches:
            hook(watch)

    def remove_hook(self, hook: Callable[[Watch], object]) -> None:
        """Remove a hook, if it is there."""
        with self._lock:
            if hook in self._hooks:
                self._hooks.remove(hook)


_everybody = _Everybody()


def on_each(hook: Callable[[Watch], object]) -> Callable[[], None]:
    """Have *hook* called with the watch of each client and server of this process, also of those made later.

    Returns:
        a function that ends that.
    """
    _everybody.add_hook(hook)
    return lambda: _everybody.remove_hook(hook)
