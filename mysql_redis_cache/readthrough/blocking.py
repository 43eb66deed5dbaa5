"""The blocking driver: every step is a call, and whoever waits holds a thread."""

from __future__ import annotations

import inspect
import random
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar
from weakref import WeakValueDictionary

from mysql_redis_cache.runtime import apart
from mysql_redis_cache.values import Misfit, fitting

from .functions import NEEDS_FACADE, Stopped, check_blocking_function, passable
from .many import AcquireMany, FillMany, GetMany, JoinNow, LoadMany, Perform
from .nearby import AWAY
from .protocol import go_on, is_answer, refresh_behind
from .reads import Batch, in_form
from .steps import (
    Acquire,
    Claim,
    Fill,
    Get,
    Join,
    JoinLate,
    Load,
    Put,
    Refresh,
    Release,
    Seal,
    Seat,
    Settle,
    Wait,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from .core import Core
    from .flight import Flight
    from .listed import Listed
    from .many import Task, Tasks
    from .reads import Asked, Read
    from .steps import Loaded, Shared, Step, Steps

__all__ = ["BlockingDriver"]


P = ParamSpec("P")
T = TypeVar("T")


class BlockingDriver:
    """Drives the steps of one client's reads.

    Args:
        core: the parts of the client.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._nearby = core.nearby
        self._leases = _Leases()
        cache: Any = core.cache  # None without Redis, and then only Get and Put ask for it
        self._performers: dict[type[Step | Task], Callable[[Any, Any], Any]] = {
            Join: self._join,
            JoinLate: self._join_late,
            Load: core.load,
            Seal: core.seal,
            Settle: core.settle,
            Wait: self._wait,
            Refresh: self.refresh_behind,
            JoinNow: self._join_now,
            LoadMany: self._load_many,
            Perform: self._perform,
            Get: self._get_nothing,
            Put: self._check,
        }
        if core.cache is not None:
            self._performers |= {
                Get: cache.get,
                Acquire: self._acquire,
                Fill: partial(self._give_up_lease, cache.fill),
                Release: partial(self._give_up_lease, cache.release),
                Put: cache.put,
                GetMany: self._get_many,
                AcquireMany: self._acquire_many,
                FillMany: self._fill_many,
            }

    def run(self, steps: Steps | Tasks, read: Asked) -> Any:
        """Drive *steps* to their end with blocking calls, and return the answer."""
        try:
            step = steps.send(None)
            while True:
                try:
                    outcome = self._performers[type(step)](read, step)
                except BaseException as error:  # noqa: BLE001 - the steps decide what follows, and raise it again
                    step = steps.throw(passable(error))
                else:
                    step = steps.send(outcome)
        except StopIteration as done:
            return done.value
        except Stopped as stopped:
            failure = stopped.error
        except BaseException:
            self._core.end(read)
            self._leases.let_go_all(read)
            raise
        raise failure

    def read(self, read: Read) -> Any:
        """Answer a read that is plain, as ``Core.is_plain`` says."""
        if self._nearby is not None and (answer := self._nearby.at_hand(read)) is not AWAY:
            return fitting(answer) if type(answer) is Misfit else answer
        entry = self._core.cache.get(read)  # type: ignore[union-attr]  # there is one, or it would not be plain
        if is_answer(entry, read.policy):
            value = entry.value  # type: ignore[union-attr]  # it is an Entry
            return fitting(value) if type(value) is Misfit else value
        steps = go_on(entry, read.policy, time.monotonic, random.random)
        return self.run(in_form(steps, read), read)

    def check_function(self, fn: object) -> None:
        """Raise ``TypeError`` unless *fn* can be called and gives its result, not something to await."""
        check_blocking_function(fn)

    def load_of(self, fn: Callable[[], Any]) -> Callable[[Read], Loaded]:
        """Return a call of *fn* as the load of a read."""
        return partial(self._call, fn)

    def refresh_behind(self, read: Read, step: Refresh) -> None:
        """Perform Refresh, in a thread that nobody waits for."""
        again = read.again()
        steps = self._core.observer.watched(refresh_behind(step.left), again, ends=False)
        job = partial(self.run, steps, again)
        external = self._core.external
        here = job if external is None else external.connection.apart(job)
        if self._core.background.submit(read.key, apart(here)):
            self._core.observer.note_refresh(read, step.left)

    def _call(self, fn: Callable[[], Any], read: Read) -> Loaded:
        """Call *fn*, marked as the load of the key, so that it may read that key itself."""
        with self._core.loading.mark(read.key):
            value = fn()
        if inspect.isawaitable(value):
            if inspect.iscoroutine(value):
                value.close()
            raise TypeError(NEEDS_FACADE)
        return self._core.loaded(read, value)

    # Steps that wait, or are of the blocking driver alone

    def _join(self, read: Read, step: Join) -> Shared | Seat:
        return self._boarded(read, self._core.join(read), step.until)

    def _join_late(self, read: Read, step: JoinLate) -> Shared | Seat:
        return self._boarded(read, self._core.join_late(read, step), step.until)

    def _boarded(self, read: Read, flight: Flight | None, until: float) -> Shared | Seat:
        if flight is None:
            read.flight.thread = threading.get_ident()  # type: ignore[union-attr]  # it leads
            return Seat.LEADER
        flight.wait(until - time.monotonic())
        return self._core.landed(read, flight)

    def _acquire(self, read: Read, step: Acquire) -> Any:
        claim = self._core.cache.acquire(read, step)  # type: ignore[union-attr]  # there is one where it is asked
        return self._leases.note(read, claim)

    def _give_up_lease(self, perform: Callable[[Read, Any], bool], read: Read, step: Step) -> bool:
        try:
            return perform(read, step)
        finally:
            self._leases.let_go(read)

    def _wait(self, read: Read, step: Wait) -> None:  # noqa: ARG002 - a step's performer
        time.sleep(step.seconds)

    def _get_nothing(self, read: Read, step: Get) -> Claim:  # noqa: ARG002 - a step's performer
        return Claim.UNAVAILABLE

    def _check(self, read: Read, step: Put) -> None:  # noqa: ARG002 - a step's performer
        self._core.check_value(step.value)

    # The tasks of a batch

    def _get_many(self, batch: Batch, task: GetMany) -> Any:  # noqa: ARG002 - a task's performer
        return self._core.cache.get_many(task.reads)  # type: ignore[union-attr]  # as above

    def _acquire_many(self, batch: Batch, task: AcquireMany) -> Any:  # noqa: ARG002 - a task's performer
        claims = self._core.cache.acquire_many(task.reads, task.steps)  # type: ignore[union-attr]  # as above
        return [self._leases.note(read, claim) for read, claim in zip(task.reads, claims, strict=True)]

    def _load_many(self, batch: Listed, task: LoadMany) -> list[Loaded]:
        return self._core.load_many(batch, task.reads)

    def _fill_many(self, batch: Batch, task: FillMany) -> list[bool]:  # noqa: ARG002 - a task's performer
        try:
            return self._core.cache.fill_many(task.reads, task.steps)  # type: ignore[union-attr]  # as above
        finally:
            for read in task.reads:
                self._leases.let_go(read)

    def _join_now(self, batch: Batch, task: JoinNow) -> bool:  # noqa: ARG002 - a task's performer
        return self._core.join(task.read) is None

    def _perform(self, batch: Batch, task: Perform) -> Any:  # noqa: ARG002 - a task's performer
        return self._performers[type(task.step)](task.read, task.step)


class _Leases(threading.local):
    """The keys whose leases reads of this thread hold.

    A signal handler that wants one of these keys runs on the thread that would have to go on for its lease to
    be given back, so it does not wait for it.
    """

    def __init__(self) -> None:
        # Weakly: a read that got lost, struck once more while it was ending, gives its lease up.
        self._holders: WeakValueDictionary[bytes, Read] = WeakValueDictionary()

    def note(self, read: Read, claim: Any) -> Any:
        """Return what *claim* means on this thread."""
        if claim is Claim.WON:
            self._holders[read.raw] = read
        return Claim.UNAVAILABLE if claim is Claim.LOST and read.raw in self._holders else claim

    def let_go(self, read: Read) -> None:
        """Note that *read* holds no lease any more."""
        if self._holders.get(read.raw) is read:
            del self._holders[read.raw]

    def let_go_all(self, asked: Asked) -> None:
        """Note that of what was *asked* nothing holds a lease any more."""
        for read in asked.reads if isinstance(asked, Batch) else (asked,):
            self.let_go(read)
