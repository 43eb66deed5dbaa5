"""Exceptions that strike code from outside: they are the matter of whom they strike, and of nobody else.

Celery's soft time limit and whatever else a signal handler raises look, where they arrive, like failures of
the function that happened to run. So do those that one thread sets in another (``PyThreadState_SetAsyncExc``,
as job queues do for their time limits).
"""

from __future__ import annotations

import dis
import signal
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType, TracebackType

__all__ = ["is_interruption"]

_RAISING = {dis.opmap[name] for name in ("RAISE_VARARGS", "RERAISE")}


def is_interruption(error: BaseException) -> bool:
    """Return whether *error* was raised by a signal handler, or set by another thread.

    The second is told from its looks: no code raised it, and it says nothing, since such an exception is made
    from its class alone. What C code raises without a word looks the same; that it is then not shared with
    those who wait for the same load costs a load of their own.
    """
    trace = list(_traces(error.__traceback__))
    handlers = _handlers() if trace else set()
    if any(each.tb_frame.f_code in handlers for each in trace):
        return True
    return bool(trace) and not error.args and not _is_built_in(error) and not _was_raised(trace[-1])


def _traces(trace: TracebackType | None) -> Iterator[TracebackType]:
    while trace is not None:
        yield trace
        trace = trace.tb_next


def _handlers() -> set[CodeType]:
    """Return the code of the signal handlers that are set."""
    handlers = map(signal.getsignal, signal.valid_signals())
    return {code for handler in handlers if (code := _code_of(handler)) is not None}


def _code_of(handler: Any) -> CodeType | None:
    while isinstance(handler, partial):
        handler = handler.func
    function = getattr(handler, "__func__", handler)
    called = function if hasattr(function, "__code__") else vars(type(handler)).get("__call__")
    return getattr(called, "__code__", None)


def _is_built_in(error: BaseException) -> bool:
    """Return whether it is one that C code raises without a word, such as MemoryError."""
    return type(error).__module__ == "builtins"


def _was_raised(trace: TracebackType) -> bool:
    return trace.tb_frame.f_code.co_code[trace.tb_lasti] in _RAISING
