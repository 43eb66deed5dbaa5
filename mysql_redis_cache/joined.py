"""A transaction of somebody else's, with a client in it: its statements, and its drops after the COMMIT."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

from mysql_redis_cache import sql
from mysql_redis_cache.drops import Following
from mysql_redis_cache.errors import InvalidationFailed
from mysql_redis_cache.keys import Matcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mysql_redis_cache.database import ExternalConnection, ExternalDatabase, WriteResult
    from mysql_redis_cache.drops import Drops
    from mysql_redis_cache.keys import Namespace, Wanted
    from mysql_redis_cache.sql import Params
    from mysql_redis_cache.transaction import UnitOfWork
    from mysql_redis_cache.values import Row

__all__ = ["Joined", "Work", "drop_after_commit", "is_ours", "joined_transaction", "run_waiting"]

logger = logging.getLogger("mysql_redis_cache.drops")

Work: TypeAlias = "UnitOfWork | Joined"
"""An open transaction, our own or a framework's."""


class Joined:
    """What belongs to an open transaction of a framework's; as ``UnitOfWork``, but its end is not ours.

    Args:
        database: the framework's connection.
        drops: performs the drops; ``None`` without a cache.
        namespace: whose entries they are for.

    Attributes:
        namespace: as given.
        gtid: never known: a framework's connection does not tell.
    """

    gtid: str | None = None

    def __init__(self, database: ExternalDatabase, drops: Drops | None, namespace: Namespace) -> None:
        self._database = database
        self._drops = drops
        self.namespace = namespace

    def query(self, query: str, params: Params = None) -> list[Row]:
        """Run a statement that reads, in the transaction, and return its rows."""
        sql.statement(query).check_rows()
        return self._database.query(query, params)

    def execute(self, query: str, params: Params = None) -> WriteResult:
        """Run a statement that writes, in the transaction."""
        sql.statement(query).check_effect()
        return self._database.execute(query, params)

    def run(self, query: str, params: Params = None) -> list[Row] | WriteResult:
        """Run any statement, in the transaction."""
        return self._database.run(query, params)

    def want(self, *wanted: Wanted) -> None:
        """Have drops performed once the transaction is committed."""
        drop_after_commit(self._database.connection, self._drops, self.namespace, *wanted)


def drop_after_commit(
    connection: ExternalConnection, drops: Drops | None, namespace: Namespace, *wanted: Wanted
) -> None:
    """Have drops performed once the transaction open on *connection* is committed: all of them as one.

    What fails then can undo nothing: it is logged, and told to *connection*, with all it takes to try again.
    """
    if drops is None or not wanted:
        return
    after = next((each for each in _waiting(connection) if each.suits(drops)), None)
    if after is None:
        after = _AfterCommit(connection, drops, namespace)
    after.want(*wanted)
    connection.on_commit(after.run)  # again, since a savepoint that is undone takes along what it was told


@contextmanager
def joined_transaction(
    database: ExternalDatabase, drops: Drops | None, namespace: Namespace
) -> Iterator[Joined]:
    """Open a transaction, or in one a savepoint, by the framework's means."""
    with database.connection.transaction():
        yield Joined(database, drops, namespace)


class _AfterCommit:
    """The drops of one transaction. Whichever call of it comes first performs them all."""

    def __init__(self, connection: ExternalConnection, drops: Drops, namespace: Namespace) -> None:
        self._connection = connection
        self._drops = drops
        self._is_spent = False
        self._following = Following(drops, namespace)
        self._known: set[object] = set()

    def suits(self, drops: Drops) -> bool:
        """Whether more may be added for a client's *drops*."""
        return self._drops is drops and not self._is_spent

    def want(self, *wanted: Wanted) -> None:
        """Add some; those of a table that is written a thousand times once."""
        for each in wanted:
            about = (type(each), tuple(each.pairs), each.require_all) if isinstance(each, Matcher) else each
            if about not in self._known:
                self._known.add(about)
                self._following.want(each)

    def run(self) -> None:
        """Perform them, once."""
        if self._is_spent:
            return
        self._is_spent = True
        try:
            self._following.run(committed=True)
        except InvalidationFailed as failure:
            logger.exception("outdated entries may remain")
            self._tell(failure)
        except BaseException as error:
            self._following.run_behind(error, committed=True)
            raise

    def _tell(self, failure: InvalidationFailed) -> None:
        try:
            self._connection.tell(failure)
        except Exception:
            logger.exception("drops failed after a COMMIT, and so did what was to hear of it")


def is_ours(call: Callable[[], object]) -> bool:
    """Whether what waits for a COMMIT are drops."""
    return isinstance(getattr(call, "__self__", None), _AfterCommit)


def run_waiting(calls: Iterable[Callable[[], object]]) -> None:
    """Perform the drops among what has waited for a COMMIT, which has happened."""
    for call in calls:
        if is_ours(call):
            call()


def _waiting(connection: ExternalConnection) -> Iterator[_AfterCommit]:
    return (call.__self__ for call in connection.waiting() if is_ours(call))  # type: ignore[attr-defined]  # a method
