"""A bounded pool of connections.

DBUtils' ``PooledDB`` kept to what it does well: holding idle connections. Left to itself it runs a failed
statement up to three times, waits without end, and connects, pings and rolls back under its one lock. Here a
call waits for a slot with a deadline, connects and checks outside the lock, and a connection goes back only
after an answer that leaves no doubt whose it was: after an exception between sending and reading, the next
user of the connection would be given the rows of the last.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from mysql_redis_cache.errors import ClosedError, DatabaseUnavailable, PoolTimeout
from mysql_redis_cache.observe import Watch
from mysql_redis_cache.policy import wait_seconds
from mysql_redis_cache.runtime import SharedContext, Slot, Slots, SlotsClosed, advice, process, reserved_slot

from .connection import Connection
from .failures import err, errno_of, is_answer, is_demotion, is_unavailable
from .idle import IdleConnections, raw

if TYPE_CHECKING:
    from types import TracebackType

    from dbutils.steady_db import SteadyDBConnection

    from .config import MySQLConfig

__all__ = ["Lease", "Pool"]

logger = logging.getLogger("mysql_redis_cache.mysql")

_CHECK_AFTER = 5.0
"""Seconds of rest after which a connection is asked whether it still works."""

_PING_TIMEOUT = 2.0
_HASTE = dict.fromkeys(["connect_timeout", "read_timeout", "write_timeout"], 1.0)
_LONG = 1 << 20
_TOO_LONG = "; the statement has {:,} characters: perhaps more than the server's max_allowed_packet"
_KEEP_IDLE = 300.0
"""Seconds for which connections beyond ``minsize`` are kept without being used."""


class Pool:
    """At most ``maxsize`` connections, opened when they are needed.

    What an exception, a transaction left open or a changed session makes of one is in ``Lease``.

    Args:
        config: where MySQL is, and how many connections there may be.
        watch: counts the waits for one.

    Attributes:
        slots: the places for connections; each lease takes one.
        server: where MySQL is.
        watch: as given.
    """

    def __init__(self, config: MySQLConfig, watch: Watch | None = None) -> None:
        self._config = config
        self.watch = Watch() if watch is None else watch
        self._tls = SharedContext()
        self._closed = False
        self._address = config.address
        self.server = config.server()
        self._is_warned = False
        self._start()
        process.register(self)

    def _start(self) -> None:
        self.slots = Slots(self.size)
        self._idle = IdleConnections(self._create, self.size)

    def _create(self) -> Connection:
        config = self._config.resolved()
        self._address = config.address
        connection = Connection(self._tls, config.arguments)
        self.server = config.server(connection.server_version)
        if self.query_timeout is not None:
            connection.server = connection.identify()
        if not connection.state.tells_autocommit:
            self._warn_of_silence()
        return connection

    def _warn_of_silence(self) -> None:
        if not self._is_warned:
            self._is_warned = True
            logger.warning(
                "MySQL at %s does not tell that autocommit is on; it is believed to be", self._address
            )

    @property
    def size(self) -> int:
        """How many connections there may be."""
        return self._config.maxsize

    @property
    def timeout(self) -> float:
        """How many seconds a call waits for a connection."""
        return self._config.pool_timeout

    @property
    def in_use(self) -> int:
        """How many are in use."""
        return self.slots.in_use

    @property
    def idle(self) -> int:
        """How many are open and not in use."""
        return self._idle.count

    def connection(self, timeout: float | None = None) -> Lease:
        """Return a context manager that borrows a connection.

        Args:
            timeout: how many seconds to wait for one; default is ``pool_timeout``.

        Returns:
            To be used in ``with``, which raises ``PoolTimeout`` if none became free in time,
            ``DatabaseUnavailable`` if MySQL cannot be reached, ``ClosedError`` after ``close``.

        Raises:
            TypeError, ValueError: *timeout* is no number of seconds that can be waited.
        """
        return Lease(self, self.timeout if timeout is None else wait_seconds("timeout", timeout))

    def close(self) -> None:
        """Close idle connections now, those in use when they come back. Final; never waits for long."""
        process.check()
        if self._closed:
            return
        self._closed = True
        self.slots.close()
        self._idle.close()

    def after_fork_in_child(self) -> None:
        """Start with nothing: the connections are the parent's and go on working there."""
        self._idle.drop_all()
        self._start()
        if self._closed:
            self.slots.close()

    def __repr__(self) -> str:
        return f"<Pool of {self._address}: {self.in_use} of {self.size} in use>"

    # What a lease does with it

    def take_slot(self, timeout: float) -> tuple[Slots, Slot]:
        """Wait for a place; return it with the set it belongs to, which a fork replaces."""
        process.check()
        slots = self.slots
        try:
            slot = reserved_slot(slots) or slots.take_at_once()
            return slots, self._wait_for_slot(slots, timeout) if slot is None else slots.taken(slot)
        except SlotsClosed:
            raise ClosedError("the MySQL pool is closed") from None

    def _wait_for_slot(self, slots: Slots, timeout: float) -> Slot:
        began = time.monotonic()
        try:
            slot = slots.take(timeout)
        except TimeoutError:
            self.watch.pool_waited(time.monotonic() - began, in_vain=True)
            raise PoolTimeout(timeout, self.size) from None
        self.watch.pool_waited(time.monotonic() - began, in_vain=False)
        return slot

    def take(self) -> SteadyDBConnection:
        """Take the connection used last, if it still works, or open one."""
        while (steady := self._idle.pop()) is not None:
            rest = time.monotonic() - raw(steady).idle_since
            if not raw(steady).is_silent:
                raw(steady).drop()
            elif rest < _CHECK_AFTER or raw(steady).answers(_PING_TIMEOUT):
                if raw(steady).begins_use():
                    return steady
                self._leave(raw(steady))
            else:  # those below it have rested longer; one timeout is enough
                self._idle.drop_all()
        return self.open()

    def _leave(self, connection: Connection) -> None:
        """Drop a connection whose session cannot be had as new; all the idle ones if it did not answer."""
        if not connection.open:
            self._idle.drop_all()
        connection.drop()

    def open(self) -> SteadyDBConnection:
        """Open a connection, outside the lock.

        Raises:
            DatabaseUnavailable: there is none to be had, whatever the reason.
            ValueError: the configuration proves to be of no use.
        """
        try:
            return self._idle.steady_connection()
        except err.Error as error:
            raise self._unavailable(error) from error

    def drain(self) -> None:
        """Close the idle connections, so that later calls open new ones."""
        self._idle.drop_all()

    @property
    def query_timeout(self) -> float | None:
        """How many seconds a statement of ``Database`` may take; ``None`` is without end."""
        return self._config.query_timeout

    def stop(self, connection: Connection) -> None:
        """Close *connection*, and have its server stop the statement that runs on it.

        Best effort, over a connection beyond ``maxsize``, within about a second. Behind one address there may
        be several servers, as after a failover or behind a balancer: there the number is somebody else's.
        """
        number, server = connection.thread_id(), connection.server  # type: ignore[no-untyped-call]  # not in the stubs
        connection.drop()
        try:
            killer = Connection(self._tls, {**self._config.resolved().arguments, **_HASTE})
        except (err.Error, ValueError) as error:
            logger.warning("a statement of MySQL at %s may run on: %s", self._address, error)
            return
        try:
            if server is not None and server.is_same(killer.identify()):
                killer.ask(f"KILL QUERY {number}")
            else:
                logger.warning(
                    "a statement of MySQL at %s may run on: that leads to another server", self._address
                )
        except err.Error:
            pass  # it has ended by itself
        finally:
            killer.drop()

    def translated(self, error: err.Error, sent: int = 0) -> Exception:
        """Return the error to raise for one of PyMySQL's, after a statement of so many characters."""
        if not is_unavailable(error):
            return error
        return self._unavailable(error, _TOO_LONG.format(sent) if sent > _LONG else "")

    def _unavailable(self, error: err.Error, hint: str = "") -> DatabaseUnavailable:
        text = error.args[1] if len(error.args) > 1 else str(error)
        what = "cannot be reached or hung up" if is_unavailable(error) else "lets nobody in"
        return DatabaseUnavailable(
            f"MySQL at {self._address} {what} (error {errno_of(error)}: {text})"
            + advice(error, "ssl_ca", "ssl_cert and ssl_key")
            + hint
        )

    def put(self, steady: SteadyDBConnection) -> None:
        """Take a connection back that is at rest."""
        now = time.monotonic()
        raw(steady).idle_since = now
        self._idle.cache(steady)
        if self._closed:  # asked after it was put there: ``close`` may have looked before
            self._idle.close()
        unused = self._idle.pop_unused_since(now - _KEEP_IDLE, self._config.minsize)
        if unused is not None:
            unused.close()


class Lease:
    """A connection borrowed from a pool for the length of a ``with`` block. Made by ``Pool.connection``."""

    def __init__(self, pool: Pool, timeout: float) -> None:
        self._pool = pool
        self._timeout = timeout
        self._slots: Slots | None = None
        self._slot: Slot | None = None
        self._steady: SteadyDBConnection | None = None

    def __enter__(self) -> Connection:
        self._slots, self._slot = self._pool.take_slot(self._timeout)
        try:
            self._steady = self._pool.take()
        except BaseException:
            self._end()
            raise
        return raw(self._steady)

    def renew(self) -> Connection:
        """Replace the connection, which was lost, by a new one."""
        self._drop()
        self._steady = self._pool.open()
        return raw(self._steady)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        steady = self._steady
        try:
            if error is not None and is_demotion(error):
                self._pool.drain()
            elif steady is not None and self._is_fit(steady, error):
                self._steady = None
                self._pool.put(steady)
        finally:
            self._end()

    def _is_fit(self, steady: SteadyDBConnection, error: BaseException | None) -> bool:
        """Whether the next user may have it: of this process, after an answer, and at rest."""
        if self._slots is not self._pool.slots:  # a fork replaces them
            return False
        return (error is None or is_answer(error)) and raw(steady).ends_use()

    def _end(self) -> None:
        """Drop the connection, if it was not put back, and free the slot."""
        self._drop()
        slots, slot = self._slots, self._slot
        self._slots = self._slot = None
        if slots is not None and slot is not None:
            slots.give_back(slot)

    def _drop(self) -> None:
        steady, self._steady = self._steady, None
        if steady is not None:
            raw(steady).drop()
