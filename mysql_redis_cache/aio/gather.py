"""Concurrent reads, or writes, of one event loop in one thread hop and one round trip.

Each joins the batch that is forming. With none out it goes to a thread at once, and stays
open until the thread begins, so all who are ready by then are in it. While a batch is out the next one forms;
so the more callers there are, the less each costs.

The thread publishes what it found, and publishing sends the next batch: no caller is needed for another's
call, so any of them may be cancelled at any moment. No task or timer outlives the callers.
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar

import anyio

from mysql_redis_cache.readthrough.flight import fresh
from mysql_redis_cache.store import Found

from .threads import promise, soon

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .workers import Workers

    CallSoon = Callable[[Callable[[], object]], object]

__all__ = [
    "LARGE_BYTES",
    "MAX_BATCH",
    "MAX_OUT",
    "PATIENCE",
    "Asks",
    "Gather",
    "payloads_of",
    "publish",
]

MAX_BATCH = 200
# Bytes in one batch, by the size that the last answer to the same query had.
MAX_BYTES = 1 << 20
UNKNOWN_BYTES = 1 << 14
# Larger values are published last, one by one: they take a millisecond and more to decode.
LARGE_BYTES = 1 << 17
SIZES_KEPT = 1024
MAX_OUT = 4
# How long a batch waits for the one before it. Two at a time would compete for the interpreter, each with
# half the callers; but an answer slow to come (a long way, a large value) must not keep the others waiting.
PATIENCE = 0.002


class Asks(Protocol):
    """One call: a read or a write of an entry."""

    @property
    def query(self) -> str:
        """What it asks for, less the params: calls of one query tend to have answers of one size."""
        ...


T = TypeVar("T", bound=Asks)


class _Batch:
    """Calls that go to Redis together, and the promises that their callers wait for."""

    __slots__ = ("after", "answers", "asked", "promises", "room", "sent")

    def __init__(self) -> None:
        self.asked: Sequence[Any] = []
        self.promises: Sequence[Any] = []
        self.answers: Sequence[Any] | None = None  # if they have been got already
        self.after: Callable[[], object] | None = None
        self.room = MAX_BYTES
        self.sent: Any = None  # a promise, if somebody waits for it


class Gather(Generic[T]):
    """Gathers the concurrent calls of one event loop into batches.

    Args:
        perform: gets what Redis answers to several, in one round trip; called in a thread.
        workers: the threads.
        decode: makes outcomes of the answers; called in a thread, for one large value at a time. Without it
            the answers are the outcomes.

    Attributes:
        has_seen_large: whether an answer was larger than ``LARGE_BYTES``.
    """

    def __init__(
        self,
        perform: Callable[[Sequence[T]], Sequence[Any]],
        workers: Workers,
        decode: Callable[[Sequence[T], Sequence[Any]], Sequence[Any]] | None = None,
    ) -> None:
        self._perform = perform
        self._decode = decode
        self._workers = workers
        self._lock = threading.Lock()  # between joining a batch, in the loop, and closing it, in its thread
        self._decoding_large = threading.Lock()  # one at a time: the loop would have to wait for all of them
        self._forming: _Batch | None = None
        self._unsent: deque[_Batch] = deque()
        self._out = 0
        self.has_seen_large = False
        self._sizes: dict[int, int] = {}  # by the hash of the query: queries may be long, sizes are guesses

    async def get(self, asks: T) -> Any:
        """Return the outcome of one call, or raise it if it is an exception."""
        mine = promise()
        size = self.expected(asks)
        with self._lock:
            batch = self._forming
            opens = batch is None or len(batch.asked) >= MAX_BATCH or batch.room <= 0
            if batch is None or opens:
                batch = self._forming = _Batch()
            batch.room -= size
            batch.asked.append(asks)  # type: ignore[attr-defined]  # it is still a list
            batch.promises.append(mine)  # type: ignore[attr-defined]  # as above
        if opens:
            await self._opened(batch)
        return await mine

    def expected(self, asks: T) -> int:
        """Return how many bytes the answer will have, by the last one to the same query."""
        return self._sizes.get(hash(asks.query), UNKNOWN_BYTES)

    def take_over(
        self,
        asked: Sequence[T],
        promises: Sequence[Any],
        after: Callable[[], object] | None = None,
        *,
        answers: Sequence[Any] | None = None,
    ) -> None:
        """Have a thread answer what was gathered elsewhere; called in the loop.

        Args:
            asked: the calls.
            promises: what their callers wait for.
            after: called in the loop when all of them have their outcomes.
            answers: what Redis answered, if it has been asked; then they are only to be decoded.
        """
        batch = _Batch()
        batch.asked, batch.promises, batch.answers, batch.after = asked, promises, answers, after
        self._send(batch)

    async def _opened(self, batch: _Batch) -> None:
        """Send a new batch, if none is out, or else when its patience is over."""
        if not self._out:
            self._send(batch)
            return
        self._unsent.append(batch)
        batch.sent = promise()
        with anyio.move_on_after(PATIENCE):
            await batch.sent
        if self._out < MAX_OUT and batch in self._unsent:
            self._unsent.remove(batch)
            self._send(batch)

    def _send(self, batch: _Batch) -> None:
        self._out += 1
        if batch.sent is not None and not batch.sent.done():
            batch.sent.set_result(None)
        try:
            self._workers.run(partial(self._run, batch, soon()))
        except RuntimeError as error:  # no more threads
            _, promises = self._close(batch)
            publish(promises, [error] * len(promises))
            self._came_back(batch)

    def _came_back(self, batch: _Batch) -> None:
        """Send the next batch, which those who have just got their answers join before its thread begins."""
        self._out -= 1
        if batch.after is not None:
            batch.after()
        if self._unsent:
            self._send(self._unsent.popleft())

    def _close(self, batch: _Batch) -> tuple[Sequence[Any], Sequence[Any]]:
        """Let nobody join *batch* any more; return who has, and their promises.

        The batch itself forgets them: its callers know it, and would keep each other's values alive.
        """
        with self._lock:
            if self._forming is batch:
                self._forming = None
            taken = batch.asked, batch.promises
            batch.asked, batch.promises = [], []
            return taken

    def _run(self, batch: _Batch, call_soon: CallSoon) -> None:
        """Perform a batch, in a thread, and have the loop publish the outcomes."""
        asked, promises = self._close(batch)
        try:
            answers = self._perform(asked) if batch.answers is None else batch.answers
            batch.answers = None
            parts = deque(self._parts(_Part(asked, answers, promises)))
        except Exception as error:  # noqa: BLE001 - everybody in the batch raises it
            call_soon(partial(self._finish, batch, promises, [error] * len(promises)))
            return
        del promises, answers  # what was handed out is kept alive by nothing here
        while parts:
            self._hand_out(parts.popleft(), publish if parts else partial(self._finish, batch), call_soon)

    def _hand_out(self, part: _Part, give: Callable[..., None], call_soon: CallSoon) -> None:
        with self._decoding_large if part.is_large else nullcontext():
            outcomes = self._outcomes(part)
        call_soon(partial(give, part.promises, outcomes))

    def _parts(self, whole: _Part) -> list[_Part]:
        """Return what is to be published together: the small values, then the large ones singly."""
        sizes = list(map(len, payloads_of(whole.answers)))
        self._note_sizes(whole.asked, sizes)
        if max(sizes) <= LARGE_BYTES:
            return [whole]
        self.has_seen_large = True
        small = [place for place, size in enumerate(sizes) if size <= LARGE_BYTES]
        large = [place for place, size in enumerate(sizes) if size > LARGE_BYTES]
        parts = [whole.pick([place], are_large=True) for place in large]
        return [whole.pick(small, are_large=False), *parts] if small else parts

    def _note_sizes(self, asked: Sequence[Asks], sizes: Sequence[int]) -> None:
        known = self._sizes
        if len(known) > SIZES_KEPT:
            known.clear()
        known.update({hash(asks.query): size for asks, size in zip(asked, sizes, strict=True) if size})

    def _outcomes(self, part: _Part) -> Sequence[Any]:
        if self._decode is None:
            return part.answers
        try:
            return self._decode(part.asked, part.answers)
        except Exception as error:  # noqa: BLE001 - everybody in the part raises it
            return [error] * len(part.asked)

    def _finish(self, batch: _Batch, promises: Sequence[Any], outcomes: Sequence[Any]) -> None:
        publish(promises, outcomes)
        self._came_back(batch)


class _Part(NamedTuple):
    asked: Sequence[Any]
    answers: Sequence[Any]
    promises: Sequence[Any]
    is_large: bool = False

    def pick(self, places: Sequence[int], *, are_large: bool) -> _Part:
        """Return some of it."""
        asked, answers, promises = ([column[place] for place in places] for column in self[:3])
        return _Part(asked, answers, promises, are_large)


def payloads_of(answers: Sequence[object]) -> list[bytes]:
    """Return the JSON of each thing that Redis holds; of nothing, none."""
    payloads = (answer.payload if isinstance(answer, Found) else answer for answer in answers)
    return [payload if isinstance(payload, bytes) else b"" for payload in payloads]


def publish(promises: Sequence[Any], outcomes: Sequence[Any]) -> None:
    """Wake those who still wait, each with its outcome, or raising it if it is an exception; in the loop."""
    try:
        _publish(promises, outcomes)
    except BaseException:  # a signal handler's: the others are to be woken all the same
        _publish(promises, outcomes)
        raise


def _publish(promises: Sequence[Any], outcomes: Sequence[Any]) -> None:
    for mine, outcome in zip(promises, outcomes, strict=True):
        if mine.done():
            continue
        if isinstance(outcome, Exception):
            mine.set_exception(_of_its_own(outcome))
        else:
            mine.set_result(outcome)


def _of_its_own(error: Exception) -> Exception:
    copied = fresh(error)
    copied.__cause__ = error
    return copied
