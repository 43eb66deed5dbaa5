"""A transaction: statements, COMMIT, and then the drops of what it made outdated.

Dropping before the COMMIT would let another reader cache the old rows again. Not dropping after a COMMIT
whose reply was lost, or after a statement that committed by itself, would leave the old rows cached. So the
drops run once, after the end, unless that was certainly a ROLLBACK. What the end was the server says.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from mysql_redis_cache import sql
from mysql_redis_cache.database import is_answer
from mysql_redis_cache.drops import Following
from mysql_redis_cache.errors import ClosedError, InvalidationFailed, PoolTimeout
from mysql_redis_cache.runtime import process

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mysql_redis_cache.database import Database, Session, WriteResult
    from mysql_redis_cache.drops import Drops
    from mysql_redis_cache.keys import Namespace, Wanted
    from mysql_redis_cache.sql import Params
    from mysql_redis_cache.values import Row

__all__ = ["UnitOfWork", "savepoint", "transaction", "written"]

# Nothing was sent, or the server refused what was.
_UNDONE = (TypeError, ValueError, ClosedError, PoolTimeout)


class UnitOfWork:
    """What belongs to one open transaction, or to a savepoint in it; runs one statement at a time.

    Args:
        session: the connection.
        drops: performs the drops; ``None`` without a cache.
        namespace: whose entries they are for.
        outer: the transaction, if this is a savepoint in it.

    Attributes:
        is_over: whether its block has ended.
        namespace: as given.
        following: the drops.
        depth: how many it is in.
    """

    def __init__(
        self, session: Session, drops: Drops | None, namespace: Namespace, outer: UnitOfWork | None = None
    ) -> None:
        self._session = session
        self._drops = drops
        self.namespace = namespace
        self.depth: int = 0 if outer is None else outer.depth + 1
        self.following = Following(drops, namespace)
        self.is_over = False
        self._has_savepoint = False
        # A task that is cancelled leaves its statement running in a thread; what follows waits for that.
        self._turn: _Turn = _Turn() if outer is None else outer._turn  # noqa: SLF001 - one connection
        process.register(self)

    def after_fork_in_child(self) -> None:
        """Be over there: the connection is the parent's, and so is the transaction."""
        self.is_over = True
        self._turn.lock = threading.Lock()

    def query(self, query: str, params: Params = None) -> list[Row]:
        """Run a statement that reads, in the transaction, and return its rows as ``Database.query`` does.

        Raises:
            TransactionEnded: the server has ended the transaction before.
        """
        sql.statement(query).check_rows()
        with self._turn.lock:
            return self._session.query(query, params)

    def execute(self, query: str, params: Params = None) -> WriteResult:
        """Run a statement that writes, in the transaction.

        Raises:
            TransactionEnded: the server has ended the transaction before.
        """
        sql.statement(query).check_effect()
        with self._turn.lock:
            return self._session.execute(query, params)

    def run(self, query: str, params: Params = None) -> list[Row] | WriteResult:
        """Run any statement, in the transaction; as ``Database.run``."""
        with self._turn.lock:
            return self._session.run(query, params)

    def want(self, *wanted: Wanted) -> None:
        """Have drops performed once the transaction is committed.

        Raises:
            RuntimeError: it is over, so that nothing would.
        """
        if self.is_over:
            raise RuntimeError("the transaction is over; drop by the client")
        self.following.want(*wanted)

    @contextmanager
    def nested(self) -> Iterator[UnitOfWork]:
        """Open a savepoint in this, for the block; it ends by ``release_savepoint`` or ``undo``.

        Raises:
            RuntimeError: another task or thread has one open.
        """
        inner = UnitOfWork(self._session, self._drops, self.namespace, self)
        with self._turn.lock:
            if self._has_savepoint:
                raise RuntimeError(
                    "a transaction inside this one is open already, in another task or thread: on one "
                    "connection none can be undone without the other; run such blocks one after another"
                )
            self._session.say_inside(f"SAVEPOINT {inner._name}")
            self._has_savepoint = True
        try:
            yield inner
        finally:
            self._has_savepoint = False

    def release_savepoint(self) -> None:
        """Need that mark no more."""
        with self._turn.lock:
            self._session.say_inside(f"RELEASE SAVEPOINT {self._name}")

    def undo(self) -> bool:
        """Undo what was done since the savepoint; return whether that was possible."""
        with self._turn.lock, suppress(Exception):  # the exception of the block matters more
            self._session.say_inside(f"ROLLBACK TO SAVEPOINT {self._name}")
            return True
        return False

    @property
    def _name(self) -> str:
        return f"mrc_nested_{self.depth}"

    def commit(self) -> None:
        """Commit."""
        with self._turn.lock:
            self._session.commit()

    def roll_back(self) -> None:
        """Roll back.

        Where the ROLLBACK fails the connection is dropped, and without a COMMIT the server rolls back by
        itself.
        """
        with self._turn.lock, suppress(Exception):  # the exception of the block matters more
            self._session.rollback()

    @property
    def gtid(self) -> str | None:
        """As of ``WriteResult``, once it is committed."""
        return self._session.gtid

    @property
    def committed(self) -> bool | None:
        """Whether what was done in it is committed; None if that is unknown."""
        return self._session.committed


class _Turn:
    """The right to use the connection."""

    def __init__(self) -> None:
        self.lock = threading.Lock()


@contextmanager
def transaction(database: Database, drops: Drops | None, namespace: Namespace) -> Iterator[UnitOfWork]:
    """Open a transaction; commit and drop at the end of the block, roll back if it raises."""
    work: UnitOfWork | None = None
    try:
        with database.session() as session:
            session.begin()
            work = UnitOfWork(session, drops, namespace)
            yield from _worked(work)
        work.following.run(work.committed)
    except InvalidationFailed:
        raise
    except BaseException as error:
        if work is not None and work.committed is not False:
            work.following.run_behind(error, work.committed)
        raise


def _worked(work: UnitOfWork) -> Iterator[UnitOfWork]:
    """Give the block its transaction and end that with the block."""
    try:
        yield work
        work.is_over = True
        work.commit()
    except BaseException:
        work.is_over = True
        work.roll_back()
        if work.committed is not False:
            work.following.run(work.committed)
        raise


@contextmanager
def savepoint(outer: UnitOfWork) -> Iterator[UnitOfWork]:
    """Open a savepoint in a transaction: if the block raises, what it did and its drops are undone."""
    with outer.nested() as inner:
        try:
            yield inner
            inner.is_over = True
            inner.release_savepoint()
        except BaseException:
            inner.is_over = True
            if not inner.undo():  # the server may have ended, and even committed, all of it
                outer.following.take_over(inner.following)
            raise
        outer.following.take_over(inner.following)


@contextmanager
def written(following: Following) -> Iterator[None]:
    """Perform drops after a write that commits by itself, also if it raised and may have taken effect."""
    committed = False
    try:
        yield
        committed = True
        following.run(committed)
    except (InvalidationFailed, *_UNDONE):
        raise
    except BaseException as error:
        if committed:
            following.run_behind(error, committed)
        elif not is_answer(error):
            following.run(None)
        raise
