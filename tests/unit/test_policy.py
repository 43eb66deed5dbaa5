"""How long entries live, when they are fresh, and what windows and waits may be."""

from __future__ import annotations

import json
import math
import re
import threading
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mysql_redis_cache.policy import (
    LONGEST_WAIT,
    Freshness,
    Policy,
    check_count,
    seconds,
    ttl_seconds,
    wait_seconds,
)

if TYPE_CHECKING:
    from collections.abc import Callable

NPM = json.loads((Path(__file__).parents[1] / "data/ttl.json").read_text())["npm"]

chances = st.floats(0, 1, exclude_max=True)
ttls = st.one_of(st.integers(1, 10**8), st.floats(1e-3, 1e8))
windows = st.floats(0, 1e6)


def always(chance: float):
    return lambda: chance


@pytest.mark.parametrize("ttl", [int(ttl) for ttl in NPM if int(ttl) <= 20])
def test_short_lifetimes_are_those_of_npm(ttl: int) -> None:
    """The least and the greatest lifetime of a short ttl are the peer's."""
    lifetimes = {Policy().lifetime(ttl, always(step / 10_000)) for step in range(10_000)}

    assert [min(lifetimes), max(lifetimes)] == NPM[str(ttl)]


@pytest.mark.parametrize("ttl", [int(ttl) for ttl in NPM])
def test_lifetimes_spread_as_those_of_npm(ttl: int) -> None:
    """Whatever npm was seen to give, ours gives too, and nothing beyond a tenth of the ttl."""
    lifetimes = {Policy().lifetime(ttl, always(step / 10_000)) for step in range(10_000)}
    least, most = NPM[str(ttl)]

    assert min(lifetimes) <= least
    assert most <= max(lifetimes)
    assert min(lifetimes) >= math.floor(ttl * 0.9)
    assert max(lifetimes) <= math.ceil(ttl * 1.1)


@given(ttls, chances, windows)
def test_lifetimes_are_whole_seconds_and_never_zero(ttl: float, chance: float, grace: float) -> None:
    """Redis refuses 0 and fractions, and an entry lives for its ttl and its grace."""
    lifetime = Policy(stale_if_error=grace).lifetime(ttl, always(chance))

    assert isinstance(lifetime, int)
    assert lifetime >= 1
    assert abs(lifetime - ttl - math.ceil(grace)) <= 0.1 * ttl + 1


@given(ttls, chances, windows, windows)
def test_no_lifetime_exceeds_the_longest(ttl: float, chance: float, swr: float, sie: float) -> None:
    """What the index remembers an entry for is never less than what the entry can live."""
    policy = Policy(stale_while_revalidate=swr, stale_if_error=sie)

    assert policy.lifetime(ttl, always(chance)) <= policy.longest(ttl)


@given(st.floats(1e-6, 1e8))
def test_without_windows_an_entry_is_fresh_as_long_as_it_is_there(left: float) -> None:
    """What Redis still has is served."""
    assert Policy().freshness(left, 1.0, always(0.0)) is Freshness.FRESH


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        pytest.param(30.001, Freshness.FRESH, id="within its ttl"),
        pytest.param(30.0, Freshness.AGING, id="at its end"),
        pytest.param(20.0, Freshness.AGING, id="at the end of the shorter window"),
        pytest.param(19.999, Freshness.FALLBACK, id="past the shorter window"),
        pytest.param(0.0, Freshness.FALLBACK, id="at the end of the longer window"),
        pytest.param(-0.002, Freshness.OVER, id="gone"),
        pytest.param(math.inf, Freshness.FRESH, id="without an end"),
    ],
)
def test_windows_follow_each_other(left: float, expected: Freshness) -> None:
    """Past its ttl an entry is first served while it is refreshed, then only if a load fails."""
    policy = Policy(stale_while_revalidate=10, stale_if_error=30)

    assert policy.freshness(left, 0.0, always(0.5)) is expected


@pytest.mark.parametrize(
    ("windows", "left", "expected"),
    [
        pytest.param({"stale_while_revalidate": 10}, 10, Freshness.AGING, id="revalidate only"),
        pytest.param(
            {"stale_while_revalidate": 10}, 0.001, Freshness.AGING, id="revalidate only, last moment"
        ),
        pytest.param({"stale_if_error": 10}, 10, Freshness.FALLBACK, id="error only"),
        pytest.param(
            {"stale_while_revalidate": 30, "stale_if_error": 10}, 1, Freshness.AGING, id="longer revalidate"
        ),
    ],
)
def test_one_window_alone_counts(windows: dict[str, float], left: float, expected: Freshness) -> None:
    """Either window works without the other, and the longer one decides how long Redis keeps the entry."""
    policy = Policy(**windows)

    assert policy.freshness(left, 0.0, always(0.5)) is expected
    assert policy.grace == max(windows.values())


@given(st.floats(0.001, 100), st.floats(0.001, 10), st.floats(0.1, 5), chances)
def test_early_refresh_is_xfetch(left: float, load_time: float, beta: float, chance: float) -> None:
    """An entry ages early with the probability exp(-left / (δ·β)), as the paper says."""
    early = Policy(early_refresh=beta).freshness(left, load_time, always(chance)) is Freshness.AGING
    limit = math.exp(-left / (load_time * beta))

    if not math.isclose(chance, limit, rel_tol=1e-9, abs_tol=1e-300):
        assert early == (chance < limit)


def test_early_refresh_is_off_unless_asked_for() -> None:
    """Even the worst luck refreshes nothing early."""
    assert Policy().freshness(0.001, 1000.0, always(0.0)) is Freshness.FRESH


def test_early_refresh_needs_to_know_how_long_a_load_takes() -> None:
    """A query that has not been loaded in this process is not refreshed early."""
    assert Policy(early_refresh=1).freshness(0.001, 0.0, always(0.5)) is Freshness.FRESH


@pytest.mark.parametrize(
    ("windows", "asks"),
    [
        ({}, False),
        ({"stale_while_revalidate": 1}, True),
        ({"stale_if_error": 1}, True),
        ({"early_refresh": 1}, True),
    ],
    ids=["none", "revalidate", "error", "early"],
)
def test_only_windows_ask_for_the_age(windows: dict[str, float], asks: bool) -> None:
    """A hit is one command unless a window needs the time that is left."""
    assert Policy(**windows).needs_age is asks


@given(st.floats(0, 1e6), chances)
def test_pauses_grow_with_the_wait_and_stay_short(waited: float, chance: float) -> None:
    """A waiting process overshoots by a tenth of its wait, at least some, at most a tenth of a second."""
    pause = Policy().pause(waited, always(chance))

    assert 0.0025 <= pause <= max(0.005, min(0.1, 0.1 * waited))


@pytest.mark.parametrize(
    ("given_ttl", "expected"),
    [
        pytest.param(1, 1, id="int"),
        pytest.param(0.5, 0.5, id="float"),
        pytest.param(timedelta(hours=1), 3600.0, id="timedelta"),
        pytest.param(10**11, 1e11, id="the longest"),
    ],
)
def test_ttls_are_seconds(given_ttl: object, expected: float) -> None:
    """Numbers and durations."""
    assert ttl_seconds(given_ttl) == expected


@pytest.mark.parametrize(
    "bad",
    [0, -1, 0.0, -0.5, math.nan, math.inf, -math.inf, 10**12, timedelta(0), timedelta(seconds=-1)],
    ids=repr,
)
def test_bad_ttls_are_refused(bad: object) -> None:
    """A ttl that Redis would refuse, or take for something else, is named."""
    with pytest.raises(ValueError, match=r"ttl must be positive seconds, at most 1e\+11, not "):
        ttl_seconds(bad)


@pytest.mark.parametrize("bad", ["60", None, True, False, [60], 60j], ids=repr)
def test_ttls_of_another_type_are_refused(bad: object) -> None:
    """Text and booleans are no durations."""
    with pytest.raises(TypeError, match=f"ttl must be seconds .* not {type(bad).__name__}"):
        ttl_seconds(bad)


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("stale_while_revalidate", -1),
        ("stale_if_error", math.nan),
        ("early_refresh", math.inf),
        ("wait_timeout", 0),
        ("lease_seconds", -5),
        ("lease_seconds", math.nan),
        ("wait_timeout", 1e10),
        ("wait_timeout", 2**63),
        ("wait_timeout", -math.inf),
        ("lease_seconds", 1e300),
        ("early_refresh", 10**400),
    ],
)
def test_bad_windows_are_refused_by_name(name: str, bad: float) -> None:
    """The message names the option and the value."""
    with pytest.raises(ValueError, match=f"{name} must be at least .* not {re.escape(repr(bad))}"):
        Policy(**{name: bad})


@pytest.mark.parametrize("check", [seconds, wait_seconds, lambda _, value: ttl_seconds(value)])
@pytest.mark.parametrize("bad", [10**5000, -(10**5000)], ids=["large", "small"])
def test_an_int_longer_than_python_prints_is_refused_like_others(
    check: Callable[[str, object], float], bad: int
) -> None:
    """With a message of ours."""
    with pytest.raises(ValueError, match=r"must be .*, not so large an int"):
        check("ttl", bad)


def test_what_is_waited_for_can_be_waited_for() -> None:
    """Locks and sockets take the longest wait, on any system; a timedelta is taken as its seconds."""
    assert wait_seconds("timeout", timedelta(days=23)) == 23 * 86_400
    assert wait_seconds("timeout", LONGEST_WAIT) == LONGEST_WAIT < threading.TIMEOUT_MAX
    assert LONGEST_WAIT * 1000 < 2**31
    with pytest.raises(ValueError, match=r"timeout must be at least 0 and at most 2e\+06, not 2000001"):
        wait_seconds("timeout", 2_000_001)
    with pytest.raises(TypeError, match="timeout must be a number, not bool"):
        wait_seconds("timeout", True)


@pytest.mark.parametrize("good", [0, 1, 2**31 - 1])
def test_counts_are_counts(good: int) -> None:
    """Not negative, and no more than a server can be asked for."""
    assert check_count("wait_replicas", good) == good


@pytest.mark.parametrize(
    ("bad", "error"), [(-1, ValueError), (2**31, ValueError), (True, TypeError), (1.0, TypeError)]
)
def test_bad_counts_are_refused_by_name(bad: object, error: type[Exception]) -> None:
    """A float or bool is none."""
    with pytest.raises(error, match="wait_replicas must be"):
        check_count("wait_replicas", bad)


@pytest.mark.parametrize(
    "name", ["stale_while_revalidate", "stale_if_error", "early_refresh", "wait_timeout"]
)
@pytest.mark.parametrize("bad", ["1", True, None], ids=repr)
def test_windows_of_another_type_are_refused_by_name(name: str, bad: object) -> None:
    """The message names the option and the type."""
    with pytest.raises(TypeError, match=f"{name} must be a number, not {type(bad).__name__}"):
        Policy(**{name: bad})


def test_windows_may_be_durations() -> None:
    """A timedelta is taken as its seconds."""
    assert seconds("stale_if_error", timedelta(minutes=1)) == 60.0
    assert seconds("stale_if_error", 0) == 0
    with pytest.raises(ValueError, match=r"stale_if_error must be at least 0 and finite, not -1\.0"):
        seconds("stale_if_error", timedelta(seconds=-1))


@given(st.floats(1, 1e6), st.floats(0, 1), st.integers(0, 1000), st.floats(0, 1e6))
def test_an_age_is_right_to_a_tenth_of_the_ttl(ttl: float, chance: float, grace: int, age: float) -> None:
    """Whatever the spread was; it is never below zero."""
    policy = Policy(stale_if_error=grace)
    left = policy.lifetime(ttl, lambda: min(chance, 0.999)) - age

    assert policy.age(ttl, left) == pytest.approx(age, abs=0.1 * ttl + 1.001)
    assert policy.age(ttl, left) >= 0
