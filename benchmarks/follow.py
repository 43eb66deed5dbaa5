"""How soon a follower drops what a commit makes outdated: one row, many transactions, one of many rows."""

from __future__ import annotations

import contextlib
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pymysql
import redis
from aims import Aim, aims_table
from child import Child
from report import duration, table
from servers import ROOT
from workload import Databases, digest_of

if TYPE_CHECKING:
    from collections.abc import Iterator

SCRIPT = Path(__file__).resolve().parent / "follow_child.py"
ROWS = 100_000
PROBE = ROWS  # the row that is waited for; writers leave it alone
KEYS, QUICK_KEYS = 300_000, 100_000
PER_SECOND = 2_000
BACKLOG, QUICK_BACKLOG = 40_000, 5_000
PATIENCE = 60.0

_FILL = """
for number = tonumber(ARGV[1]), tonumber(ARGV[2]) do
  local pair = 'UserId=' .. number
  local name = pair .. '_' .. ARGV[3]
  redis.call('SET', name, '[]', 'EX', 86400)
  if ARGV[4] == 'indexed' then
    local digest = string.sub(redis.sha1hex(pair), 1, 20)
    redis.call('ZADD', 'mrc:idx:' .. digest, ARGV[5], name)
    redis.call('ZADD', 'mrc:idx:pairs', ARGV[5], digest)
  end
end
"""
_FAR_MOMENT = 4_102_444_800_000
_DIGEST = digest_of("orders of a user")
_ENTRY = f"UserId={PROBE}_{_DIGEST}"


@dataclass(frozen=True, slots=True)
class Result:
    """What one way of dropping gave, in seconds.

    Attributes:
        idle: from COMMIT until the entry is gone, with nothing else going on.
        busy: the same while others write.
        per_second: what these reached.
        drained: transactions a second while nobody writes and many wait.
        bulk: from the COMMIT of an update of all rows until the last entry is gone.
        walks: how many drops that took.
        grown: bytes by which the follower's most memory grew with it.
    """

    idle: list[float]
    busy: list[float]
    per_second: float
    drained: float
    bulk: float
    walks: int
    grown: int


def follow_text(*, quick: bool) -> str:
    """Measure by index and by sweep, on servers of their own, of which one keeps a log."""
    from tools.private_servers import LOGGING, PrivateMySQL, PrivateRedis

    keys = QUICK_KEYS if quick else KEYS
    with PrivateMySQL(LOGGING) as mysql, PrivateRedis() as cache:
        shop = Shop(mysql.port, cache.port)
        results = [shop.measure(keys, index=index, quick=quick) for index in (True, False)]
        version = shop.version
    return f"{version}.\n\n{_table(results, keys)}\n\n{_aims(*results)}"


class Shop:
    """Orders, entries that they outdate, and a connection to each server."""

    def __init__(self, mysql_port: int, redis_port: int) -> None:
        account: dict[str, Any] = {"host": "127.0.0.1", "port": mysql_port, "user": "mrc", "password": "mrc"}
        self.mysql = {**account, "database": "bench"}
        self.redis = {"host": "127.0.0.1", "port": redis_port, "db": Databases.COLD}
        self.cache = redis.Redis(**self.redis)
        self.connection = pymysql.connect(**account, autocommit=True)
        self._run("CREATE DATABASE bench")
        self._run("USE bench")
        self._run("CREATE TABLE orders (id INT PRIMARY KEY, user_id INT NOT NULL, qty INT NOT NULL)")
        with self.connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO orders VALUES (%s, %s, 0)", [(number, number) for number in range(1, ROWS + 1)]
            )
            cursor.execute("SELECT VERSION()")
            (self.version,) = cursor.fetchone() or ("?",)

    def measure(self, keys: int, *, index: bool, quick: bool) -> Result:
        """Follow, and measure all of it."""
        probes = (50 if quick else 500) if index else (3 if quick else 15)
        with self._following(keys, index=index) as follower, self._child("writer") as writer:
            idle = [self._probe() for _ in range(probes)]
            busy, per_second = self._busy(writer, 2 if quick else 10)
            drained = self._drain(follower, writer, QUICK_BACKLOG if quick else BACKLOG)
        with self._following(ROWS, index=index) as follower:
            before = follower.ask()
            bulk = self._bulk()
            after = follower.ask()
        grown = after["peak"] - before["peak"]
        return Result(idle, busy, per_second, drained, bulk, after["batches"] - before["batches"], grown)

    @contextlib.contextmanager
    def _following(self, keys: int, *, index: bool) -> Iterator[Child]:
        """A follower over so many entries, those of the orders' users first."""
        self.cache.flushdb()
        with self._child("follower", index=index) as follower:
            if index:
                self.cache.zadd("mrc:idx", {"over": _FAR_MOMENT})
            mode = "indexed" if index else "plain"
            for start in range(1, keys + 1, 10_000):
                self.cache.eval(_FILL, 0, start, min(start + 9_999, keys), _DIGEST, mode, _FAR_MOMENT)
            yield follower

    @contextlib.contextmanager
    def _child(self, role: str, *, index: bool = False) -> Iterator[Child]:
        orders = {
            "role": role,
            "paths": [str(ROOT)],
            "mysql": self.mysql,
            "redis": {**self.redis, "socket_timeout": 10},
            "rules": {"bench.orders": {"UserId": "user_id"}},
            "index": index,
            "ids": [1, ROWS - 1],
        }
        child = Child(sys.executable, SCRIPT, orders)
        try:
            _ = child.hello
            yield child
        finally:
            child.close()

    def _run(self, statement: str) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute(statement)

    def _probe(self) -> float:
        """Change a row; return how long after its COMMIT the entry is gone."""
        self.cache.set(_ENTRY, b"[]")
        self._run(f"UPDATE orders SET qty = qty + 1 WHERE id = {PROBE}")
        return self._await_gone()

    def _await_gone(self) -> float:
        began = time.perf_counter()
        while self.cache.exists(_ENTRY):
            if time.perf_counter() - began > PATIENCE:
                raise TimeoutError(f"an outdated entry is still there after {PATIENCE:g} s")
        return time.perf_counter() - began

    def _busy(self, writer: Child, seconds: int) -> tuple[list[float], float]:
        """Look how long it takes while others write."""
        count = PER_SECOND * seconds
        writer.send(count=count, per_second=PER_SECOND)
        until = time.perf_counter() + seconds
        waits: list[float] = []
        while time.perf_counter() < until:
            waits.append(self._probe())
            time.sleep(0.02)
        return waits, count / writer.answer()["seconds"]

    def _drain(self, follower: Child, writer: Child, count: int) -> float:
        """Have many transactions wait for a follower that is frozen; return how many a second it takes."""
        self._probe()
        follower.freeze()
        try:
            writer.ask(count=count, per_second=1e9)
            self.cache.set(_ENTRY, b"[]")
            self._run(f"UPDATE orders SET qty = qty + 1 WHERE id = {PROBE}")
        finally:
            follower.go_on()
        return count / self._await_gone()

    def _bulk(self) -> float:
        """Change all rows in one transaction; return how long after its COMMIT the last entry is gone."""
        self._run("UPDATE orders SET qty = qty + 1")
        began = time.perf_counter()
        left = [f"UserId={number}_{_DIGEST}" for number in range(1, ROWS + 1, 97)]
        while self.cache.exists(*left):
            if time.perf_counter() - began > PATIENCE:
                raise TimeoutError(f"outdated entries are still there after {PATIENCE:g} s")
            time.sleep(0.01)
        return time.perf_counter() - began


def _table(results: list[Result], keys: int) -> str:
    rows = [
        ["one row, COMMIT to entry gone", *[_spread(each.idle) for each in results]],
        [
            f"the same while others commit {PER_SECOND:,}/s, one row each",
            *[f"{_spread(each.busy)}, at {each.per_second:,.0f}/s" for each in results],
        ],
        ["transactions of one row that waited for it", *[f"{each.drained:,.0f}/s" for each in results]],
        [
            f"an UPDATE of {ROWS:,} rows, {ROWS:,} entries of {ROWS:,} keys",
            *[f"{duration(each.bulk)}, drops: {each.walks}" for each in results],
        ],
        ["what its memory grew by over that", *[f"{each.grown / 2**20:,.0f} MiB" for each in results]],
    ]
    return table(["", "by index", f"by sweep of {keys:,} keys"], rows)


def _spread(seconds: list[float]) -> str:
    return f"p50 {duration(statistics.median(seconds))}, p99 {duration(_p99(seconds))}"


def _p99(seconds: list[float]) -> float:
    return sorted(seconds)[int(0.99 * (len(seconds) - 1) + 0.5)]


def _aims(indexed: Result, swept: Result) -> str:
    p50, p99, busy = statistics.median(indexed.idle), _p99(indexed.idle), _p99(indexed.busy)
    return aims_table(
        [
            Aim("one row by index, p50", "under 5 ms", duration(p50), p50 < 0.005),
            Aim("one row by index, p99", "under 100 ms", duration(p99), p99 < 0.1),
            Aim(f"p99 by index at {PER_SECOND:,} commits/s", "at most 100 ms", duration(busy), busy <= 0.1),
            *[
                Aim(f"{ROWS:,} rows {way}", "at most 4 s", duration(each.bulk), each.bulk <= 4)
                for way, each in (("by index", indexed), ("by sweep", swept))
            ],
            Aim(f"walks for {ROWS:,} rows", "at most 2", str(swept.walks), swept.walks <= 2),
        ]
    )
