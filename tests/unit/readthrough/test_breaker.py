"""When Redis is asked, and when not."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mysql_redis_cache.readthrough.breaker import Breaker


def opened(at: float = 0.0, pause: float = 2.0) -> Breaker:
    breaker = Breaker(failures=3, pause=pause, longest=pause)
    for _ in range(3):
        breaker.failed(at, at)
    assert not breaker.is_closed
    return breaker


def test_a_new_breaker_lets_everything_pass() -> None:
    """Redis is innocent until it fails."""
    breaker = Breaker()

    assert breaker.is_closed
    assert all(breaker.allows(now) for now in (0.0, 1e9, -5.0))


def test_only_failures_in_a_row_open_it() -> None:
    """A success in between starts the count over."""
    breaker = Breaker(failures=3)

    assert [breaker.failed(0, 0), breaker.failed(0, 0), breaker.succeeded(0)] == [False, False, False]
    assert [breaker.failed(0, 0), breaker.failed(0, 0), breaker.failed(0, 0)] == [False, False, True]
    assert not breaker.is_closed


def test_it_says_once_that_it_opened_and_once_that_it_closed() -> None:
    """One warning per change, not per call."""
    breaker = Breaker(failures=1)

    assert [breaker.failed(0, 0), breaker.failed(0, 0), breaker.failed(1, 1)] == [True, False, False]
    assert [breaker.succeeded(2), breaker.succeeded(2)] == [True, False]


def test_while_open_nothing_passes() -> None:
    """A read costs nothing more than this question."""
    breaker = opened(at=100.0, pause=2.0)

    assert not any(breaker.allows(now) for now in (100.0, 101.0, 101.999))


def test_asking_whether_it_is_shut_uses_up_no_probe() -> None:
    """Whoever only wants to know leaves the probe to whoever asks Redis."""
    breaker = opened(at=100.0, pause=2.0)

    assert [breaker.is_shut(101.9), breaker.is_shut(102.0), breaker.is_shut(102.0)] == [True, False, False]
    assert breaker.allows(102.0)
    assert breaker.is_shut(103.9)
    assert not Breaker().is_shut(0.0)


def test_after_the_pause_one_probe_passes() -> None:
    """The others go on without Redis until the probe has reported."""
    breaker = opened(at=100.0, pause=2.0)

    assert [breaker.allows(102.0), breaker.allows(102.0), breaker.allows(103.9)] == [True, False, False]


def test_a_successful_probe_closes_it() -> None:
    """Redis is back for everybody."""
    breaker = opened()
    breaker.allows(5.0)

    assert breaker.succeeded(5.0) is True
    assert [breaker.is_closed, breaker.allows(5.0), breaker.allows(5.0)] == [True, True, True]


def test_a_failed_probe_keeps_it_open_for_another_pause() -> None:
    """One failure is enough then, and it is no news."""
    breaker = opened(pause=2.0)
    breaker.allows(5.0)

    assert breaker.failed(5.25, 5.25) is False
    assert [breaker.allows(6.9), breaker.allows(7.0)] == [False, True]


def test_the_first_probe_comes_soon_and_the_pauses_grow() -> None:
    """A stall of half a second costs little; a long outage is not asked after all the time."""
    breaker, probes = Breaker(failures=1, pause=0.1, longest=1.0), []
    breaker.failed(0, 0)
    for moment in range(1, 6000):
        if breaker.allows(moment / 1000):
            probes.append(moment / 1000)
            breaker.failed(moment / 1000, moment / 1000)

    assert [round(later - sooner, 1) for sooner, later in pairwise([0.0, *probes])][:6] == [
        *[0.1, 0.2, 0.4, 0.8],
        *[1.0, 1.0],
    ]
    breaker.succeeded(6.0)
    assert breaker.failed(7.0, 7.0)
    assert [breaker.allows(7.09), breaker.allows(7.11)] == [False, True]


def test_failures_of_one_moment_are_one() -> None:
    """A stall fails all that is under way; what is asked after it gets an answer."""
    breaker = Breaker(failures=2)
    assert not any(breaker.failed(0.2 + number / 100, 0.5) for number in range(20))
    assert breaker.is_closed

    assert breaker.failed(0.5, 0.75)


def test_a_probe_that_never_reports_is_followed_by_another() -> None:
    """An interrupted probe does not keep Redis unasked for ever."""
    breaker = opened(pause=2.0)

    assert [breaker.allows(5.0), breaker.allows(6.9), breaker.allows(7.0)] == [True, False, True]


def test_answers_to_earlier_questions_change_nothing() -> None:
    """With fifty readers in flight when Redis dies, the last answers come in after the first failures."""
    breaker = opened(at=100.0)

    assert [breaker.succeeded(99.9), breaker.is_closed] == [False, False]
    breaker.allows(103.0)
    assert breaker.succeeded(103.0) is True
    assert [breaker.failed(99.9, 104.0) for _ in range(5)] == [False] * 5
    assert breaker.is_closed


def test_after_it_closed_it_takes_as_many_failures_again() -> None:
    """The count is fresh."""
    breaker = opened()
    breaker.allows(5.0)
    breaker.succeeded(5.0)

    assert [breaker.failed(6, 6), breaker.failed(6, 6), breaker.failed(6, 6)] == [False, False, True]


@given(
    st.lists(st.tuples(st.sampled_from(["ask", "fail", "succeed"]), st.floats(0, 5)), max_size=60),
    st.integers(1, 5),
)
def test_it_is_never_shut_for_longer_than_a_pause(events: list[tuple[str, float]], failures: int) -> None:
    """Whatever happened, after a pause without news the next question passes."""
    breaker, now = Breaker(failures, pause=0.1, longest=2.0), 0.0
    for event, later in events:
        now += later
        if event == "ask":
            breaker.allows(now)
        elif event == "fail":
            breaker.failed(now, now)
        else:
            breaker.succeeded(now)

    assert breaker.allows(now + 2.0)


@pytest.mark.parametrize("failures", [1, 2, 5])
def test_changes_alternate(failures: int) -> None:
    """An opening is never reported twice without a closing in between."""
    breaker, news = Breaker(failures, pause=1.0, longest=1.0), []
    for moment in range(30):
        if breaker.failed(moment, moment):
            news.append("opened")
        if moment % 7 == 6 and breaker.allows(moment + 1) and breaker.succeeded(moment + 1):
            news.append("closed")

    assert all(one != other for one, other in pairwise(news))
