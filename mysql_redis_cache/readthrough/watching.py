"""What becomes of a read, seen from the steps it takes: for events and traces.

A read that nobody watches goes without any of this.
"""

from __future__ import annotations

from itertools import count
from time import monotonic
from typing import TYPE_CHECKING, Any

from mysql_redis_cache.observe import events
from mysql_redis_cache.observe.traces import TracedRead

from .steps import (
    Acquire,
    Claim,
    Entry,
    Fill,
    Get,
    Join,
    JoinLate,
    Load,
    Loaded,
    Refresh,
    Release,
    Shared,
    Wait,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from mysql_redis_cache.observe import Outcome, Trace, Watch

    from .reads import Read
    from .steps import Step, Steps

__all__ = ["watched"]

_numbers = count(1)

_IN_REDIS = (Get, Acquire, Fill, Release)
_WAITING = (Join, JoinLate, Wait)


def watched(steps: Steps, read: Read, watch: Watch, traces: list[Trace], *, ends: bool = True) -> Steps:
    """Take *steps*, and tell what becomes of them.

    Args:
        steps: those of *read*.
        read: the read.
        watch: whoever listens to the client.
        traces: those that the read is part of.
        ends: whether it has an answer that somebody gets, which a refresh behind a reader's back has not.
    """
    read.number = next(_numbers)
    story = _Story(read, watch)
    error: BaseException | None = None
    try:
        return (yield from story.take(steps))
    except BaseException as raised:
        error = raised
        raise
    finally:
        if ends:
            story.end(error, traces)


class _Story:
    """What has become of one read so far."""

    def __init__(self, read: Read, watch: Watch) -> None:
        self._read, self._watch = read, watch
        self._began = monotonic()
        self._told = TracedRead(read.query, read.key)
        read.size, read.is_near = 0, False
        self._is_found = self._is_unavailable = self._has_failed = False
        self._notes: dict[type[Step], Callable[[Any, Any, float], None]] = {
            Get: self._got,
            Join: self._joined,
            JoinLate: self._joined,
            Wait: self._waited,
            Acquire: self._claimed,
            Load: self._loaded,
            Fill: self._filled,
            Refresh: self._refreshed,
        }

    def take(self, steps: Steps) -> Steps:
        """Take the steps, noting each."""
        try:
            step = steps.send(None)
            while True:
                began = monotonic()
                try:
                    outcome = yield step
                except BaseException as error:  # noqa: BLE001 - the steps decide what follows, and raise it again
                    self._note_time(step, monotonic() - began)
                    self._failed(step, error, monotonic() - began)
                    step = steps.throw(error)
                else:
                    self._note(step, outcome, monotonic() - began)
                    step = steps.send(outcome)
        except StopIteration as done:
            return done.value

    def _note(self, step: Step, outcome: Any, took: float) -> None:
        self._note_time(step, took)
        note = self._notes.get(type(step))
        if note is not None:
            note(step, outcome, took)

    def _note_time(self, step: Step, took: float) -> None:
        told = self._told
        if isinstance(step, _IN_REDIS):
            told.redis_seconds += took
        elif isinstance(step, _WAITING):
            told.wait_seconds += took
        elif isinstance(step, Load):
            told.mysql_seconds += took

    # Steps

    def _got(self, step: Get, outcome: Any, took: float) -> None:  # noqa: ARG002 - as all of these
        if isinstance(outcome, Entry):
            self._is_found = True
            self._answered("near" if self._read.is_near else "hit", outcome.left)
            return
        self._answered("missed", None)
        self._is_unavailable = outcome is Claim.UNAVAILABLE
        self._told.reason = "Redis is away" if self._is_unavailable else "it was not cached"

    def _joined(self, step: Join | JoinLate, outcome: Any, took: float) -> None:  # noqa: ARG002
        is_shared = isinstance(outcome, Shared)
        if is_shared:
            self._answered("shared", None)
        if is_shared or took > 0.001:  # else it was not a wait, but a flight founded
            self._tell(events.Wait, seconds=took, is_shared=is_shared)

    def _waited(self, step: Wait, outcome: Any, took: float) -> None:  # noqa: ARG002
        self._tell(events.Wait, seconds=took, is_shared=False)

    def _claimed(self, step: Acquire, outcome: Any, took: float) -> None:  # noqa: ARG002
        if isinstance(outcome, Entry):  # that somebody else has loaded meanwhile
            self._answered("shared", outcome.left)

    def _loaded(self, step: Load, outcome: Loaded, took: float) -> None:  # noqa: ARG002
        self._read.size = len(outcome.payload)
        why = "it was too old" if self._is_found else "a refresh was asked for"
        self._told.reason = self._told.reason or why
        self._answered("loaded", None)
        self._tell(events.Load, seconds=took, bytes=self._read.size)

    def _filled(self, step: Fill, outcome: Any, took: float) -> None:
        kind = events.Fill if outcome is True else events.RefusedFill
        self._tell(kind, seconds=took, bytes=len(step.payload))

    def _refreshed(self, step: Refresh, outcome: Any, took: float) -> None:  # noqa: ARG002
        if step.left <= self._read.policy.grace:
            self._told.outcome, self._told.reason = "stale", "it is being refreshed"
        self._tell(events.Refresh, left=step.left)

    def _failed(self, step: Step, error: BaseException, took: float) -> None:
        if isinstance(step, Load):
            self._has_failed = True
            self._tell(events.Load, seconds=took, error=type(error).__name__)

    def _answered(self, outcome: Outcome, left: float | None) -> None:
        self._told.outcome = outcome
        self._told.left = None if left == float("inf") else left

    # The end

    def end(self, error: BaseException | None, traces: list[Trace]) -> None:
        """Tell how it ended."""
        told, read = self._told, self._read
        told.seconds, told.bytes = monotonic() - self._began, read.size
        if read.bypassed:
            told.outcome, told.reason = "bypassed", read.bypassed
        elif error is not None:
            told.outcome, told.reason = "failed", f"it raised {type(error).__name__}"
        elif self._has_failed:
            told.outcome, told.reason = "stale", "the load failed"
        for trace in traces:
            trace.reads.append(told)
        if self._watch.events.heard:
            self._conclude(None if error is None else type(error).__name__)

    def _conclude(self, error: str | None) -> None:
        told = self._told
        kind = _KINDS.get(told.outcome, events.Miss)
        missed: dict[str, Any] = {
            "is_shared": told.outcome == "shared",
            "is_unavailable": self._is_unavailable,
        }
        self._tell(
            kind,
            seconds=told.seconds,
            redis_seconds=told.redis_seconds,
            mysql_seconds=told.mysql_seconds,
            wait_seconds=told.wait_seconds,
            bytes=told.bytes,
            reason=told.reason,
            error=error,
            **(missed if kind is events.Miss else {}),
        )

    def _tell(self, kind: type[events.ReadEvent], **about: Any) -> None:
        watch, read = self._watch, self._read
        if watch.events.hears(kind):
            watch.tell(kind(**read.described(), **about), read.key)


_KINDS: dict[str, type[events.ReadEvent]] = {
    "hit": events.Hit,
    "near": events.NearHit,
    "stale": events.Stale,
    "bypassed": events.Bypass,
}
