"""What both clients are made of: how a read is answered, and what becomes of its load.

The steps come from ``readthrough``; the blocking client and the facade differ in how they wait, not in what
they do. What is done in Redis is in ``cache``.
"""

from __future__ import annotations

import random
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from mysql_redis_cache.database import Database, ExternalConnection, ExternalDatabase, is_failure
from mysql_redis_cache.drops import Drops
from mysql_redis_cache.errors import ClosedError
from mysql_redis_cache.joined import Joined, joined_transaction
from mysql_redis_cache.near import join
from mysql_redis_cache.observe import Counters
from mysql_redis_cache.runtime import Marks, is_clear, process
from mysql_redis_cache.store import PATIENT, link
from mysql_redis_cache.transaction import UnitOfWork, savepoint, transaction
from mysql_redis_cache.values import codec, rows_as_list

from . import steps as readthrough
from .background import Background
from .cache import Cache
from .flight import AGAIN, Flight, Flights, Landing, fresh
from .functions import Stopped
from .interruptions import is_interruption
from .nearby import NearbyCache
from .reads import Batch, Reads
from .steps import LOAD, SEAL, Loaded, Seat, Shared

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from mysql_redis_cache.joined import Work
    from mysql_redis_cache.options import Options
    from mysql_redis_cache.store import Link
    from mysql_redis_cache.values import Between, Row

    from .reads import Asked, Read
    from .steps import JoinLate, Load, Seal, Settle, Steps

__all__ = ["Core", "uncommitted"]

# How many queries' load times are remembered for the early refresh.
LOAD_TIMES_KEPT = 1024


class Core:
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
        self.options = options
        self.reads = Reads(options.namespace, options.policy)
        self.external: ExternalDatabase | None = None
        self.database: Database | ExternalDatabase
        if isinstance(mysql_config, ExternalConnection):
            self.external = ExternalDatabase(mysql_config, dates=options.dates, zone=options.zone)
            self.database = self.external
        else:
            self.database = Database(mysql_config, dates=options.dates, zone=options.zone)
        self.flights = Flights()
        self.late_flights = Flights()  # of those who gave one of the others up
        self.loading: Marks[str] = Marks()  # the keys that are being loaded
        self.transactions: Marks[Work] = Marks()  # those that are open
        self.background = Background()
        self.stats = Counters()
        self.cache: Cache | None = None
        self.drops: Drops | None = None
        self.nearby: NearbyCache | None = None  # the cache, if it has a near one
        self._links: tuple[Link, ...] = ()
        if redis_config is not None:
            self._connect(redis_config)
        # By the hash of the query, whose text may be of any size; at worst two queries share an average.
        self._load_times: dict[int, float] = {}
        self._closed = False
        process.register(self)

    def _connect(self, redis_config: object) -> None:
        options, ways = self.options, (link(redis_config), link(redis_config, timeout=PATIENT))
        self._links = ways
        self.drops = Drops(
            ways[1], options.namespace, indexed=options.index, wait_replicas=options.wait_replicas
        )
        parts: Any = {"options": options, "stats": self.stats, "background": self.background}
        if options.near is None:
            self.cache = Cache(*ways, self.drops, **parts)
        else:
            near = join(redis_config, options.near, self)
            self.cache = self.nearby = NearbyCache(near, *ways, self.drops, **parts)

    def after_fork_in_child(self) -> None:
        """Count anew, and wait for no flight of the parent's; the parts see to themselves."""
        self.flights.after_fork_in_child()
        self.late_flights.after_fork_in_child()
        self.stats.clear()

    def check_open(self) -> None:
        """Raise ``ClosedError`` after ``close``; start afresh in a process forked behind Python's back."""
        process.check()
        if self._closed:
            raise ClosedError("this client is closed; make a new one")

    def close(self) -> None:
        """Close Redis and MySQL connections; final."""
        self._closed = True
        self.background.close()
        if self.nearby is not None:
            self.nearby.near.leave(self)
        for way in self._links:
            way.close()
        self.database.close()

    def drain_redis(self) -> None:
        """Close the Redis connections; calls made later open new ones."""
        if self.nearby is not None:
            self.nearby.near.drain()
        for way in self._links:
            way.drain()

    def figures(self) -> dict[str, int]:
        """Return the counters by name, with those of the near cache."""
        return self.stats.snapshot() | ({} if self.nearby is None else self.nearby.near.figures())

    # A read

    def steps(self, read: Read, *, refresh: bool = False, cache: bool = True) -> Steps:
        """Return the steps by which *read* is answered."""
        is_outside = (self.external is None and is_clear()) or self._is_outside(read)
        if not cache or self.cache is None or not is_outside:
            return readthrough.bypass()
        if self.nearby is not None and not refresh and (answer := self.nearby.at_hand(read)) is not None:
            return answer
        if not self.cache.can_keep(read):
            return readthrough.bypass()
        if refresh:
            return readthrough.refresh(read.policy, time.monotonic, random.random)
        load_time = self._load_times.get(hash(read.query), 0.0) if read.policy.early_refresh else 0.0
        return readthrough.read(read.policy, time.monotonic, random.random, load_time)

    @property
    def in_transaction(self) -> bool:
        """Whether this thread or task has a transaction of this client open."""
        return self.transaction_here() is not None

    def _is_outside(self, read: Read) -> bool:
        """Whether *read* is neither in a transaction of this client nor in the load of its own key."""
        return not self.in_transaction and read.key not in self.loading.here()

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
        if landing is None:
            flight.home.seal(flight)  # it hangs: whoever comes next need not wait for it too
            return Seat.LATE
        if landing.failure is not None:
            raise fresh(landing.failure) from landing.failure
        if landing.payload is None:
            return Seat.AGAIN
        self.stats.bump("shared_loads")
        return Shared(read.decode(landing.payload, between, read.is_query))

    def seal(self, read: Read, step: Seal = SEAL) -> None:  # noqa: ARG002 - a step's performer
        """Perform Seal.

        Without the lease it is for the sake of the load, and a query that waits for a connection is not sent:
        the flight stays open until the query is sent, so that equal reads share a place in that queue.
        """
        if read.holds_lease or read.load is not None:
            self._close_flight(read)

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

    # Loading

    def load(self, read: Read, step: Load = LOAD) -> Any:  # noqa: ARG002 - a step's performer
        """Perform Load, and remember how long it took if early refreshes are decided by that."""
        load = read.load or self._load_query
        if not read.policy.early_refresh:
            return load(read)
        began = time.monotonic()
        loaded = load(read)
        self.note_load_time(read, time.monotonic() - began)
        return loaded

    def note_load_time(self, read: Read, took: float) -> None:
        """Blend *took* seconds into the moving average of the query's loads."""
        times, query = self._load_times, hash(read.query)
        if len(times) >= LOAD_TIMES_KEPT and query not in times:
            times.clear()
        before = times.get(query, took)
        times[query] = before + 0.3 * (took - before)

    def loaded(self, read: Read, value: object, between: Between = None) -> Loaded:
        """Return what a function gave in the form that a later hit has; *between* as for ``codec.decode``."""
        payload = codec.encode(value, self.options.dates)
        return self._sized(read, Loaded(read.decode(payload, between, read.is_query), payload))

    def check_value(self, value: object) -> None:
        """Raise what storing *value* would, for a client without Redis: ``TypeError`` or ``ValueError``."""
        codec.encode(value, self.options.dates)

    def _load_query(self, read: Read) -> Loaded:
        transaction = self.transaction_here()
        rows = self._rows(read, transaction)
        payload = codec.encode_rows(rows)
        if read.decode is codec.decode:  # what that would give is here
            loaded = Loaded(rows_as_list(rows), payload)
        else:
            loaded = Loaded(read.decode(payload, None, True), payload)
        return self._sized(read, loaded) if transaction is None else uncommitted(loaded)

    def _rows(self, read: Read, transaction: Work | None) -> list[Row]:
        if transaction is not None:
            return transaction.query(read.query, read.params)
        if read.flight is None or read.holds_lease:
            return self.database.query(read.query, read.params)
        closing = partial(self._close_flight, read)
        return self.database.query(read.query, read.params, before_sending=closing)

    def _close_flight(self, read: Read) -> None:
        if read.flight is not None:
            self.flights.seal(read.flight)  # one of the late ones may be joined until it lands

    def transaction_here(self) -> Work | None:
        """Return this client's open transaction in this thread or task, the innermost.

        A task that was started inside one inherits it, and may live on when it is over. Over somebody else's
        connection it is theirs, if one is open.
        """
        if self.external is not None:
            is_open = self.external.connection.in_transaction
            return Joined(self.external, self.drops, self.options.namespace) if is_open else None
        return self._own_transaction()

    def _own_transaction(self) -> UnitOfWork | None:
        if is_clear():
            return None
        here = self.transactions.here()
        return next((work for work in here if isinstance(work, UnitOfWork) and not work.is_over), None)

    def open_transaction(self) -> AbstractContextManager[Work]:
        """Return a context manager: a transaction, or within one a savepoint."""
        namespace = self.options.namespace
        if isinstance(self.database, ExternalDatabase):
            return joined_transaction(self.database, self.drops, namespace)
        outer = self._own_transaction()
        if outer is not None:
            return savepoint(outer)
        return transaction(self.database, self.drops, namespace)

    def _sized(self, read: Read, loaded: Loaded) -> Loaded:
        fits = self.cache is None or (self.cache.fits(loaded.payload) and read.lives(loaded.value))
        return loaded if fits else loaded._replace(fits=False)


def uncommitted(loaded: Loaded) -> Loaded:
    """Return what was loaded in a transaction: it is neither cached nor shared."""
    return loaded._replace(fits=False, is_shared=False)


def _boarded(read: Read, flight: Flight, leads: bool) -> Flight | None:
    """Note that *read* leads *flight*; return the flight of somebody else, to wait for."""
    if not leads:
        return flight
    read.flight = flight
    return None
