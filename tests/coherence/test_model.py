"""Promises 3 and 4, in every order in which the steps of readers, writers and drops can happen.

Promise 3: a read that starts after a drop has returned gives nothing older than what was committed before the
drop was called. Promise 4: one load per cold key. The readers are the real generators of ``readthrough``.
``MRC_MODEL=long`` adds scenarios that take minutes.
"""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mysql_redis_cache.policy import Policy
from mysql_redis_cache.readthrough import protocol as readthrough
from mysql_redis_cache.readthrough.steps import (
    Acquire,
    Claim,
    Entry,
    Fill,
    Get,
    Join,
    JoinLate,
    Load,
    Loaded,
    Release,
    Seat,
    Shared,
)

from .automaton import Automaton, Failed, Fate, Interrupted, Stand
from .explore import explore
from .scenarios import DROPPED_ONCE, ENDING, LONG, ONE_LOAD, ROBBED, SAFE, SPOILED, UNHEALED
from .world import Row

if TYPE_CHECKING:
    from collections.abc import Callable

    from mysql_redis_cache.readthrough.steps import Steps

    from .model import Scenario

CHOSEN = SAFE | LONG if os.environ.get("MRC_MODEL") == "long" else SAFE


def named(scenarios: dict[str, Scenario]) -> pytest.MarkDecorator:
    """Make a test run each of the scenarios."""
    return pytest.mark.parametrize("scenario", scenarios.values(), ids=[*scenarios])


@pytest.mark.timeout(900)
@named(CHOSEN)
def test_no_read_is_stale(scenario: Scenario) -> None:
    """Whatever the order of the steps, no read that starts after a drop gives what the drop made outdated."""
    assert explore(scenario).story == ()


@named(SPOILED)
def test_a_spoiled_protocol_is_found_out(scenario: Scenario) -> None:
    """Each rule of the protocol is needed: without it, some order of steps ends in a stale read."""
    assert "returns" in explore(scenario).story[-1]


@named(ONE_LOAD)
def test_a_cold_key_is_loaded_once(scenario: Scenario) -> None:
    """Without faults there is one load, however many read, in one process or in several."""
    assert explore(scenario).most_loads == 1


@named(DROPPED_ONCE)
def test_a_drop_costs_two_loads_at_most(scenario: Scenario) -> None:
    """A drop can void the load under way and delete what the next one filled, and then it is over."""
    assert explore(scenario).most_loads == 3


def test_a_living_holder_must_not_be_robbed() -> None:
    """Taking a lease from a loader that lives makes one more load of it, which nothing had called for."""
    assert explore(ROBBED).most_loads == 2


@named(ENDING)
def test_everybody_gets_to_an_end(scenario: Scenario) -> None:
    """From every state all readers and drops can end, with no deadline to help them."""
    found = explore(scenario, ends=True)

    assert found.story == ()
    assert found.stuck == 0


def test_a_follower_that_does_not_look_heals_nothing() -> None:
    """Redis went back while nothing was written: a follower that only looks when it saves never notices."""
    assert explore(UNHEALED, ends=True).stuck > 0


# The model against what it models: the generators here, the scripts in test_model_redis.py, the flights in
# test_flights.py.

POLICIES = {
    "plain": Policy(),
    "stale": Policy(stale_while_revalidate=1, stale_if_error=2),
    "early": Policy(early_refresh=1),
}
ROWS = [Row(0), Row(1)]
ENTRIES = [Entry(row, left) for row in ROWS for left in (0.5, 1.0, 2.0, 5.0)]
LOADED = [Loaded(row, b"json", fits) for row in ROWS for fits in (True, False)]
AUTOMATA: dict[object, Automaton] = {}
OUTCOMES: dict[type, list[Any]] = {
    Get: [None, Claim.UNAVAILABLE, *ENTRIES],
    Join: [Seat.LEADER, Seat.AGAIN, Seat.LATE, Shared(Row(1)), Failed()],
    JoinLate: [Seat.LEADER, Seat.AGAIN, Seat.LATE, Shared(Row(1)), Failed()],
    Acquire: [*Claim, *ENTRIES, Interrupted()],
    Load: [Failed(), Interrupted(), *LOADED],
    Fill: [True, False],
    Release: [True, False],
}
FATES = [Fate(), Fate(now=1e9), Fate(chance=0.001)]


@pytest.mark.parametrize("kind", ["read", "refresh", "behind"])
@pytest.mark.parametrize("policy", POLICIES.values(), ids=[*POLICIES])
@given(seed=st.integers(min_value=0))
def test_a_state_of_the_model_is_a_state_of_the_generator(kind: str, policy: Policy, seed: int) -> None:
    """Wherever the model takes two states for one, the generator goes on alike from both."""
    kinds: dict[str, Callable[..., Steps]] = {
        "read": lambda clock, chance: readthrough.read(policy, clock, chance, 1.0),
        "refresh": lambda clock, chance: readthrough.refresh(policy, clock, chance),
        "behind": lambda clock, chance: readthrough.refresh_behind(1.0),
    }
    automaton, choose = AUTOMATA.setdefault((kind, policy), Automaton(kinds)), random.Random(seed).choice
    fate = Fate()
    steps = kinds[kind](lambda: fate.now, lambda: fate.chance)
    state, stand = automaton.start(kind), Stand(next(steps))
    for _ in range(40):
        known = automaton.stands[state]
        assert (known.step, known.value, type(known.failure)) == (
            stand.step,
            stand.value,
            type(stand.failure),
        )
        if stand.step is None:
            return

        outcome, fate = choose(OUTCOMES.get(type(stand.step), [None])), choose(FATES)
        state, stand = automaton.send(state, outcome, fate), sent(steps, outcome)


def sent(steps: Steps, outcome: object) -> Stand:
    """Send *outcome* to the generator itself."""
    try:
        return Stand(steps.throw(outcome) if isinstance(outcome, BaseException) else steps.send(outcome))
    except StopIteration as done:
        return Stand(None, done.value)
    except (Failed, Interrupted) as error:
        return Stand(None, None, error)
