"""Seeing what clients and servers do: their reads, drops and writes, told to a listener as they happen.

This is the one place that knows where those pass.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from mysql_redis_cache.readthrough.steps import Load, Shared

from .faces import core_of, drops_of, replaced

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mysql_redis_cache.keys import Wanted
    from mysql_redis_cache.readthrough import Core
    from mysql_redis_cache.readthrough.steps import Steps

    from .faces import Face

__all__ = ["Listener", "watching"]


class Listener(Protocol):
    """What is told."""

    def read(self, query: str, how: str) -> None:
        """Note a cached read: ``"hit"``, ``"load"``, ``"shared"`` (somebody else's) or ``"uncached"``."""

    def dropped(self, wanted: Sequence[Wanted]) -> None:
        """Note a drop that was performed."""

    def wrote(self, text: str) -> None:
        """Note a statement that went straight to MySQL, and is committed or may be."""


@contextmanager
def watching(face: Face, listener: Listener) -> Iterator[None]:
    """Tell *listener* what a client or server does, for the block."""
    core, drops = core_of(face), drops_of(face)
    with ExitStack() as stack:
        if core is not None:
            stack.enter_context(replaced(core, "steps", partial(_steps, core.steps, listener)))
            stack.enter_context(replaced(core, "is_plain", _is_told_of))  # those are answered without steps
            _watch_writes(core, listener, stack)
        if drops is not None:
            stack.enter_context(replaced(drops, "perform", partial(_perform, drops.perform, listener)))
        yield


def _is_told_of(_: object) -> bool:
    return False


def _steps(make: Callable[..., Steps], listener: Listener, read: Any, **how: Any) -> Steps:
    return _told(make(read, **how), read, listener)


def _told(steps: Steps, read: Any, listener: Listener) -> Steps:
    """Pass steps and outcomes on, and tell at the end what the read came to."""
    how, is_first = "hit", True
    outcome: Any = None
    try:
        step = steps.send(None)
        while True:
            if isinstance(step, Load):
                how = "uncached" if is_first else "load"
            is_first = False
            try:
                outcome = yield step
            except GeneratorExit:
                steps.close()
                raise
            except BaseException as error:  # noqa: BLE001 - the steps decide what follows, and raise it again
                step = steps.throw(error)
            else:
                how = "shared" if isinstance(outcome, Shared) else how
                step = steps.send(outcome)
    except StopIteration as done:
        return done.value
    finally:
        listener.read(read.query, how)


def _perform(
    perform: Callable[..., int], listener: Listener, wanted: Sequence[Wanted], *args: Any, **how: Any
) -> int:
    dropped = perform(wanted, *args, **how)
    if not how.get("dry_run"):
        listener.dropped(wanted)
    return dropped


def _watch_writes(core: Core, listener: Listener, stack: ExitStack) -> None:
    database: Any = core.database
    for name in ("query", "execute", "run"):
        stack.enter_context(replaced(database, name, partial(_said, getattr(database, name), listener.wrote)))
    stack.enter_context(replaced(database, "session", partial(_session, database.session, listener)))


def _said(run: Callable[..., Any], tell: Callable[[str], object], text: str, *args: Any, **how: Any) -> Any:
    outcome = run(text, *args, **how)
    tell(text)
    return outcome


@contextmanager
def _session(make: Callable[[], Any], listener: Listener) -> Iterator[Any]:
    """Tell of the statements of a transaction once it is over, but for those that were undone."""
    said: list[str] = []
    with make() as session, ExitStack() as stack:
        for name in ("query", "execute", "run", "say_inside"):
            stack.enter_context(replaced(session, name, partial(_said, getattr(session, name), said.append)))
        try:
            yield session
        finally:
            if session.committed is not False:
                for text in _standing(said):
                    listener.wrote(text)


def _standing(said: Sequence[str]) -> list[str]:
    """Return what was said and not undone by going back to a savepoint."""
    standing: list[str] = []
    for text in said:
        back = text.removeprefix("ROLLBACK TO ")
        if back != text:  # to the last savepoint of that name: the ones before it are released
            while standing.pop() != back:
                pass
        standing.append(text)
    return standing
