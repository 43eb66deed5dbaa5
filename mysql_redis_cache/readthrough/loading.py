"""Loading: what becomes of a read that the cache does not answer, in a transaction or outside of one."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from mysql_redis_cache.database import Database, ExternalConnection, ExternalDatabase
from mysql_redis_cache.joined import Joined, joined_transaction
from mysql_redis_cache.observe import Watch
from mysql_redis_cache.runtime import Marks, is_clear
from mysql_redis_cache.transaction import UnitOfWork, savepoint, transaction
from mysql_redis_cache.values import codec, rows_as_list

from .flight import Flights
from .load_times import LoadTimes
from .steps import LOAD, Loaded
from .watching import Observer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from mysql_redis_cache.drops import Drops
    from mysql_redis_cache.joined import Work
    from mysql_redis_cache.observe import Server
    from mysql_redis_cache.options import Options
    from mysql_redis_cache.sql import Params
    from mysql_redis_cache.values import Between, Row

    from .cache import Cache
    from .listed import Listed
    from .reads import Read
    from .steps import Load

__all__ = ["Loads", "uncommitted"]


class Loads:
    """The loads of one client, and the transactions that they may be part of.

    Args:
        mysql_config: as for ``MRCClient``.
        options: the keyword options of ``MRCClient``.
    """

    cache: Cache | None = None
    drops: Drops | None = None

    def __init__(self, mysql_config: Mapping[str, Any] | str | ExternalConnection, options: Options) -> None:
        self.options = options
        self.watch = Watch(options.name, options.on_event)
        self.observer = Observer(self.watch)
        ways: Any = {"dates": options.dates, "zone": options.zone, "watch": self.watch}
        self.external: ExternalDatabase | None = None
        self.database: Database | ExternalDatabase
        if isinstance(mysql_config, ExternalConnection):
            self.database = self.external = ExternalDatabase(mysql_config, **ways)
        else:
            self.database = Database(mysql_config, **ways)
        self.flights = Flights()
        self.loading: Marks[str] = Marks()  # the keys that are being loaded
        self.transactions: Marks[Work] = Marks()  # those that are open
        self.load_times = LoadTimes()

    def load(self, read: Read, step: Load = LOAD) -> Any:  # noqa: ARG002 - a step's performer
        """Perform Load."""
        began = self.begin_load(read)
        try:
            loaded = (read.load or self._load_query)(read)
        except BaseException as error:
            self.note_load(read, began, error)
            raise
        self.note_load(read, began, loaded)
        return loaded

    def begin_load(self, read: Read) -> float:
        """Tell that a load begins; return when, as of ``time.monotonic``."""
        self.observer.tell_loading(read, self._asked(read))
        return time.monotonic()

    def note_load(self, read: Read, began: float, outcome: Loaded | BaseException) -> None:
        """Count a load, and remember how long it took, if early refreshes ask that.

        Args:
            read: whose.
            began: what ``begin_load`` gave.
            outcome: what came of it, or was raised.
        """
        took = time.monotonic() - began
        self.watch.loaded(read.query, took, len(outcome.payload) if isinstance(outcome, Loaded) else None)
        self.observer.tell_load(read, self._asked(read), took, outcome)
        if not isinstance(outcome, Loaded):
            read.has_failed = True
        elif read.policy.early_refresh:
            self.load_times.blend(read.query, took)

    def _asked(self, read: Read) -> Server | None:
        """Return the server that a load asks, if it calls no function."""
        return self.database.server if read.load is None else None

    def loaded(self, read: Read, value: object, between: Between = None) -> Loaded:
        """Return what a function gave in the form that a later hit has; *between* as for ``codec.decode``."""
        payload = codec.encode(value, self.options.dates)
        return self._sized(read, Loaded(read.decode(payload, between, read.is_query), payload))

    def check_value(self, value: object) -> None:
        """Raise what storing *value* would, for a client without Redis: ``TypeError`` or ``ValueError``."""
        codec.encode(value, self.options.dates)

    def _load_query(self, read: Read) -> Loaded:
        transaction = self.transaction_here()
        rows = self._ask([read], transaction, read.query, read.params)
        payload = codec.encode_rows(rows)
        if read.decode is codec.decode:  # what that would give is here
            loaded = Loaded(rows_as_list(rows), payload)
        else:
            loaded = Loaded(read.decode(payload, None, True), payload)
        return self._sized(read, loaded) if transaction is None else uncommitted(loaded)

    def afresh(self, read: Read) -> bytes:
        """Return the JSON of what a read would be answered with if it were loaded now; nothing is cached."""
        if read.load is None:
            return codec.encode_rows(self.database.query(read.query, read.params))
        loaded: Loaded = read.load(read)
        return loaded.payload

    def load_many(self, asked: Listed, reads: Sequence[Read]) -> list[Loaded]:
        """Perform LoadMany."""
        began = self.begin_load(reads[0])
        try:
            transaction, loaded = self.transaction_here(), []
            payloads = asked.payloads(reads, partial(self._ask, reads, transaction))
            for read, payload in zip(reads, payloads, strict=True):
                one = Loaded(read.decode(payload, None, True), payload)
                loaded.append(self._sized(read, one) if transaction is None else uncommitted(one))
        except BaseException as error:
            self.note_load(reads[0], began, error)
            raise
        self.note_load(reads[0], began, loaded[0])
        return loaded

    def _ask(self, reads: Sequence[Read], transaction: Work | None, query: str, params: Params) -> list[Row]:
        """Load by *query*, for all of *reads*."""
        if transaction is not None:
            return transaction.query(query, params)
        alone = [read for read in reads if read.flight is not None and not read.holds_lease]
        if not alone:
            return self.database.query(query, params)
        return self.database.query(query, params, before_sending=partial(self._close_flights, alone))

    def _close_flights(self, reads: Sequence[Read]) -> None:
        for read in reads:
            if read.flight is not None:
                self.flights.seal(read.flight)  # one of the late ones may be joined until it lands

    def _sized(self, read: Read, loaded: Loaded) -> Loaded:
        fits = self.cache is None or (self.cache.fits(read, loaded.payload) and read.lives(loaded.value))
        return loaded if fits else loaded._replace(fits=False)

    # Transactions

    @property
    def in_transaction(self) -> bool:
        """Whether this thread or task has a transaction of this client open."""
        return self.transaction_here() is not None

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


def uncommitted(loaded: Loaded) -> Loaded:
    """Return what was loaded in a transaction: it is neither cached nor shared."""
    return loaded._replace(fits=False, is_shared=False)
