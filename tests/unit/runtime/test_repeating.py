"""A job done again and again: it begins once, ends with its flag or by itself, and is none of a child's."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from mysql_redis_cache.runtime import Repeater
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    import pytest


def threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "repeated"]


def test_it_goes_on_until_it_is_ended() -> None:
    """One thread, however often it is begun."""
    done: list[int] = []

    def job() -> bool:
        done.append(1)
        return True

    repeater = Repeater("repeated", 0.001, job)
    for _ in range(3):
        repeater.begin()
    assert wait_until(lambda: len(done) > 3)
    assert len(threads()) == 1
    repeater.end()
    assert wait_until(lambda: not threads())


def test_it_ends_when_the_job_says_so() -> None:
    """As when its client is gone."""
    left = [True, True, False]
    Repeater("repeated", 0.001, lambda: left.pop(0)).begin()

    assert wait_until(lambda: not left)
    assert wait_until(lambda: not threads())


def test_a_child_begins_anew() -> None:
    """The parent's thread does not exist there."""
    done: list[int] = []
    repeater = Repeater("repeated", 0.001, lambda: bool(done.append(1)))
    repeater.begin()
    assert wait_until(lambda: done == [1])
    repeater.after_fork_in_child()
    repeater.begin()

    assert wait_until(lambda: done == [1, 1])


def test_no_thread_to_be_had_is_no_callers_concern(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it would have told is not told."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    repeater = Repeater("repeated", 0.001, lambda: True)
    repeater.begin()
    repeater.begin()
    repeater.end()
