"""Pauses at the steps of reads and drops on real servers, so that two of them interleave as a test says.

Whoever runs inside ``gated(gate)`` passes a gate at each of its steps and may be held at one of them; who
runs outside is not held. Threads and tasks alike: the mark is a context variable, which worker threads
inherit.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from mysql_redis_cache.policy import Policy
from mysql_redis_cache.readthrough.flight import Flight
from mysql_redis_cache.store import Part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pytest

    from mysql_redis_cache import MRCClient, MRCServer

__all__ = ["SECONDS", "Gate", "gate_client", "gate_drops", "gated", "note_waiting", "passing"]

# Nothing here takes long, so whoever waits this long waits in vain.
SECONDS = 10.0

_current: ContextVar[Gate | None] = ContextVar("gate", default=None)


class Gate:
    """Holds its actor before step number *at*, counted from 0, until it is opened.

    Attributes:
        held: set while the actor stands before that step.
        idle: set when the actor waits for somebody else, has come to its end, or is held.
        steps: what the actor has come to.
    """

    def __init__(self, at: int | None = None) -> None:
        self.held = threading.Event()
        self.idle = threading.Event()
        self.steps: list[str] = []
        self._at = at
        self._open = threading.Event()

    def open(self) -> None:
        """Let the actor go on."""
        self._open.set()

    def come_to(self, step: str) -> None:
        """Called by the actor before each step."""
        self.steps.append(step)
        if len(self.steps) - 1 != self._at:
            return
        self.held.set()
        self.idle.set()
        if not self._open.wait(SECONDS):
            raise TimeoutError(f"nobody opened the gate before {step}")


@contextmanager
def gated(gate: Gate) -> Iterator[None]:
    """Have this thread or task pass *gate*."""
    mark = _current.set(gate)
    try:
        yield
    finally:
        _current.reset(mark)
        gate.idle.set()


def passing(step: str) -> None:
    """Pass the gate of whoever runs this, if it has one."""
    gate = _current.get()
    if gate is not None:
        gate.come_to(step)


def _before(step: str, call: Callable[..., Any]) -> Callable[..., Any]:
    def gated_call(*args: Any, **kwargs: Any) -> Any:
        passing(step)
        return call(*args, **kwargs)

    return gated_call


def gate_client(client: MRCClient, *, in_loop: bool) -> None:
    """Put gates before the steps of a client's reads; *in_loop*: those a facade's loop does as well."""
    core: Any = client._core
    core.cache._get = _before("get", core.cache._get)
    for name in ("acquire", "fill", "release", "get_many", "acquire_many", "fill_many"):
        setattr(core.cache.entries, name, _before(name, getattr(core.cache.entries, name)))
    query = core.database.query

    def gated_query(*args: Any, **kwargs: Any) -> Any:
        passing("query")
        rows = query(*args, **kwargs)
        passing("rows read")
        return rows

    core.database.query = gated_query
    if in_loop:
        core.flights.seal = _before("seal", core.flights.seal)
        core.flights.settle = _before("settle", core.flights.settle)
    else:
        _gate_gathered(core)


def _gate_gathered(core: Any) -> None:
    """Put gates before what a facade gathers: that is done in threads that inherit no mark."""
    gates: WeakKeyDictionary[Any, Gate | None] = WeakKeyDictionary()

    def noting(call: Callable[..., Any]) -> Callable[..., Any]:
        def noting_call(read: Any, **options: Any) -> Any:
            gates[read] = _current.get()
            return call(read, **options)

        return noting_call

    def before_each(step: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def gated_call(reads: Sequence[Any], *more: Any) -> Any:
            for read in reads:
                gate = gates.get(read)
                if gate is not None:
                    gate.come_to(step)
            return call(reads, *more)

        return gated_call

    core.steps, core.is_plain = noting(core.steps), noting(core.is_plain)
    core.cache.acquire_many = before_each("acquire", core.cache.acquire_many)


class _GatedPinned:
    """One connection of a drop, whose commands go out one by one."""

    def __init__(self, pinned: Any) -> None:
        self._pinned = pinned

    def call(self, *command: Any) -> Any:
        passing(str(command[0]))
        return self._pinned.call(*command)

    def send(self, *command: Any) -> None:
        passing(str(command[0]))
        self._pinned.send(*command)

    def receive(self) -> Any:
        return self._pinned.receive()

    def calls(self, commands: Sequence[Sequence[Any]]) -> list[Any]:
        replies = []
        for command in commands:  # a pipeline is no transaction: others may come between
            passing(str(command[0]))
            replies += self._pinned.calls([command])
        return replies


class _GatedServer:
    """A server, or the way to one, as drops use it."""

    clustered = False

    def __init__(self, server: Any) -> None:
        self._server = server
        self.timeout = server.timeout

    def parts(self, left: Callable[[], float] | None = None) -> tuple[list[Part], object]:
        (part,), claims = self._server.parts(left)
        gated: Any = self
        return [Part(gated, part.key)], claims

    @contextmanager
    def pinned(self, left: Callable[[], float] | None = None) -> Iterator[_GatedPinned]:
        with self._server.pinned(left) as pinned:
            yield _GatedPinned(pinned)

    def calls(self, commands: Sequence[Sequence[Any]]) -> list[Any]:
        with self.pinned() as pinned:
            return pinned.calls(commands)


def gate_drops(server: MRCServer) -> None:
    """Put gates before the commands of a server's drops."""
    drops: Any = server._drops
    drops._link = _GatedServer(drops._link)
    if drops._index is not None:
        ((drops._index._part,), _) = drops._link.parts()


def note_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mark actors as idle when they wait for a flight, or for the lease of another process."""
    for owner, name in ((Flight, "wake"), (Policy, "pause")):
        monkeypatch.setattr(owner, name, _noting(getattr(owner, name)))


def _noting(call: Callable[..., Any]) -> Callable[..., Any]:
    def noting_call(*args: Any, **kwargs: Any) -> Any:
        outcome = call(*args, **kwargs)
        gate = _current.get()
        if gate is not None:
            gate.idle.set()
        return outcome

    return noting_call
