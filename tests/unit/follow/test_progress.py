"""How a follower is doing, and what is said of it."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest

from mysql_redis_cache.follow import progress
from mysql_redis_cache.follow.progress import Progress
from mysql_redis_cache.observe import LateInvalidation


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, to be set."""
    now = [1000.0]
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def test_lag_is_none_while_the_server_says_that_there_is_nothing(clock: list[float]) -> None:
    """What was heard and not dropped is as old as the last moment at which everything was."""
    about = Progress("shop", 3.0, 30.0)
    about.be_level()
    clock[0] += 2
    assert about.lag == 0.0
    about.hear()
    clock[0] += 1
    assert about.lag == 3.0
    about.be_level()
    clock[0] += 5  # silence: nobody knows
    assert about.lag == 5.0


def test_who_stands_by_has_no_lag(clock: list[float]) -> None:
    """And when it takes over, that which the leader before left behind."""
    about = Progress("shop", 3.0, 30.0)
    clock[0] += 3600
    about.stand_by()
    assert about.snapshot()["lag"] is None
    about.begin(clock[0] - 7)
    clock[0] += 1
    about.is_leader = True
    assert about.snapshot()["lag"] == 8.0


def test_who_leads_again_is_not_level_before_it_has_heard_the_server(clock: list[float]) -> None:
    """Though it was a moment ago."""
    about = Progress("shop", 3.0, 30.0)
    about.be_level()
    about.stand_by()
    clock[0] += 1
    assert about.lag == 1.0


def test_a_lost_connection_is_lag_at_once(clock: list[float]) -> None:
    """Not only when the server has been silent for as long as one that is idle never is."""
    about = Progress("shop", 3.0, 30.0)
    about.be_level()
    clock[0] += 1
    about.lose_touch()
    assert about.lag == 1.0


def test_a_start_afresh_has_dropped_what_was_outdated(clock: list[float]) -> None:
    """By whatever was changed before its position was taken."""
    about = Progress("shop", 3.0, 30.0)
    clock[0] += 100
    about.begin(clock[0])
    clock[0] += 1
    assert about.lag == 1.0


def test_falling_behind_is_said_once_and_catching_up_too(
    clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    """In the log and as an event, with what it waits for; a follower that stands by says nothing."""
    caplog.set_level(logging.INFO)
    about, heard = Progress("shop", 3.0, 30.0), list[LateInvalidation]()
    about.events.subscribe(heard.append)
    clock[0] += 100
    about.warn()
    assert caplog.messages == []
    about.is_leader, about.problem = True, "Redis is away"
    for _ in range(3):
        about.warn()
    assert caplog.messages == ["the follower is 100.0 s behind; it waits for: Redis is away"]
    assert heard == [LateInvalidation(client="shop", lag=100.0, problem="Redis is away")]
    about.be_level()
    about.hear()
    clock[0] += 1
    about.warn()  # better, but not level
    about.be_level()
    for _ in range(3):
        about.warn()
    assert caplog.messages[1:] == ["the follower has caught up"]
    clock[0] += 31
    about.warn()
    assert (len(caplog.messages), len(heard)) == (3, 2)
