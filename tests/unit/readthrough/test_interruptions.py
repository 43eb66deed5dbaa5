"""Which exceptions came from outside the code that they struck."""

from __future__ import annotations

import ctypes
import queue
import signal
import threading
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from mysql_redis_cache.readthrough.interruptions import is_interruption

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class TimeIsUp(Exception):
    """As of a job queue."""


class Alarm:
    """Handlers of several forms."""

    def strike(self, *_: object) -> None:
        raise TimeIsUp("too late")

    def __call__(self, *_: object) -> None:
        raise TimeIsUp

    def deep(self, *_: object) -> None:
        self.strike()


def strike(*_: object) -> None:
    raise TimeIsUp


@contextmanager
def handled(handler: Any) -> Iterator[None]:
    before = signal.signal(signal.SIGUSR1, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, before)


def raised_by(call: Callable[[], object]) -> BaseException:
    try:
        call()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


@pytest.mark.parametrize("handler", [strike, Alarm().strike, Alarm(), Alarm().deep, partial(strike, 1)])
def test_what_a_signal_handler_raises_is_one(handler: Any) -> None:
    """Whatever kind of callable it is, and however deep inside it."""
    with handled(handler):
        error = raised_by(lambda: signal.raise_signal(signal.SIGUSR1) or sum(range(1000)))
        assert is_interruption(error)


def test_what_another_thread_sets_is_one() -> None:
    """It strikes at any instruction."""
    begun, struck = threading.Event(), queue.SimpleQueue[BaseException]()

    def spin() -> None:
        try:
            begun.set()
            while True:
                sum(range(10))
        except TimeIsUp as error:
            struck.put(error)

    thread = threading.Thread(target=spin)
    thread.start()
    assert begun.wait(10)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(TimeIsUp))

    assert is_interruption(struck.get(timeout=10))
    thread.join(10)


def fail(error: Exception) -> None:
    raise error


def reraise() -> None:
    try:
        fail(TimeIsUp())
    except TimeIsUp:
        with handled(strike):
            raise


@pytest.mark.parametrize(
    "call",
    [
        partial(fail, TimeIsUp()),
        partial(fail, TimeIsUp("really")),
        partial(fail, ValueError()),
        reraise,
        lambda: next(iter(())),
        lambda: {}["missing"],
        lambda: int("x"),
        lambda: 1 / 0,
        lambda: [].pop(),
    ],
)
def test_what_code_raises_is_none(call: Callable[[], object]) -> None:
    """Explicitly, again, or in C: it is a failure, and shared with those who wait for it."""
    assert not is_interruption(raised_by(call))


def test_what_was_never_raised_is_none() -> None:
    """There is nothing it could have struck."""
    assert not is_interruption(TimeIsUp())
