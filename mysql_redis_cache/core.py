"""What both clients are made of: how a read is set up, and what each of its steps does.

The steps come from ``readthrough``; the blocking client and the facade differ in how they wait, not in what
they do. What happens when Redis fails is decided here: reads go on without it, a breaker keeps them from
asking it in vain, and one line is logged per change of state.
"""

from __future__ import annotations

import logging
import math
import os
import random
import time
from collections import deque
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import ref

from mysql_redis_cache import codec, keys, process, readthrough
from mysql_redis_cache.background import Background, Keeper
from mysql_redis_cache.breaker import Breaker
from mysql_redis_cache.connections import Exhausted
from mysql_redis_cache.database import Database, is_failure
from mysql_redis_cache.drops import Drops
from mysql_redis_cache.entries import Entries, Found, Name
from mysql_redis_cache.errors import CacheUnavailable, ClosedError, fresh
from mysql_redis_cache.flight import AGAIN, Flight, Flights, Landing
from mysql_redis_cache.policy import Policy
from mysql_redis_cache.reads import Reads
from mysql_redis_cache.readthrough import (
    GET,
    LOAD,
    RELEASE,
    SEAL,
    Acquire,
    Claim,
    Entry,
    Loaded,
    Seat,
    Shared,
)
from mysql_redis_cache.stats import Counters
from mysql_redis_cache.store import PATIENT, Refused, link
from mysql_redis_cache.transaction import Transaction, current

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mysql_redis_cache.codec import Between, Dates
    from mysql_redis_cache.reads import Batch, Read, Write
    from mysql_redis_cache.readthrough import Fill, Get, Load, Release, Seal, Settle, Steps

__all__ = ["Core", "Options", "loading"]

logger = logging.getLogger("mysql_redis_cache")

# The keys whose load is going on in this thread or task, or in one it was started from.
loading: ContextVar[frozenset[str]] = ContextVar("mysql_redis_cache_loading", default=frozenset())

# How many leases that Redis must still be told of are remembered.
LEASES_KEPT = 1024

# Bytes that Redis takes for one value, however much one would like to cache.
LARGEST_ENTRY = 1 << 29

# How many queries' load times are remembered for the early refresh.
LOAD_TIMES_KEPT = 1024


@dataclass(frozen=True, slots=True)
class Options:
    """The keyword options of a client, described there."""

    namespace: str | None = None
    index: bool = False
    dates: Dates = "iso"
    max_entry_bytes: int | None = None
    wait_replicas: int = 0
    policy: Policy = field(default_factory=Policy)

    def __post_init__(self) -> None:
        if self.dates not in {"iso", "npm"}:
            raise ValueError(f"dates must be 'iso' or 'npm', not {self.dates!r}")
        limit = self.max_entry_bytes
        if limit is None:
            return
        if isinstance(limit, bool) or not isinstance(limit, int):
            raise TypeError(f"max_entry_bytes must be an int or None, not {type(limit).__name__}")
        if limit < 0:
            raise ValueError(f"max_entry_bytes must not be negative, got {limit}")


class Core:
    """The parts of a client, and the steps of its reads.

    Args:
        mysql_config: as for ``MRCClient``.
        redis_config: as for ``MRCClient``.
        options: the keyword options of ``MRCClient``.
    """

    def __init__(self, mysql_config: Mapping[str, Any] | str, redis_config: object, options: Options) -> None:
        self.options = options
        self.prefix = keys.check_namespace(options.namespace)
        self.reads = Reads(self.prefix, options.policy)
        self.database = Database(mysql_config, dates=options.dates)
        self.link = None if redis_config is None else link(redis_config)
        # Reads give Redis up soon, for they can ask MySQL; what else is asked of it can be had nowhere else.
        self.patient_link = None if redis_config is None else link(redis_config, timeout=PATIENT)
        self.entries: Entries | None = None
        self.patient_entries: Entries | None = None
        self.drops: Drops | None = None
        if self.link is not None and self.patient_link is not None:
            self.entries = Entries(self.link, options.policy.lease_seconds)
            self.patient_entries = Entries(self.patient_link, options.policy.lease_seconds)
            self.drops = Drops(
                self.patient_link, self.prefix, indexed=options.index, wait_replicas=options.wait_replicas
            )
        self.flights = Flights()
        self.background = Background()
        self._keeper = Keeper(options.policy.lease_seconds)
        self._load_times: dict[str, float] = {}
        self._closed = False
        self.after_fork_in_child()
        process.register(self)

    def after_fork_in_child(self) -> None:
        """Count anew, ask Redis anew, and wait for no flight of the parent's; the parts see to themselves."""
        self.flights.after_fork_in_child()
        self.stats = Counters()
        self._breaker = Breaker()
        self._writes = Breaker()  # a server that is full or a replica answers reads and refuses these
        self._left_behind: deque[tuple[Name, bytes]] = deque(maxlen=LEASES_KEPT)

    def check_open(self) -> None:
        """Raise ``ClosedError`` after ``close``; start afresh in a process forked behind Python's back."""
        process.check()
        if self._closed:
            raise ClosedError("this client is closed; make a new one")

    def close(self) -> None:
        """Close Redis and MySQL connections; final."""
        self._closed = True
        self.background.close()
        for way in (self.link, self.patient_link):
            if way is not None:
                way.close()
        self.database.close()

    def drain_redis(self) -> None:
        """Close the Redis connections; calls made later open new ones."""
        for way in (self.link, self.patient_link):
            if way is not None:
                way.drain()

    # A read

    def steps(self, read: Read, *, refresh: bool = False, cache: bool = True) -> Steps:
        """Return the steps by which *read* is answered."""
        if not cache or self.entries is None or read.key in loading.get() or self.in_transaction:
            return readthrough.bypass()
        if self.link is not None and self.link.clustered and self._where(read) is None:
            self.stats.bump("uncacheable_keys")
            return readthrough.bypass()
        if refresh:
            return readthrough.refresh(read.policy, time.monotonic, random.random)
        load_time = self._load_times.get(read.query, 0.0) if read.policy.early_refresh else 0.0
        return readthrough.read(read.policy, time.monotonic, random.random, load_time)

    def batch(
        self,
        queries: Sequence[tuple[Any, ...]],
        ttl: object,
        windows: Mapping[str, Any],
        *,
        refresh: bool,
        cache: bool,
    ) -> Batch:
        """Return the reads of several cached queries with their steps."""
        return self.reads.many(queries, ttl, windows, partial(self.steps, refresh=refresh, cache=cache))

    # The steps of a read

    def get(self, read: Read, step: Get = GET) -> Entry | Claim | None:  # noqa: ARG002 - a step's performer
        """Perform Get."""
        began = time.monotonic()
        if not self._breaker.allows(began):
            return Claim.UNAVAILABLE
        try:
            found = self._get_raw(read)
        except CacheUnavailable as error:
            return self._lost_redis(error, began)
        self._found_redis(began)
        return self._entry(read, found)

    def get_many(self, reads: Sequence[Read]) -> Sequence[Entry | Claim | None]:
        """Perform Get for several reads in one round trip."""
        return self.decode_many(reads, self.fetch_many(reads))

    def fetch_many(self, reads: Sequence[Read]) -> Sequence[bytes | Found | Claim | None]:
        """Return what Redis holds for several reads, asked in one round trip."""
        began = time.monotonic()
        if not self._breaker.allows(began) or self.entries is None:
            return [Claim.UNAVAILABLE] * len(reads)
        aged = any(read.policy.needs_age for read in reads)
        get_many = self.entries.get_many_aged if aged else self.entries.get_many
        try:
            found = get_many([read.raw for read in reads])
        except CacheUnavailable as error:
            return [self._lost_redis(error, began)] * len(reads)
        self._found_redis(began)
        return found

    def decode_many(
        self, reads: Sequence[Read], found: Sequence[bytes | Found | Claim | None], between: Between = None
    ) -> Sequence[Entry | Claim | None]:
        """Return what was fetched for several reads as Get gives it; *between* as for ``codec.decode``."""
        if isinstance(found[0], Claim):
            return found  # type: ignore[return-value]  # Redis was not there for any of them
        entries = [self._decoded(read, one, between) for read, one in zip(reads, found, strict=True)]  # type: ignore[arg-type]
        misses = entries.count(None)
        self.stats.bump("misses", misses)
        self.stats.bump("hits", len(entries) - misses)
        return entries

    def acquire(self, read: Read, step: Acquire) -> Entry | Claim:
        """Perform Acquire."""
        began = time.monotonic()
        if self.entries is None or not self._may_claim(began):
            return Claim.UNAVAILABLE
        read.token = read.token or _token()
        read.holds_lease = True  # for all it knows, if it is interrupted before the answer
        try:
            claim = self.entries.acquire(self._named(read), read.token, step.newer_than)
            claimed = self._claimed(read, claim)
            if claimed is None:  # what is there does not decode: load over it
                claimed = self._claimed(read, self.entries.acquire(self._named(read), read.token, math.inf))
        except CacheUnavailable as error:
            return self._lost_write([read], error, began)
        self._found_redis(began)
        self._took_writes([claimed], began)
        return Claim.LOST if claimed is None else claimed

    def acquire_many(self, reads: Sequence[Read], steps: Sequence[Acquire]) -> list[Entry | Claim]:
        """Perform Acquire for several reads in one round trip."""
        began = time.monotonic()
        if len(reads) == 1 or self.entries is None or not self._may_claim(began):
            return [self.acquire(read, step) for read, step in zip(reads, steps, strict=True)]
        runs = []
        for read, step in zip(reads, steps, strict=True):
            read.token = read.token or _token()
            read.holds_lease = True  # as above
            runs.append((self._named(read), read.token, step.newer_than))
        try:
            claims = self.entries.acquire_many(runs)
        except CacheUnavailable as error:
            return [self._lost_write(reads, error, began)] * len(reads)
        self._found_redis(began)
        claimed = [
            self._lost_write([read], claim, began)
            if isinstance(claim, Refused)
            else self._claimed(read, claim)
            for read, claim in zip(reads, claims, strict=True)
        ]
        self._took_writes(claimed, began)
        # None: what is there does not decode, and has to be loaded over.
        return [
            self.acquire(read, Acquire(math.inf)) if one is None else one
            for one, read in zip(claimed, reads, strict=True)
        ]

    def fill(self, read: Read, step: Fill) -> bool:
        """Perform Fill; if it is interrupted the lease is still to be given back."""
        self._keeper.forget(read.token)
        accepted = self._fill(read, step)
        read.holds_lease = False
        return accepted

    def _fill(self, read: Read, step: Fill) -> bool:
        began = time.monotonic()
        if self.entries is None or not self._breaker.is_closed:
            self._leave_lease(read)
            return False
        lifetime = read.policy.lifetime(read.ttl, random.random)
        try:
            accepted = self.entries.fill(self._named(read), read.token, step.payload, lifetime)
        except CacheUnavailable as error:
            self._lost_write([read], error, began)
            return False
        self.stats.bump("fills" if accepted else "refused_fills")
        return accepted

    def release(self, read: Read, step: Release = RELEASE) -> bool:  # noqa: ARG002 - a step's performer
        """Perform Release; where Redis does not answer that is done later, or the lease runs out."""
        self._keeper.forget(read.token)
        was_ours = self._release(read)
        read.holds_lease = False
        return was_ours

    def _release(self, read: Read) -> bool:
        began = time.monotonic()
        if read.where is None or self.entries is None or not self._breaker.is_closed:
            self._leave_lease(read)
            return False
        try:
            return self.entries.release(read.where, read.token)
        except CacheUnavailable as error:
            self._lost_write([read], error, began)
            return False

    @property
    def in_transaction(self) -> bool:
        """Whether this thread or task has a transaction of this client open."""
        return current.get() is not None and self._transaction() is not None

    def join(self, read: Read) -> Flight | None:
        """Join the flight of the key: return it to wait for, or ``None`` if *read* leads it."""
        flight, leads = self.flights.join(read.raw)
        if not leads:
            return flight
        read.flight = flight
        return None

    def landed(self, flight: Flight, between: Between = None) -> Shared | Seat:
        """Return what a follower gets from *flight* after waiting for it; *between* as for ``codec.decode``.

        Raises:
            Exception: a fresh copy of what the leader's load raised.
        """
        landing = flight.landing
        if landing is None:
            self.flights.seal(flight)  # it hangs: whoever comes next need not wait for it too
            return Seat.LATE
        if landing.failure is not None:
            raise fresh(landing.failure) from landing.failure
        if landing.payload is None:
            return Seat.AGAIN
        self.stats.bump("shared_loads")
        return Shared(codec.decode(landing.payload, between))

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
        outcome = step.outcome
        if isinstance(outcome, Loaded):
            landing = Landing(payload=outcome.payload)
        elif outcome is None or (read.load is None and not is_failure(outcome)):
            landing = AGAIN  # what else is raised in a query, as by a signal handler, is the leader's own
        else:
            landing = Landing(failure=outcome)
        self.flights.settle(read.flight, landing)
        read.flight = None

    def end(self, read: Read) -> None:
        """End what an interrupted read left open; after a read that ran to its end there is nothing."""
        read.is_over = True
        if read.flight is not None:
            self.flights.settle(read.flight, AGAIN)
            read.flight = None
        if read.holds_lease:
            self.release_behind(read)

    def release_behind(self, read: Read) -> None:
        """Give the lease back from another thread; where that fails it runs out by itself."""
        self._keeper.forget(read.token)
        # Under a key of its own: a cancelled read may find it has won after it was given back for it.
        self.background.submit(object(), lambda: self.release(read))

    # Loading

    def load(self, read: Read, step: Load = LOAD) -> Any:  # noqa: ARG002 - a step's performer
        """Perform Load, and remember how long it took if early refreshes are decided by that."""
        load = read.load or partial(self._load_query, read)
        if not read.policy.early_refresh:
            return load()
        began = time.monotonic()
        loaded = load()
        self.note_load_time(read, time.monotonic() - began)
        return loaded

    def note_load_time(self, read: Read, took: float) -> None:
        """Blend *took* seconds into the moving average of the query's loads."""
        times = self._load_times
        if len(times) >= LOAD_TIMES_KEPT and read.query not in times:
            times.clear()
        before = times.get(read.query, took)
        times[read.query] = before + 0.3 * (took - before)

    def loaded(self, value: object, between: Between = None) -> Loaded:
        """Return what a function gave in the form that a later hit has; *between* as for ``codec.decode``."""
        payload = codec.encode(value, self.options.dates)
        return self._sized(Loaded(codec.decode(payload, between), payload))

    def _load_query(self, read: Read) -> Loaded:
        source = self._transaction() or self.database
        if source is not self.database or read.flight is None or read.holds_lease:
            rows = source.query(read.query, read.params)
        else:
            closing = partial(self._close_flight, read)
            rows = self.database.query(read.query, read.params, before_sending=closing)
        return self._sized(Loaded(rows, codec.encode_rows(rows)))

    def _close_flight(self, read: Read) -> None:
        if read.flight is not None:
            self.flights.seal(read.flight)

    def _transaction(self) -> Transaction | None:
        """Return this client's open transaction in this thread or task.

        A task that was started inside one inherits it, and may live on when it is over.
        """
        tx = current.get()
        return tx if tx is not None and tx.database is self.database and not tx.is_over else None

    def _sized(self, loaded: Loaded) -> Loaded:
        return loaded if self._fits(loaded.payload) else loaded._replace(fits=False)

    def _fits(self, payload: bytes) -> bool:
        limit = self.options.max_entry_bytes
        if len(payload) <= (LARGEST_ENTRY if limit is None else limit):
            return True
        self.stats.bump("oversized_entries")
        return False

    # Direct access to entries

    def write(self, read: Read, value: object) -> None:
        """Store *value* under the key of *read* and revoke the lease of a load in flight.

        Raises:
            CacheUnavailable: Redis did not take it.
            TypeError, ValueError: the value has no JSON form.
        """
        put = self._put(read, value)
        if put is not None and self.patient_entries is not None:
            self.patient_entries.put(*put)

    def write_many(self, writes: Sequence[Write]) -> Sequence[Exception | None]:
        """Do what ``write`` does for several values in one round trip; return what each would have raised."""
        failures: list[Exception | None] = [None] * len(writes)
        puts: dict[int, tuple[Name, bytes, int]] = {}
        for place, write in enumerate(writes):
            try:
                put = self._put(write.read, write.value)
            except Exception as error:  # noqa: BLE001 - the caller of this one raises it
                failures[place] = error
            else:
                puts.update({place: put} if put else {})
        for place, failure in zip(puts, self._put_many(list(puts.values())), strict=True):
            failures[place] = failure
        return failures

    def drop_key(self, key: str) -> bool:
        """Delete one entry and revoke its lease; return whether it was there."""
        if self.patient_entries is None:
            return False
        raw = key.encode()
        return self.patient_entries.unlink(raw, keys.lease_name(raw))

    # Inside

    def _put(self, read: Read, value: object) -> tuple[Name, bytes, int] | None:
        """Return how *value* is stored, or ``None`` if it cannot be: then nothing is left under its key."""
        payload = codec.encode(value, self.options.dates)
        where = self._where(read)
        if where is None:
            return None
        if not self._fits(payload):
            self.drop_key(read.key)  # what is cached is outdated
            return None
        return where, payload, read.policy.lifetime(read.ttl, random.random)

    def _put_many(self, puts: Sequence[tuple[Name, bytes, int]]) -> Sequence[Exception | None]:
        if not puts or self.patient_entries is None:
            return []
        try:
            return self.patient_entries.put_many(puts)
        except CacheUnavailable as error:
            return [error] * len(puts)

    def _where(self, read: Read) -> Name | None:
        if read.where is None and self.entries is not None:
            texts = keys.pair_texts(read.params, read.names)
            longest = read.policy.longest(read.ttl)
            read.where = self.entries.name(read.key, texts, self.prefix, longest, indexed=self.options.index)
        return read.where

    def _named(self, read: Read) -> Name:
        """Return what the entry of *read* is called; ``steps`` has seen to it that it can be."""
        where = self._where(read)
        if where is None:
            raise AssertionError("a read that cannot be cached asked for a lease")
        return where

    def _get_raw(self, read: Read) -> bytes | Found | None:
        if self.entries is None:
            return None
        return self.entries.get_aged(read.raw) if read.policy.needs_age else self.entries.get(read.raw)

    def _entry(self, read: Read, found: bytes | Found | None) -> Entry | None:
        """Decode what was found; what does not decode is a miss, and gets overwritten."""
        entry = self._decoded(read, found)
        self.stats.bump("misses" if entry is None else "hits")
        return entry

    def _decoded(self, read: Read, found: bytes | Found | None, between: Between = None) -> Entry | None:
        if found is None:
            return None
        payload, left = found if isinstance(found, Found) else (found, math.inf)
        try:
            return Entry(codec.decode(payload, between), left)
        except ValueError:
            self._note_corrupt(read)
            return None

    def _note_corrupt(self, read: Read) -> None:
        """Count and log it once a read, which meets the entry again when it asks for the lease."""
        if not read.is_corrupt:
            read.is_corrupt = True
            self.stats.bump("corrupt_entries")
            # The digest alone: the rest of the key is the caller's values.
            logger.warning("the entry *%s is not JSON; it will be overwritten", read.key[-40:])

    def _claimed(self, read: Read, claim: bool | Found) -> Entry | Claim | None:
        """Return the outcome of Acquire; ``None`` if what was found does not decode."""
        read.holds_lease = claim is True
        if isinstance(claim, Found):
            entry = self._decoded(read, claim)
            self.stats.bump("hits", entry is not None)
            return entry
        if not claim:
            return Claim.LOST
        # Weakly: a read that got lost, struck once more while it was ending, gives its lease up.
        self._keeper.keep(read.token, partial(self._renew, ref(read)))
        if read.is_over:  # cancelled meanwhile: nobody will fill or release
            self.release_behind(read)
        return Claim.WON

    def _renew(self, holder: ref[Read]) -> bool:
        read = holder()
        return (
            read is not None
            and self.entries is not None
            and self.entries.renew(self._named(read), read.token)
        )

    def _lost_redis(self, error: CacheUnavailable, began: float) -> Claim:
        self.stats.bump("cache_failures")
        # A crowd on our own connections says nothing of Redis.
        if not isinstance(error, Exhausted) and self._breaker.failed(began, time.monotonic()):
            logger.warning("Redis is failing; reads go to MySQL until it is back: %s", error)
        return Claim.UNAVAILABLE

    def _may_claim(self, now: float) -> bool:
        return self._breaker.allows(now) and self._writes.allows(now)

    def _lost_write(self, reads: Sequence[Read], error: CacheUnavailable, began: float) -> Claim:
        """Note that a lease or a fill failed. A refusal is an answer: what is cached goes on being served."""
        for read in reads:
            read.holds_lease = False
        if not isinstance(error, Refused):
            for read in reads:
                self._leave_lease(read)
            return self._lost_redis(error, began)
        self.stats.bump("cache_failures")
        if self._writes.failed(began, time.monotonic()):
            logger.warning("Redis takes no writes; what it has is served, and nothing is cached: %s", error)
        return Claim.UNAVAILABLE

    def _took_writes(self, claimed: Sequence[Entry | Claim | None], began: float) -> None:
        if Claim.WON in claimed and self._writes.succeeded(began):
            logger.warning("Redis takes writes again; reads are cached again")

    def _leave_lease(self, read: Read) -> None:
        """Remember a lease that Redis may hold, or take when it goes on: others would wait for its end."""
        if read.where is not None and read.token:
            self._left_behind.append((read.where, read.token))

    def _give_back(self) -> None:
        held = [self._left_behind.popleft() for _ in range(len(self._left_behind))]
        try:
            if self.entries is not None:
                self.entries.release_many(held)
        except CacheUnavailable:
            self._left_behind.extend(held)

    def _found_redis(self, began: float) -> None:
        if self._left_behind:
            self.background.submit("leases left behind", self._give_back)
        if self._breaker.succeeded(began):
            logger.warning("Redis is back; reads are cached again")


def _token() -> bytes:
    return os.urandom(16).hex().encode()
