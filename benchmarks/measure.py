"""Interleaved timing: subjects take turns, so that what slows the machine slows them all.

A shared or throttled machine changes speed from second to second. Measuring one subject after the other
would compare the machine with itself; here every round measures every subject once, in an order that rotates,
and a ratio is taken *within* each round. The figure is the median over the rounds, its spread the quartiles.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

Operation = Callable[[int], float]
"""Does its work so many times; returns the seconds that the work took, preparation left out."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How often an operation is measured: *rounds* samples of *calls* calls, after a round to warm up."""

    rounds: int
    calls: int
    is_warmed_up: bool = True


@dataclass(frozen=True, slots=True)
class Figure:
    """A median and its quartiles."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Figure:
        """The figure of *values*; with fewer than two there is no spread."""
        if len(values) < 2:
            return cls(values[0], values[0], values[0])
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high)


@dataclass(slots=True)
class Timings:
    """Seconds per call of each subject, one entry per round."""

    samples: dict[str, list[float]] = field(default_factory=dict)

    def add(self, subject: str, seconds: float) -> None:
        """Record one round of *subject*."""
        self.samples.setdefault(subject, []).append(seconds)

    def seconds(self, subject: str) -> Figure:
        """Seconds per call of *subject*."""
        return Figure.of(self.samples[subject])

    def ratio(self, subject: str, reference: str) -> Figure:
        """How many times the *reference*'s time *subject* takes, compared round by round."""
        pairs = zip(self.samples[subject], self.samples[reference], strict=True)
        return Figure.of([ours / theirs for ours, theirs in pairs])


def interleave(operations: Mapping[str, Operation], plan: Plan) -> Timings:
    """Measure all *operations*, keyed by subject, alternately."""
    timings = Timings()
    for operation in operations.values() if plan.is_warmed_up else ():
        operation(plan.calls)
    subjects = list(operations)
    for turn in range(plan.rounds):
        for subject in rotated(subjects, turn):
            timings.add(subject, operations[subject](plan.calls) / plan.calls)
    return timings


def rotated(subjects: Sequence[str], turn: int) -> list[str]:
    """The *subjects* starting from another one each *turn*: none always follows the same predecessor."""
    start = turn % len(subjects)
    return [*subjects[start:], *subjects[:start]]
