"""Drops once a session of SQLAlchemy has committed, and its texts with bound params for cached reads."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import event
from sqlalchemy.orm import Session, scoped_session
from sqlalchemy.util import await_only

from mysql_redis_cache.aio import AsyncMRCClient, AsyncMRCServer
from mysql_redis_cache.aio.threads import shielded
from mysql_redis_cache.calls import Pending
from mysql_redis_cache.errors import InvalidationFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import TextClause
    from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session
    from sqlalchemy.orm import SessionTransaction

    from mysql_redis_cache.client import MRCClient
    from mysql_redis_cache.drops import Following
    from mysql_redis_cache.keys import Namespace, Wanted
    from mysql_redis_cache.server import MRCServer

    AnySession: TypeAlias = "Session | scoped_session[Any] | AsyncSession | async_scoped_session[Any]"
    Dropper: TypeAlias = MRCClient | MRCServer | AsyncMRCClient | AsyncMRCServer

__all__ = ["after_commit", "statement"]


def after_commit(session: AnySession, client: Dropper) -> Pending:
    """Return what takes the drops that are to follow the session's next COMMIT.

    ``after_commit(session, client).drop_outdated_cache(["UserId"], [123])`` drops once all that the session
    does is committed, and its connection given back; all that it was asked for is one drop. What a savepoint
    asked for waits for the outermost COMMIT too, and is dropped also if it was rolled back to. A rollback
    forgets all. Where COMMIT raised, so that its outcome is not certain, the drops are performed.

    Args:
        session: of SQLAlchemy; a scoped one stands for the session of this thread, request or task.
        client: whose entries to drop, a client or server; for an ``AsyncSession`` an asynchronous one.

    Returns:
        an object with the drops of ``MRCClient.transaction()``: ``drop_outdated_cache``, ``drop_many``,
        ``drop_query`` and ``drop_all``. They check what they are given at once.

    Raises:
        TypeError: an ``AsyncSession`` and a blocking client, or the other way round.
        InvalidationFailed: (of the session's ``commit()``, or the end of its block) committed, but the drop
            failed; do not repeat the write.
    """
    own, is_async = _own(session)
    work = own.info.get((__name__, client))
    if work is None:
        follow, run = _means(client, is_async=is_async)
        work = own.info[__name__, client] = _AfterCommit(own, follow, run)
    return Pending(work)


def _own(session: AnySession) -> tuple[Session, bool]:
    """Return the session that does the work, and whether it does so for an asynchronous one."""
    if isinstance(session, scoped_session):
        session = session()
    if isinstance(session, Session):
        return session, False
    # It needs greenlet, which who has no such session may lack.
    from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session  # noqa: PLC0415

    if isinstance(session, async_scoped_session):
        session = session()
    if isinstance(session, AsyncSession):
        return session.sync_session, True
    raise TypeError(f"session must be a session of SQLAlchemy, not {type(session).__name__}")


def _means(client: Dropper, *, is_async: bool) -> tuple[Callable[[], Following], Callable[..., None]]:
    """Return what gives the drops of a transaction, and what performs them."""
    name = type(client).__name__
    if isinstance(client, (AsyncMRCClient, AsyncMRCServer)):
        if not is_async:
            raise TypeError(f"a blocking session needs MRCClient or MRCServer, not {name}")
        return client._blocking._following, _await  # noqa: SLF001 - one client, two faces
    if is_async:
        raise TypeError(
            f"an AsyncSession needs AsyncMRCClient or AsyncMRCServer, not {name}: a blocking drop would stop "
            "the event loop"
        )
    return client._following, _run  # noqa: SLF001


class _AfterCommit:
    """The drops that follow a session's transactions, one after another.

    Args:
        session: whose end to wait for.
        follow: gives what performs the drops of one transaction.
        run: performs them.
    """

    def __init__(
        self,
        session: Session,
        follow: Callable[[], Following],
        run: Callable[[Following, bool | None], None],
    ) -> None:
        self._follow = follow
        self._run = run
        self._following: Following | None = None
        self._committed: bool | None = False  # None, while that is not known
        event.listen(session, "before_commit", self._commits)
        event.listen(session, "after_commit", self._has_committed)
        event.listen(session, "after_transaction_end", self._ends)

    @property
    def namespace(self) -> Namespace:
        """Whose entries the drops are for."""
        return self._current().namespace

    def want(self, *wanted: Wanted) -> None:
        """Have these performed after the next COMMIT."""
        self._current().want(*wanted)

    def _current(self) -> Following:
        if self._following is None:
            self._following = self._follow()
        return self._following

    def _commits(self, session: Session) -> None:
        if not session.in_nested_transaction():
            self._committed = None

    def _has_committed(self, session: Session) -> None:
        if not session.in_nested_transaction():  # else a savepoint is released
            self._committed = True

    def _ends(self, _session: Session, transaction: SessionTransaction) -> None:
        if transaction.parent is not None:
            return
        following, self._following = self._following, None
        committed, self._committed = self._committed, False
        if following is not None and committed is not False:
            self._run(following, committed)


def _run(following: Following, committed: bool | None) -> None:
    """Perform the drops; what strikes in their midst leaves them to a thread."""
    try:
        following.run(committed)
    except InvalidationFailed:
        raise
    except BaseException as error:
        following.run_behind(error, committed)
        raise


def _await(following: Following, committed: bool | None) -> None:
    """Perform the drops in a thread, and let the event loop run meanwhile."""
    await_only(shielded(partial(following.run, committed)))


def statement(text: TextClause) -> tuple[str, dict[str, Any]]:
    """Return a ``text()`` with its bound params as query and params of a cached read.

    ``client.query_with_cache(*statement(text("… WHERE id = :UserId").bindparams(UserId=7)))`` has the entry
    of ``client.query_with_cache("… WHERE id = :UserId", {"UserId": 7})``.

    Raises:
        sqlalchemy.exc.InvalidRequestError: a param has no value.
    """
    return text.text.replace("\\:", ":"), dict(text.compile().construct_params())
