"""Reads against drops on real servers, held at every step: whatever comes between, no later read is stale.

Two clients stand for two processes: each has flights, connections and tokens of its own.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from mysql_redis_cache import AsyncMRCClient, CacheUnavailable, MRCClient, MRCServer

from .gates import SECONDS, Gate, gate_client, gate_drops, gated, note_waiting, passing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pymysql.connections import Connection

pytestmark = pytest.mark.real

QUERY = "SELECT id, version FROM races WHERE id = ?"
LIST = "SELECT id, version FROM races WHERE id IN (?)"
# More than any read or drop here has.
MOST_STEPS = 14
_ids = count(1)


@dataclass
class Servers:
    """Two clients and two servers on one key, and the database beside them."""

    here: MRCClient
    elsewhere: MRCClient
    server: MRCServer
    another: MRCServer
    database: Connection
    threads: ThreadPoolExecutor
    in_tasks: bool
    id: int = 0

    def new_row(self) -> None:
        """Go on to a row, and so a key, that nobody has touched."""
        self.id = next(_ids)
        self._run("INSERT INTO races VALUES (%s, 0)")

    def read(self, client: MRCClient, gate: Gate, **options: Any) -> int:
        """Read the version, in this thread or in a task of a new event loop."""
        with gated(gate):
            face = AsyncMRCClient(client) if self.in_tasks else client
            if options.pop("in_list", False):
                rows = self._answer(face.get_many, LIST, [self.id, -self.id], key="id", name="Id", **options)
                return int(rows[self.id]["version"])
            rows = self._answer(face.query_with_cache, QUERY, [self.id], ["Id"], **options)
            return int(rows[0]["version"])

    def _answer(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return asyncio.run(_awaited(call, *args, **kwargs)) if self.in_tasks else call(*args, **kwargs)

    def write(self) -> None:
        """Commit a new version."""
        self._run("UPDATE races SET version = version + 1 WHERE id = %s")

    def write_and_drop(self, gate: Gate, server: MRCServer | None = None) -> None:
        """Commit a new version and drop what it made outdated."""
        with gated(gate):
            passing("commit")
            self.write()
            (server or self.server).drop_outdated_cache(["Id"], [self.id])

    def start(self, act: Callable[..., Any], *args: Any, **kwargs: Any) -> Future[Any]:
        """Have a thread do it."""
        return self.threads.submit(act, *args, **kwargs)

    def _run(self, statement: str) -> None:
        with self.database.cursor() as cursor:
            cursor.execute(statement, [self.id])


async def _awaited(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return await call(*args, **kwargs)


@pytest.fixture(params=["sweep", "index"], name="mode")
def _mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["threads", "tasks"], name="servers")
def _servers(
    request: pytest.FixtureRequest,
    mode: str,
    mysql_url: str,
    redis_url: str,
    mysql_admin: Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Servers]:
    with mysql_admin.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS races (id INT PRIMARY KEY, version INT NOT NULL)")
    index, in_tasks = mode == "index", request.param == "tasks"
    with (
        MRCClient(mysql_url, redis_url, index=index) as here,
        MRCClient(mysql_url, redis_url, index=index) as elsewhere,
        MRCServer(redis_url, index=index) as server,
        MRCServer(redis_url, index=index) as another,
        ThreadPoolExecutor(8) as threads,
    ):
        gate_client(here, in_loop=not in_tasks)
        gate_drops(server)
        gate_drops(another)
        note_waiting(monkeypatch)
        yield Servers(here, elsewhere, server, another, mysql_admin, threads, in_tasks)


def positions() -> Iterator[int]:
    """Yield steps at which to hold somebody, until it comes to its end before."""
    yield from range(MOST_STEPS)
    raise AssertionError(f"there are more than {MOST_STEPS} steps")


def holds(gate: Gate) -> bool:
    """Wait until the actor of *gate* is held or at its end; return whether it is held."""
    assert gate.idle.wait(SECONDS)
    return gate.held.is_set()


def late_read(servers: Servers, client: MRCClient) -> Future[int]:
    """Start a read and wait until it ends, or waits for somebody who is held."""
    gate = Gate()
    read = servers.start(servers.read, client, gate)
    assert gate.idle.wait(SECONDS)
    return read


def versions_after(servers: Servers, later: list[Future[int]]) -> set[int]:
    """Return what reads that started after the drop gave, and what two more of each client give."""
    clients = (servers.here, servers.here, servers.elsewhere, servers.elsewhere)
    return {read.result(SECONDS) for read in later} | {servers.read(client, Gate()) for client in clients}


def interleave(servers: Servers, *, read_first: bool, **options: Any) -> Iterator[tuple[set[int], str]]:
    """Interleave a read and a drop at every pair of their steps.

    Whoever is first goes to its step, the other to its own, the first to its end, the other to its end.

    Yields:
        the versions that reads gave which started after the drop had returned, and the steps.
    """
    for i in positions():
        for j in positions():
            servers.new_row()
            first, second = Gate(i), Gate(j)
            reading, dropping = (first, second) if read_first else (second, first)
            begin: dict[Gate, Callable[[], Future[Any]]] = {
                reading: partial(servers.start, servers.read, servers.here, reading, **options),
                dropping: partial(servers.start, servers.write_and_drop, dropping),
            }
            begun = begin[first]()
            first_is_held = holds(first)
            ended = begin[second]()
            second_is_held = holds(second)
            first.open()
            begun.result(SECONDS)
            # Not before the drop has returned; then some find the read still under way.
            others = () if read_first else (servers.here, servers.elsewhere)
            later = [late_read(servers, client) for client in others]
            second.open()
            ended.result(SECONDS)
            yield versions_after(servers, later), f"{i} of {first.steps}, {j} of {second.steps}"
            if not second_is_held:
                break
        if not first_is_held:
            break


KINDS = {
    "read": {},
    "refresh": {"refresh": True},
    "grace": {"stale_while_revalidate": 60},
    "list": {"in_list": True},
}


@pytest.mark.parametrize("options", KINDS.values(), ids=[*KINDS])
@pytest.mark.parametrize("read_first", [True, False], ids=["read first", "drop first"])
def test_no_read_after_a_drop_is_stale(servers: Servers, options: dict[str, Any], read_first: bool) -> None:
    """At whichever steps a read and a drop meet, reads that start after the drop give what was committed."""
    outcomes = list(interleave(servers, read_first=read_first, **options))

    assert len(outcomes) >= 20
    assert [steps for versions, steps in outcomes if versions != {1}] == []


def lose_redis(client: MRCClient) -> None:
    """Have Redis not answer the reads of *client*."""
    core: Any = client._core

    def get(key: bytes) -> None:
        raise CacheUnavailable("not for you")

    core.cache._get = core.cache.entries.get = get
    core.cache.begin = lambda *_: None  # of an event loop: a thread is to ask


@pytest.mark.parametrize("read_first", [True, False], ids=["read first", "drop first"])
def test_no_load_without_redis_is_stale(servers: Servers, read_first: bool) -> None:
    """Where Redis does not answer a process, its readers share loads, but none that began before the drop."""
    lose_redis(servers.here)
    outcomes = list(interleave(servers, read_first=read_first))

    assert len(outcomes) >= 12
    assert [steps for versions, steps in outcomes if versions != {1}] == []


def share_lone_loads(client: MRCClient) -> None:
    """Let others join a load without a lease to its end."""
    lose_redis(client)
    core: Any = client._core
    core.flights.seal = lambda flight: None


def fill_anyway(client: MRCClient) -> None:
    """Fill without looking at the lease."""
    entries: Any = client._core.cache.entries

    def fill(name: Any, token: bytes, payload: bytes, lifetime: int) -> bool:
        passing("fill")
        entries.put(name, payload, lifetime)
        return True

    entries.fill = fill


def fill_list_anyway(client: MRCClient) -> None:
    """Fill the entries of a list without looking at their leases."""
    entries: Any = client._core.cache.entries

    def fill_many(fills: Sequence[Any]) -> list[bool]:
        passing("fill_many")
        for name, _, payload, lifetime in fills:
            entries.put(name, payload, lifetime)
        return [True] * len(fills)

    entries.fill_many = fill_many


def share_anyway(client: MRCClient) -> None:
    """Say of every fill that it was accepted."""
    entries: Any = client._core.cache.entries
    fill = entries.fill
    entries.fill = lambda *arguments: fill(*arguments) or True


@pytest.mark.parametrize(
    "spoil", [fill_anyway, fill_list_anyway, share_anyway, share_lone_loads], ids=lambda spoil: spoil.__name__
)
def test_the_steps_do_meet(servers: Servers, spoil: Callable[[MRCClient], None]) -> None:
    """Were a rule of the protocol broken, these interleavings would find it out."""
    spoil(servers.here)
    outcomes = list(interleave(servers, read_first=False, in_list=spoil is fill_list_anyway))

    assert [steps for versions, steps in outcomes if versions != {1}] != []


def test_a_write_to_the_cache_is_not_overwritten(servers: Servers) -> None:
    """Whatever step a load is held at, a value handed to write_to_cache meanwhile stays."""
    for i in positions():
        servers.new_row()
        reading = Gate(i)
        read = servers.start(servers.read, servers.here, reading)
        is_held = holds(reading)
        servers.elsewhere.write_to_cache(QUERY, [{"version": 1}], [servers.id], ["Id"])
        reading.open()
        read.result(SECONDS)

        assert servers.elsewhere.read_from_cache(QUERY, [servers.id], ["Id"]) == [{"version": 1}], (
            reading.steps
        )
        if not is_held:
            break


def test_drop_query_is_a_drop(servers: Servers) -> None:
    """Whatever step a load is held at, dropping its one entry leaves nothing stale."""
    for i in positions():
        servers.new_row()
        reading = Gate(i)
        read = servers.start(servers.read, servers.here, reading)
        is_held = holds(reading)
        servers.write()
        servers.elsewhere.drop_query(QUERY, [servers.id], ["Id"])
        later = [late_read(servers, client) for client in (servers.here, servers.elsewhere)]
        reading.open()
        read.result(SECONDS)

        assert versions_after(servers, later) == {1}, reading.steps
        if not is_held:
            break


def test_two_drops_of_one_key(servers: Servers) -> None:
    """Two processes drop one key, each held at every step, with reads between: nothing stale is left."""
    for i in positions():
        for j in positions():
            servers.new_row()
            first, second = Gate(i), Gate(j)
            one = servers.start(servers.write_and_drop, first)
            first_is_held = holds(first)
            servers.read(servers.here, Gate())
            other = servers.start(servers.write_and_drop, second, servers.another)
            second_is_held = holds(second)
            servers.read(servers.elsewhere, Gate())
            first.open()
            one.result(SECONDS)
            second.open()
            other.result(SECONDS)

            assert versions_after(servers, []) == {2}, (first.steps, second.steps)
            if not second_is_held:
                break
        if not first_is_held:
            break
