"""Hammer one database and one Redis from several processes, and look for stale reads.

Two processes read, with threads and with tasks; one writes, and drops what its writes made outdated; one
loads and is killed in mid-load, again and again. A read is stale if it gives a version below one whose drop
had returned before the read started. Ends with status 1 if there was one::

    python -m tools.hammer --seconds 60

With ``--near`` all keep what they read near: in the process that drops no read is stale, in the others none
is by more than the heartbeat, and it is printed how long after a drop they are::

    python -m tools.hammer --near --seconds 60

In the mode ``strict`` drops wait for all processes, and no read of any is stale.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import signal
import sys
import time
import uuid
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit

import pymysql

from tools.hammering import READERS, Board, Orders, read_all, read_and_die, write_and_drop
from tools.hammering_near import SPOILED, NearOrders, hammer_near
from tools.private_servers import PrivateMySQL, PrivateRedis

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.context import SpawnContext, SpawnProcess

    from pymysql.cursors import Cursor

    from tools.hammering_near import NearResult

__all__ = ["cursor_at", "hammer", "main", "mysql_server", "run_statement"]

MODES = ("sweep", "index", "cluster", "near", "strict")
# How long a child may take to end by itself.
PATIENCE = 60.0


class Result(NamedTuple):
    """What came of hammering in one mode.

    Attributes:
        reads: how many reads there were.
        stale: how many of them were stale.
        drops: how many drops there were.
        loads: how many loads there were.
        killed: how many loaders were killed.
        unanswered: how often Redis did not answer a reader in time, so that it loaded for itself.
        verified: how many hits were compared with MySQL, behind the readers' backs.
        alarms: how many of them were taken for outdated.
        errors: what reads and writes raised.
        loads_per_cold_key: the most loads of any of the keys that were cold for all readers at once.
    """

    reads: int
    stale: int
    drops: int
    loads: int
    killed: int
    unanswered: int
    verified: int
    alarms: int
    errors: list[str]
    loads_per_cold_key: int

    @property
    def is_good(self) -> bool:
        """Whether the promises were kept."""
        is_right = not (self.stale or self.alarms or self.errors)
        return is_right and (self.loads_per_cold_key == 1 or self.unanswered > 0)


def hammer(mysql_url: str, redis_url: str, mode: str, seconds: float) -> Result:
    """Hammer for so many seconds.

    Args:
        mysql_url: with a schema; a table is made in it and dropped.
        redis_url: its keys are left alone, but for those under a namespace of its own.
        mode: ``"sweep"``, ``"index"``, or ``"cluster"`` if the URL is that of a node of a Redis Cluster.
        seconds: how long.
    """
    context = multiprocessing.get_context("spawn")
    name = uuid.uuid4().hex[:8]
    orders = Orders(mysql_url, redis_url, mode, f"hammer{name}", f"hammer_{name}", seconds)
    run_statement(mysql_url, f"CREATE TABLE {orders.table} (id INT PRIMARY KEY, version BIGINT NOT NULL)")
    try:
        rows = ", ".join(f"({number}, 0)" for number in range(orders.keys + orders.cold_keys))
        run_statement(mysql_url, f"INSERT INTO {orders.table} VALUES {rows}")
        return _run_children(context, Board(context, orders), orders)
    finally:
        run_statement(mysql_url, f"DROP TABLE {orders.table}")


def _run_children(context: SpawnContext, board: Board, orders: Orders) -> Result:
    answers = context.SimpleQueue()
    children = [_start(context, read_all, board, orders, answers, number) for number in range(READERS)]
    children.append(_start(context, write_and_drop, board, orders, answers))
    killed = _kill_loaders(context, board, orders)
    given: list[dict[str, Any]] = [answers.get() for _ in children]
    for child in children:
        child.join(PATIENCE)
    return Result(
        reads=sum(each.get("reads", 0) for each in given),
        stale=sum(each.get("stale", 0) for each in given),
        drops=sum(each.get("drops", 0) for each in given),
        loads=sum(board.loads),
        killed=killed,
        unanswered=sum(each.get("unanswered", 0) for each in given),
        verified=sum(each.get("verified", 0) for each in given),
        alarms=sum(each.get("alarms", 0) for each in given),
        errors=[error for each in given for error in each["errors"]],
        loads_per_cold_key=max(board.cold_loads()),
    )


def _start(context: SpawnContext, act: Callable[..., None], *args: Any) -> SpawnProcess:
    child = context.Process(target=act, args=args, daemon=True)
    child.start()
    return child


def _kill_loaders(context: SpawnContext, board: Board, orders: Orders) -> int:
    """Start loaders, one after the other, and kill each while it loads, until the time is over."""
    killed, loader = 0, _start(context, read_and_die, board, orders)
    board.wait_for_start()
    while time.time() < board.end.value:
        if not board.is_loading.value:
            time.sleep(0.01)
            continue
        _kill(loader)
        killed += 1
        board.is_loading.value = 0
        loader = _start(context, read_and_die, board, orders)
    _kill(loader)
    return killed


def _kill(child: SpawnProcess) -> None:
    if child.pid is not None:
        os.kill(child.pid, signal.SIGKILL)
    child.join(PATIENCE)


def run_statement(mysql_url: str, statement: str) -> None:
    """Run a statement behind the library's back."""
    with cursor_at(mysql_url) as cursor:
        cursor.execute(statement)


@contextmanager
def cursor_at(mysql_url: str) -> Iterator[Cursor]:
    """Connect to the schema that the URL names, in autocommit mode."""
    parts = urlsplit(mysql_url)
    connection = pymysql.connect(
        host=parts.hostname,
        port=parts.port or 3306,
        user=parts.username,
        password=parts.password or "",
        database=parts.path.lstrip("/"),
        autocommit=True,
    )
    with closing(connection), connection.cursor() as cursor:
        yield cursor


def _servers(stack: ExitStack) -> tuple[str, str]:
    """Return the servers that MRC_TEST_MYSQL_URL and MRC_TEST_REDIS_URL name, or private ones."""
    redis_url = os.environ.get("MRC_TEST_REDIS_URL") or stack.enter_context(PrivateRedis()).url
    return mysql_server(stack), redis_url


def mysql_server(stack: ExitStack) -> str:
    """Return the URL of the schema that MRC_TEST_MYSQL_URL names, or of one on a private server."""
    named = os.environ.get("MRC_TEST_MYSQL_URL")
    return named or urlunsplit(urlsplit(stack.enter_context(PrivateMySQL()).url)._replace(path="/mysql"))


def _print(mode: str, seconds: float, result: Result | NearResult) -> None:
    print(f"\n{mode}, {seconds:g} s")
    for name, value in result._asdict().items():
        print(f"  {name.replace('_', ' '):20}{_shown(value):>12}")
    for error in result.errors[:5]:
        print(f"  {error}")


def _shown(value: object) -> str:
    match value:
        case list():
            return str(len(value))
        case tuple():
            return " / ".join(map(str, value))
    return f"{value:,}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Hammer in each mode; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="for each mode (default: 60)")
    parser.add_argument("--mode", choices=MODES, action="append", help="default: sweep, then index")
    parser.add_argument("--near", action="store_true", help="the modes near and strict")
    parser.add_argument("--spoil", choices=[*filter(None, SPOILED)], default="", help="break near caches")
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")
    asked = parser.parse_args(arguments)
    results: dict[str, Result | NearResult] = {}
    with ExitStack() as stack:
        mysql_url, redis_url = _servers(stack)
        for mode in MODES[3:] if asked.near else asked.mode or MODES[:2]:
            if mode in MODES[3:]:
                strict = mode == "strict"
                orders = NearOrders(mysql_url, redis_url, asked.seconds, strict=strict, spoiled=asked.spoil)
                results[mode] = hammer_near(orders, run_statement)
            else:
                results[mode] = hammer(mysql_url, redis_url, mode, asked.seconds)
            if not asked.json:
                _print(mode, asked.seconds, results[mode])
    if asked.json:
        print(json.dumps({mode: result._asdict() for mode, result in results.items()}))
    return 0 if all(result.is_good for result in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
