"""Threads that read at one time: who asks for whom, and what becomes of them when one is struck down."""

from __future__ import annotations

import gc
import random
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from mysql_redis_cache.errors import CacheUnavailable
from mysql_redis_cache.readthrough.crowd import TURNS, Crowd
from mysql_redis_cache.store import Silent
from tests.support.alarms import Interrupted, strike
from tests.support.forks import in_child
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

SECONDS = 10


class Redis:
    """Answers with the key itself; as the test lets it."""

    def __init__(self) -> None:
        self.asked: list[list[bytes]] = []
        self.may_answer = threading.Semaphore(1_000_000)
        self.failure: BaseException | None = None

    def hold(self) -> None:
        self.may_answer = threading.Semaphore(0)

    def one(self, key: bytes) -> bytes:
        return self.many([key])[0]

    def many(self, keys: Sequence[bytes]) -> list[bytes]:
        self.asked.append(list(keys))
        assert self.may_answer.acquire(timeout=SECONDS)
        if self.failure is not None:
            raise self.failure
        return list(keys)


class Reader(threading.Thread):
    """Reads one key; holds what came of it."""

    def __init__(self, crowd: Crowd[bytes], key: bytes) -> None:
        super().__init__(daemon=True)
        self.crowd, self.key = crowd, key
        self.found: bytes | None = None
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self.found = self.crowd.get(self.key)
        except BaseException as error:
            self.error = error


@pytest.fixture
def redis() -> Redis:
    return Redis()


@pytest.fixture
def crowd(redis: Redis) -> Crowd[bytes]:
    return Crowd(redis.one, redis.many, SECONDS)


@pytest.fixture
def start(crowd: Crowd[bytes], redis: Redis) -> Iterator[Callable[..., list[Reader]]]:
    """Start readers, and see that they end."""
    readers: list[Reader] = []

    def start(count: int, waiting: int) -> list[Reader]:
        """Start *count*, and wait until so many of all wait."""
        new = [Reader(crowd, b"%d" % (len(readers) + number)) for number in range(count)]
        readers.extend(new)
        assert wait_until(lambda: len(crowd._queue) == waiting)
        return new

    yield start
    redis.failure = None
    redis.may_answer = threading.Semaphore(1_000_000)
    for reader in readers:
        reader.join(SECONDS)
        assert not reader.is_alive()


def occupy(start: Callable[..., list[Reader]], redis: Redis) -> list[Reader]:
    """Have all turns taken by readers that Redis does not answer."""
    redis.hold()
    busy = start(TURNS, 0)
    assert wait_until(lambda: len(redis.asked) == TURNS)
    return busy


def end(readers: Sequence[threading.Thread]) -> None:
    for reader in readers:
        reader.join(SECONDS)
        assert not reader.is_alive()


def test_a_lone_thread_asks_for_itself(crowd: Crowd[bytes], redis: Redis) -> None:
    """One after another: a question each, and nobody waits."""
    assert [crowd.get(b"%d" % number) for number in range(3)] == [b"0", b"1", b"2"]
    assert redis.asked == [[b"0"], [b"1"], [b"2"]]
    assert len(crowd._turns) == TURNS


def test_those_who_come_meanwhile_are_one_batch(
    crowd: Crowd[bytes], redis: Redis, start: Callable[..., list[Reader]]
) -> None:
    """The first of them asks for all as soon as a turn is free."""
    busy = occupy(start, redis)
    waiting = start(5, 5)
    redis.may_answer.release()
    assert wait_until(lambda: len(redis.asked) == TURNS + 1)
    assert sorted(redis.asked[-1]) == sorted(reader.key for reader in waiting)
    redis.may_answer.release(TURNS)
    end([*busy, *waiting])

    assert [reader.found for reader in (*busy, *waiting)] == [reader.key for reader in (*busy, *waiting)]
    assert len(crowd._turns) == TURNS


def test_a_failure_is_everybodys_own(redis: Redis, start: Callable[..., list[Reader]]) -> None:
    """Each raises an exception like it, no two the same."""
    busy = occupy(start, redis)
    waiting = start(4, 4)
    redis.may_answer.release()
    assert wait_until(lambda: len(redis.asked) == TURNS + 1)
    redis.failure = CacheUnavailable("gone")
    redis.may_answer.release(TURNS)
    end([*busy, *waiting])

    errors = [reader.error for reader in waiting]
    assert [type(error) for error in errors] == [CacheUnavailable] * 4
    assert len({id(error) for error in errors}) == 4


def test_who_waits_behind_a_silence_does_not_wait_for_another(
    crowd: Crowd[bytes], redis: Redis, start: Callable[..., list[Reader]]
) -> None:
    """It would be as long again, only to learn the same."""
    busy = occupy(start, redis)
    waiting = start(4, 4)
    redis.failure = Silent("no answer")
    redis.may_answer.release(TURNS)
    end([*busy, *waiting])

    assert [type(reader.error) for reader in waiting] == [Silent] * 4
    assert len(redis.asked) == TURNS
    assert len(crowd._turns) == TURNS


def test_a_leader_that_is_interrupted_leaves_nobody_waiting(
    crowd: Crowd[bytes], redis: Redis, start: Callable[..., list[Reader]]
) -> None:
    """Those it asked for ask for themselves, at once."""
    busy = occupy(start, redis)
    waiting = start(4, 4)
    redis.may_answer.release()
    assert wait_until(lambda: len(redis.asked) == TURNS + 1)
    redis.failure = KeyboardInterrupt()
    redis.may_answer.release(TURNS)
    assert wait_until(lambda: sum(reader.error is not None for reader in waiting) == 1)
    redis.failure = None
    redis.may_answer.release(100)
    end([*busy, *waiting])

    leader = next(reader for reader in waiting if reader.error is not None)
    assert [reader.found for reader in waiting if reader is not leader] == [
        reader.key for reader in waiting if reader is not leader
    ]


def test_turns_that_were_lost_are_made_anew(crowd: Crowd[bytes]) -> None:
    """Whoever was struck between taking one and giving it back had the only reference to it."""
    for _ in range(3):
        taken = [crowd._taken() for _ in range(TURNS)]
        assert not crowd._turns
        del taken
        gc.collect()
        assert len(crowd._turns) == TURNS
    assert [crowd.get(b"%d" % number) for number in range(5)] == [b"0", b"1", b"2", b"3", b"4"]
    assert len(crowd._known) == TURNS


def test_who_is_forgotten_asks_for_itself(redis: Redis) -> None:
    """Within a bound, whatever became of those who had the turns."""
    crowd = Crowd(redis.one, redis.many, 0.05)
    lost = [crowd._taken() for _ in range(TURNS)]

    assert crowd.get(b"key") == b"key"
    assert not crowd._queue
    del lost


def test_a_turn_given_too_late_goes_to_the_next(redis: Redis) -> None:
    """One who has given up waiting does not keep it."""
    crowd = Crowd(redis.one, redis.many, 0.05)
    turns = [crowd._taken() for _ in range(TURNS)]
    original = redis.one

    def late(key: bytes) -> bytes:
        # It has given up waiting by now, but is still there to be found.
        crowd._one = original
        crowd._pass_on(turns.pop())
        return original(key)

    crowd._one = late

    assert crowd.get(b"key") == b"key"
    assert len(crowd._turns) == 1


def test_a_read_in_a_signal_handler_does_not_wait_for_the_thread_it_interrupts(redis: Redis) -> None:
    """All turns may be that thread's own: the wait is bounded."""
    crowd = Crowd(redis.one, redis.many, 0.05)
    original = redis.one
    depth = 0

    def nested(key: bytes) -> bytes:
        nonlocal depth
        depth += 1
        if depth <= TURNS + 1:
            assert crowd.get(b"inner") == b"inner"
        return original(key)

    crowd._one = nested

    assert crowd.get(b"outer") == b"outer"
    assert len(crowd._turns) == TURNS


def test_a_child_begins_anew(crowd: Crowd[bytes], redis: Redis, start: Callable[..., list[Reader]]) -> None:
    """The parent's threads, whoever waited for them, and their turns are not there."""
    busy = occupy(start, redis)
    waiting = start(2, 2)

    def work() -> Any:
        redis.may_answer = threading.Semaphore(1_000_000)
        return [crowd.get(b"child").decode(), len(crowd._queue), len(crowd._turns)]

    assert in_child(work) == ["child", 0, TURNS]
    redis.may_answer.release(100)
    end([*busy, *waiting])


class Struck(threading.Thread):
    """Reads again and again, whatever strikes it."""

    def __init__(self, crowd: Crowd[bytes]) -> None:
        super().__init__(daemon=True)
        self.crowd, self.is_over = crowd, False
        self.done = self.wrong = 0
        self.start()

    def run(self) -> None:
        while not self.is_over:
            with suppress(Interrupted):
                self._read_on()

    def _read_on(self) -> None:
        while not self.is_over:
            key = b"%d-%d" % (self.ident or 0, self.done)
            self.wrong += self.crowd.get(key) != key
            self.done += 1


def test_exceptions_that_strike_anywhere() -> None:
    """Threads that are struck at random among others: nobody has another's answer, and all go on."""

    def many(keys: Sequence[bytes]) -> list[bytes]:
        time.sleep(0.0001)  # others run meanwhile, as they do while Redis is waited for
        return list(keys)

    crowd = Crowd(lambda key: many([key])[0], many, 0.2)
    readers = [Struck(crowd) for _ in range(8)]
    dice = random.Random(1)
    for _ in range(200):
        strike(dice.choice(readers[:4]))
        time.sleep(0.001)
    before = [reader.done for reader in readers]
    assert wait_until(lambda: all(reader.done > then for reader, then in zip(readers, before, strict=True)))
    for reader in readers:
        reader.is_over = True
    end(readers)

    assert [reader.wrong for reader in readers] == [0] * 8
    gc.collect()
    assert wait_until(lambda: len(crowd._turns) == TURNS)
    assert crowd.get(b"last") == b"last"
