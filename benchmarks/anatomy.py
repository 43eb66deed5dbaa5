"""What a hit is made of: each part measured alone, from a bare socket to the whole, in turns."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import hiredis
import orjson
import redis
from measure import Figure, Plan, interleave
from report import duration, table
from workload import CACHED_USERS, FEW_QUERY, TTL, Databases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from measure import Operation, Timings
    from workload import Workload

NAMES = ["UserId"]
PLAN, QUICK = Plan(80, 200), Plan(20, 100)
TASKS = 64
ROUNDS, READS, QUICK_READS = 9, 200, 50

SOCKET = "a bare socket: send the request, receive the reply"
PARSED = "… with the request packed and the reply parsed by hiredis"
COMMAND = "… over a connection of the pool, within its timeouts (`store/`)"
GUARDED = "… where the breaker and other threads are looked at first"
KEY = "the key alone (`keys/`)"
READ = "a checked read: statement, params, key"
DECODED = "`orjson.loads` of the reply alone"
HIT = "**a whole hit of `MRCClient`**"
BY_HAND = "`orjson.loads(redis.get(key))`, the key made beforehand"


def anatomy_text(workload: Workload, *, quick: bool) -> str:
    """Measure the parts of a blocking hit, and of one of 64 tasks."""
    from mysql_redis_cache import MRCClient

    way = workload.patient_redis(Databases.COLD)
    with MRCClient(workload.mysql, way) as client:
        with redis.Redis(**workload.redis(Databases.COLD)) as raw:
            raw.flushdb()
            for user in range(1, CACHED_USERS + 1):
                client.query_with_cache(FEW_QUERY, [user], NAMES, TTL)
            blocking = _blocking(workload, client, raw, QUICK if quick else PLAN)
        facade = asyncio.run(_facade(client, QUICK_READS if quick else READS))
    return f"{_blocking_table(blocking)}\n\n{_facade_table(facade)}"


def _blocking(workload: Workload, client: Any, raw: redis.Redis, plan: Plan) -> Timings:
    core = client._core
    users = range(CACHED_USERS + 1)
    keys = [client.get_key_from_query(FEW_QUERY, [user], NAMES).encode() for user in users]
    requests = [hiredis.pack_command((b"GET", key)) for key in keys]
    replies = [raw.get(key) for key in keys]
    reads = [core.reads.of_query(FEW_QUERY, [user], NAMES, TTL) for user in users]
    reader = hiredis.Reader()
    with ExitStack() as closing:
        bare = closing.enter_context(socket.create_connection(("127.0.0.1", workload.redis_port)))
        bare.settimeout(10)
        bare.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        bare.sendall(hiredis.pack_command((b"SELECT", b"%d" % Databases.COLD)))
        bare.recv(100)

        def ask(request: bytes) -> bytes:
            bare.sendall(request)
            return bare.recv(65_536)

        def ask_parsed(key: bytes) -> object:
            reader.feed(ask(hiredis.pack_command((b"GET", key))))
            return reader.gets()

        link = core.links[0]
        return interleave(
            {
                SOCKET: _for_cached_users(lambda user: ask(requests[user])),
                PARSED: _for_cached_users(lambda user: ask_parsed(keys[user])),
                COMMAND: _for_cached_users(lambda user: link.call(b"GET", keys[user])),
                GUARDED: _for_cached_users(lambda user: core.cache._get(reads[user].raw)),
                KEY: _for_cached_users(lambda user: client.get_key_from_query(FEW_QUERY, [user], NAMES)),
                READ: _for_cached_users(lambda user: core.reads.of_query(FEW_QUERY, [user], NAMES, TTL)),
                DECODED: _for_cached_users(lambda user: orjson.loads(replies[user])),  # type: ignore[arg-type]
                HIT: _for_cached_users(lambda user: client.query_with_cache(FEW_QUERY, [user], NAMES, TTL)),
                BY_HAND: _for_cached_users(lambda user: orjson.loads(raw.get(keys[user]))),  # type: ignore[arg-type]
            },
            plan,
        )


def _for_cached_users(work: Callable[[int], object]) -> Operation:
    """As the other parts' of that name, in seconds of this thread's CPU: waiting differs with the machine."""

    def measure(calls: int) -> float:
        users = [number % CACHED_USERS + 1 for number in range(calls)]
        start = time.thread_time()
        for user in users:
            work(user)
        return time.thread_time() - start

    return measure


def _blocking_table(timings: Timings) -> str:
    whole = timings.seconds(HIT).median
    rows = []
    for name in timings.samples:
        seconds = timings.seconds(name).median
        rows.append([name, duration(seconds), f"{seconds / whole:.0%}"])
    return table(["one thread, 10 rows, 1.2 kB", "CPU", "of a hit"], rows)


# ── In the facade ───────────────────────────────────────────────────────────────────────────────────────

ALL = f"**a whole hit of `AsyncMRCClient`, {TASKS} tasks**"
FLOOR = "a task that awaits a future, which another callback sets: asyncio alone"
PARTS = {
    "begin": "packing and sending the `MGET`, its share",
    "receive": "receiving and parsing the reply, its share",
    "decode_many": "decoding and counting",
}


async def _facade(client: Any, reads: int) -> dict[str, Figure]:
    """Return seconds of CPU a hit, by part."""
    from mysql_redis_cache import AsyncMRCClient

    facade = AsyncMRCClient(client)
    samples: dict[str, list[float]] = {}

    async def work(first: int) -> None:
        for number in range(reads):
            await facade.query_with_cache(FEW_QUERY, [(first + number) % CACHED_USERS + 1], NAMES, TTL)

    for turn in range(ROUNDS + 1):
        with _timed(client._core.cache) as spent:
            seconds = await _seconds(work)
        floor = await _seconds(_waiting(reads))
        if turn:
            for name, part in {ALL: seconds, FLOOR: floor, **spent}.items():
                samples.setdefault(name, []).append(part / (TASKS * reads))
    await facade.aclose()
    return {name: Figure.of(values) for name, values in samples.items()}


async def _seconds(work: Any) -> float:
    start = time.process_time()
    await asyncio.gather(*(work(task) for task in range(TASKS)))
    return time.process_time() - start


def _waiting(reads: int) -> Any:
    loop, waiting = asyncio.get_running_loop(), list[asyncio.Future[None]]()

    def publish() -> None:
        woken = waiting.copy()
        waiting.clear()
        for each in woken:
            each.set_result(None)

    async def work(_: int) -> None:
        for _ in range(reads):
            mine = loop.create_future()
            if not waiting:
                loop.call_soon(publish)
            waiting.append(mine)
            await mine

    return work


@contextmanager
def _timed(cache: Any) -> Iterator[dict[str, float]]:
    """Time what is done once a batch, which the watch disturbs least."""
    spent = dict.fromkeys(PARTS, 0.0)

    def timed(name: str) -> Any:
        call = getattr(cache, name)

        def timed_call(*args: Any, **options: Any) -> Any:
            start = time.thread_time()
            try:
                return call(*args, **options)
            finally:
                spent[name] += time.thread_time() - start

        return timed_call

    for name in PARTS:
        setattr(cache, name, timed(name))
    try:
        yield spent
    finally:
        for name in PARTS:
            delattr(cache, name)


def _facade_table(figures: dict[str, Figure]) -> str:
    whole = figures[ALL].median
    rest = whole - sum(figures[name].median for name in (*PARTS, FLOOR))
    parts = {
        **{said: figures[name].median for name, said in PARTS.items()},
        FLOOR: figures[FLOOR].median,
        "the rest: the call, the checked read, its batch, freeing the rows": rest,
        ALL: whole,
    }
    rows = [[said, duration(seconds), f"{seconds / whole:.0%}"] for said, seconds in parts.items()]
    return table([f"{TASKS} tasks, asyncio", "CPU", "of a hit"], rows)
