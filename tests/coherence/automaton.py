"""The states in which a read can stand, found by replaying its real generator.

A generator cannot be copied, so a state is kept as the outcomes that lead to it and is made anew when
something else is to be sent. Two states are one where the generator stands at the same instructions with the
same local variables: whatever is sent next, both go on alike. That makes loops finite.
"""

from __future__ import annotations

from types import GeneratorType
from typing import TYPE_CHECKING, Any, NamedTuple

from mysql_redis_cache.readthrough.many import Job

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from mysql_redis_cache.readthrough.steps import Step, Steps

__all__ = ["Automaton", "Failed", "Fate", "Interrupted", "Stand"]


class Failed(Exception):
    """The load failed."""

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self)

    def __hash__(self) -> int:
        return hash(type(self))


class Interrupted(BaseException):
    """The thread was interrupted, as by KeyboardInterrupt."""


class Fate(NamedTuple):
    """What clock and chance say to a step: seconds since the start, a float in [0, 1)."""

    now: float = 0.0
    chance: float = 0.5


class Stand(NamedTuple):
    """Where a read stands: at a step whose outcome it awaits, or at its end with a value or a failure."""

    step: Step | None
    value: Any = None
    failure: BaseException | None = None


class _Sent(NamedTuple):
    outcome: Any
    fate: Fate


class Automaton:
    """The states of some kinds of reads, numbered.

    Args:
        kinds: by name, what makes the generator, given a clock, a source of chance and further arguments.
    """

    def __init__(self, kinds: dict[str, Callable[..., Steps]]) -> None:
        self.stands: list[Stand] = []
        self._kinds = kinds
        self._numbers: dict[Hashable, int] = {}
        self._origins: list[tuple[tuple[Any, ...], tuple[_Sent, ...]]] = []
        self._moves: dict[Hashable, int] = {}

    def start(self, kind: str, *arguments: Hashable) -> int:
        """Return the state in which a read of *kind* begins."""
        key = (kind, *arguments)
        if key not in self._moves:
            self._moves[key] = self._reach(key, ())
        return self._moves[key]

    def send(self, state: int, outcome: Any, fate: Fate = Fate()) -> int:  # noqa: B008 - immutable
        """Return the state that follows *state* after *outcome*; an exception is thrown in."""
        key = (state, outcome, fate)
        following = self._moves.get(key)
        if following is None:
            kind, history = self._origins[state]
            following = self._moves[key] = self._reach(kind, (*history, _Sent(outcome, fate)))
        return following

    def _reach(self, kind: tuple[Any, ...], history: tuple[_Sent, ...]) -> int:
        stand, key = self._replay(kind, history)
        number = self._numbers.setdefault(key, len(self.stands))
        if number == len(self.stands):
            self.stands.append(stand)
            self._origins.append((kind, history))
        return number

    def _replay(self, kind: tuple[Any, ...], history: tuple[_Sent, ...]) -> tuple[Stand, Hashable]:
        fate = Fate()
        # A finished generator has no frame to compare, so what it gave is its state.
        steps = self._kinds[kind[0]](lambda: fate.now, lambda: fate.chance, *kind[1:])
        try:
            step = steps.send(None)
            for outcome, fate in history:  # noqa: B007 - the lambdas above read it
                step = steps.throw(outcome) if isinstance(outcome, BaseException) else steps.send(outcome)
        except StopIteration as done:
            return Stand(None, done.value), ("returned", done.value)
        except (Failed, Interrupted) as error:
            return Stand(None, None, error), ("raised", type(error))
        # An exception under way is in no local variable.
        thrown = tuple(type(sent.outcome) for sent in history if isinstance(sent.outcome, BaseException))
        return Stand(step), (step, thrown, _place(steps))


def _place(steps: Any) -> Hashable:
    """Return at which instructions a generator and those it delegates to stand, and with which variables."""
    places = []
    while isinstance(steps, GeneratorType):
        frame: Any = steps.gi_frame  # there is one: the generator waits
        names = sorted(frame.f_locals.items())
        places.append((steps.gi_code, frame.f_lasti, tuple((name, _value(value)) for name, value in names)))
        steps = steps.gi_yieldfrom
    return tuple(places)


def _value(value: Any) -> Hashable:
    if isinstance(value, GeneratorType):
        return _place(value) if value.gi_frame is not None else "ended"
    if isinstance(value, Job):
        return value.step, value.value, _value(value._steps)
    if isinstance(value, (list, tuple)):
        return type(value), *map(_value, value)
    return value if not callable(value) or isinstance(value, type) else getattr(value, "__name__", "")
