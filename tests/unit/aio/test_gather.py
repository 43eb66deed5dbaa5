"""Concurrent calls of one event loop: which of them share a thread hop, and what becomes of the rest."""

from __future__ import annotations

import itertools
import threading
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from mysql_redis_cache.aio import gather as gathering
from mysql_redis_cache.aio.gather import Gather
from mysql_redis_cache.aio.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

pytestmark = pytest.mark.anyio

SECONDS = 10
SMALL, LARGE = b"x", b"x" * (gathering.LARGE_BYTES + 1)


@dataclass
class Ask:
    """Asks for a value of so many bytes; what comes back is its number."""

    number: int
    value: bytes = SMALL
    query: str = "q"


class Redis:
    """Answers batches, one at a time as the test lets it."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.may_answer = threading.Semaphore(1000)

    def hold(self) -> None:
        self.may_answer = threading.Semaphore(0)

    def perform(self, asked: Sequence[Ask]) -> list[bytes]:
        self.batches.append([ask.number for ask in asked])
        assert self.may_answer.acquire(timeout=SECONDS)
        return [ask.value for ask in asked]

    @staticmethod
    def decode(asked: Sequence[Ask], answers: Sequence[bytes]) -> list[int]:
        return [ask.number for ask in asked]


@pytest.fixture
def redis() -> Redis:
    return Redis()


@pytest.fixture
def gather(redis: Redis) -> Gather[Ask]:
    return Gather(redis.perform, Workers(), redis.decode)


async def until(is_so: Callable[[], bool]) -> None:
    with anyio.fail_after(SECONDS):
        while not is_so():
            await anyio.sleep(0.001)


async def ask_all(gather: Gather[Ask], asks: Sequence[Ask]) -> list[Any]:
    """Ask in tasks of their own; return the outcomes in the order they came."""
    outcomes: list[Any] = []

    async def one(ask: Ask) -> None:
        outcomes.append(await gather.get(ask))

    with anyio.fail_after(SECONDS):
        async with anyio.create_task_group() as tasks:
            for ask in asks:
                tasks.start_soon(one, ask)
    return outcomes


async def test_who_comes_while_a_batch_is_out_shares_the_next(redis: Redis, gather: Gather[Ask]) -> None:
    """Two round trips for fifteen calls."""
    redis.hold()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(gather.get, Ask(0))
        await until(lambda: bool(redis.batches))
        for number in range(1, 15):
            tasks.start_soon(gather.get, Ask(number))
        await anyio.wait_all_tasks_blocked()
        redis.may_answer.release(2)

    assert [sorted(batch) for batch in redis.batches] == [[0], list(range(1, 15))]


async def test_all_who_are_ready_share_one_batch(redis: Redis, gather: Gather[Ask]) -> None:
    """Once the size of the answers is known, one hop serves them all."""
    await gather.get(Ask(0))
    redis.batches.clear()
    outcomes = await ask_all(gather, [Ask(number) for number in range(100)])

    assert sorted(outcomes) == list(range(100))
    assert len(redis.batches) <= 4  # one, unless the thread begins before all have asked


async def test_batches_are_bounded_in_number(redis: Redis, gather: Gather[Ask]) -> None:
    """A thousand callers are several round trips."""
    await gather.get(Ask(0))
    await ask_all(gather, [Ask(number) for number in range(1000)])

    assert max(map(len, redis.batches)) <= gathering.MAX_BATCH


@pytest.mark.parametrize("known", [False, True], ids=["size unknown", "size known"])
async def test_batches_are_bounded_in_bytes(redis: Redis, gather: Gather[Ask], known: bool) -> None:
    """What the answers to a query took last is what they are expected to take."""
    if known:
        await gather.get(Ask(0, LARGE))
    redis.batches.clear()
    await ask_all(gather, [Ask(number, LARGE) for number in range(100)])

    expected = len(LARGE) if known else gathering.UNKNOWN_BYTES
    assert max(map(len, redis.batches)) <= gathering.MAX_BYTES // expected + 1


async def test_large_values_come_after_the_small_ones(redis: Redis) -> None:
    """Who asked for little does not wait until much is decoded."""
    redis.hold()
    outcomes: list[int] = []
    may_decode_large = threading.Event()

    def decode(asked: Sequence[Ask], answers: Sequence[bytes]) -> list[int]:
        if LARGE in answers:
            assert may_decode_large.wait(SECONDS)
        return [ask.number for ask in asked]

    async def one(ask: Ask) -> None:
        outcomes.append(await gather.get(ask))

    gather = Gather(redis.perform, Workers(), decode)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one, Ask(0))
        await until(lambda: bool(redis.batches))
        for ask in (Ask(1, LARGE), Ask(2), Ask(3, LARGE), Ask(4)):
            tasks.start_soon(one, ask)
        await anyio.wait_all_tasks_blocked()
        redis.may_answer.release(2)
        await until(lambda: len(outcomes) == 3)
        may_decode_large.set()

    assert len(redis.batches) == 2
    assert set(outcomes) == {0, 1, 2, 3, 4}


async def test_a_slow_batch_does_not_hold_up_the_next(redis: Redis, gather: Gather[Ask]) -> None:
    """Patience is short, and there may be a few at a time, not many."""
    redis.hold()
    async with anyio.create_task_group() as tasks:
        for number in range(gathering.MAX_OUT + 3):
            tasks.start_soon(gather.get, Ask(number))
            await until(lambda n=number: len(redis.batches) >= min(n + 1, gathering.MAX_OUT))
        await anyio.sleep(10 * gathering.PATIENCE)
        assert len(redis.batches) == gathering.MAX_OUT
        redis.may_answer.release(100)

    assert sorted(itertools.chain(*redis.batches)) == list(range(gathering.MAX_OUT + 3))


@pytest.mark.parametrize("number", range(4))
async def test_a_cancelled_caller_harms_nobody(redis: Redis, gather: Gather[Ask], number: int) -> None:
    """Not the one who opened the batch, and not one who joined it."""
    redis.hold()
    outcomes: list[int] = []
    scopes = [anyio.CancelScope() for _ in range(4)]

    async def one(ask: Ask) -> None:
        with scopes[ask.number]:
            outcomes.append(await gather.get(ask))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(gather.get, Ask(9))
        await until(lambda: bool(redis.batches))
        for each in range(4):
            tasks.start_soon(one, Ask(each))
        await anyio.wait_all_tasks_blocked()
        scopes[number].cancel()
        redis.may_answer.release(100)

    assert sorted(outcomes) == [each for each in range(4) if each != number]


@pytest.mark.parametrize("failing", ["perform", "decode"])
async def test_a_failure_reaches_all_of_the_batch(failing: str) -> None:
    """Each raises an exception of its own, and the next batch is none the worse."""
    fails = True

    def perform(asked: Sequence[Ask]) -> list[bytes]:
        if failing == "perform" and fails:
            raise LookupError("no")
        return [SMALL] * len(asked)

    def decode(asked: Sequence[Ask], answers: Sequence[bytes]) -> list[int]:
        if failing == "decode" and fails:
            raise LookupError("no")
        return [ask.number for ask in asked]

    gather, failures = Gather(perform, Workers(), decode), []

    async def one(number: int) -> None:
        with pytest.raises(LookupError, match="no") as caught:
            await gather.get(Ask(number))
        failures.append(caught.value)

    async with anyio.create_task_group() as tasks:
        for number in range(5):
            tasks.start_soon(one, number)
    fails = False

    assert len({id(failure) for failure in failures}) == 5
    assert await gather.get(Ask(7)) == 7


async def test_the_lack_of_threads_is_told(redis: Redis) -> None:
    """To all who wait for one."""

    class NoWorkers(Workers):
        def run(self, job: Callable[[], None]) -> None:
            raise RuntimeError("can't start new thread")

    gather = Gather(redis.perform, NoWorkers(), redis.decode)
    for number in range(2):
        with pytest.raises(RuntimeError, match="can't start"), anyio.fail_after(SECONDS):
            await gather.get(Ask(number))


async def test_callers_do_not_keep_each_others_values_alive(redis: Redis) -> None:
    """What one has thrown away is free, though another of its batch still waits."""
    redis.hold()
    may_decode_large = threading.Event()
    gone: list[int] = []

    class Value:
        pass

    def decode(asked: Sequence[Ask], answers: Sequence[bytes]) -> list[Value]:
        if LARGE in answers:
            assert may_decode_large.wait(SECONDS)
        return [Value() for _ in asked]

    async def one(ask: Ask) -> None:
        value = await gather.get(ask)
        weakref.finalize(value, gone.append, ask.number)
        del value

    gather = Gather(redis.perform, Workers(), decode)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one, Ask(0))
        await until(lambda: bool(redis.batches))
        for ask in (Ask(1), Ask(2, LARGE)):
            tasks.start_soon(one, ask)
        await anyio.wait_all_tasks_blocked()
        redis.may_answer.release(2)
        await until(lambda: 1 in gone)
        assert 2 not in gone
        may_decode_large.set()
