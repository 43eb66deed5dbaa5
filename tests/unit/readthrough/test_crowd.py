"""Threads that read at one time: who asks for whom, and what becomes of them when one is struck down."""

from __future__ import annotations

import random
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from mysql_redis_cache.errors import CacheUnavailable
from mysql_redis_cache.readthrough.crowd import AT_FIRST, COMPUTING, EBB, FEW, Crowd
from mysql_redis_cache.store import Silent
from tests.support.alarms import Interrupted, strike
from tests.support.forks import in_child
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

SECONDS = 10
ROOM = 2
MANY = 100


class Redis:
    """Answers with the key itself; as the test lets it."""

    def __init__(self) -> None:
        self.asked: list[list[bytes]] = []
        self.may_answer = threading.Semaphore(1_000_000)
        self.failure: BaseException | None = None
        self.fails_batches_only = False

    def hold(self) -> None:
        self.may_answer = threading.Semaphore(0)

    def one(self, key: bytes) -> bytes:
        return self.many([key])[0]

    def many(self, keys: Sequence[bytes]) -> list[bytes]:
        self.asked.append(list(keys))
        assert self.may_answer.acquire(timeout=SECONDS)
        if self.failure is not None and (len(keys) > 1 or not self.fails_batches_only):
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


def crowd_of(
    one: Callable[[bytes], bytes], many: Callable[[Sequence[bytes]], Sequence[bytes]], timeout: float
) -> Crowd[bytes]:
    """A crowd as of many threads, with room for two, which no measurement changes."""
    crowd = Crowd(one, many, timeout)
    crowd.room, crowd._quickest, crowd._most = ROOM, 0.0, MANY
    return crowd


@pytest.fixture
def crowd(redis: Redis) -> Crowd[bytes]:
    return crowd_of(redis.one, redis.many, SECONDS)


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
    """Have as many as there is room for on their way, readers that Redis does not answer."""
    redis.hold()
    busy = start(ROOM, 0)
    assert wait_until(lambda: len(redis.asked) == ROOM)
    return busy


def end(readers: Sequence[threading.Thread]) -> None:
    for reader in readers:
        reader.join(SECONDS)
        assert not reader.is_alive()


def test_a_lone_thread_asks_for_itself(crowd: Crowd[bytes], redis: Redis) -> None:
    """One after another: a question each, and nobody waits."""
    assert [crowd.get(b"%d" % number) for number in range(3)] == [b"0", b"1", b"2"]
    assert redis.asked == [[b"0"], [b"1"], [b"2"]]
    assert not crowd._under_way


def test_those_who_come_meanwhile_are_one_batch(
    crowd: Crowd[bytes], redis: Redis, start: Callable[..., list[Reader]]
) -> None:
    """The first of them asks for all as soon as there is room."""
    busy = occupy(start, redis)
    waiting = start(5, 5)
    redis.may_answer.release()
    assert wait_until(lambda: len(redis.asked) == ROOM + 1)
    assert sorted(redis.asked[-1]) == sorted(reader.key for reader in waiting)
    redis.may_answer.release(ROOM)
    end([*busy, *waiting])

    assert [reader.found for reader in (*busy, *waiting)] == [reader.key for reader in (*busy, *waiting)]
    assert not crowd._under_way


def test_few_ask_each_for_itself(
    crowd: Crowd[bytes], redis: Redis, start: Callable[..., list[Reader]]
) -> None:
    """Whatever room there is; one more is a crowd, and for some reads after it was there they are, too."""
    crowd._most = 0
    redis.hold()
    few = start(FEW, 0)
    assert wait_until(lambda: len(redis.asked) == FEW)
    one_more = start(1, 1)
    redis.may_answer.release(MANY)
    end([*few, *one_more])
    redis.asked.clear()
    busy = occupy(start, redis)
    waiting = start(1, 1)
    redis.may_answer.release(1000)
    end([*busy, *waiting])
    for _ in range(int(FEW / EBB)):
        crowd.get(b"alone")
    redis.hold()
    start(FEW, 0)

    assert wait_until(lambda: len(redis.asked[-FEW:]) == FEW and len(crowd._under_way) == FEW)


def test_a_failure_is_everybodys_own(redis: Redis, start: Callable[..., list[Reader]]) -> None:
    """Each raises an exception like it, no two the same."""
    busy = occupy(start, redis)
    waiting = start(4, 4)
    redis.may_answer.release()
    assert wait_until(lambda: len(redis.asked) == ROOM + 1)
    redis.failure = CacheUnavailable("gone")
    redis.may_answer.release(ROOM)
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
    redis.may_answer.release(ROOM)
    end([*busy, *waiting])

    assert [type(reader.error) for reader in waiting] == [Silent] * 4
    assert len(redis.asked) == ROOM
    assert not crowd._under_way


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, TimeoutError], ids=["Ctrl-C", "a soft limit"])
def test_a_leader_that_is_interrupted_leaves_nobody_waiting(
    crowd: Crowd[bytes],
    redis: Redis,
    start: Callable[..., list[Reader]],
    interruption: type[BaseException],
) -> None:
    """Those it asked for ask for themselves, at once."""
    busy = occupy(start, redis)
    waiting = start(4, 4)
    redis.may_answer.release()
    assert wait_until(lambda: len(redis.asked) == ROOM + 1)
    redis.failure, redis.fails_batches_only = interruption(), True
    redis.may_answer.release(100)
    end([*busy, *waiting])

    struck = [reader for reader in waiting if reader.error is not None]
    others = [reader for reader in waiting if reader.error is None]
    assert [type(reader.error) for reader in struck] == [interruption]
    assert [reader.found for reader in others] == [reader.key for reader in others]


def test_who_was_struck_takes_no_room_for_long(crowd: Crowd[bytes]) -> None:
    """Its mark goes with its next read, whatever that one finds."""
    crowd._under_way.update({threading.get_ident(): True, 1: True})

    assert crowd.get(b"key") == b"key"
    assert list(crowd._under_way) == [1]


def test_who_is_forgotten_asks_for_itself(redis: Redis) -> None:
    """Within a bound, and whoever took the room without being there takes it no more."""
    crowd = crowd_of(redis.one, redis.many, 0.05)
    crowd._under_way.update({1: True, 2: True})

    assert crowd.get(b"key") == b"key"
    assert not crowd._queue
    assert not crowd._under_way


def test_a_lead_given_too_late_goes_to_the_next(
    crowd: Crowd[bytes], redis: Redis, start: Callable[..., list[Reader]]
) -> None:
    """One who is struck, or has given up waiting, does not keep it."""
    busy = occupy(start, redis)
    first, second = start(2, 2)
    ticket = crowd._queue.popleft()
    ticket.leads = True  # it has been called, and has not heard it yet
    crowd._leave(ticket)
    assert wait_until(lambda: not crowd._queue)
    redis.may_answer.release(100)
    ticket.bell.release()
    end([*busy, first, second])

    assert (first.found, second.found) == (first.key, second.key)


def test_a_read_in_a_signal_handler_does_not_wait_for_the_thread_it_interrupts(redis: Redis) -> None:
    """All who are on their way may be that thread itself."""
    crowd = crowd_of(redis.one, redis.many, SECONDS)
    crowd.room = 1
    original, depth = redis.one, 0

    def nested(key: bytes) -> bytes:
        nonlocal depth
        depth += 1
        if depth <= 3:
            assert crowd.get(b"inner") == b"inner"
        return original(key)

    crowd._one = nested

    assert crowd.get(b"outer") == b"outer"
    assert not crowd._under_way


def test_there_is_more_room_where_redis_is_far(redis: Redis) -> None:
    """Waiting for somebody's round trip would take longer than it saves; the quickest answer counts."""
    answers = iter([0.02, 0.01, 0.05])

    def one(key: bytes) -> bytes:
        time.sleep(next(answers))
        return key

    crowd = Crowd(one, redis.many, SECONDS)
    assert crowd.room == AT_FIRST
    crowd.get(b"first")
    assert crowd.room >= 0.02 / COMPUTING
    crowd.get(b"second")
    quickest = crowd.room
    assert quickest >= 0.01 / COMPUTING
    crowd.get(b"third")
    assert crowd.room == quickest


def test_the_way_is_measured_anew_after_a_failure(redis: Redis) -> None:
    """It may lead to another server."""
    crowd = Crowd(redis.one, redis.many, SECONDS)
    crowd.get(b"key")
    near = crowd.room
    redis.failure = CacheUnavailable("gone")
    with pytest.raises(CacheUnavailable):
        crowd.get(b"key")
    redis.failure = None

    def far(key: bytes) -> bytes:
        time.sleep(0.05)
        return key

    crowd._one = far
    crowd.get(b"key")
    assert crowd.room > near
    assert crowd.room >= 0.05 / COMPUTING


def test_a_child_begins_anew(crowd: Crowd[bytes], redis: Redis, start: Callable[..., list[Reader]]) -> None:
    """The parent's threads, and whoever waited for them, are not there."""
    busy = occupy(start, redis)
    waiting = start(2, 2)

    def work() -> Any:
        redis.may_answer = threading.Semaphore(1_000_000)
        return [crowd.get(b"child").decode(), len(crowd._queue), len(crowd._under_way)]

    assert in_child(work) == ["child", 0, 0]
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

    crowd = crowd_of(lambda key: many([key])[0], many, 0.2)
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
    assert crowd.get(b"last") == b"last"
