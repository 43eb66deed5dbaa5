"""Hammer near caches: what a read gives, and how long after a drop it may still give what was before.

One process writes, drops and reads; two only read; all keep what they read near. Each row has one writer, so
that of every version it is known when the drop behind it had returned. Meanwhile listeners are disconnected
and a reading process is stopped for a while, again and again.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio
import redis

from mysql_redis_cache import AsyncMRCClient, MRCClient, MRCServer, Near
from mysql_redis_cache.drops.rollcall import RollCall
from mysql_redis_cache.near import NearCache
from mysql_redis_cache.near.feed import Feed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from multiprocessing.context import SpawnContext, SpawnProcess
    from multiprocessing.queues import SimpleQueue

__all__ = ["SPOILED", "NearOrders", "NearResult", "hammer_near"]

READERS = 2
THREADS = 2
KEYS = 6
WRITERS = 2
ENTRY_TTL = 600
# Of so many drops of a row it is known when they had returned.
REMEMBERED = 1 << 14
START_SECONDS = 60.0
PATIENCE = 60.0
# So long that nothing is right by it.
TTL = 600.0


@dataclass(frozen=True)
class NearOrders:
    """What the processes are told.

    Attributes:
        mysql_url: the database.
        redis_url: the cache.
        seconds: how long to hammer.
        heartbeat: the bound, in seconds: nothing is to be served for longer after a drop.
        strict: whether drops wait for all processes, so that the bound is nothing.
        spoiled: what to break, as named in ``SPOILED``; nothing if empty.
        name: the table's, and what keys begin with.
    """

    mysql_url: str
    redis_url: str
    seconds: float
    heartbeat: float = 1.0
    strict: bool = False
    spoiled: str = ""
    name: str = field(default_factory=lambda: f"near_{uuid.uuid4().hex[:8]}")

    @property
    def query(self) -> str:
        """The query that all read with."""
        return f"SELECT id, version FROM {self.name} WHERE id = ?"

    def client(self) -> MRCClient:
        """Make a client."""
        SPOILED[self.spoiled]()
        bounds = Near(ttl=TTL, heartbeat=self.heartbeat, strict=self.strict)
        return MRCClient(self.mysql_url, self.redis_url, namespace=self.name, index=True, near=bounds)

    def server(self) -> MRCServer:
        """Make a server."""
        return MRCServer(self.redis_url, namespace=self.name, index=True)


class NearResult(NamedTuple):
    """What came of it.

    Attributes:
        reads: how many reads there were, and of them answered by the process.
        near_hits: reads answered by the process.
        drops: how many drops there were.
        losses: how often a listener was lost.
        stops: how often a process was stopped for a while.
        stale_here: reads in the process that dropped, of what was there before a drop that had returned.
        stale_elsewhere: such reads in other processes.
        too_old: of the drops below, those after which this went on for longer than it may.
        late_drops: drops after which some other process read what was there before, once for each process.
        delays: how long after these drops, in milliseconds: the median, the 99th of a hundred, the worst.
        drop_times: how long drops took, in the same way.
        errors: what reads and writes raised.
    """

    reads: int
    near_hits: int
    drops: int
    losses: int
    stops: int
    stale_here: int
    stale_elsewhere: int
    too_old: int
    late_drops: int
    delays: tuple[float, float, float]
    drop_times: tuple[float, float, float]
    errors: list[str]

    @property
    def is_good(self) -> bool:
        """Whether the promises were kept."""
        return not (self.stale_here or self.too_old or self.errors)


def _leave_alone() -> None:
    """Break nothing."""


def _ignore_pushes() -> None:
    """Let what is kept stay whatever Redis says."""
    Feed.pushed = lambda _feed, _push: None  # type: ignore[method-assign,assignment]


def _wait_for_nothing() -> None:
    """Let drops return before what they changed is known here."""
    NearCache.settle = lambda _: None  # type: ignore[method-assign,assignment]


def _wait_for_nobody() -> None:
    """Let drops return before what they changed is known in strict near caches elsewhere."""
    RollCall.hear = lambda *_: None  # type: ignore[method-assign]


SPOILED: dict[str, Callable[[], None]] = {
    "": _leave_alone,
    "pushes": _ignore_pushes,
    "waits": _wait_for_nothing,
    "calls": _wait_for_nobody,
}
"""What can be broken, to see whether it is found."""


class NearBoard:
    """Memory that the processes share.

    Attributes:
        begin: when to start; 0 until all are ready. All moments are of the clock that all processes share.
        end: when to stop.
    """

    def __init__(self, context: SpawnContext, seconds: float) -> None:
        self._floors = context.RawArray("q", KEYS)
        self._returned = context.RawArray("d", KEYS * REMEMBERED)
        self._ready = context.Semaphore(0)
        self._seconds = seconds
        self.begin = context.RawValue("d", 0.0)
        self.end = context.RawValue("d", 0.0)

    def floor(self, key: int) -> int:
        """Return the version that a read starting now must not fall below."""
        return int(self._floors[key])

    def has_dropped(self, key: int, version: int) -> None:
        """Note that a drop has returned; of each row one at a time."""
        self._returned[key * REMEMBERED + version % REMEMBERED] = time.monotonic()
        self._floors[key] = version

    def age(self, key: int, version: int, moment: float) -> float:
        """Return how long before *moment* the drop of what came after *version* had returned."""
        if self.floor(key) - version >= REMEMBERED:
            return TTL
        returned: float = self._returned[key * REMEMBERED + (version + 1) % REMEMBERED]
        return moment - returned

    def start(self) -> None:
        """Wait until all are ready, and start them."""
        for _ in range(READERS + 1):
            if not self._ready.acquire(timeout=START_SECONDS):
                raise TimeoutError(f"not every process was ready after {START_SECONDS:g} s")
        self.end.value = time.monotonic() + self._seconds
        self.begin.value = time.monotonic()

    def take_part(self) -> None:
        """Say that this process is ready, and wait for the others."""
        self._ready.release()
        until = time.monotonic() + START_SECONDS
        while not self.begin.value and time.monotonic() < until:
            time.sleep(0.005)

    def goes_on(self) -> bool:
        """Return whether there is time left."""
        return bool(time.monotonic() < self.end.value)


class _Seen:
    """What one thread or task has read: of its own, so that nobody waits for anybody."""

    def __init__(self) -> None:
        self.reads = 0
        self.stale = 0
        self.errors: list[str] = []
        self.late: dict[tuple[int, int], float] = {}  # by row and version, the longest after the drop


class Hammering:
    """One process.

    Args:
        board: the shared memory.
        orders: what to do.
        writes: whether it is the one that writes and drops.
    """

    def __init__(self, board: NearBoard, orders: NearOrders, *, writes: bool) -> None:
        self._board = board
        self._orders = orders
        self._writes = writes
        self._client = orders.client()
        self._seen: list[_Seen] = []
        self._drop_times: list[float] = []

    def run(self) -> dict[str, Any]:
        """Read, and write, until the time is over; return what was seen."""
        with (
            self._client,
            self._orders.server() as server,
            ThreadPoolExecutor(THREADS + WRITERS + 1) as threads,
        ):
            for key in range(KEYS):
                self._client.query_with_cache(*self._asked(key))
            self._board.take_part()
            running = [threads.submit(self._read_in_thread) for _ in range(THREADS)]
            running.append(threads.submit(anyio.run, self._read_in_task))
            if self._writes:
                running += [threads.submit(self._write, server, each) for each in range(WRITERS)]
            for each in running:
                each.result()
            return self._told()

    def _told(self) -> dict[str, Any]:
        stats, late = self._client.stats(), dict[tuple[int, int], float]()
        for seen in self._seen:
            for drop, delay in seen.late.items():
                late[drop] = max(delay, late.get(drop, 0.0))
        return {
            "reads": sum(seen.reads for seen in self._seen),
            "near_hits": stats.near_hits,
            "losses": stats.near_losses,
            "drops": len(self._drop_times),
            "drop_times": self._drop_times,
            "stale": sum(seen.stale for seen in self._seen),
            "delays": list(late.values()),
            "errors": [error for seen in self._seen for error in seen.errors],
        }

    def _asked(self, key: int) -> tuple[str, list[int], list[str], int]:
        return self._orders.query, [key], ["Id"], ENTRY_TTL

    def _begin(self) -> _Seen:
        self._seen.append(_Seen())
        return self._seen[-1]

    def _check(self, seen: _Seen, key: int, floor: int, began: float, rows: Sequence[Any]) -> None:
        seen.reads += 1
        version = rows[0]["version"]
        if version < floor:
            seen.stale += 1
            drop, delay = (key, version + 1), self._board.age(key, version, began)
            seen.late[drop] = max(delay, seen.late.get(drop, 0.0))

    def _read_in_thread(self) -> None:
        seen, chance = self._begin(), random.Random()
        while self._board.goes_on():
            key = chance.randrange(KEYS)
            floor, began = self._board.floor(key), time.monotonic()
            try:
                rows = self._client.query_with_cache(*self._asked(key))
            except Exception as error:
                seen.errors.append(f"{type(error).__name__}: {error}")
                continue
            self._check(seen, key, floor, began, rows)
            if seen.reads % 20 == 0:  # a program that never waits would keep the others from their turn
                time.sleep(0.001)

    async def _read_in_task(self) -> None:
        facade, seen, chance = AsyncMRCClient(self._client), self._begin(), random.Random()
        while self._board.goes_on():
            key = chance.randrange(KEYS)
            floor, began = self._board.floor(key), time.monotonic()
            rows = await facade.query_with_cache(*self._asked(key))
            self._check(seen, key, floor, began, rows)
            await anyio.sleep(0.0005)

    def _write(self, server: MRCServer, number: int) -> None:
        seen, chance = self._begin(), random.Random()
        while self._board.goes_on():
            key = chance.randrange(number, KEYS, WRITERS)
            try:
                version = self._client.execute(_update(self._orders), [key]).insert_id
                began = time.monotonic()
                self._drop(server, key, chance.randrange(4))
                self._drop_times.append(time.monotonic() - began)
            except Exception as error:
                seen.errors.append(f"{type(error).__name__}: {error}")
                return
            self._board.has_dropped(key, version)
            time.sleep(chance.choice([0, 0.002, 0.01]))

    def _drop(self, server: MRCServer, key: int, way: int) -> None:
        if way == 0:
            server.drop_outdated_cache(["Id"], [key])
        elif way == 1:
            self._client.drop_outdated_cache(["Id"], [key])
        elif way == 2:
            self._client.drop_query(self._orders.query, [key], ["Id"])
        else:
            server.drop_query(self._orders.query, any_params=True)


def _update(orders: NearOrders) -> str:
    return f"UPDATE {orders.name} SET version = LAST_INSERT_ID(version + 1) WHERE id = ?"


def _act(board: NearBoard, orders: NearOrders, answers: SimpleQueue[Any], writes: bool) -> None:
    try:
        told = Hammering(board, orders, writes=writes).run()
    except Exception as error:
        told = {"errors": [f"{type(error).__name__}: {error}"]}
    answers.put({"writes": writes, **told})


def hammer_near(orders: NearOrders, run: Callable[[str, str], None]) -> NearResult:
    """Hammer.

    Args:
        orders: how; a table is made in the schema and dropped, other namespaces' keys are left alone.
        run: runs a statement in a schema: ``run(mysql_url, statement)``.
    """
    context, mysql_url, seconds = multiprocessing.get_context("spawn"), orders.mysql_url, orders.seconds
    run(mysql_url, f"CREATE TABLE {orders.name} (id INT PRIMARY KEY, version BIGINT NOT NULL)")
    try:
        run(mysql_url, f"INSERT INTO {orders.name} VALUES {', '.join(f'({key}, 0)' for key in range(KEYS))}")
        board, answers = NearBoard(context, seconds), context.SimpleQueue()
        children = [
            context.Process(target=_act, args=(board, orders, answers, number == 0), daemon=True)
            for number in range(READERS + 1)
        ]
        for child in children:
            child.start()
        stops = _torment(board, orders, children[1:])
        told = [answers.get() for _ in children]
        for child in children:
            child.join(PATIENCE)
        return _result(told, stops, orders)
    finally:
        run(mysql_url, f"DROP TABLE {orders.name}")


def _torment(board: NearBoard, orders: NearOrders, children: Sequence[SpawnProcess]) -> int:
    """Cut listeners off and stop reading processes for a while, until the time is over; count the stops."""
    board.start()
    stops = 0
    with redis.Redis.from_url(orders.redis_url) as client:
        while board.goes_on():
            time.sleep(min(0.4, orders.seconds / 8))
            if stops % 2 == 0:
                _cut_listener(client)
            stops += 1
            _stop(random.choice(children), random.choice([0.05, 0.3, 1.2 * orders.heartbeat]))
    return stops


def _stop(child: SpawnProcess, seconds: float) -> None:
    """Stop a process for a while."""
    if child.pid is None or not child.is_alive():
        return
    os.kill(child.pid, signal.SIGSTOP)
    try:
        time.sleep(seconds)
    finally:
        os.kill(child.pid, signal.SIGCONT)


def _cut_listener(client: redis.Redis) -> None:
    """Disconnect somebody who is told of changes."""
    here = client.client_info()["db"]
    listeners = [each for each in client.client_list() if "t" in each["flags"]]
    ours = [each["id"] for each in listeners if int(each["db"]) == int(here)]
    if ours:
        with suppress(redis.ResponseError):  # it has gone by itself
            client.client_kill_filter(_id=random.choice(ours))


def _result(told: Sequence[dict[str, Any]], stops: int, orders: NearOrders) -> NearResult:
    elsewhere = [each for each in told if not each["writes"]]
    delays = sorted(delay for each in elsewhere for delay in each.get("delays", ()))

    def count(name: str, some: Sequence[dict[str, Any]] = told) -> int:
        return sum(each.get(name, 0) for each in some)

    return NearResult(
        reads=count("reads"),
        near_hits=count("near_hits"),
        drops=count("drops"),
        losses=count("losses"),
        stops=stops,
        stale_here=count("stale") - count("stale", elsewhere),
        stale_elsewhere=count("stale", elsewhere),
        too_old=sum(orders.strict or delay > orders.heartbeat for delay in delays),
        late_drops=len(delays),
        delays=_spread(delays),
        drop_times=_spread(sorted(took for each in told for took in each.get("drop_times", ()))),
        errors=[error for each in told for error in each["errors"]],
    )


def _spread(delays: Sequence[float]) -> tuple[float, float, float]:
    """Return the median, the 99th of a hundred and the worst, in milliseconds."""
    if not delays:
        return 0.0, 0.0, 0.0
    at = (len(delays) // 2, len(delays) * 99 // 100, len(delays) - 1)
    p50, p99, worst = (round(delays[place] * 1000, 2) for place in at)
    return p50, p99, worst
