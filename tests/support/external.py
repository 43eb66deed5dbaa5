"""A framework as small as can be: one connection of a driver, and transactions on it."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from mysql_redis_cache.database import ExternalConnection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    from mysql_redis_cache import InvalidationFailed

__all__ = ["PlainConnection"]

T = TypeVar("T")


class PlainConnection(ExternalConnection):
    """One connection of PyMySQL or mysqlclient, for one thread.

    Attributes:
        driver: the connection.
        in_transaction: whether one is open.
        calls: what waits for the COMMIT.
        failures: drops that failed after it.
        sent: the statements that went over it.
    """

    in_transaction = False

    def __init__(self, connection: Any) -> None:
        self.driver = connection
        self.calls: list[Callable[[], None]] = []
        self.failures: list[InvalidationFailed] = []
        self.sent: list[str] = []

    @contextmanager
    def execute(self, statement: str, inmost: Callable[[Any], AbstractContextManager[None]]) -> Iterator[Any]:
        self.sent.append(statement)
        with closing(self.driver.cursor()) as cursor:
            with inmost(cursor):
                cursor.execute(statement)
            yield cursor

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.driver.begin()
        self.in_transaction = True
        try:
            yield
        except BaseException:
            self._end(self.driver.rollback, [])
            raise
        self._end(self.driver.commit, self.calls)

    def _end(self, end: Callable[[], object], calls: list[Callable[[], None]]) -> None:
        end()
        self.in_transaction, self.calls = False, []
        for call in calls:
            call()

    def on_commit(self, call: Callable[[], None]) -> None:
        self.calls.append(call)

    def waiting(self) -> Iterable[Callable[[], object]]:
        return reversed(self.calls)

    async def in_thread(self, call: Callable[[], T]) -> T:
        return call()

    def tell(self, failure: InvalidationFailed) -> None:
        self.failures.append(failure)
