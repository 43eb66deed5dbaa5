"""The judge of ``tools.chaos``: is an entry outdated for longer than the lag that was reported?"""

from __future__ import annotations

import pytest

from tools.chaos_watch import TOLERANCE, Report, Sighting, judge


def reports(*spans: tuple[float, float, float], who: int = 1, growing: bool = False) -> list[Report]:
    """Twenty reports a second, from one moment to another, of a lag that may grow as time goes by."""
    return [
        Report(begin + number / 20, who, lag + (number / 20 if growing else 0.0))
        for begin, end, lag in spans
        for number in range(round((end - begin) * 20) + 1)
    ]


def is_late(told: list[Report], since: float, seen: float) -> bool:
    """Whether an entry that was outdated from one moment to another was so for too long."""
    return bool(judge(told, [Sighting(since, seen)]).late)


@pytest.mark.parametrize(("length", "expected"), [(TOLERANCE - 0.1, False), (TOLERANCE + 0.1, True)])
def test_a_follower_that_says_it_has_no_lag_leaves_nothing_outdated(length: float, expected: bool) -> None:
    """Beyond the tolerance; as one that says so while its drops wait."""
    assert is_late(reports((0, 20, 0.0)), 10, 10 + length) is expected


def test_an_entry_may_be_outdated_for_the_lag_of_that_time() -> None:
    """Not for one that was reported long before or after."""
    told = reports((0, 9, 0.0), (9.05, 12, 2.0), (12.05, 20, 0.0))
    assert not is_late(told, 9, 11)
    assert not is_late(told, 9, 11.5)
    assert is_late(told, 9, 11.6)
    assert is_late(told, 13, 15)
    assert judge(told, [Sighting(9, 11), Sighting(13, 13.2)])[:3] == (2, 2.0, 2.0)


def test_time_without_a_leader_is_lag() -> None:
    """It is what was reported last and the time since; whoever leads then owes it until it has been level."""
    first, second = reports((0, 5, 0.0)), reports((8, 9, 0.0), who=2, growing=True)
    told = [*first, *second, *reports((9.05, 20, 0.0), who=2)]
    assert not is_late(told, 5, 7.9)
    assert not is_late(told, 5, 9)
    assert is_late(told, 5, 10)
    assert judge(told, []).counted == pytest.approx(4.0)
    assert judge(told, []).lag == pytest.approx(1.0)


def test_who_goes_on_after_a_freeze_is_not_held_to_its_first_word() -> None:
    """It says that it is level before it has read what came meanwhile."""
    told = [*reports((0, 5, 0.0), (7, 7.05, 0.0)), *reports((7.1, 7.5, 2.1), growing=True)]
    assert not is_late(told, 5, 7.2)
    assert not is_late(told, 5, 7.5)


def test_two_that_lead_at_once_are_held_to_the_longer_lag() -> None:
    """The one that stood still does not know yet that it was deposed."""
    told = [*reports((0, 5, 0.0), (7, 7.3, 0.0)), *reports((6.2, 8, 0.2), who=2, growing=True)]
    assert not is_late(told, 5, 7.3)


def test_where_nobody_has_ever_led_nothing_is_late() -> None:
    """The lag is not known."""
    assert not is_late([], 0, 1000)
    assert judge([], []) == (0.0, 0.0, 0.0, [])
