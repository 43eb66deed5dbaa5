"""Many reads at once, each by its own steps of ``readthrough``: which of their steps are taken together.

Pure, like ``readthrough``: a generator of tasks for a driver. All entries are asked for in one round trip.
Leases are taken in chunks, just before the loads they are for, and nothing is waited for while any is held:
two processes whose lists cross each load what they won before they wait for what the other holds.

The rows of a list are such reads, too, of which one query loads many: their leases, loads and fills are taken
together. What each of them does, and in which order, is the same.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from .steps import GET, Acquire, Fill, Join, Load, Seal, Seat, Step, Steps, Wait

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "AcquireMany",
    "FillMany",
    "GetMany",
    "Job",
    "JoinNow",
    "LoadMany",
    "Perform",
    "Task",
    "Tasks",
    "read_many",
    "read_rows",
]

# Leases held at once: few enough that the last load of a chunk begins soon after its lease was taken.
CHUNK = 16
# Where one query loads for all of them: as many as Redis answers within milliseconds.
PART = 500


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


class LoadMany(NamedTuple):
    """Load what several reads ask for by one query. Outcome: a list of what Load gives."""

    reads: Sequence[Any]


class FillMany(NamedTuple):
    """Fill several entries at once. Outcome: a list of what Fill gives."""

    reads: Sequence[Any]
    steps: Sequence[Fill]


class Perform(NamedTuple):
    """Perform one step of one read."""

    read: Any
    step: Step


Task: TypeAlias = GetMany | JoinNow | AcquireMany | LoadMany | FillMany | Perform
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
    yield from _look(jobs)
    cold = [job for job in jobs if isinstance(job.step, Join)]
    for start in range(0, len(cold), CHUNK):
        yield from _load_won(cold[start : start + CHUNK])
    # Those first that others may be waiting for, who lead what the rest of these wait for.
    for job in sorted(jobs, key=lambda job: isinstance(job.step, Join)):
        yield from _finish(job)


def read_rows(jobs: Sequence[Job]) -> Tasks:
    """Do what ``read_many`` does, for reads of which one query loads many."""
    for part in _parts(jobs):
        yield from _look(part)
        yield from _board(part)
        yield from _load_together(part)
    while waiting := [job for job in jobs if isinstance(job.step, Wait)]:
        pauses = [job.step for job in waiting if isinstance(job.step, Wait)]
        yield Perform(waiting[0].read, pauses[0])  # which does for all of them
        for job in waiting:
            job.advance(None)
        for part in _parts(waiting):
            yield from _load_together(part)
    for job in jobs:
        yield from _finish(job)


def _parts(jobs: Sequence[Job]) -> Iterator[Sequence[Job]]:
    return (jobs[start : start + PART] for start in range(0, len(jobs), PART))


def _look(jobs: Sequence[Job]) -> Tasks:
    """Get what is cached."""
    asking = [job for job in jobs if job.step is GET]
    if asking:
        entries = yield GetMany([job.read for job in asking])
        _advance(asking, entries)


def _board(jobs: Sequence[Job]) -> Tasks:
    """Lead the flights that nobody leads yet."""
    for job in jobs:
        if isinstance(job.step, Join) and (yield JoinNow(job.read)):
            job.advance(Seat.LEADER)


def _claim(jobs: Sequence[Job]) -> Tasks:
    """Take the leases that are to be had."""
    asking = [job for job in jobs if isinstance(job.step, Acquire)]
    if asking:
        steps = [job.step for job in asking if isinstance(job.step, Acquire)]
        claims = yield AcquireMany([job.read for job in asking], steps)
        _advance(asking, claims)


def _load_won(chunk: Sequence[Job]) -> Tasks:
    """Load and fill those whose lease is to be had at once; leave the others where they have to wait."""
    yield from _board(chunk)
    yield from _claim(chunk)
    yield from _finish_ready(chunk)


def _load_together(part: Sequence[Job]) -> Tasks:
    """Do the same by one query, and the fills in one round trip."""
    yield from _claim(part)
    yield from _seal(part)
    loading = [job for job in part if isinstance(job.step, Load)]
    if loading:
        yield from _load(loading)
        yield from _seal(loading)
    filling = [job for job in loading if isinstance(job.step, Fill)]
    if filling:
        steps = [job.step for job in filling if isinstance(job.step, Fill)]
        accepted = yield FillMany([job.read for job in filling], steps)
        _advance(filling, accepted)
    yield from _finish_ready(part)


def _load(jobs: Sequence[Job]) -> Tasks:
    try:
        loaded = yield LoadMany([job.read for job in jobs])
    except Exception as error:  # noqa: BLE001 - the steps decide what follows, and raise it again
        for job in jobs:
            job.fail(error)
    else:
        _advance(jobs, loaded)


def _seal(jobs: Sequence[Job]) -> Tasks:
    for job in jobs:
        if isinstance(job.step, Seal):
            job.advance((yield Perform(job.read, job.step)))


def _advance(jobs: Sequence[Job], outcomes: Sequence[Any]) -> None:
    for job, outcome in zip(jobs, outcomes, strict=True):
        job.advance(outcome)


def _finish_ready(jobs: Sequence[Job]) -> Tasks:
    """Take to their end those that wait for nobody."""
    for job in jobs:
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
