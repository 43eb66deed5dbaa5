"""Many reads at once, each by its own steps of ``readthrough``: which of their steps are taken together.

Pure, like ``readthrough``: a generator of tasks for a driver. All entries are asked for in one round trip.
Leases are taken in chunks, just before the loads they are for, and nothing is waited for while any is held:
two processes whose lists cross each load what they won before they wait for what the other holds.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from .steps import GET, Acquire, Join, Seat, Step, Steps, Wait

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["AcquireMany", "GetMany", "Job", "JoinNow", "Perform", "Task", "Tasks", "read_many"]

# Leases held at once: few enough that the last load of a chunk begins soon after its lease was taken.
CHUNK = 16


class GetMany(NamedTuple):
    """Read several entries at once. Outcome: a list of what Get gives."""

    reads: Sequence[Any]


class JoinNow(NamedTuple):
    """Found the flight of the read's key. Outcome: ``False`` if somebody else leads one already."""

    read: Any


class AcquireMany(NamedTuple):
    """Ask for several leases at once. Outcome: a list of what Acquire gives."""

    reads: Sequence[Any]
    steps: Sequence[Acquire]


class Perform(NamedTuple):
    """Perform one step of one read."""

    read: Any
    step: Step


Task: TypeAlias = GetMany | JoinNow | AcquireMany | Perform
Tasks: TypeAlias = Generator[Task, Any, Any]


class Job:
    """One of the reads: its steps, the step it is at, and in the end its value."""

    def __init__(self, read: Any, steps: Steps) -> None:
        self.read = read
        self.step: Step | None = None
        self.value: Any = None
        self._steps = steps
        self.advance(None)

    def advance(self, outcome: Any) -> None:
        """Send the outcome of the step it is at."""
        try:
            self.step = self._steps.send(outcome)
        except StopIteration as done:
            self.step, self.value = None, done.value

    def fail(self, error: BaseException) -> None:
        """Throw in what performing its step raised; raises what the steps make of that."""
        try:
            self.step = self._steps.throw(error)
        except StopIteration as done:
            self.step, self.value = None, done.value


def read_many(jobs: Sequence[Job]) -> Tasks:
    """Take all *jobs* to their end; their values are in them afterwards."""
    asking = [job for job in jobs if job.step is GET]
    if asking:
        entries = yield GetMany([job.read for job in asking])
        for job, entry in zip(asking, entries, strict=True):
            job.advance(entry)
    cold = [job for job in jobs if isinstance(job.step, Join)]
    for start in range(0, len(cold), CHUNK):
        yield from _load_won(cold[start : start + CHUNK])
    for job in jobs:
        yield from _finish(job)


def _load_won(chunk: Sequence[Job]) -> Tasks:
    """Load and fill those whose lease is to be had at once; leave the others where they have to wait."""
    for job in chunk:
        if (yield JoinNow(job.read)):
            job.advance(Seat.LEADER)
    asking = [job for job in chunk if isinstance(job.step, Acquire)]
    if asking:
        steps = [job.step for job in asking if isinstance(job.step, Acquire)]
        claims = yield AcquireMany([job.read for job in asking], steps)
        for job, claim in zip(asking, claims, strict=True):
            job.advance(claim)
    for job in chunk:
        if not isinstance(job.step, (Join, Wait)):
            yield from _finish(job)


def _finish(job: Job) -> Tasks:
    while job.step is not None:
        try:
            outcome = yield Perform(job.read, job.step)
        except GeneratorExit:
            raise
        except BaseException as error:  # noqa: BLE001 - the steps decide what follows, and raise it again
            job.fail(error)
        else:
            job.advance(outcome)
