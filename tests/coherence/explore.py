"""Visit every state of a scenario: breadth first, so that the story of a stale read is a shortest one."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from .model import Model

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .model import Scenario, State

__all__ = ["Found", "explore"]

Origins = dict["State", "tuple[State, str] | None"]


class Found(NamedTuple):
    """What an exploration found.

    Attributes:
        states: how many states there are.
        moves: how many moves there are between them.
        story: the shortest way to a stale read; empty if there is none.
        most_loads: the most loads that were counted in any state.
        stuck: in how many states somebody can no longer get to the end, if that was asked for.
    """

    states: int
    moves: int
    story: tuple[str, ...]
    most_loads: int
    stuck: int


def explore(scenario: Scenario, *, ends: bool = False, limit: int = 3_000_000) -> Found:
    """Visit the states of *scenario*, up to the first stale read.

    Args:
        scenario: the scenario.
        ends: whether to look for states from which not everybody can get to the end.
        limit: how many states are too many.
    """
    model = Model(scenario)
    first = model.canonical(model.initial())
    origins: Origins = {first: None}
    before: dict[State, list[State]] = {}
    queue, moves = deque([first]), 0
    while queue:
        state = queue.popleft()
        for label, following in model.moves(state):
            moves += 1
            if following is None:
                return _found(origins, moves, _story(origins, state, label))
            following = model.canonical(following)
            if ends:
                before.setdefault(following, []).append(state)
            if following not in origins:
                origins[following] = (state, label)
                queue.append(following)
        if len(origins) > limit:
            raise RuntimeError(f"the scenario has more than {limit} states")
    stuck = len(origins) - len(_leading_to(filter(model.has_ended, origins), before)) if ends else 0
    return _found(origins, moves, (), stuck)


def _found(origins: Origins, moves: int, story: tuple[str, ...], stuck: int = 0) -> Found:
    return Found(len(origins), moves, story, max(state.world.loads for state in origins), stuck)


def _story(origins: Origins, state: State, last: str) -> tuple[str, ...]:
    story = [last]
    while (origin := origins[state]) is not None:
        state, label = origin
        story.append(label)
    return tuple(reversed(story))


def _leading_to(ends: Iterable[State], before: dict[State, list[State]]) -> set[State]:
    leading = set(ends)
    rest = list(leading)
    while rest:
        for state in before.get(rest.pop(), ()):
            if state not in leading:
                leading.add(state)
                rest.append(state)
    return leading
