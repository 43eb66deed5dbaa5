"""SQLAlchemy: drops once a session has committed, reads over its connection, texts with bound params."""

from __future__ import annotations

import threading
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeAlias, TypeVar

from sqlalchemy import Connection, event
from sqlalchemy.orm import Session, scoped_session, sessionmaker
from sqlalchemy.util import await_only

from mysql_redis_cache.aio import AsyncMRCClient, AsyncMRCServer
from mysql_redis_cache.aio.threads import shielded
from mysql_redis_cache.calls import Pending
from mysql_redis_cache.database import ExternalConnection
from mysql_redis_cache.errors import InvalidationFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    from sqlalchemy import Engine, TextClause
    from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session
    from sqlalchemy.orm import SessionTransaction

    from mysql_redis_cache.client import MRCClient
    from mysql_redis_cache.drops import Following
    from mysql_redis_cache.keys import Namespace, Wanted
    from mysql_redis_cache.server import MRCServer

    AnySession: TypeAlias = "Session | scoped_session[Any] | AsyncSession | async_scoped_session[Any]"
    Dropper: TypeAlias = MRCClient | MRCServer | AsyncMRCClient | AsyncMRCServer

__all__ = ["after_commit", "over", "statement"]

T = TypeVar("T")


def after_commit(session: AnySession, client: Dropper) -> Pending:
    """Return what takes the drops that are to follow the session's next COMMIT.

    ``after_commit(session, client).drop_outdated_cache(["UserId"], [123])`` drops once all that the session
    does is committed, and its connection given back; all that it was asked for is one drop. What a savepoint
    asked for waits for the outermost COMMIT too, and is dropped also if it was rolled back to. A rollback
    forgets all, and what is asked for after ``commit()`` waits for the next one. Where COMMIT raised, so that
    its outcome is not certain, the drops are performed.

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
    waiting = _waiting_of(own)
    if client not in waiting:
        waiting[client] = _AfterCommit(*_means(client, is_async=is_async))
    return Pending(waiting[client])  # type: ignore[arg-type]  # that of a client is an _AfterCommit


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


class _Waiting(Generic[T]):
    """What waits for the COMMIT of a session's transactions, one after another.

    Args:
        new: gives what holds that of one transaction.
        run: is given it, and whether it is certain that the transaction was committed (else ``None``).
    """

    def __init__(self, new: Callable[[], T], run: Callable[[T, bool | None], None]) -> None:
        self._new = new
        self._run = run
        self._held: T | None = None

    @property
    def held(self) -> T:
        """What waits for the next COMMIT."""
        if self._held is None:
            self._held = self._new()
        return self._held

    def end(self, committed: bool | None) -> None:
        """Run what has waited for the end of a transaction, or forget it."""
        held, self._held = self._held, None
        if held is not None and committed is not False:
            self._run(held, committed)


def _waiting_of(session: Session) -> dict[Dropper | None, _Waiting[Any]]:
    """Return what waits for the COMMIT of a session: drops by their clients, and what is read ``over`` it."""
    waiting: dict[Dropper | None, _Waiting[Any]] = session.info.setdefault(_WAITING, {})
    return waiting


_WAITING, _COMMITTED = (__name__, "waiting"), (__name__, "committed")


# For all sessions, since listeners cannot be added while one of the same kind is called.
@event.listens_for(Session, "before_commit")
def _commits(session: Session) -> None:
    if not session.in_nested_transaction():
        session.info[_COMMITTED] = None  # while that is not known


@event.listens_for(Session, "after_commit")
def _has_committed(session: Session) -> None:
    if not session.in_nested_transaction():  # else a savepoint is released
        session.info[_COMMITTED] = True


@event.listens_for(Session, "after_transaction_end")
def _ends(session: Session, transaction: SessionTransaction) -> None:
    if transaction.parent is not None:
        return
    committed = session.info.pop(_COMMITTED, False)
    with ExitStack() as all_of_them:  # whatever strikes one
        for waiting in reversed(_waiting_of(session).values()):
            all_of_them.callback(waiting.end, committed)


class _AfterCommit(_Waiting["Following"]):
    """The drops that follow a session's transactions."""

    @property
    def namespace(self) -> Namespace:
        """Whose entries the drops are for."""
        return self.held.namespace

    def want(self, *wanted: Wanted) -> None:
        """Have these performed after the next COMMIT."""
        self.held.want(*wanted)


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


def over(sessions: scoped_session[Any] | Callable[[], Session]) -> ExternalConnection:
    """Return what a client takes in place of ``mysql_config``, to read over the connection of a session.

    ``MRCClient(over(scoped), redis_config)``: while the session of this thread or request is in a
    transaction, cached reads are part of it, past the cache, and see what it has written; drops wait for its
    COMMIT. Otherwise they are cached, and loaded over a connection of the session's engine.

    Args:
        sessions: a scoped session, or a function that returns the session of the caller; for blocking code.

    Raises:
        TypeError: neither. One that is no ``Session`` is told when it is used.
        InvalidationFailed: (of the session's ``commit()``) as of ``after_commit``.
    """
    if isinstance(sessions, sessionmaker) or not callable(sessions):
        raise TypeError(
            "sessions must be a scoped_session, or a function that returns the session in use, not "
            f"{type(sessions).__name__}"
        )
    return _SessionConnection(sessions)


class _Apart(threading.local):
    """What a thread of the library's reads over, in which there is no session."""

    engine: Engine | Connection | None = None


class _SessionConnection(ExternalConnection):
    """The connection of whichever session is the caller's; see ``over``."""

    def __init__(self, sessions: Callable[[], Session]) -> None:
        self._sessions = sessions
        self._apart = _Apart()

    def _session(self) -> Session:
        session = self._sessions()
        if not isinstance(session, Session):
            raise TypeError(f"sessions must give a blocking Session, not {type(session).__name__}")
        return session

    @property
    def in_transaction(self) -> bool:
        """Whether the session is; one that is bound to a connection is inside whatever that is in."""
        if self._apart.engine is not None:
            return False
        session = self._session()
        return session.in_transaction() or isinstance(session.bind, Connection)

    @contextmanager
    def execute(self, statement: str, inmost: Callable[[Any], AbstractContextManager[None]]) -> Iterator[Any]:
        """Execute by SQLAlchemy, so that its log and its events see it, and errors are its own."""
        with self._lent() as connection, ExitStack() as around:
            cursors = []

            def enter(_connection: Connection, cursor: Any, *_: Any) -> None:
                cursors.append(cursor)
                around.enter_context(inmost(cursor))

            event.listen(connection, "before_cursor_execute", enter)  # after those of the engine
            try:
                result = connection.exec_driver_sql(statement, execution_options={"no_parameters": True})
            finally:
                event.remove(connection, "before_cursor_execute", enter)
                around.close()
            with result:
                yield cursors[0]

    @contextmanager
    def _lent(self) -> Iterator[Connection]:
        """Lend the session's connection; without a transaction one of its engine's, lest this begins one."""
        if self.in_transaction:
            session = self._session()
            if session.autoflush:
                session.flush()
            yield session.connection()
            return
        with (self._apart.engine or self._session().get_bind()).engine.begin() as connection:
            yield connection

    def transaction(self) -> AbstractContextManager[object]:
        """Return the session's ``begin()``, or in a transaction ``begin_nested()``."""
        session = self._session()
        return session.begin_nested() if session.in_transaction() else session.begin()

    def on_commit(self, call: Callable[[], None]) -> None:
        """Have *call* called after the session's next COMMIT, also if its outcome is not certain."""
        self._waiting().append(call)

    def waiting(self) -> Iterable[Callable[[], object]]:
        """Return what waits for it, the newest first."""
        return reversed(self._waiting())

    def _waiting(self) -> list[Callable[[], None]]:
        session = self._session()
        calls = _waiting_of(session).setdefault(None, _Waiting(list, partial(_call, session)))
        held: list[Callable[[], None]] = calls.held
        return held

    async def in_thread(self, call: Callable[[], T]) -> NoReturn:  # noqa: ARG002
        """Raise: a blocking session is of no use to an event loop."""
        raise TypeError("a client over blocking sessions is for blocking code, not for coroutines")

    def apart(self, job: Callable[[], T]) -> Callable[[], T]:
        """Return *job* as it goes on without a session, over the engine of this one."""
        engine = self._session().get_bind()

        def run() -> T:
            self._apart.engine = engine
            try:
                return job()
            finally:
                self._apart.engine = None

        return run

    def tell(self, failure: InvalidationFailed) -> None:
        """Keep it, to be raised when everything that waited for the COMMIT is done."""
        self._session().info[_FAILED] = failure


_FAILED = f"{__name__} failed"


def _call(session: Session, calls: list[Callable[[], None]], _committed: bool | None) -> None:
    """Call all that waited for a COMMIT, whatever strikes; raise what drop failed."""
    with ExitStack() as all_of_them:
        for call in reversed(calls):
            all_of_them.callback(call)
    failure = session.info.pop(_FAILED, None)
    if failure is not None:
        raise failure


def statement(text: TextClause) -> tuple[str, dict[str, Any]]:
    """Return a ``text()`` with its bound params as query and params of a cached read.

    ``client.query_with_cache(*statement(text("… WHERE id = :UserId").bindparams(UserId=7)))`` has the entry
    of ``client.query_with_cache("… WHERE id = :UserId", {"UserId": 7})``.

    Raises:
        sqlalchemy.exc.InvalidRequestError: a param has no value.
    """
    return text.text.replace("\\:", ":"), dict(text.compile().construct_params())
