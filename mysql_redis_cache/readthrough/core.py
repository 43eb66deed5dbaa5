"""What both clients are made of: how a read is answered, and what becomes of its load.

The steps come from ``readthrough``; the blocking client and the facade differ in how they wait, not in what
they do. What is done in Redis is in ``cache``.
"""

from __future__ import annotations

import random
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mysql_redis_cache.database import ExternalConnection, is_failure
from mysql_redis_cache.drops import Drops
from mysql_redis_cache.errors import ClosedError
from mysql_redis_cache.near import join
from mysql_redis_cache.runtime import Marks, Repeater, is_clear, process
from mysql_redis_cache.store import PATIENT, link

from . import protocol as readthrough
from .background import Background
from .cache import Cache
from .flight import AGAIN, Flight, Flights, Landing, fresh
from .functions import Stopped
from .interruptions import is_interruption
from .loading import Loads
from .nearby import AWAY, NearbyCache
from .reads import Batch, Reads
from .reports import reports
from .steps import SEAL, Loaded, Seat, Shared
from .verifying import TICK, Verifier

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager

    from mysql_redis_cache.observe import Stats
    from mysql_redis_cache.options import Options
    from mysql_redis_cache.store import Link
    from mysql_redis_cache.values import Between

    from .reads import Asked, Read
    from .steps import JoinLate, Seal, Settle, Steps

__all__ = ["Core"]


class Core(Loads):
    """The parts of a client, and the steps of its reads.

    Args:
        mysql_config: as for ``MRCClient``.
        redis_config: as for ``MRCClient``.
        options: the keyword options of ``MRCClient``.
    """

    def __init__(
        self,
        mysql_config: Mapping[str, Any] | str | ExternalConnection,
        redis_config: object,
        options: Options,
    ) -> None:
        super().__init__(mysql_config, options)
        self.reads = Reads(options.namespace, options.policy)
        self.late_flights = Flights()  # of those who gave one of the others up
        self._off_here: Marks[bool] = Marks()
        self._off_everywhere: list[bool] = []  # as many as have switched the cache off
        self.background = Background()
        self.nearby: NearbyCache | None = None  # the cache, if it has a near one
        self.links: tuple[Link, ...] = ()  # to Redis, the last for what can be had nowhere else
        self._has_plain_reads = False
        if redis_config is not None:
            self._connect(redis_config)
        self._reports = reports(options, self.stats, self.links)
        if self.cache is not None and options.verify:
            external = None if self.external is None else self.external.connection
            verifier = Verifier(self.cache.entries, self.afresh, self.watch, options.verify, external)
            self.cache.verifier = verifier
            self._reports.append(Repeater("mysql_redis_cache-verify", TICK, verifier))
        self._closed = False
        self.watch.read_off(self.gauges)
        process.register(self)

    def _connect(self, redis_config: object) -> None:
        options, ways = self.options, (link(redis_config), link(redis_config, timeout=PATIENT))
        self.links = ways
        # A cluster has keys that it cannot keep.
        self._has_plain_reads = self.external is None and not ways[0].clustered
        self.drops = Drops(
            ways[1],
            options.namespace,
            indexed=options.index,
            wait_replicas=options.wait_replicas,
            watch=self.watch,
        )
        parts: Any = {"options": options, "watch": self.watch, "background": self.background}
        if options.near is None:
            self.cache = Cache(*ways, self.drops, **parts)
        else:
            near = join(redis_config, options.near, self)
            self.cache = self.nearby = NearbyCache(near, *ways, self.drops, **parts)

    def after_fork_in_child(self) -> None:
        """Wait for no flight of the parent's; the parts see to themselves."""
        self.flights.after_fork_in_child()
        self.late_flights.after_fork_in_child()

    def check_open(self) -> None:
        """Raise ``ClosedError`` after ``close``; start afresh in a process forked behind Python's back."""
        process.check()
        if self._closed:
            raise ClosedError("this client is closed; make a new one")
        for report in self._reports:
            report.begin()

    def close(self) -> None:
        """Close Redis and MySQL connections; final."""
        self._closed = True
        self.background.close()
        for report in self._reports:
            report.end()
        if self.nearby is not None:
            self.nearby.near.leave(self)
        for way in self.links:
            way.close()
        self.database.close()

    def drain_redis(self) -> None:
        """Close the Redis connections; calls made later open new ones."""
        if self.nearby is not None:
            self.nearby.near.drain()
        for way in self.links:
            way.drain()

    def stats(self) -> Stats:
        """Return the counts so far, and what there is now."""
        return self.watch.stats()

    def gauges(self) -> dict[str, int]:
        """Return what there is now, and what the near cache counts."""
        return {
            "redis_down": int(self.cache is not None and self.cache.is_down),
            **self.database.gauges(),
            **({} if self.nearby is None else self.nearby.near.figures()),
        }

    # A read

    def is_plain(self, read: Read) -> bool:
        """Whether *read* begins with Get, and a fresh entry ends it: nobody watches, nothing is switched off.

        Its steps are those of ``readthrough.read``, and a driver may get the entry before it takes them.
        """
        return (
            self._has_plain_reads
            and not read.policy.needs_age
            and not self._off_everywhere
            and is_clear()
            and not self.observer.is_on
        )

    def steps(self, read: Read, *, refresh: bool = False, cache: bool = True) -> Steps:
        """Return the steps by which *read* is answered."""
        clear = self.external is None and is_clear()
        if clear and not self.observer.is_on:
            return self._steps(read, refresh=refresh, cache=cache, clear=True)
        traces = self.observer.traces_of(read)
        steps = self._steps(read, refresh=refresh, cache=cache, clear=clear)
        return self.observer.watched(steps, read, traces)

    def _steps(self, read: Read, *, refresh: bool, cache: bool, clear: bool) -> Steps:
        if not cache or self.cache is None or self._off_everywhere or (not clear and self._inside(read)):
            return self._past(read, cache=cache)
        if self.nearby is not None and not refresh and not read.policy.needs_age:
            answer = self.nearby.at_hand(read)
            if answer is not AWAY:
                return readthrough.known(answer)
        if not self.cache.can_keep(read):
            return self._past(read, cache=cache)
        policy = read.policy
        if refresh:
            return readthrough.refresh(policy, time.monotonic, random.random)
        load_time = self.load_times.of(read.query) if policy.early_refresh else 0.0
        steps = readthrough.read(policy, time.monotonic, random.random, load_time)
        return self._counting_stale(read, steps) if policy.stale_if_error else steps

    def _past(self, read: Read, *, cache: bool) -> Steps:
        """Have *read* go past the cache; count it, and note why."""
        if not cache:
            reason = "cache=False"
        elif self.cache is None:
            reason = "there is no Redis"
        else:
            reason = self._inside(read) or "a cluster cannot keep its key"
        read.bypassed = reason
        self.watch.refused("bypasses", read.query, reason)
        return readthrough.bypass()

    def _counting_stale(self, read: Read, steps: Steps) -> Steps:
        """Count an answer that is given although the load failed."""
        value = yield from steps
        if read.has_failed:
            self.watch.bump("stale")
        return value

    def _inside(self, read: Read) -> str:
        """Return what *read* is in the middle of and must not be cached in, if there is such a thing."""
        if self.in_transaction:
            return "it is part of a transaction"
        if self.is_off:
            return "the cache is switched off"
        return "it is part of the load of its own key" if read.key in self.loading.here() else ""

    @property
    def is_off(self) -> bool:
        """Whether the cache is switched off, here or everywhere."""
        return bool(self._off_everywhere) or any(self._off_here.here())

    def disabled(self) -> AbstractContextManager[None]:
        """Return a context manager: the cache is off in this thread or task, and what that starts."""
        return self._off_here.mark(True)

    @contextmanager
    def disabled_everywhere(self) -> Iterator[None]:
        """Have the cache be off in this process, for the block."""
        self._off_everywhere.append(True)
        try:
            yield
        finally:
            self._off_everywhere.pop()

    def join(self, read: Read) -> Flight | None:
        """Join the flight of the key: return it to wait for, or ``None`` if *read* leads it."""
        return _boarded(read, *self.flights.join(read.raw))

    def join_late(self, read: Read, step: JoinLate) -> Flight | None:
        """Join the flight of those who gave up that of the key; as ``join``."""
        return _boarded(read, *self.late_flights.join(read.raw, step.began))

    def landed(self, read: Read, flight: Flight, between: Between = None) -> Shared | Seat:
        """Return what *read* gets from *flight* after waiting for it; *between* as for ``codec.decode``.

        Raises:
            Exception: a fresh copy of what the leader's load raised.
        """
        landing = flight.landing
        read.led_by = flight.leader
        if landing is None:
            flight.home.seal(flight)  # it hangs: whoever comes next need not wait for it too
            return Seat.LATE
        if landing.failure is not None:
            raise fresh(landing.failure) from landing.failure
        if landing.payload is None:
            return Seat.AGAIN
        self.watch.bump("shared_loads")
        read.size = len(landing.payload)
        return Shared(read.decode(landing.payload, between, read.is_query))

    def seal(self, read: Read, step: Seal = SEAL) -> None:  # noqa: ARG002 - a step's performer
        """Perform Seal.

        Without the lease it is for the sake of the load, and a query that waits for a connection is not sent:
        the flight stays open until the query is sent, so that equal reads share a place in that queue.
        """
        if read.holds_lease or read.load is not None:
            self._close_flights([read])

    def settle(self, read: Read, step: Settle) -> None:
        """Perform Settle."""
        if read.flight is None:
            return
        outcome = step.outcome.error if isinstance(step.outcome, Stopped) else step.outcome
        if isinstance(outcome, Loaded):
            landing = Landing(payload=outcome.payload) if outcome.is_shared else AGAIN
        elif outcome is None or is_interruption(outcome) or (read.load is None and not is_failure(outcome)):
            landing = AGAIN  # what else is raised in a query is the leader's own as well
        else:
            landing = Landing(failure=outcome)
        read.flight.home.settle(read.flight, landing)
        read.flight = None

    def end(self, asked: Asked) -> None:
        """End what interrupted reads left open; after one that ran to its end there is nothing."""
        for read in asked.reads if isinstance(asked, Batch) else (asked,):
            self._end(read)

    def _end(self, read: Read) -> None:
        read.is_over = True
        if read.flight is not None:
            read.flight.home.settle(read.flight, AGAIN)
            read.flight = None
        if read.holds_lease and self.cache is not None:
            self.cache.release_behind(read)


def _boarded(read: Read, flight: Flight, leads: bool) -> Flight | None:
    """Note that *read* leads *flight*; return the flight of somebody else, to wait for."""
    if not leads:
        return flight
    read.flight, flight.leader = flight, read.number
    return None
