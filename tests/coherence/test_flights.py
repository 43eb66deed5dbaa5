"""Flights and leases: one load per cold key over threads, tasks and processes, and what ends a load early."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mysql_redis_cache import AsyncMRCClient, MRCClient
from mysql_redis_cache.keys.naming import lease_name
from mysql_redis_cache.readthrough.flight import AGAIN, Flight, Flights, Landing
from tests.coherence.callers import NAMES, SIGNATURE, call_together, load_for_ever, set_lease

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis

    from tests.interop.peer import Peer

# Nothing here takes long, so whoever waits this long waits in vain.
SECONDS = 15.0
PROCESSES, CALLERS = 4, 25
NOBODY = -1
spawn = multiprocessing.get_context("spawn")


class Paused:
    """A load that begins and ends when the test says so."""

    def __init__(self, value: object = "slow") -> None:
        self.began = threading.Event()
        self.may_end = threading.Event()
        self.calls = 0
        self._value = value

    def __call__(self) -> object:
        self.calls += 1
        self.began.set()
        assert self.may_end.wait(SECONDS)
        if isinstance(self._value, Exception):
            raise self._value
        return self._value


class Twins:
    """Two clients that stand for two processes, and threads to use them."""

    def __init__(self, mysql_url: str, redis_url: str) -> None:
        self.one = MRCClient(mysql_url, redis_url)
        self.other = MRCClient(mysql_url, redis_url, wait_timeout=SECONDS)
        self.key = self.one.get_key_from_query(SIGNATURE, [1], NAMES)
        self.lease = lease_name(self.key.encode())
        self.threads = ThreadPoolExecutor(40)

    def get(self, client: MRCClient, load: Callable[[], object]) -> Any:
        return client.with_cache(load, SIGNATURE, [1], NAMES)

    @contextmanager
    def loading(self, client: MRCClient, load: Paused) -> Iterator[Any]:
        """Have *client* load in a thread; the block begins once it does, and gets the answer to come."""
        answer = self.threads.submit(self.get, client, load)
        assert load.began.wait(SECONDS)
        try:
            yield answer
        finally:
            load.may_end.set()

    def close(self) -> None:
        self.threads.shutdown()
        self.one.close()
        self.other.close()


@pytest.fixture(name="twins")
def _twins(mysql_url: str, redis_url: str) -> Iterator[Twins]:
    twins = Twins(mysql_url, redis_url)
    yield twins
    twins.close()


def polls(client: MRCClient) -> threading.Event:
    """Return an event that is set once a read of *client* has found somebody else's lease."""
    found, acquire = threading.Event(), client._core.cache.entries.acquire  # type: ignore[union-attr]

    def noting(*arguments: Any) -> Any:
        claim = acquire(*arguments)
        if claim is False:
            found.set()
        return claim

    client._core.cache.entries.acquire = noting  # type: ignore[method-assign,union-attr]
    return found


# The flights alone, as the model has them


@given(st.lists(st.tuples(st.sampled_from(["join", "seal", "share", "again"]), st.integers(0, 3))))
def test_flights_are_those_of_the_model(moves: list[tuple[str, int]]) -> None:
    """Who joins founds the flight or follows its leader; sealed, it is joined no more; it lands but once."""
    flights, opened = Flights(), NOBODY
    flying: dict[int, Flight] = {}
    following: dict[int, list[Flight]] = {}
    for move, who in moves:
        if move == "join" and who not in flying:
            flight, leads = flights.join(b"key")
            assert leads == (opened == NOBODY)
            if leads:
                opened, flying[who] = who, flight
            else:
                assert flight is flying[opened]
                following.setdefault(opened, []).append(flight)
        if move != "join" and who in flying:
            opened = NOBODY if opened == who else opened
            if move == "seal":
                flights.seal(flying[who])
                continue
            landing = Landing(payload=b"rows") if move == "share" else AGAIN
            flights.settle(flying.pop(who), landing)
            assert all(flight.wait(0) == landing for flight in following.pop(who, []))
        assert len(flights) == (opened != NOBODY)


def test_the_first_landing_stands() -> None:
    """A flight that was settled is not settled again, by an interrupted leader's clean-up for instance."""
    flights = Flights()
    flight, _ = flights.join(b"key")
    flights.settle(flight, Landing(payload=b"rows"))
    flights.settle(flight, AGAIN)

    assert flight.wait(0) == Landing(payload=b"rows")


def test_a_sealed_flight_leaves_the_next_one_alone() -> None:
    """Settling a flight that was sealed does not close the flight that others have founded since."""
    flights = Flights()
    first, _ = flights.join(b"key")
    flights.seal(first)
    second, leads = flights.join(b"key")
    flights.settle(first, AGAIN)

    assert leads
    assert flights.join(b"key") == (second, False)


# Several processes


@pytest.mark.real
def test_a_hundred_callers_in_four_processes_cost_one_load(
    mysql_url: str,
    redis_url: str,
    redis_client: redis.Redis,
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    """One process loads, the others wait for its lease; all get the answer soon after it is there."""
    load_seconds = 1.0
    barrier, answers = spawn.Barrier(PROCESSES), spawn.SimpleQueue()
    arguments = (mysql_url, redis_url, barrier, answers, CALLERS, load_seconds)
    children = [spawn.Process(target=call_together, args=arguments, daemon=True) for _ in range(PROCESSES)]
    for child in children:
        child.start()
    given = [answers.get() for _ in children]
    for child in children:
        child.join(SECONDS)
    began, ended = min(each[0] for each in given), max(each[1] for each in given)
    record_testsuite_property("last answer, in load times", round((ended - began) / load_seconds, 2))

    assert [answer for each in given for answer in each[2]] == ["loaded"] * PROCESSES * CALLERS
    assert redis_client.get("loads") == b"1"


def test_a_killed_loader_costs_its_lease_at_most(mysql_url: str, redis_url: str, twins: Twins) -> None:
    """Nobody renews the lease of a loader that was killed, so the next one waits for the rest of it."""
    lease_seconds = 2.0
    began = spawn.Event()
    loader = spawn.Process(
        target=load_for_ever, args=(mysql_url, redis_url, lease_seconds, began), daemon=True
    )
    loader.start()
    assert began.wait(60)
    assert loader.pid is not None
    os.kill(loader.pid, signal.SIGKILL)
    loader.join(SECONDS)
    killed = time.monotonic()

    assert twins.get(twins.one, lambda: "mine") == "mine"
    assert time.monotonic() - killed < lease_seconds + 1
    assert twins.one.stats()["fills"] == 1


def test_a_long_load_keeps_its_lease(twins: Twins, redis_client: redis.Redis) -> None:
    """A load that outlasts its lease has it renewed: the other process goes on waiting, and does not load."""
    set_lease(twins.one, 0.3)
    load, renewals = Paused(), threading.Semaphore(0)
    entries: Any = twins.one._core.cache.entries
    renew = entries.renew

    def noted_renew(*arguments: Any) -> Any:
        renewed = renew(*arguments)
        renewals.release()
        return renewed

    entries.renew = noted_renew
    waits = polls(twins.other)
    with twins.loading(twins.one, load) as answer:
        token = redis_client.get(twins.lease)
        other = twins.threads.submit(twins.get, twins.other, lambda: "must not be loaded")
        assert waits.wait(SECONDS)
        for _ in range(5):
            assert renewals.acquire(timeout=SECONDS)
        assert redis_client.get(twins.lease) == token

    assert (answer.result(SECONDS), other.result(SECONDS)) == ("slow", "slow")
    assert twins.one.stats()["fills"] == 1


def test_a_failure_elsewhere_is_not_waited_for(twins: Twins) -> None:
    """A load that fails gives its lease back, and who waited for it in another process loads at once."""
    load = Paused(ValueError("no such weather"))
    waits = polls(twins.other)
    with twins.loading(twins.one, load) as answer:
        other = twins.threads.submit(twins.get, twins.other, lambda: "other")
        assert waits.wait(SECONDS)
        load.may_end.set()

        assert other.result(SECONDS) == "other"
        with pytest.raises(ValueError, match="no such weather"):
            answer.result(SECONDS)
    assert twins.get(twins.one, lambda: "must not be loaded") == "other"


def test_a_wait_for_another_process_has_an_end(mysql_url: str, redis_url: str, twins: Twins) -> None:
    """After ``wait_timeout`` a read loads for itself and caches nothing; the holder's fill is what counts."""
    load = Paused()
    with (
        MRCClient(mysql_url, redis_url, wait_timeout=0.2) as impatient,
        twins.loading(twins.one, load) as answer,
    ):
        assert twins.get(impatient, lambda: "own") == "own"
        assert twins.other.read_from_cache(SIGNATURE, [1], NAMES) is None
        load.may_end.set()

        assert answer.result(SECONDS) == "slow"
        assert twins.other.read_from_cache(SIGNATURE, [1], NAMES) == "slow"


def test_followers_do_not_ask_redis(twins: Twins, redis_client: redis.Redis) -> None:
    """However many wait in a process for another one's load, one of them polls."""
    load, followers = Paused(), 30
    with twins.loading(twins.one, load):
        redis_client.config_resetstat()
        waiting = [
            twins.threads.submit(twins.get, twins.other, lambda: "not loaded") for _ in range(followers)
        ]
        flight = wait_for_followers(twins.other, followers - 1)
        before = _scripts_run(redis_client)
        time.sleep(1.0)  # what is measured is the traffic of a second
        asked = _scripts_run(redis_client) - before
        assert flight.landing is None
        counted = redis_client.info("commandstats")
        gets = counted["cmdstat_get"]["calls"] - asked_within_scripts(redis_client)
        shared = counted.get("cmdstat_mget", {"calls": 0})["calls"]
        load.may_end.set()

        assert {each.result(SECONDS) for each in waiting} == {"slow"}
    # One poller asks every 5 to 100 ms, the longer it waits the less: thirty would ask a thousand times.
    assert 5 <= asked <= 150
    assert 1 <= gets + shared <= followers  # once each, or several in one round trip


def _scripts_run(redis_client: redis.Redis) -> int:
    return int(redis_client.info("commandstats").get("cmdstat_evalsha", {"calls": 0})["calls"])


def asked_within_scripts(redis_client: redis.Redis) -> int:
    """Return how many of the GETs that Redis counts were made by scripts: Acquire makes two."""
    return 2 * _scripts_run(redis_client)


def wait_for_followers(client: MRCClient, wanted: int) -> Flight:
    """Wait until so many follow the open flight of *client*, and return it."""
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        for flight in list(client._core.flights._open.values()):
            if len(flight._wakers) >= wanted:
                return flight
        time.sleep(0.005)
    raise AssertionError(f"not {wanted} followers within {SECONDS:g} s")


# Leaders that go


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_a_cancelled_leader_s_place_is_taken(mysql_url: str, redis_url: str) -> None:
    """A leader that is cancelled in its load harms nobody: a follower loads, and the lease is free for it."""
    calls: list[str] = []
    leads = anyio.Event()

    async def never() -> None:
        calls.append("leader")
        leads.set()
        await anyio.sleep_forever()

    async def load() -> str:
        calls.append("follower")
        return "loaded"

    async def follow(answers: list[Any]) -> None:
        answers.append(await facade.with_cache(load, SIGNATURE, [1], NAMES))

    async with AsyncMRCClient(mysql_url, redis_url) as facade:
        answers: list[Any] = []
        leader = anyio.CancelScope()

        async def lead() -> None:
            with leader:
                await facade.with_cache(never, SIGNATURE, [1], NAMES)

        with anyio.fail_after(SECONDS):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(lead)
                await leads.wait()
                for _ in range(3):
                    tasks.start_soon(follow, answers)
                await anyio.to_thread.run_sync(wait_for_followers, facade._blocking, 3)
                leader.cancel()

        assert answers == ["loaded"] * 3
        assert calls == ["leader", "follower"]
        assert await facade.read_from_cache(SIGNATURE, [1], NAMES) == "loaded"


def test_an_interrupted_leader_s_place_is_taken(twins: Twins) -> None:
    """A thread that is interrupted in its load shares nothing, and one of those who waited loads."""

    began = threading.Event()

    def interrupted() -> object:
        began.set()
        wait_for_followers(twins.one, 1)
        raise KeyboardInterrupt

    def lead() -> object:
        with pytest.raises(KeyboardInterrupt):
            twins.get(twins.one, interrupted)
        return None

    leader = twins.threads.submit(lead)
    assert began.wait(SECONDS)
    follower = twins.threads.submit(twins.get, twins.one, lambda: "follower's")
    leader.result(SECONDS)

    assert follower.result(SECONDS) == "follower's"
    assert twins.get(twins.other, lambda: "must not be loaded") == "follower's"


# Beside the npm package


@pytest.mark.real
def test_a_drop_by_npm_voids_a_load_under_way(npm: Peer, twins: Twins, redis_client: redis.Redis) -> None:
    """The name of a lease contains the key, so that npm's drop deletes it, and the fill is refused."""
    load = Paused()
    with twins.loading(twins.one, load) as answer:
        assert redis_client.exists(twins.lease)
        npm.call("dropOutdatedCache", NAMES, [1])
        assert not redis_client.exists(twins.lease)

    assert answer.result(SECONDS) == "slow"
    assert twins.one.stats()["refused_fills"] == 1
    assert twins.get(twins.other, lambda: "new") == "new"


@pytest.mark.real
def test_a_fill_by_npm_is_an_entry(npm: Peer, twins: Twins) -> None:
    """What npm stores while a read waits for a lease answers that read."""
    load = Paused()
    waits = polls(twins.other)
    with twins.loading(twins.one, load):
        other = twins.threads.submit(twins.get, twins.other, lambda: "must not be loaded")
        assert waits.wait(SECONDS)
        npm.call("withCache", "by npm", SIGNATURE, [1], NAMES, 600)

        assert other.result(SECONDS) == "by npm"
