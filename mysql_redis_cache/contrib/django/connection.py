"""Django's connection as the one of a client: what it reads, and when it drops, is part of Django's work."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from asgiref.sync import sync_to_async
from django.db import connections, transaction
from django.dispatch import Signal

from mysql_redis_cache.database import ExternalConnection
from mysql_redis_cache.joined import is_ours, run_waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from mysql_redis_cache.errors import InvalidationFailed

__all__ = ["DjangoConnection", "databases", "drops_failed"]

T = TypeVar("T")

drops_failed = Signal()
"""Sent when drops failed after a COMMIT: ``failure`` is the ``InvalidationFailed``, ``sender`` an alias."""


def databases() -> Mapping[str, Mapping[str, Any]]:
    """Return ``DATABASES``, with Django's defaults, and in tests with the names of theirs."""
    handler: Any = connections
    return handler.settings  # type: ignore[no-any-return]  # the stubs leave it out


class DjangoConnection(ExternalConnection):
    """``django.db.connections[alias]`` of whichever thread asks.

    Args:
        alias: of ``DATABASES``.
    """

    def __init__(self, alias: str) -> None:
        self.alias = alias

    def __repr__(self) -> str:
        return f"<DjangoConnection {self.alias}>"

    @property
    def in_transaction(self) -> bool:
        """Whether this thread is inside ``atomic()``, or has no autocommit.

        A thread that has not used Django's connection is in none, and neither is an event loop.
        """
        handler: Any = connections
        wrapper = getattr(handler._connections, self.alias, None)  # noqa: SLF001 - asking would make one
        if wrapper is None or wrapper.connection is None:
            return not databases()[self.alias]["AUTOCOMMIT"]
        return wrapper.in_atomic_block or not wrapper.autocommit

    @contextmanager
    def execute(self, statement: str, inmost: Callable[[Any], AbstractContextManager[None]]) -> Iterator[Any]:
        """Execute by a cursor of Django's, so that its log, its wrappers and ``assertNumQueries`` see it."""
        wrapper = connections[self.alias]
        with wrapper.cursor() as cursor:

            def execute(go_on: Callable[..., Any], *arguments: Any) -> Any:
                with inmost(cursor):
                    return go_on(*arguments)

            with wrapper.execute_wrapper(execute):  # the last to come is the innermost
                cursor.execute(statement)
            yield cursor

    def transaction(self) -> AbstractContextManager[object]:
        """Return ``transaction.atomic()``."""
        return transaction.atomic(using=self.alias)

    def on_commit(self, call: Callable[[], None]) -> None:
        """Have *call* called after COMMIT, before what else waits for that; at once without a transaction."""
        if not self.in_transaction:
            call()
            return
        wrapper = connections[self.alias]
        if wrapper.in_atomic_block:
            transaction.on_commit(call, using=self.alias, robust=True)
        else:  # by hand: Django refuses to wait, since it would not call before autocommit is on again
            wrapper.run_on_commit.append((set(), call, True))  # type: ignore[arg-type]  # the stubs lag
        wrapper.__dict__.setdefault(_HOOKS, partial(_run_hooks, wrapper, wrapper.run_and_clear_commit_hooks))
        if not (wrapper.in_atomic_block and wrapper.commit_on_exit):
            wrapper.__dict__.setdefault(_COMMIT, partial(_commit, wrapper))

    def waiting(self) -> Iterable[Callable[[], object]]:
        """Return what ``transaction.on_commit`` was given, the newest first."""
        return reversed(_waiting(connections[self.alias]))

    async def in_thread(self, call: Callable[[], T]) -> T:
        """Run *call* where Django's ORM runs: in the one thread of the request, or of the test."""
        return await sync_to_async(call, thread_sensitive=True)()

    def apart(self, job: Callable[[], T]) -> Callable[[], T]:
        """Return *job* with what it opens closed after it, since no request ends in that thread."""

        def run() -> T:
            try:
                return job()
            finally:
                connections.close_all()  # of this thread

        return run

    def tell(self, failure: InvalidationFailed) -> None:
        """Send ``drops_failed``."""
        drops_failed.send(sender=self.alias, failure=failure)


def _waiting(wrapper: Any) -> list[Callable[[], object]]:
    return [call for _, call, *_ in wrapper.run_on_commit]


# In place of two methods of Django's connection, where something of ours waits for a COMMIT.
_HOOKS, _COMMIT = "run_and_clear_commit_hooks", "commit"


def _run_hooks(wrapper: Any, go_on: Callable[[], None]) -> None:
    """Call what is ours first: a function of somebody else's that raises ends the calls."""
    if not wrapper.in_atomic_block:
        run_waiting(_waiting(wrapper))
    go_on()


def _commit(wrapper: Any) -> None:
    """Commit a transaction that is managed by hand, and call what is ours at once."""
    del wrapper.__dict__[_COMMIT]
    wrapper.commit()
    run_waiting(_waiting(wrapper))
    wrapper.run_on_commit = [each for each in wrapper.run_on_commit if not is_ours(each[1])]
