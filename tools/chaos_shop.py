"""What ``tools.chaos`` is about: two tables, those who write to them in all ways there are, and readers."""

from __future__ import annotations

import random
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pymysql

from mysql_redis_cache import MRCError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mysql_redis_cache import MRCClient

__all__ = ["CALLS", "READS", "RULES", "Reader", "Writer", "fill", "stale"]

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


def fill(run: Callable[..., object]) -> None:
    """Make the tables, with two children of each parent."""
    parents = [f"({number}, 0)" for number in range(OWNERS)]
    children = [f"({number}, '{shop}', 0)" for number in range(OWNERS) for shop in "ab"]
    run(
        *TABLES,
        f"INSERT INTO parent VALUES {', '.join(parents)}",
        f"INSERT INTO child (owner, shop, v) VALUES {', '.join(children)}",
    )


class Writer:
    """Changes rows in all the ways there are.

    Args:
        connect: opens a connection to the server that takes writes, in autocommit.
        seed: of its choices.
    """

    def __init__(self, connect: Callable[[], pymysql.Connection[Any]], seed: int) -> None:
        self._connect = connect
        self._connection: pymysql.Connection[Any] | None = None
        self.chance = random.Random(seed)
        self.number = seed

    def act(self) -> None:
        """Do one thing; deadlocks, missing parents and servers that are away are as well."""
        acts = (
            *[self.single] * 5,
            *[self.handed_on] * 4,
            self.bulk,
            self.parent,
            self.undone,
            self.prepared,
            self.moved,
        )
        try:
            self.chance.choice(acts)()
        except pymysql.IntegrityError:
            return
        except (pymysql.Error, OSError) as error:
            if error.args[:1] not in {(1205,), (1213,)}:  # deadlocks
                self.close()

    def run(self, *statements: str) -> None:
        """Run statements over one connection."""
        if self._connection is None:
            self._connection = self._connect()
        with self._connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def close(self) -> None:
        """Close the connection; the next thing is done over another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(pymysql.Error, OSError):
                connection.close()

    def owner(self) -> int:
        """Any parent."""
        return self.chance.randrange(OWNERS)

    def single(self) -> None:
        """Change the children of one."""
        self.run(
            f"UPDATE child SET v = v + 1, shop = '{self.chance.choice('ab')}' WHERE owner = {self.owner()}"
        )

    def handed_on(self) -> None:
        """What the row was before the change counts as well as what it is after it."""
        self.run(f"UPDATE child SET owner = {self.owner()} WHERE owner = {self.owner()} LIMIT 1")

    def bulk(self) -> None:
        """Change many."""
        self.run(f"UPDATE child SET v = v + 1 WHERE owner % 7 = {self.chance.randrange(7)}")

    def parent(self) -> None:
        """Delete one and, by the foreign key, its children; have new ones."""
        owner = self.owner()
        self.run(
            f"REPLACE INTO parent VALUES ({owner}, {self.chance.randrange(99)})",
            f"INSERT INTO child (owner, shop, v) VALUES ({owner}, 'a', 0), ({owner}, 'b', 0)",
        )

    def moved(self) -> None:
        """Give one another key and, by the foreign key, its children."""
        self.run(f"UPDATE parent SET id = {self.owner()} WHERE id = {self.owner()}")

    def undone(self) -> None:
        """Change something, and then not."""
        self.run("BEGIN", f"UPDATE child SET v = -1 WHERE owner = {self.owner()}", "ROLLBACK")

    def prepared(self) -> None:
        """Commit in two phases."""
        self.number += 100
        name = f"'chaos{self.number}'"
        self.run(f"XA START {name}")
        try:
            self.run(f"UPDATE child SET v = v + 1 WHERE owner = {self.owner()}")
        finally:
            self.run(f"XA END {name}", f"XA PREPARE {name}", f"XA COMMIT {name}")


class Reader:
    """Reads through the cache.

    Args:
        client: returns the client that reads from the server that takes writes.
        seed: of its choices.
    """

    def __init__(self, client: Callable[[], MRCClient], seed: int) -> None:
        self._client = client
        self._chance = random.Random(seed)

    def act(self) -> None:
        """Read something; servers that are away are as well."""
        names, params = self._chance.choice(CALLS)
        with suppress(MRCError, pymysql.Error):
            self._client().query_with_cache(READS[names], params, names)


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
