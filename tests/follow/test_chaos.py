"""Writers, readers, followers that are killed: afterwards every entry is compared with MySQL."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pymysql
import pytest

from mysql_redis_cache import MRCClient
from mysql_redis_cache.store import link
from mysql_redis_cache.store.ledger import Ledger
from tests.support.binlogs import LoggedServer
from tests.support.following import rules_for
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.real

SECONDS = 8.0
OWNERS = 60
TABLES = (
    "CREATE TABLE parent (id INT PRIMARY KEY, v INT)",
    "CREATE TABLE child (id INT AUTO_INCREMENT PRIMARY KEY, owner INT, shop VARCHAR(9), v INT, "
    "KEY (owner), FOREIGN KEY (owner) REFERENCES parent (id) ON DELETE CASCADE ON UPDATE CASCADE)",
)
RULES = {
    "child": {"Owner": "owner", "Owner Shop": ["owner", "shop"]},
    "parent": {"Parent": "id"},
}
READS = {
    ("Owner",): "SELECT id, owner, shop, v FROM child WHERE owner = ? ORDER BY id",
    ("Owner", "Shop"): "SELECT id, v FROM child WHERE owner = ? AND shop = ? ORDER BY id",
    ("Parent",): "SELECT id, v FROM parent WHERE id = ?",
}
CALLS: list[tuple[tuple[str, ...], list[Any]]] = [
    *[(("Owner",), [owner]) for owner in range(OWNERS)],
    *[(("Owner", "Shop"), [owner, shop]) for owner in range(OWNERS) for shop in ("a", "b")],
    *[(("Parent",), [owner]) for owner in range(OWNERS)],
]


class Writer:
    """Changes rows in all the ways there are."""

    def __init__(self, url: str, seed: int) -> None:
        self.server = LoggedServer(url)
        self.chance = random.Random(seed)
        self.number = seed

    def owner(self) -> int:
        return self.chance.randrange(OWNERS)

    def act(self) -> None:
        acts = [
            *[self.single] * 5,
            *[self.handed_on] * 4,
            self.bulk,
            self.parent,
            self.undone,
            self.prepared,
            self.moved,
        ]
        with suppress(pymysql.OperationalError, pymysql.IntegrityError):  # deadlocks, missing parents
            self.chance.choice(acts)()

    def single(self) -> None:
        self.server.run(
            f"UPDATE child SET v = v + 1, shop = '{self.chance.choice('ab')}' WHERE owner = {self.owner()}"
        )

    def handed_on(self) -> None:
        """What the row was before the change counts as well as what it is after it."""
        self.server.run(f"UPDATE child SET owner = {self.owner()} WHERE owner = {self.owner()} LIMIT 1")

    def bulk(self) -> None:
        self.server.run(f"UPDATE child SET v = v + 1 WHERE owner % 7 = {self.chance.randrange(7)}")

    def parent(self) -> None:
        owner = self.owner()
        self.server.run(
            f"REPLACE INTO parent VALUES ({owner}, {self.chance.randrange(99)})",
            f"INSERT INTO child (owner, shop, v) VALUES ({owner}, 'a', 0), ({owner}, 'b', 0)",
        )

    def moved(self) -> None:
        self.server.run(f"UPDATE parent SET id = {self.owner()} WHERE id = {self.owner()}")

    def undone(self) -> None:
        self.server.run("BEGIN", f"UPDATE child SET v = -1 WHERE owner = {self.owner()}", "ROLLBACK")

    def prepared(self) -> None:
        self.number += 100
        name = f"'chaos{self.number}'"
        self.server.run(f"XA START {name}")
        try:
            self.server.run(f"UPDATE child SET v = v + 1 WHERE owner = {self.owner()}")
        finally:
            self.server.run(f"XA END {name}", f"XA PREPARE {name}", f"XA COMMIT {name}")


@contextmanager
def threads(*works: Any) -> Iterator[threading.Event]:
    """Repeat some works, each in a thread, until the block ends."""
    over = threading.Event()
    raised: list[BaseException] = []

    def repeat(work: Any) -> None:
        try:
            while not over.is_set():
                work()
        except BaseException as error:
            raised.append(error)

    running = [threading.Thread(target=repeat, args=(work,)) for work in works]
    for thread in running:
        thread.start()
    try:
        yield over
    finally:
        over.set()
        for thread in running:
            thread.join(30)
    if raised:
        raise raised[0]


class Followers:
    """Two processes that follow, of which one is killed now and then."""

    def __init__(self, *arguments: Any) -> None:
        self.code = (
            f"from mysql_redis_cache.follow import Follower\nFollower(*{arguments!r}, lease=1.0).run()"
        )
        self.running = [self.start(), self.start()]

    def start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", self.code], stderr=subprocess.DEVNULL)

    def kill_one(self) -> None:
        killed = self.running.pop(0)
        killed.kill()
        killed.wait()
        self.running.append(self.start())

    def end(self) -> None:
        for each in self.running:
            each.terminate()
            each.wait()


def stale(client: MRCClient) -> tuple[int, list[Any]]:
    """How many entries there are, and those that differ from MySQL."""
    missing = object()
    found = [
        (names, params, entry)
        for names, params in CALLS
        if (entry := client.read_from_cache(READS[names], params, names, missing)) is not missing
    ]
    return len(found), [
        (names, params, entry, now)
        for names, params, entry in found
        if (now := client.query(READS[names], params)) != entry
    ]


def torment(server: LoggedServer, client: MRCClient, followers: Followers | None) -> None:
    """Write, read, redefine and rotate for a while, and kill followers; then only read."""
    writers = [Writer(server.url, seed) for seed in range(3)]
    chance = random.Random(5)

    def read() -> None:
        names, params = chance.choice(CALLS)
        client.query_with_cache(READS[names], params, names)

    with threads(read, read):
        with threads(*[writer.act for writer in writers]):
            for step in range(4):
                time.sleep(SECONDS / 4)
                if followers is not None and step < 2:  # a late takeover would drop what was missed before
                    followers.kill_one()
                server.run("FLUSH BINARY LOGS")
                if step == 1:
                    server.run("ALTER TABLE child ADD COLUMN more INT FIRST")
        if followers is not None:
            await_level(server, client)
        time.sleep(0.5)
    for writer in writers:
        writer.server.close()


def await_level(server: LoggedServer, client: MRCClient) -> None:
    """Wait until a follower has dropped whatever was written before."""
    sentinel = "SELECT ? AS n"
    server.run("INSERT INTO parent VALUES (-1, 0)")
    client.query_with_cache(sentinel, [-1], ["Parent"])
    server.run("UPDATE parent SET v = 1 WHERE id = -1")
    assert wait_until(lambda: client.read_from_cache(sentinel, [-1], ["Parent"]) is None, 30)


def prepare(server: LoggedServer) -> None:
    listed = [f"({number}, 0)" for number in range(OWNERS)]
    children = [f"({number}, '{shop}', 0)" for number in range(OWNERS) for shop in "ab"]
    server.run(
        *TABLES,
        f"INSERT INTO parent VALUES {', '.join(listed)}",
        f"INSERT INTO child (owner, shop, v) VALUES {', '.join(children)}",
    )


def test_chaos_leaves_nothing_stale(server: LoggedServer, redis_url: str) -> None:
    """Whatever happened, when all is quiet every entry is what MySQL says."""
    prepare(server)
    followers = Followers(server.url, redis_url, rules_for(server.schema, RULES))
    try:
        assert wait_until(Ledger(link(redis_url), "default", 1.0).peek, 30)
        with MRCClient(server.url, redis_url) as client:
            torment(server, client, followers)
            count, differing = stale(client)
            assert count > len(CALLS) / 4
            assert differing == []
    finally:
        followers.end()


def test_without_a_follower_the_same_leaves_stale_entries(server: LoggedServer, redis_url: str) -> None:
    """The control: what the test above does makes most entries outdated, and its comparison sees it."""
    prepare(server)
    with MRCClient(server.url, redis_url) as client:
        torment(server, client, None)
        count, differing = stale(client)
        assert len(differing) > count / 2
