"""What becomes of a read, seen from the steps it takes: for events and traces.

A read that nobody watches goes without any of this.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from itertools import count
from time import monotonic
from typing import TYPE_CHECKING, Any

from mysql_redis_cache.database import errno_of
from mysql_redis_cache.observe import Trace, TracedRead, check_label, read_events
from mysql_redis_cache.runtime import Marks, is_clear

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
    from collections.abc import Callable, Iterator

    from mysql_redis_cache.observe import Outcome, Watch

    from .reads import Read
    from .steps import Step, Steps

__all__ = ["Observer"]

logger = logging.getLogger("mysql_redis_cache.reads")

_numbers = count(1)

_IN_REDIS = (Get, Acquire, Fill, Release)
_WAITING = (Join, JoinLate, Wait)


class Observer:
    """Watches the reads of one client while somebody wants to know what becomes of them.

    Args:
        watch: who counts for the client, and knows who listens.
    """

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._traces: Marks[Trace] = Marks()

    @property
    def is_on(self) -> bool:
        """Whether all reads are watched."""
        return self._watch.events.follows_reads or logger.isEnabledFor(logging.DEBUG)

    @contextmanager
    def trace(self) -> Iterator[Trace]:
        """Note what becomes of the reads of the block, in this thread or task and in what it starts."""
        trace = Trace()
        with self._traces.mark(trace):
            yield trace

    def label(self, read: Read, label: str) -> None:
        """Have figures and events call the query of *read* so.

        Raises:
            TypeError, ValueError: as of ``check_label``.
        """
        read.label = check_label("label", label)
        self._watch.queries.label(read.query, label)

    def traces_of(self, read: Read) -> list[Trace]:
        """Return the traces that *read* is part of; if there are any, it asks for the time left too."""
        traces = list(self._traces.here())
        if traces:
            read.policy = read.policy.aged()
        return traces

    def watched(
        self, steps: Steps, read: Read, traces: list[Trace] | None = None, *, ends: bool = True
    ) -> Steps:
        """Return *steps* that tell what becomes of them, if somebody wants to know.

        Args:
            steps: those of *read*.
            read: the read.
            traces: those that it is part of; by default as ``traces_of``.
            ends: whether it has an answer that somebody gets, which a refresh behind a reader's back has not.
        """
        if traces is None:
            traces = [] if is_clear() else self.traces_of(read)
        return _watched(steps, read, self._watch, traces, ends=ends) if traces or self.is_on else steps

    def tell_loading(self, read: Read, server: read_events.Server | None) -> None:
        """Tell that a load begins, by *server*, or by a function."""
        if self._watch.events.heard:
            since = monotonic() - read.began if read.number else 0.0
            _tell(
                self._watch, read, read_events.Loading, server=server, is_behind=read.is_behind, since=since
            )

    def tell_load(
        self, read: Read, server: read_events.Server | None, took: float, outcome: Loaded | BaseException
    ) -> None:
        """Tell how a load ended that took so many seconds."""
        if not self._watch.events.heard:
            return
        about: dict[str, Any] = {"seconds": took, "server": server}
        if isinstance(outcome, Loaded):
            about["bytes"] = len(outcome.payload)
        else:
            about |= {"error": type(outcome).__name__, "code": errno_of(outcome)}
        _tell(self._watch, read, read_events.Load, **about)

    def note_refresh(self, read: Read, left: float) -> None:
        """Count a refresh behind a reader's back, and what was given meanwhile if it is past its ttl."""
        self._watch.bump("refreshes")
        if left <= read.policy.grace:
            self._watch.bump("stale")


def _watched(steps: Steps, read: Read, watch: Watch, traces: list[Trace], *, ends: bool) -> Steps:
    """Take *steps*, and tell what becomes of them."""
    read.number, read.began, read.is_behind = next(_numbers), monotonic(), not ends
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
                    self._has_failed |= isinstance(step, Load)
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
            self._tell(read_events.Wait, seconds=took, is_shared=is_shared)

    def _waited(self, step: Wait, outcome: Any, took: float) -> None:  # noqa: ARG002
        self._tell(read_events.Wait, seconds=took, is_shared=False)

    def _claimed(self, step: Acquire, outcome: Any, took: float) -> None:  # noqa: ARG002
        if isinstance(outcome, Entry):  # that somebody else has loaded meanwhile
            self._answered("shared", outcome.left)

    def _loaded(self, step: Load, outcome: Loaded, took: float) -> None:  # noqa: ARG002
        self._read.size = len(outcome.payload)
        why = "it was too old" if self._is_found else "a refresh was asked for"
        self._told.reason = self._told.reason or why
        self._answered("loaded", None)

    def _filled(self, step: Fill, outcome: Any, took: float) -> None:
        kind = read_events.Fill if outcome is True else read_events.RefusedFill
        self._tell(kind, seconds=took, bytes=len(step.payload))

    def _refreshed(self, step: Refresh, outcome: Any, took: float) -> None:  # noqa: ARG002
        if step.left <= self._read.policy.grace:
            self._told.outcome, self._told.reason = "stale", "it is being refreshed"
        self._tell(read_events.Refresh, left=step.left)

    def _answered(self, outcome: Outcome, left: float | None) -> None:
        self._told.outcome = outcome
        self._told.left = None if left == float("inf") else left

    # The end

    def end(self, error: BaseException | None, traces: list[Trace]) -> None:
        """Tell how it ended."""
        told, read = self._told, self._read
        told.seconds, told.bytes, told.label = monotonic() - read.began, read.size, read.label
        if read.bypassed:
            told.outcome, told.reason = "bypassed", read.bypassed
        elif isinstance(error, GeneratorExit):
            told.outcome, told.reason = "failed", "it was cancelled"
        elif error is not None:
            told.outcome, told.reason = "failed", f"it raised {type(error).__name__}"
        elif self._has_failed:
            told.outcome, told.reason = "stale", "the load failed"
        for trace in traces:
            trace.reads.append(told)
        if told.outcome not in {"hit", "near"}:
            named = read.label or f"SHA-1 …{read.key[-40:]}"
            logger.debug("read %s: %s in %.1f ms, %s", named, told.outcome, 1000 * told.seconds, told.reason)
        if self._watch.events.heard:
            self._conclude(None if error is None else _name_of(error))

    def _conclude(self, error: str | None) -> None:
        told = self._told
        kind = _KINDS.get(told.outcome, read_events.Miss)
        missed: dict[str, Any] = {
            "is_shared": told.outcome == "shared",
            "is_unavailable": self._is_unavailable,
            "led_by": self._read.led_by or None,
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
            **(missed if kind is read_events.Miss else {}),
        )

    def _tell(self, kind: type[read_events.ReadEvent], **about: Any) -> None:
        _tell(self._watch, self._read, kind, **about)


def _name_of(error: BaseException) -> str:
    # A cancelled read does not see the cancellation: its steps are closed.
    return "CancelledError" if isinstance(error, GeneratorExit) else type(error).__name__


def _tell(watch: Watch, read: Read, kind: type[read_events.ReadEvent], **about: Any) -> None:
    if watch.events.hears(kind):
        watch.tell(kind(**read.described(), **about), read.key)


_KINDS: dict[str, type[read_events.ReadEvent]] = {
    "hit": read_events.Hit,
    "near": read_events.NearHit,
    "stale": read_events.Stale,
    "bypassed": read_events.Bypass,
}
