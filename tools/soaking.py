"""What the process does that ``tools.soak`` torments: reads, writes and drops, every answer checked."""

from __future__ import annotations

import asyncio
import ctypes
import random
import signal
import sys
import threading
import time
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pymysql

from mysql_redis_cache import AsyncMRCClient, MRCClient, MRCError, MRCServer, Near
from tests.support.alarms import Interrupted, alarms, strike
from tests.support.forks import in_child
from tools.hammering import WAYS_TO_DROP, Orders

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.context import SpawnContext
    from multiprocessing.queues import SimpleQueue

__all__ = ["COUNTS", "FAULTS", "Board", "descriptors", "soak_process"]

THREADS = 4  # the main one among them
TASKS = 8
TTL = 20
KEYS = 24
LOOP_SECONDS = 5.0
"""Seconds after which the tasks go on in a new event loop."""

COUNTS = ("reads", "drops", "failed_reads", "failed_writes", "interrupted", "cancelled", "forks", "wrong")
FAULTS = (
    "none",
    "Redis cut",
    "Redis frozen",
    "Redis dripping",
    "Redis corrupted",
    "Redis restarted",
    "MySQL killed",
    "MySQL cut",
    "MySQL with init_connect",
    "interruptions",
    "forks",
    "deadlocks",
    "sessions changed",
    "cancelled by the hundred",
    "facades for each request",
)
INTERRUPTIONS, FORKS, DEADLOCKS, SESSIONS, CANCELLED, FACADES = map(FAULTS.index, FAULTS[-6:])
CHANGES = (
    "USE information_schema",
    "SET time_zone = '+09:00', sql_mode = 'NO_BACKSLASH_ESCAPES,ANSI_QUOTES'",
    "SET NAMES latin1",
    "CREATE TEMPORARY TABLE {table} (id INT, version INT)",
    "SET @a = 1",
)
LOST_LOCKS = (1205, 1213)


class Board:
    """Memory that the process shares with who torments it.

    Attributes:
        counts: by their place in ``COUNTS``.
        tasks: how many asyncio tasks there are.
        fault: the place in ``FAULTS`` of what is going on.
        mysql_well_since: the moment, in monotonic seconds, that MySQL's last fault ended.
        goes_on: whether to go on.
    """

    def __init__(self, context: SpawnContext) -> None:
        self.counts = context.RawArray("q", len(COUNTS))
        self.tasks = context.RawValue("q", 0)
        self.fault = context.RawValue("i", 0)
        self.mysql_well_since = context.RawValue("d", 0.0)
        self.goes_on = context.RawValue("b", 1)


def descriptors(pid: int | str = "self") -> tuple[int, int]:
    """Return how many descriptors a process has open, and how many of them are sockets."""
    kinds = []
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):  # closed meanwhile
            kinds.append(str(each.readlink()).partition(":")[0])
    return len(kinds), kinds.count("socket")


class Soaking:
    """One client, blocking and asynchronous, under load.

    Args:
        board: the shared memory.
        orders: where the servers and the rows are; ``seconds`` is not looked at.
    """

    def __init__(self, board: Board, orders: Orders) -> None:
        self.errors: list[str] = []
        self._board, self._orders = board, orders
        self._lock = threading.Lock()
        self._floors = [0] * KEYS  # the version that a read starting now must not fall below
        near = Near(strict=True) if orders.near else False
        self._client = MRCClient(orders.mysql_url, orders.redis_url, namespace=orders.namespace, near=near)
        self._server = MRCServer(orders.redis_url, namespace=orders.namespace)

    def run(self) -> None:
        """Go on until told to stop; the main thread, which signals strike, is one of those that work."""
        threads = [threading.Thread(target=self._work, args=(number,)) for number in range(1, THREADS)]
        others = [
            threading.Thread(target=self._loops),
            threading.Thread(target=self._give_memory_back),
            threading.Thread(target=self._strike, args=(threads,)),
        ]
        for thread in [*threads, *others]:
            thread.start()
        with alarms() as alarm:
            self._work(0, alarm)
        for thread in [*threads, *others]:
            thread.join(60)
        self._client.close()
        self._server.close()

    # Blocking

    def _work(self, number: int, alarm: Callable[[float], None] | None = None) -> None:
        chance = random.Random(number)
        while self._board.goes_on.value:
            with suppress(Interrupted):  # one that came too late for the inner one
                self._work_until_struck(chance, alarm)

    def _work_until_struck(self, chance: random.Random, alarm: Callable[[float], None] | None) -> None:
        while self._board.goes_on.value:
            fault = self._board.fault.value
            try:
                if alarm is not None and fault == FORKS:
                    self._fork(chance)
                elif alarm is not None and fault == INTERRUPTIONS:
                    self._act_under_alarm(chance, alarm)
                elif fault == DEADLOCKS and chance.random() < 0.2:
                    self._write_two(chance)
                elif fault == SESSIONS and chance.random() < 0.2:
                    self._change_a_session(chance)
                else:
                    self._act(chance)
            except Interrupted:
                self._count("interrupted")
            time.sleep(chance.choice([0, 0, 0.001, 0.005]))

    def _act_under_alarm(self, chance: random.Random, alarm: Callable[[float], None]) -> None:
        try:
            alarm(chance.uniform(1e-5, 5e-3))
            self._act(chance)
        finally:
            alarm(0)

    def _act(self, chance: random.Random) -> None:
        client, key, dice = self._client, chance.randrange(KEYS), chance.random()
        if dice < 0.08:
            self._write(chance, key)
            return
        with self._checked([key, key - 1] if dice < 0.2 else [key]) as rows:
            if dice < 0.2:
                rows += client.query_many_with_cache([self._query(key), self._query((key - 1) % KEYS)], TTL)
            elif dice < 0.25:
                rows.append(client.query(*self._query(key)[:2]))
            else:
                rows.append(client.query_with_cache(*self._query(key), TTL, refresh=dice > 0.98))

    def _write(self, chance: random.Random, key: int) -> None:
        try:
            version = chance.choice(WAYS_TO_DROP)(self._client, self._server, self._orders, key)
        except MRCError:
            self._count("failed_writes")
            return
        except Interrupted:
            raise
        except Exception as error:
            self._note(error)
            return
        with self._lock:
            self._floors[key] = max(self._floors[key], version)
        self._count("drops")

    def _write_two(self, chance: random.Random) -> None:
        """Write two rows in one transaction, in any order, so that the server has to end some of them."""
        update = f"UPDATE {self._orders.table} SET version = LAST_INSERT_ID(version + 1) WHERE id = ?"
        keys, versions = chance.sample(range(KEYS), 2), {}
        try:
            with self._client.transaction() as tx:
                for key in keys:
                    versions[key] = tx.execute(update, [key]).insert_id
                    time.sleep(0.002)
                tx.drop_many("Id", keys)
        except MRCError:
            self._count("failed_writes")
            return
        except pymysql.OperationalError as error:
            if error.args[0] not in LOST_LOCKS:
                self._note(error)
            self._count("failed_writes")
            return
        with self._lock:
            for key, version in versions.items():
                self._floors[key] = max(self._floors[key], version)
        self._count("drops")

    def _change_a_session(self, chance: random.Random) -> None:
        """Leave a session changed, which must be nobody else's."""
        try:
            self._client.execute(chance.choice(CHANGES).format(table=self._orders.table))
        except MRCError:
            self._count("failed_writes")

    def _fork(self, chance: random.Random) -> None:
        """Read and drop in a forked child; the counts are shared with it."""

        def child() -> list[str]:
            self._lock = threading.Lock()  # another thread may have held it at the fork
            self.errors = []
            for _ in range(5):
                self._act(chance)
            return self.errors

        try:
            self.errors += in_child(child, seconds=30)
        except AssertionError as error:
            self._note(error)
        self._count("forks")

    def _strike(self, victims: list[threading.Thread]) -> None:
        while self._board.goes_on.value:
            time.sleep(random.uniform(0.005, 0.03))
            if self._board.fault.value == INTERRUPTIONS:
                strike(random.choice(victims))

    def _give_memory_back(self) -> None:
        """Have the C library keep none of the memory that was freed: what is left is in use."""
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's
        while trim is not None and self._board.goes_on.value:
            trim(0)
            time.sleep(1)

    # In tasks

    def _loops(self) -> None:
        """Run the tasks in one event loop after the other, of asyncio and of trio in turn."""
        facade, backends = AsyncMRCClient(self._client), ["asyncio", "trio"]
        while self._board.goes_on.value:
            backends.reverse()
            anyio.run(partial(self._run_tasks, facade, backends[0]), backend=backends[0])

    async def _run_tasks(self, facade: AsyncMRCClient, backend: str) -> None:
        until = time.monotonic() + LOOP_SECONDS
        async with anyio.create_task_group() as tasks:
            for number in range(TASKS):
                tasks.start_soon(self._work_in_task, facade, random.Random(number), until)
            while self._goes_on(until):
                if self._board.fault.value == CANCELLED:
                    await self._cancel_many(facade)
                self._board.tasks.value = len(asyncio.all_tasks()) if backend == "asyncio" else TASKS + 1
                await anyio.sleep(0.1)

    def _goes_on(self, until: float) -> bool:
        return bool(self._board.goes_on.value) and time.monotonic() < until

    async def _work_in_task(self, facade: AsyncMRCClient, chance: random.Random, until: float) -> None:
        while self._goes_on(until):
            with anyio.move_on_after(chance.choice([0.001, 0.003, 60, 60, 60])) as scope:
                if self._board.fault.value == FACADES:
                    async with AsyncMRCClient(self._client) as one_of_many:
                        await self._act_in_task(one_of_many, chance)
                else:
                    await self._act_in_task(facade, chance)
            if scope.cancelled_caught:
                self._count("cancelled")
            await anyio.sleep(chance.choice([0, 0, 0.001, 0.005]))

    async def _cancel_many(self, facade: AsyncMRCClient) -> None:
        """Begin a hundred reads at once and cancel all of them soon after."""
        with anyio.move_on_after(random.uniform(0.001, 0.02)):
            async with anyio.create_task_group() as tasks:
                for number in range(100):
                    tasks.start_soon(self._act_in_task, facade, random.Random(number))
        self._count("cancelled", 100)

    async def _act_in_task(self, facade: AsyncMRCClient, chance: random.Random) -> None:
        key, dice = chance.randrange(KEYS), chance.random()
        with self._checked([key, key - 1] if dice < 0.2 else [key]) as rows:
            if dice < 0.2:
                both = [self._query(key), self._query((key - 1) % KEYS)]
                rows += await facade.query_many_with_cache(both, TTL)
            elif dice < 0.25:
                rows.append(await facade.query(*self._query(key)[:2]))
            else:
                rows.append(await facade.query_with_cache(*self._query(key), TTL, refresh=dice > 0.98))

    # Checking

    def _query(self, key: int) -> tuple[str, list[int], list[str]]:
        return self._orders.query, [key], ["Id"]

    @contextmanager
    def _checked(self, keys: list[int]) -> Iterator[list[Any]]:
        """Check the rows that the block puts into the list, those of one key after the other."""
        floors = [(key % KEYS, self._floors[key]) for key in keys]
        began = time.monotonic()
        answers: list[Any] = []
        try:
            yield answers
        except MRCError as error:
            self._count("failed_reads")
            if began > self._board.mysql_well_since.value:
                self._note(error)  # there was an answer to be had
            return
        except Interrupted:
            raise
        except Exception as error:
            self._note(error)
            return
        self._count("reads", len(answers))
        for (key, floor), rows in zip(floors, answers, strict=False):
            if len(rows) != 1 or rows[0]["id"] != key or rows[0]["version"] < floor:
                self._count("wrong")

    def _count(self, name: str, number: int = 1) -> None:
        with self._lock:
            self._board.counts[COUNTS.index(name)] += number

    def _note(self, error: BaseException) -> None:
        fault = FAULTS[self._board.fault.value]
        self.errors.append(f"({fault}) {type(error).__name__}: {error}"[:1000])


def soak_process(board: Board, orders: Orders, answers: SimpleQueue[Any]) -> None:
    """Be the process; at the end tell the errors, and what is left open after closing."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who torments it ends it
    sys.unraisablehook = lambda _: None  # an interruption may strike a finalizer, too
    before = descriptors()[1]
    errors: list[str] = []
    try:
        soaking = Soaking(board, orders)
        errors = soaking.errors
        soaking.run()
    except BaseException as error:
        errors.append(f"{type(error).__name__}: {error}")
    until = time.monotonic() + 15  # background threads end by themselves when they have nothing to do
    while any((left := _left(before)).values()) and time.monotonic() < until:
        time.sleep(0.05)
    answers.put({"errors": errors, "left": left})


def _left(sockets_before: int) -> dict[str, int]:
    """Return how many sockets and threads there are too many; the threads that trio keeps are its own."""
    threads = [thread for thread in threading.enumerate() if not thread.name.startswith("Trio thread")]
    return {"sockets": max(0, descriptors()[1] - sockets_before), "threads": len(threads) - 1}
