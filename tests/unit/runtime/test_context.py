"""What a thread or task is in the middle of: seen where it goes on, and nowhere after it is over."""

from __future__ import annotations

import contextvars
import threading
from contextlib import ExitStack
from functools import wraps
from typing import TYPE_CHECKING, Any

import pytest

from mysql_redis_cache.runtime import (
    Marks,
    Reservation,
    Slots,
    apart,
    context,
    is_clear,
    reserved_slot,
    with_reservation,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def in_a_context_of_its_own(test: Callable[[], None]) -> Callable[[], None]:
    """Run *test* where nobody has left anything."""

    @wraps(test)
    def run() -> None:
        contextvars.Context().run(test)

    return run


@in_a_context_of_its_own
def test_a_mark_is_there_for_its_block() -> None:
    """And gone after it, also if it raises."""
    marks: Marks[str] = Marks()

    def fail() -> None:
        with marks.mark("outer"):
            assert list(marks.here()) == ["outer"]
            assert not is_clear()
            int("x")

    assert is_clear()
    with pytest.raises(ValueError, match="x"):
        fail()

    assert list(marks.here()) == []
    assert is_clear()


@in_a_context_of_its_own
def test_the_innermost_comes_first_and_others_do_not_hide_it() -> None:
    """Each sees its own, in whatever order they were made."""
    mine: Marks[int] = Marks()
    yours: Marks[str] = Marks()
    with mine.mark(1), yours.mark("a"), mine.mark(2), yours.mark("b"):
        assert list(mine.here()) == [2, 1]
        assert list(yours.here()) == ["b", "a"]
    assert is_clear()


def steps(marks: Marks[Any]) -> Iterator[None]:
    with marks.mark("open"):
        yield


def test_a_block_may_end_in_another_context() -> None:
    """As FastAPI's dependencies, streamed generators and fixtures do."""
    marks: Marks[str] = Marks()
    here, there = contextvars.copy_context(), contextvars.copy_context()
    block = steps(marks)
    here.run(next, block)
    assert here.run(lambda: list(marks.here())) == ["open"]

    there.run(next, block, None)

    assert here.run(lambda: list(marks.here())) == []
    assert there.run(lambda: list(marks.here())) == []


def test_what_ended_elsewhere_is_forgotten_by_who_asks() -> None:
    """It is on the way of every hit."""
    marks: Marks[str] = Marks()
    here, there = contextvars.Context(), contextvars.Context()
    block = steps(marks)
    here.run(next, block)
    assert not here.run(is_clear)
    there.run(next, block, None)

    assert here.run(is_clear)
    assert here.run(lambda: context._innermost.get()) is None


@in_a_context_of_its_own
def test_what_is_over_is_forgotten() -> None:
    """A context that saw many blocks end elsewhere keeps none of them."""
    marks: Marks[str] = Marks()
    here = contextvars.copy_context()
    for _ in range(100):
        block = steps(marks)
        here.run(next, block)
        next(block, None)

    def depth() -> int:
        mark, found = context._innermost.get(), 0
        while mark is not None:
            mark, found = mark.outer, found + 1
        return found

    assert here.run(depth) == 1


def test_blocks_may_overlap() -> None:
    """The one that began first may end first."""
    marks: Marks[int] = Marks()
    first, second = ExitStack(), ExitStack()
    first.enter_context(marks.mark(1))
    second.enter_context(marks.mark(2))
    first.close()
    assert list(marks.here()) == [2]
    second.close()

    assert list(marks.here()) == []


def test_what_was_started_inside_sees_it_only_while_it_goes_on() -> None:
    """A task that lives on is in the middle of nothing any more."""
    marks: Marks[str] = Marks()
    with marks.mark("open"):
        inherited = contextvars.copy_context()
        assert inherited.run(lambda: list(marks.here())) == ["open"]

    assert inherited.run(lambda: list(marks.here())) == []


def test_apart_means_the_same_context_in_the_middle_of_nothing() -> None:
    """Other people's variables are there, and the caller's own marks stay."""
    tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant", default="public")
    marks: Marks[str] = Marks()
    tenant.set("acme")
    seen: list[object] = []
    with marks.mark("open"):
        job = apart(lambda: seen.extend([tenant.get(), list(marks.here()), is_clear()]))
        thread = threading.Thread(target=job)
        thread.start()
        thread.join()
        assert list(marks.here()) == ["open"]

    assert seen == ["acme", [], True]


def test_a_reserved_slot_is_for_the_call_and_once() -> None:
    """Whoever asks for one of those slots first gets it; afterwards there is none, and none is lost."""
    slots, others = Slots(1), Slots(1)

    def call() -> list[bool]:
        found = [reserved_slot(others), reserved_slot(slots), reserved_slot(slots)]
        if found[1] is not None:
            slots.give_back(found[1])
        return [slot is not None for slot in found]

    assert with_reservation(Reservation(slots, slots.take(0)), call) == [False, True, False]
    assert slots.in_use == 0


def test_a_slot_that_nobody_claims_is_given_back() -> None:
    """Also when the call raises."""
    slots = Slots(1)
    with pytest.raises(ValueError, match="x"):
        with_reservation(Reservation(slots, slots.take(0)), lambda: int("x"))

    assert slots.in_use == 0
    slots.take(0)
