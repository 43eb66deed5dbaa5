"""Concurrent reads of one event loop in one thread hop and one round trip.

Whoever wants an entry joins the batch that is forming. With none out it goes to a thread at once, and stays
open until the thread begins, so all who are ready by then are in it. While a batch is out the next one forms;
so the more callers there are, the less each costs.

The thread publishes what it found, and publishing sends the next batch: no caller is needed for another's
read, so any of them may be cancelled at any moment. No task or timer outlives the callers.
"""

from __future__ import annotations

import threading
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio

from mysql_redis_cache.entries import Found

from .threads import promise, soon

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mysql_redis_cache.reads import Read

    from .workers import Workers

    CallSoon = Callable[[Callable[[], object]], object]

__all__ = ["Gather"]

MAX_BATCH = 200
# Bytes in one batch, by the size that the last answer to the same query had.
MAX_BYTES = 1 << 20
UNKNOWN_BYTES = 1 << 16
# Larger values are published last, one by one: they take a millisecond and more to decode.
LARGE_BYTES = 1 << 17
SIZES_KEPT = 1024
MAX_OUT = 4
# How long a batch waits for the one before it. Two at a time would compete for the interpreter, each with
# half the callers; but an answer slow to come (a long way, a large value) must not keep the others waiting.
PATIENCE = 0.002


class _Batch:
    """Reads that go to Redis together, and the promises that their callers wait for."""

    __slots__ = ("promises", "reads", "room", "sent")

    def __init__(self) -> None:
        self.reads: list[Read] = []
        self.promises: list[Any] = []
        self.room = MAX_BYTES
        self.sent: Any = None  # a promise, if somebody waits for it


class _Failed:
    """What a read got instead of an outcome."""

    __slots__ = ("error",)

    def __init__(self, error: Exception) -> None:
        self.error = error


class Gather:
    """Gathers the concurrent reads of one event loop into batches.

    Args:
        fetch: gets what Redis holds for several reads, in one round trip; called in a thread.
        decode: makes outcomes of that; called in a thread, for one large value at a time.
        workers: the threads.
    """

    def __init__(
        self,
        fetch: Callable[[Sequence[Read]], Sequence[Any]],
        decode: Callable[[Sequence[Read], Sequence[Any]], Sequence[Any]],
        workers: Workers,
    ) -> None:
        self._fetch = fetch
        self._decode = decode
        self._workers = workers
        self._lock = threading.Lock()  # between joining a batch, in the loop, and closing it, in its thread
        self._forming: _Batch | None = None
        self._unsent: deque[_Batch] = deque()
        self._out = 0
        self._sizes: dict[str, int] = {}

    async def get(self, read: Read) -> Any:
        """Return the outcome of *read*."""
        mine = promise()
        size = self._sizes.get(read.query, UNKNOWN_BYTES)
        with self._lock:
            batch = self._forming
            opens = batch is None or len(batch.reads) >= MAX_BATCH or batch.room <= 0
            if batch is None or opens:
                batch = self._forming = _Batch()
            batch.room -= size
            batch.reads.append(read)
            batch.promises.append(mine)
        if opens:
            await self._opened(batch)
        outcome = await mine
        if type(outcome) is _Failed:
            raise outcome.error
        return outcome

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
            self._close(batch)
            _publish(batch.promises, [_Failed(error)] * len(batch.promises))
            self._came_back()

    def _came_back(self) -> None:
        """Send the next batch, which those who have just got their answers join before its thread begins."""
        self._out -= 1
        if self._unsent:
            self._send(self._unsent.popleft())

    def _close(self, batch: _Batch) -> None:
        with self._lock:
            if self._forming is batch:
                self._forming = None

    def _run(self, batch: _Batch, call_soon: CallSoon) -> None:
        """Read the entries of *batch*, in a thread, and have the loop publish them."""
        self._close(batch)
        try:
            found = self._fetch(batch.reads)
        except Exception as error:  # noqa: BLE001 - everybody in the batch raises it
            call_soon(partial(self._finish, batch.promises, [_Failed(error)] * len(batch.reads)))
            return
        *early, last = self._parts(batch, found)
        for part in early:
            call_soon(partial(_publish, part.promises, self._outcomes(part)))
        call_soon(partial(self._finish, last.promises, self._outcomes(last)))

    def _parts(self, batch: _Batch, found: Sequence[Any]) -> list[_Part]:
        """Return what is to be published together: the small values, then the large ones singly."""
        whole = _Part(batch.reads, found, batch.promises)
        sizes = list(map(_size, found))
        self._note_sizes(batch.reads, sizes)
        if max(sizes) <= LARGE_BYTES:
            return [whole]
        large = [place for place, size in enumerate(sizes) if size > LARGE_BYTES]
        small = [place for place, size in enumerate(sizes) if size <= LARGE_BYTES]
        return [_pick(whole, places) for places in (small, *([place] for place in large)) if places]

    def _note_sizes(self, reads: Sequence[Read], sizes: Sequence[int]) -> None:
        known = self._sizes
        if len(known) > SIZES_KEPT:
            known.clear()
        known.update({read.query: size for read, size in zip(reads, sizes, strict=True) if size})

    def _outcomes(self, part: _Part) -> Sequence[Any]:
        try:
            return self._decode(part.reads, part.found)
        except Exception as error:  # noqa: BLE001 - everybody in the part raises it
            return [_Failed(error)] * len(part.reads)

    def _finish(self, promises: Sequence[Any], outcomes: Sequence[Any]) -> None:
        _publish(promises, outcomes)
        self._came_back()


class _Part(NamedTuple):
    reads: Sequence[Read]
    found: Sequence[Any]
    promises: Sequence[Any]


def _pick(part: _Part, places: Sequence[int]) -> _Part:
    return _Part(*([column[place] for place in places] for column in part))


def _size(found: Any) -> int:
    """Return the bytes of what Redis holds for one read; of nothing, 0."""
    return len(found) if type(found) is bytes else len(found.payload) if type(found) is Found else 0


def _publish(promises: Sequence[Any], outcomes: Sequence[Any]) -> None:
    """Wake those who still wait; called in the loop."""
    for mine, outcome in zip(promises, outcomes, strict=True):
        if not mine.done():
            mine.set_result(outcome)
