"""Exceptions that strike anywhere: nobody gets another's rows, and nothing leaks."""

from __future__ import annotations

import gc
import os
import random
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from mysql_redis_cache import AsyncMRCClient, MRCClient
from mysql_redis_cache.keys.naming import lease_name
from mysql_redis_cache.readthrough.steps import Fill, Wait
from tests.support.alarms import Interrupted, alarms, strike
from tests.support.urls import patient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis

    from tests.support.proxy import Proxy

# The long form: MRC_CHAOS_OPERATIONS=100000 pytest tests/chaos/test_interruptions.py --timeout 7200
OPERATIONS = int(os.environ.get("MRC_CHAOS_OPERATIONS", "1000"))
POOL = 3
KEYS = 40
QUERY = "SELECT ? AS id, REPEAT(?, 200) AS pad"
ROWS = " UNION ALL ".join(
    f"SELECT {number} AS id, '{str(number % 10) * 200}' AS pad" for number in range(KEYS)
)
LIST = f"SELECT id, pad FROM ({ROWS}) AS numbers WHERE id IN (?)"


@pytest.fixture(autouse=True)
def finalizers_may_be_struck_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python reports that and goes on; pytest's own hook would be struck in turn."""
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)


def truth(number: int) -> list[dict[str, Any]]:
    return [{"id": number, "pad": str(number % 10) * 200}]


def arguments(number: int) -> tuple[str, list[Any], list[str]]:
    return QUERY, [number, str(number % 10)], ["Id"]


def direct(client: MRCClient, number: int) -> bool:
    return bool(client.query(QUERY, [number, str(number % 10)]) == truth(number))


def cached(client: MRCClient, number: int) -> bool:
    return bool(client.query_with_cache(*arguments(number), 60) == truth(number))


def many(client: MRCClient, number: int) -> bool:
    numbers = [number, (number + 1) % KEYS, (number + 7) % KEYS]
    return client.query_many_with_cache([arguments(n) for n in numbers], 60) == [truth(n) for n in numbers]


def listed(client: MRCClient, number: int) -> bool:
    numbers = [number, (number + 1) % KEYS, (number + 7) % KEYS, KEYS]
    rows = client.get_many(LIST, numbers, key="id", name="Row", ttl=60)
    return rows == {n: truth(n)[0] for n in numbers[:3]}


def peek(client: MRCClient, number: int) -> bool:
    return client.read_from_cache(*arguments(number), default=None) in (None, truth(number))


def write(client: MRCClient, number: int) -> bool:
    query, params, names = arguments(number)
    client.write_to_cache(query, truth(number), params, names, 60)
    return True


def drop(client: MRCClient, number: int) -> bool:
    return client.drop_outdated_cache(["Id"], [number]) in (0, 1)


def transact(client: MRCClient, number: int) -> bool:
    with client.transaction() as tx:
        return bool(tx.query(QUERY, [number, str(number % 10)]) == truth(number))


WORK: list[Callable[[MRCClient, int], bool]] = [
    direct,
    cached,
    cached,
    many,
    listed,
    peek,
    write,
    drop,
    transact,
]


def check_whole(client: MRCClient, redis_client: redis.Redis, before: int) -> None:
    """No place of the pool is lost, all of them work, and Redis connections are few."""
    pool = client._core.database.pool
    until = time.monotonic() + 5
    while pool.in_use and time.monotonic() < until:
        time.sleep(0.01)
    assert pool.in_use == 0
    gc.collect()  # an exception in a cycle keeps the frames it struck, and what those held
    leases = [pool.connection(timeout=1) for _ in range(POOL)]
    for number, lease in enumerate(leases):
        with lease.__enter__().cursor() as cursor:
            cursor.execute("SELECT %s", (number,))
            assert cursor.fetchall() == ((number,),)
    assert pool.in_use == POOL
    for lease in leases:
        lease.__exit__(None, None, None)
    assert len(redis_client.client_list()) - before <= 10
    for number in range(KEYS):
        assert direct(client, number)
        assert cached(client, number)


def test_alarms_at_any_moment(mysql_url: str, redis_url: str, redis_client: redis.Redis) -> None:
    """Thousands of operations, an exception out of a signal handler in every other one: no wrong result."""
    dice = random.Random(4)
    before = len(redis_client.client_list())
    done = interrupted = wrong = failed = 0
    with (
        MRCClient(f"{mysql_url}?maxsize={POOL}&pool_timeout=5", redis_url, wait_timeout=0.3) as client,
        alarms() as alarm,
    ):
        for number in range(KEYS):
            cached(client, number)
        for _ in range(OPERATIONS):
            work, number = dice.choice(WORK), dice.randrange(KEYS)
            try:
                try:
                    alarm(dice.choice([0, 1]) * dice.uniform(1e-5, 8e-4))
                    right = work(client, number)
                finally:
                    alarm(0)
                done += 1
                wrong += not right
            except Interrupted:
                interrupted += 1
            except Exception as error:
                failed += 1
                print(f"{work.__name__}: {type(error).__name__}: {error}")
        check_whole(client, redis_client, before)
    print(f"{OPERATIONS} operations: {done} done, {interrupted} interrupted, {failed} failed, {wrong} wrong")
    assert wrong == 0
    assert failed == 0
    assert interrupted > OPERATIONS / 20


def test_exceptions_raised_in_threads(mysql_url: str, redis_url: str, redis_client: redis.Redis) -> None:
    """As Python's PyThreadState_SetAsyncExc does, in several threads at once."""
    before = len(redis_client.client_list())
    counts = {"done": 0, "interrupted": 0, "wrong": 0}
    failures: list[BaseException] = []
    stop = threading.Event()

    def loop(seed: int) -> None:
        dice = random.Random(seed)
        while not stop.is_set():
            try:
                work, number = dice.choice(WORK), dice.randrange(KEYS)
                right = work(client, number)
                counts["done"] += 1
                counts["wrong"] += not right
            except Interrupted:
                counts["interrupted"] += 1
            except BaseException as error:
                failures.append(error)

    def protected(seed: int) -> None:
        while not stop.is_set():
            with suppress(Interrupted):
                loop(seed)

    with MRCClient(f"{mysql_url}?maxsize={POOL}&pool_timeout=5", redis_url, wait_timeout=0.3) as client:
        threads = [threading.Thread(target=protected, args=(seed,)) for seed in range(6)]
        for thread in threads:
            thread.start()
        until = time.monotonic() + max(4.0, OPERATIONS / 1500)
        dice = random.Random(5)
        while time.monotonic() < until:
            time.sleep(dice.uniform(0, 0.01))
            strike(dice.choice(threads))
        stop.set()
        for thread in threads:
            thread.join(30)
        assert not any(thread.is_alive() for thread in threads)
        check_whole(client, redis_client, before)
    print(counts, {type(error).__name__: str(error) for error in failures})
    assert counts["wrong"] == 0
    assert not failures
    assert counts["interrupted"] > 20


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt, also in a process whose shell started it in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_ctrl_c_in_an_event_loop(
    backend: str, mysql_url: str, redis_url: str, redis_client: redis.Redis
) -> None:
    """The loop ends at whatever moment, nothing is left, and the next loop works with the same facade."""
    dice, rounds = random.Random(6), max(20, OPERATIONS // 500)
    before = len(redis_client.client_list())

    async def read_for_ever(facade: AsyncMRCClient, seed: int, began: threading.Event) -> None:
        numbers = random.Random(seed)
        while True:
            number = numbers.randrange(KEYS)
            refresh = numbers.random() < 0.3
            rows = await facade.query_with_cache(*arguments(number), 60, refresh=refresh)
            assert rows == truth(number)
            began.set()

    async def crowd(facade: AsyncMRCClient, began: threading.Event) -> None:
        async with anyio.create_task_group() as tasks:
            for seed in range(8):
                tasks.start_soon(read_for_ever, facade, seed, began)

    def interrupt(began: threading.Event, seconds: float) -> None:
        assert began.wait(30)
        time.sleep(seconds)
        os.kill(os.getpid(), signal.SIGINT)

    with MRCClient(f"{mysql_url}?maxsize={POOL}&pool_timeout=5", patient(redis_url)) as client:
        facade = AsyncMRCClient(client)
        for _ in range(rounds):
            began = threading.Event()
            presser = threading.Thread(target=interrupt, args=(began, dice.uniform(0, 0.02)))
            presser.start()
            with pytest.raises(BaseException) as caught:
                anyio.run(crowd, facade, began, backend=backend)
            presser.join()
            assert isinstance(caught.value, KeyboardInterrupt) or caught.group_contains(KeyboardInterrupt)
        until = time.monotonic() + 5
        while redis_client.keys("*:lease") and time.monotonic() < until:
            time.sleep(0.01)

        assert not redis_client.keys("*:lease")
        assert len(client._core.flights) == 0
        check_whole(client, redis_client, before)


@pytest.mark.parametrize("stage", ["acquire", "fill"])
def test_an_interrupted_read_gives_its_lease_back(
    stage: str, mysql_url: str, redis_url: str, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Struck when Redis has the command and the answer is not in yet: the next reader need not wait."""
    with MRCClient(mysql_url, redis_url) as client:
        entries: Any = client._core.cache.entries
        real = getattr(entries, stage)

        def struck(*args: Any) -> Any:
            if stage == "acquire":
                real(*args)
                assert redis_client.keys("*:lease")
            raise Interrupted

        with monkeypatch.context() as patched:
            patched.setattr(entries, stage, struck)
            with pytest.raises(Interrupted):
                cached(client, 1)
        until = time.monotonic() + 5  # of the ten seconds of a lease
        while redis_client.keys("*:lease") and time.monotonic() < until:
            time.sleep(0.01)

        assert not redis_client.keys("*:lease")
        assert not client._core.cache._keeper._held
        assert cached(client, 1)


def test_a_lease_whose_read_got_lost_is_not_renewed(
    mysql_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Struck once more while it ends, a read gives nothing back; its lease must not be kept for it."""
    with MRCClient(mysql_url, redis_url) as client:
        core: Any = client._core

        def struck(*_: Any) -> Any:
            raise Interrupted

        with monkeypatch.context() as patched:
            patched.setitem(client._driver._performers, Fill, struck)
            patched.setattr(core, "end", struck)
            with pytest.raises(Interrupted):
                cached(client, 1)
        gc.collect()
        ((_, renew),) = core.cache._keeper._held.values()

        assert not renew()


@pytest.mark.parametrize("stage", ["loading", "waiting"])
def test_an_interruption_is_nobody_elses(
    stage: str, mysql_url: str, redis_url: str, redis_client: redis.Redis
) -> None:
    """The one who is struck raises it; those who waited for his load start over and get their rows."""
    with MRCClient(mysql_url, redis_url) as client:
        core: Any = client._core
        key = client.get_key_from_query(*arguments(1)).encode()
        strikes = [Interrupted()]

        def strike_the_leader(real: Callable[..., Any], *args: Any, **options: Any) -> Any:
            if not strikes:
                return real(*args, **options)
            strike = strikes.pop()
            flight = core.flights._open[key]
            while not flight._wakers:  # until somebody waits for it
                time.sleep(0.001)
            redis_client.delete(lease_name(key))
            raise strike

        if stage == "loading":
            core.database.query = partial(strike_the_leader, core.database.query)
        else:
            redis_client.set(lease_name(key), b"somebody else's", px=60_000)
            client._driver._performers[Wait] = partial(strike_the_leader, client._driver._performers[Wait])
        with ThreadPoolExecutor(2) as threads:
            outcomes = list(threads.map(partial(outcome_of, client), [1, 1]))

        assert sorted(outcomes, key=str) == [Interrupted, True]


def outcome_of(client: MRCClient, number: int) -> object:
    try:
        return cached(client, number)
    except Exception as error:
        return type(error)


class SoftTimeLimitExceeded(Exception):
    """As a task queue raises it out of a signal handler."""


@pytest.mark.parametrize("way", ["transaction", "execute"])
def test_what_strikes_between_commit_and_drops_leaves_them_to_a_thread(
    mysql_url: str, redis_url: str, proxy_to: Callable[..., Proxy], way: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Lost, the old rows would stay for their ttl; it passes, and says what goes on."""
    proxy = proxy_to(redis_url)

    def interrupt(*_: object) -> None:
        proxy.resume()
        raise SoftTimeLimitExceeded

    def strike_at_the_walk(requests: bytes) -> bytes:
        if b"SCAN" in requests:
            proxy.corrupt(None, "requests")
            proxy.pause("replies")
            os.kill(os.getpid(), signal.SIGALRM)
        return requests

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with MRCClient(mysql_url, patient(proxy.url)) as client:
            client.write_to_cache("f", 1, [7], ["Id"])
            proxy.corrupt(strike_at_the_walk, "requests")
            with pytest.raises(SoftTimeLimitExceeded) as caught:
                write_and_drop(client, way)
            [behind] = [each for each in threading.enumerate() if each.name == "mysql_redis_cache-drops"]
            assert not behind.daemon
            behind.join(20)
            assert client.read_from_cache("f", [7], ["Id"]) is None
    finally:
        signal.signal(signal.SIGALRM, before)
    assert any("go on in a thread" in note for note in caught.value.__notes__)
    assert "SoftTimeLimitExceeded struck before they had ended" in caplog.text


def write_and_drop(client: MRCClient, way: str) -> None:
    """Write something that is followed by a drop."""
    if way == "execute":
        client.execute("DO 1", drops={"Id": 7})
        return
    with client.transaction() as tx:
        tx.execute("DO 1")
        tx.drop_outdated_cache(["Id"], [7])
