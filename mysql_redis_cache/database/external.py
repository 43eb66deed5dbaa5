"""MySQL over a connection that somebody else opens, closes and begins transactions on: a framework's.

Values are those of the library's own connections; errors are the framework's, and so are timeouts.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from mysql_redis_cache.observe import Server
from mysql_redis_cache.values import in_zone

from .sent import as_sent, fetched_rows
from .session import WriteResult, checked, is_call, told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager
    from datetime import tzinfo

    from mysql_redis_cache.errors import InvalidationFailed
    from mysql_redis_cache.observe import Watch
    from mysql_redis_cache.sql import Params, Statement
    from mysql_redis_cache.values import Dates, Row

__all__ = ["ExternalConnection", "ExternalDatabase"]

T = TypeVar("T")

_MODE = "SELECT @@SESSION.sql_mode"


class ExternalConnection(ABC):
    """What a framework is to lend: its connection of the thread that asks, and its transactions.

    Given to a client in place of ``mysql_config``.
    """

    @property
    @abstractmethod
    def in_transaction(self) -> bool:
        """Whether a transaction is open on this thread's connection; opens none, and asks no server."""

    @abstractmethod
    def execute(
        self, statement: str, inmost: Callable[[Any], AbstractContextManager[None]]
    ) -> AbstractContextManager[Any]:
        """Return a context manager: executes a complete statement and gives the cursor, closed at its end.

        Args:
            statement: the SQL, without placeholders.
            inmost: given the cursor, of PyMySQL or mysqlclient or what hands its attributes on, it makes a
                context manager that is to be entered around the driver's own call, and nothing else.
        """

    @abstractmethod
    def transaction(self) -> AbstractContextManager[object]:
        """Return a context manager: a transaction of the framework's, or within one a savepoint."""

    @abstractmethod
    def on_commit(self, call: Callable[[], None]) -> None:
        """Have *call*, which raises nothing, called once the open transaction is committed."""

    @abstractmethod
    def waiting(self) -> Iterable[Callable[[], object]]:
        """Return what waits for the COMMIT of the open transaction, the newest first."""

    @abstractmethod
    async def in_thread(self, call: Callable[[], T]) -> T:
        """Run *call*, from an event loop, in the thread whose connection the caller's other code uses."""

    def apart(self, job: Callable[[], T]) -> Callable[[], T]:
        """Return *job* as it is to be run by a thread of the library's: what it opens is closed after it."""
        return job

    @abstractmethod
    def tell(self, failure: InvalidationFailed) -> None:
        """Hear of drops that failed after a COMMIT; what this raises is nobody's concern."""


class ExternalDatabase:
    """Statements over an external connection, as ``Database`` runs them over its own.

    Args:
        connection: the framework's.
        dates: as for ``Database``.
        zone: that of DATETIME columns; the sessions are as the framework makes them.
        watch: is told of writes.
    """

    def __init__(
        self, connection: ExternalConnection, *, dates: Dates, zone: tzinfo | None, watch: Watch
    ) -> None:
        self.connection = connection
        self._watch = watch
        self._dates: Dates = dates
        self._zone = zone

    def query(
        self, text: str, params: Params = None, *, before_sending: Callable[[], object] | None = None
    ) -> list[Row]:
        """Run a statement and return its rows; arguments as of ``Database.query``.

        Raises:
            TypeError, ValueError: what cannot be sent, and a CALL; nothing was sent.
            Exception: the framework's errors.
        """
        rows, _ = self._ask(text, params, before_sending)
        return rows or []

    def execute(self, text: str, params: Params = None) -> WriteResult:
        """Run a write, once; it is committed unless a transaction is open. Raises as ``query``."""
        rows, result = self._ask(text, params)
        return told(self._watch, text, result if rows is None else WriteResult(len(rows), 0))

    def run(self, text: str, params: Params = None) -> list[Row] | WriteResult:
        """Run a statement of any kind: as ``query`` if it has rows, else as ``execute``."""
        rows, result = self._ask(text, params)
        return told(self._watch, text, result) if rows is None else rows

    def close(self) -> None:
        """Leave the connection to its owner."""

    @property
    def server(self) -> Server:
        """What is known of the server, for those who tell of it."""
        return Server("mysql")

    def gauges(self) -> dict[str, int]:
        """Return how many connections there are now: none that are the library's."""
        return {}

    @property
    def pool(self) -> NoReturn:
        """Raise: there is none."""
        raise RuntimeError("this client has no pool: its statements go over its framework's own connection")

    def _ask(
        self, text: str, params: Params, before_sending: Callable[[], object] | None = None
    ) -> tuple[list[Row] | None, WriteResult]:
        params = params if self._zone is None else in_zone(params, self._zone)
        statement, _ = checked(text, params, inside=self.connection.in_transaction)
        if is_call(text):
            raise ValueError("CALL has several results, which are not read here: use a cursor of your own")
        written = self._written(statement, params)
        if before_sending is not None:
            before_sending()
        with self.connection.execute(written, as_sent) as cursor:
            rows = None if cursor.description is None else fetched_rows(cursor, self._dates)
            return rows, WriteResult(cursor.rowcount, cursor.lastrowid or 0)

    def _written(self, statement: Statement, params: Params) -> str:
        """Put the values in. What backslashes mean is asked only where there are any."""
        written = statement.bind(params, no_backslash_escapes=True)
        if "\\" not in written:
            return written
        with self.connection.execute(_MODE, as_sent) as cursor:
            ((mode,),) = cursor.fetchall()
        modes = set(bytes(mode).split(b","))
        return statement.bind(
            params,
            no_backslash_escapes=b"NO_BACKSLASH_ESCAPES" in modes,
            ansi_quotes=b"ANSI_QUOTES" in modes,
        )
