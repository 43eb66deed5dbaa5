"""What the processes of ``tools.hammer`` do."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
from redis import RedisCluster

from mysql_redis_cache import AsyncMRCClient, MRCClient, MRCServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.context import SpawnContext
    from multiprocessing.queues import SimpleQueue

__all__ = [
    "READERS",
    "WAYS_TO_DROP",
    "Board",
    "Orders",
    "read_all",
    "read_and_die",
    "tags_of",
    "write_and_drop",
]

READERS = 2
THREADS = 5
TASKS = 10
WRITERS = 3
TTL = 600
# The share of hits that are compared with MySQL; drops follow all writes, so none may be found outdated.
VERIFIED = 0.02
VERIFIER = "mysql_redis_cache-verify"
BY_ID: dict[str, Any] = {"key": "id", "name": "Id", "ttl": TTL}
# Until every process is ready, and between two cold keys.
START_SECONDS = 60.0
ROUND_SECONDS = 0.4


@dataclass(frozen=True)
class Orders:
    """What the processes are told.

    Attributes:
        mysql_url: the database.
        redis_url: the cache.
        mode: how drops find entries, ``"sweep"`` or ``"index"``; ``"cluster"`` sweeps a Redis Cluster.
        namespace: before every key.
        table: where the versions are.
        seconds: how long to hammer.
        keys: rows that are written: few, so that loads and drops of one meet often.
        cold_keys: rows that are read once, by everybody at the same moment.
        near: whether the soak's client keeps entries near, for which its drops wait.
    """

    mysql_url: str
    redis_url: str
    mode: str
    namespace: str
    table: str
    seconds: float
    keys: int = 8
    cold_keys: int = 5
    near: bool = False

    @property
    def query(self) -> str:
        """The query that all read with."""
        return f"SELECT id, version FROM {self.table} WHERE id = ?"

    @property
    def list_query(self) -> str:
        """The same for lists."""
        return self.query.replace("= ?", "IN (?)")

    def client(self) -> MRCClient:
        """Make a client."""
        return MRCClient(
            self.mysql_url,
            self._redis(),
            namespace=self.namespace,
            index=self.mode == "index",
            verify=VERIFIED,
        )

    def server(self) -> MRCServer:
        """Make a server."""
        return MRCServer(self._redis(), namespace=self.namespace, index=self.mode == "index")

    def _redis(self) -> object:
        return RedisCluster.from_url(self.redis_url) if self.mode == "cluster" else self.redis_url


def tags_of(key: int) -> dict[str, object]:
    """Return the tags with which a row is read now and then."""
    return {"Table": "versions", "Row": key}


class Board:
    """Memory that the processes share.

    Attributes:
        floors: for each key, the version that a read starting now must not fall below.
        loads: for each reading process and key, how often it was loaded.
        ready: how many processes are ready.
        begin: when to start, in seconds of the wall clock; 0 until all are ready.
        end: when to stop.
        is_loading: whether the loader to be killed is in its load.
    """

    def __init__(self, context: SpawnContext, orders: Orders) -> None:
        self._keys, self._cold = orders.keys, orders.cold_keys
        self._seconds = orders.seconds
        self.floors = context.RawArray("q", self._keys + self._cold)
        self.loads = context.RawArray("q", READERS * (self._keys + self._cold))
        self.ready = context.Semaphore(0)
        self.begin = context.RawValue("d", 0.0)
        self.end = context.RawValue("d", 0.0)
        self.is_loading = context.RawValue("i", 0)

    def wait_for_start(self) -> None:
        """Wait until readers, writer and loader are ready, and start all."""
        for _ in range(READERS + 2):
            if not self.ready.acquire(timeout=START_SECONDS):
                raise TimeoutError(f"not every process was ready after {START_SECONDS:g} s")
        self.end.value = time.time() + self._seconds
        self.begin.value = time.time()

    def take_part(self) -> None:
        """Say that this process is ready, and wait for the others."""
        self.ready.release()
        until = time.monotonic() + START_SECONDS
        while not self.begin.value and time.monotonic() < until:
            time.sleep(0.005)

    def goes_on(self) -> bool:
        """Return whether there is time left."""
        return bool(time.time() < self.end.value)

    def count_load(self, reader: int, key: int) -> None:
        """Count a load; one thread of a process at a time."""
        self.loads[reader * (self._keys + self._cold) + key] += 1

    def cold_loads(self) -> list[int]:
        """Return how often each of the cold keys was loaded."""
        width = self._keys + self._cold
        return [sum(self.loads[key::width]) for key in range(self._keys, width)]


class Reading:
    """One process that reads.

    Args:
        board: the shared memory.
        orders: what to do.
        number: which of the readers this is.
    """

    def __init__(self, board: Board, orders: Orders, number: int) -> None:
        self.counts: Counter[str] = Counter()
        self.errors: list[str] = []
        self._board = board
        self._orders = orders
        self._number = number
        self._lock = threading.Lock()
        self._client = orders.client()
        _around_loads(self._client, self._load)

    def run(self) -> None:
        """Read until the time is over, then the cold keys."""
        with self._client, ThreadPoolExecutor(THREADS + 1) as threads:
            for key in range(self._orders.keys):
                self._client.query_with_cache(*self._query(key))
            self._board.take_part()
            running = [threads.submit(self._read_in_thread) for _ in range(THREADS)]
            running.append(threads.submit(anyio.run, self._read_in_tasks))
            for each in running:
                each.result()
            stats = self._client.stats()
            self.counts["unanswered"] = stats.cache_failures
            self.counts["verified"], self.counts["alarms"] = stats.verified, stats.stale_found

    @contextmanager
    def _checked(self, key: int) -> Iterator[list[Any]]:
        """Count a read, whose rows the block puts into the list, and whether it is stale."""
        floor = self._board.floors[key]
        rows: list[Any] = []
        try:
            yield rows
        except Exception as error:
            with self._lock:
                self.errors.append(f"{type(error).__name__}: {error}")
            return
        with self._lock:
            self.counts["reads"] += len(rows)
            self.counts["stale"] += sum(row["version"] < floor for row in rows)

    def _read_in_thread(self) -> None:
        client, chance = self._client, random.Random()
        while self._board.goes_on():
            key = chance.randrange(self._orders.keys)
            with self._checked(key) as rows:
                if chance.random() < 0.05:
                    rows += client.query_many_with_cache([self._query(key)], TTL)[0]
                elif chance.random() < 0.1:
                    rows.append(client.get_many(*self._list_with(key, chance), **BY_ID)[key])
                elif chance.random() < 0.2:
                    rows += client.query_with_cache(*self._query(key), TTL, tags=tags_of(key))
                else:
                    rows += client.query_with_cache(*self._query(key), TTL, refresh=chance.random() < 0.01)
        for key in self._cold_keys():
            with self._checked(key) as rows:
                rows += client.query_with_cache(*self._query(key), TTL)

    async def _read_in_tasks(self) -> None:
        facade, chance = AsyncMRCClient(self._client), random.Random()

        async def read() -> None:
            while self._board.goes_on():
                key = chance.randrange(self._orders.keys)
                refresh = chance.random() < 0.01
                with self._checked(key) as rows, anyio.move_on_after(chance.choice([0.002, 60, 60, 60])):
                    if chance.random() < 0.1:
                        rows.append((await facade.get_many(*self._list_with(key, chance), **BY_ID))[key])
                        continue
                    rows += await facade.query_with_cache(*self._query(key), TTL, refresh=refresh)

        async with anyio.create_task_group() as tasks:
            for _ in range(TASKS):
                tasks.start_soon(read)
        for key in range(self._orders.keys, self._orders.keys + self._orders.cold_keys):
            await anyio.sleep(max(0.0, self._round(key) - time.time()))
            with self._checked(key) as rows:
                rows += await facade.query_with_cache(*self._query(key), TTL)

    def _cold_keys(self) -> Iterator[int]:
        """Yield the cold keys, each at the moment at which all read it."""
        for key in range(self._orders.keys, self._orders.keys + self._orders.cold_keys):
            time.sleep(max(0.0, self._round(key) - time.time()))
            yield key

    def _round(self, key: int) -> float:
        return float(self._board.end.value) + ROUND_SECONDS * (key - self._orders.keys + 3)

    def _query(self, key: int) -> tuple[str, list[int], list[str]]:
        return self._orders.query, [key], ["Id"]

    def _list_with(self, key: int, chance: random.Random) -> tuple[str, list[int]]:
        return self._orders.list_query, [key, *chance.sample(range(self._orders.keys), 4)]

    def _load(self, query: Callable[..., Any], text: str, params: Any = None, **options: Any) -> Any:
        """Load, and hold the rows for a while: drops that come meanwhile must not be undone."""
        rows = query(text, params, **options)
        if threading.current_thread().name == VERIFIER:
            return rows
        keys = params[0] if isinstance(params[0], list) else params
        with self._lock:
            for key in keys:
                self._board.count_load(self._number, key)
        is_cold = keys[0] >= self._orders.keys
        time.sleep(0.1 if is_cold else random.choice([0, 0.001, 0.01, 0.03]))
        return rows


def _around_loads(client: MRCClient, load: Callable[..., Any]) -> None:
    """Have *load* called for each load of *client*, with the query as its first argument."""
    database: Any = client._core.database
    query = database.query
    database.query = partial(load, query)


def read_all(board: Board, orders: Orders, answers: SimpleQueue[Any], number: int) -> None:
    """Be a process that reads."""
    reading = Reading(board, orders, number)
    try:
        reading.run()
    except Exception as error:
        reading.errors.append(f"{type(error).__name__}: {error}")
    answers.put({**reading.counts, "errors": reading.errors})


def read_and_die(board: Board, orders: Orders) -> None:
    """Be a process that is killed while it loads."""

    def load(query: Callable[..., Any], text: str, params: Any = None, **options: Any) -> Any:
        rows = query(text, params, **options)
        board.is_loading.value = 1
        time.sleep(60)
        return rows

    client = orders.client()
    _around_loads(client, load)
    board.take_part()
    for key in random.sample(range(orders.keys), 3):  # of which one may have to wait for a lease
        read = partial(client.query_with_cache, orders.query, [key], ["Id"], TTL, refresh=True)
        threading.Thread(target=read).start()


def write_and_drop(board: Board, orders: Orders, answers: SimpleQueue[Any]) -> None:
    """Be the process that writes."""
    lock, counts = threading.Lock(), Counter[str]()
    errors: list[str] = []

    def write() -> None:
        while board.goes_on():
            key = random.randrange(orders.keys)
            try:
                version = random.choice(WAYS_TO_DROP)(client, server, orders, key)
            except Exception as error:
                errors.append(f"{type(error).__name__}: {error}")
                continue
            with lock:
                counts["drops"] += 1
                board.floors[key] = max(board.floors[key], version)
            time.sleep(random.choice([0, 0.001, 0.02]))

    with orders.client() as client, orders.server() as server, ThreadPoolExecutor(WRITERS) as threads:
        board.take_part()
        for writer in [threads.submit(write) for _ in range(WRITERS)]:
            writer.result()
    answers.put({**counts, "errors": errors})


def _update(orders: Orders) -> str:
    return f"UPDATE {orders.table} SET version = LAST_INSERT_ID(version + 1) WHERE id = ?"


def _drop_by_server(client: MRCClient, server: MRCServer, orders: Orders, key: int) -> int:
    version = client.execute(_update(orders), [key]).insert_id
    server.drop_outdated_cache(["Id"], [key])
    return version


def _drop_by_client(client: MRCClient, server: MRCServer, orders: Orders, key: int) -> int:  # noqa: ARG001
    version = client.execute(_update(orders), [key]).insert_id
    client.drop_outdated_cache(["Id"], [key])
    return version


def _drop_by_query(client: MRCClient, server: MRCServer, orders: Orders, key: int) -> int:  # noqa: ARG001
    version = client.execute(_update(orders), [key]).insert_id
    client.drop_query(orders.query, [key], ["Id"])
    client.drop_query(orders.query, [key], ["Id"], tags=tags_of(key))
    return version


def _drop_after_commit(client: MRCClient, server: MRCServer, orders: Orders, key: int) -> int:  # noqa: ARG001
    with client.transaction() as tx:
        version = tx.execute(_update(orders), [key]).insert_id
        tx.drop_outdated_cache(["Id"], [key])
    return version


def _drop_many(client: MRCClient, server: MRCServer, orders: Orders, key: int) -> int:
    version = client.execute(_update(orders), [key]).insert_id
    server.drop_many("Id", [key, *range(1000, 1100)])
    return version


def _drop_all_of_the_query(client: MRCClient, server: MRCServer, orders: Orders, key: int) -> int:
    version = client.execute(_update(orders), [key]).insert_id
    server.drop_query(orders.query, any_params=True)
    return version


def _drop_in_one_line(client: MRCClient, server: MRCServer, orders: Orders, key: int) -> int:  # noqa: ARG001
    return client.execute(_update(orders), [key], drops={"Id": key}).insert_id


def _drop_inside(client: MRCClient, server: MRCServer, orders: Orders, key: int) -> int:  # noqa: ARG001
    """Through the client itself, in a savepoint that holds; another one is undone."""
    with client.transaction():
        with client.transaction():
            version = client.execute(_update(orders), [key]).insert_id
            client.drop_outdated_cache(["Id"], [key])
        with suppress(LookupError), client.transaction():
            client.execute(_update(orders), [key])
            raise LookupError
    return version


WAYS_TO_DROP = (
    _drop_by_server,
    _drop_by_client,
    _drop_by_query,
    _drop_after_commit,
    _drop_many,
    _drop_all_of_the_query,
    _drop_in_one_line,
    _drop_inside,
)
"""Each makes a row's version the next, drops what that made outdated, and returns the version."""
