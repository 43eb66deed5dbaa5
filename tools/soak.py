"""Soak: hours of outages in minutes, and whether anything grows or goes wrong meanwhile.

A process reads, writes and drops through a blocking client and through the facade, over a proxy, while Redis
and MySQL are cut, frozen, corrupted, killed, and its threads interrupted and forked. A read is wrong if it
gives another row, or a version below one whose drop had returned before the read started. Ends with status 1
unless memory, sockets, threads and tasks stay what they were, and nothing is wrong::

    python -m tools.soak --minutes 5
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import sys
import time
import uuid
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit

import pymysql

from tests.support.proxy import Proxy
from tools.hammer import cursor_at, mysql_server, run_statement
from tools.hammering import Orders
from tools.private_servers import PrivateRedis
from tools.soaking import COUNTS, FAULTS, KEYS, Board, descriptors, soak_process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.process import BaseProcess

__all__ = ["Sample", "grown", "main", "soak", "verdict"]

EACH_FAULT = 2.0
"""Seconds that each fault lasts, and the quiet after it."""

GREETING = "SET autocommit = 0, sql_mode = 'NO_BACKSLASH_ESCAPES', time_zone = '+05:00'"
"""What the server has each connection begin with, for a while: nobody's rows or writes may suffer."""

# Quiet and a fault by turns.
ROUND = 2 * (len(FAULTS) - 1)
ROUNDS_TO_JUDGE = 4
"""Rounds of all faults from which on growth is judged: each of the thirds compared then sees all of them."""

TABLE_EVERY = 10.0
PATIENCE = 60.0
# What may come on top of what there was, for noise: so much of it, and so many.
ALLOWED = {"rss": (0.03, 2.0), "sockets": (0.0, 3.0), "threads": (0.0, 3.0), "tasks": (0.0, 1.0)}


class Sample(NamedTuple):
    """What was seen of the process at a moment.

    Attributes:
        seconds: since the start.
        rss: memory in use, MB.
        sockets: open sockets.
        files: all open descriptors.
        threads: as the system counts them.
        tasks: of asyncio.
    """

    seconds: float
    rss: float
    sockets: int
    files: int
    threads: int
    tasks: int


def take_sample(pid: int, began: float, tasks: int) -> Sample:
    """Look at a process; needs Linux's ``/proc``."""
    status = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line
    )
    files, sockets = descriptors(pid)
    rss = int(status["VmRSS"].split()[0]) / 1024
    return Sample(time.monotonic() - began, rss, sockets, files, int(status["Threads"]), tasks)


def grown(samples: Sequence[Sample]) -> dict[str, tuple[float, float]]:
    """Return what has grown from the first third after the warm-up to the last third, with both figures.

    Of memory they are the medians. Of what is counted, the fewest: pools of threads and connections fill and
    empty with the load, but what nobody ends is there at every moment.

    The warm-up is the first tenth. Each third should see every fault, hence ``ROUNDS_TO_JUDGE``.
    """
    warm = samples[len(samples) // 10 :]
    third = max(1, len(warm) // 3)
    found = {}
    for name, (share, number) in ALLOWED.items():
        typical = median if name == "rss" else min
        first, last = (
            typical(getattr(each, name) for each in part) for part in (warm[:third], warm[-third:])
        )
        if last > first * (1 + share) + number:
            found[name] = (first, last)
    return found


class Tormentor:
    """Does to the servers what outages do.

    Args:
        mysql_url: the server itself, not the proxy before it.
        redis: the server.
        proxies: before MySQL and before Redis.
    """

    def __init__(self, mysql_url: str, redis: PrivateRedis, proxies: tuple[Proxy, Proxy]) -> None:
        self._mysql_url, self._redis = mysql_url, redis
        self._mysql_proxy, self._redis_proxy = proxies

    def torment(self, fault: str, seconds: float) -> None:
        """Have *fault* for so many seconds."""
        begin, end = self._ways(fault)
        begin()
        try:
            time.sleep(seconds)
        finally:
            end()

    def _ways(self, fault: str) -> tuple[Callable[[], object], Callable[[], object]]:
        """Return what begins and what ends a fault; those that the process does to itself need neither."""
        redis, proxy = self._redis, self._redis_proxy
        ways: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
            "Redis cut": (proxy.stop, proxy.start),
            "Redis frozen": (redis.suspend, redis.resume),
            "Redis dripping": (lambda: proxy.drip(1, 0.1), lambda: proxy.drip(0, 0)),
            "Redis corrupted": (lambda: proxy.corrupt(_spoilt), lambda: proxy.corrupt(None)),
            "Redis restarted": (redis.kill, redis.start),
            "MySQL killed": (self._kill_connections, self._kill_connections),
            "MySQL cut": (self._mysql_proxy.cut, self._mysql_proxy.cut),
            "MySQL with init_connect": (partial(self._greet, GREETING), partial(self._greet, "")),
        }
        return ways.get(fault, (_nothing, _nothing))

    def _greet(self, statements: str) -> None:
        """Have the server run statements when somebody connects, and everybody connect anew."""
        with cursor_at(self._mysql_url) as cursor:
            cursor.execute("SET GLOBAL init_connect = %s", [statements])
        self._kill_connections()

    def _kill_connections(self) -> None:
        listed = "FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()"
        with cursor_at(self._mysql_url) as cursor:
            cursor.execute(f"SELECT id {listed}")
            for (number,) in cursor.fetchall():
                with suppress(pymysql.MySQLError):  # it has gone by itself
                    cursor.execute(f"KILL CONNECTION {number}")


@contextmanager
def unprivileged(mysql_url: str, name: str) -> Iterator[str]:
    """Give the name and password of an account for whose connections the server runs its init_connect."""
    schema = urlsplit(mysql_url).path.lstrip("/")
    run_statement(mysql_url, f"CREATE USER '{name}'@'%' IDENTIFIED BY 'soak'")
    try:
        run_statement(mysql_url, f"GRANT ALL ON `{schema}`.* TO '{name}'@'%'")
        yield f"{name}:soak"
    finally:
        run_statement(mysql_url, f"DROP USER '{name}'@'%'")


def _spoilt(reply: bytes) -> bytes:
    """Spoil the byte that says what kind of reply it is; in others a change could go unnoticed."""
    return b"\xff" + reply[1:]


def _nothing(*_: object) -> None:
    return None


class Soak:
    """Runs the process, torments it and watches.

    Args:
        mysql_url: with a schema; a table is made in it and dropped.
        seconds: how long.
        show: called with every line for people.
        near: whether the process keeps entries near, for which its drops wait.
    """

    def __init__(
        self, mysql_url: str, seconds: float, show: Callable[[str], object] = print, *, near: bool = False
    ) -> None:
        self._mysql_url, self._seconds, self._show, self._near = mysql_url, seconds, show, near
        self._context = multiprocessing.get_context("spawn")
        self.board = Board(self._context)
        self.samples: list[Sample] = []
        # A short soak has every fault, too.
        self._each = min(EACH_FAULT, seconds / (2 * len(FAULTS)))

    def run(self) -> dict[str, Any]:
        """Soak; return what came of it."""
        name = f"soak_{uuid.uuid4().hex[:8]}"
        run_statement(self._mysql_url, f"CREATE TABLE {name} (id INT PRIMARY KEY, version BIGINT NOT NULL)")
        try:
            rows = ", ".join(f"({key}, 0)" for key in range(KEYS))
            run_statement(self._mysql_url, f"INSERT INTO {name} VALUES {rows}")
            with (
                unprivileged(self._mysql_url, name) as account,
                PrivateRedis() as redis,
                Proxy(self._mysql_url) as mysql,
                Proxy(redis.url) as proxy,
            ):
                parts = urlsplit(mysql.url)
                place = parts.netloc.rpartition("@")[2]
                url = urlunsplit(parts._replace(netloc=f"{account}@{place}", query="maxsize=6"))
                orders = Orders(url, proxy.url, "sweep", name, name, self._seconds, near=self._near)
                told = self._watch(orders, Tormentor(self._mysql_url, redis, (mysql, proxy)))
        finally:
            run_statement(self._mysql_url, f"DROP TABLE {name}")
        judged = len(self.samples) >= ROUNDS_TO_JUDGE * ROUND
        growth = grown(self.samples) if judged else None
        return {**dict(zip(COUNTS, self.board.counts, strict=True)), **told, "grown": growth}

    def _watch(self, orders: Orders, tormentor: Tormentor) -> dict[str, Any]:
        answers = self._context.SimpleQueue()
        child = self._context.Process(target=soak_process, args=(self.board, orders, answers), daemon=True)
        child.start()
        try:
            while not self.board.counts[0] and child.is_alive():
                time.sleep(0.01)
            self._torment(tormentor, child)
            self.board.goes_on.value = 0
            give_up = time.monotonic() + PATIENCE
            while answers.empty() and child.is_alive() and time.monotonic() < give_up:
                time.sleep(0.05)
            if answers.empty():
                return {"errors": ["the process has died or hangs"], "left": {}}
            told: dict[str, Any] = answers.get()
            return told
        finally:
            child.kill()
            child.join()

    def _torment(self, tormentor: Tormentor, child: BaseProcess) -> None:
        began = printed = time.monotonic()
        turn = 0
        while child.is_alive() and (turn < ROUND or time.monotonic() < began + self._seconds):
            # Quiet and a fault by turns: drops need a while in which they succeed.
            number = 0 if turn % 2 == 0 else 1 + turn // 2 % (len(FAULTS) - 1)
            self._have(tormentor, number)
            self.samples.append(take_sample(child.pid or 0, began, self.board.tasks.value))
            if time.monotonic() > printed + TABLE_EVERY:
                printed = time.monotonic()
                self._show(self._line())
            turn += 1
        self.board.fault.value = 0
        if self.samples:
            self._show(self._line())

    def _have(self, tormentor: Tormentor, number: int) -> None:
        """Have a fault, or quiet, and say so to the process."""
        of_mysql = FAULTS[number].startswith("MySQL")
        if of_mysql:
            self.board.mysql_well_since.value = math.inf
        self.board.fault.value = number
        tormentor.torment(FAULTS[number], self._each)
        if of_mysql:
            self.board.mysql_well_since.value = time.monotonic()

    def _line(self) -> str:
        last = self.samples[-1]
        counts = ", ".join(
            f"{number:,} {name.replace('_', ' ')}"
            for name, number in zip(COUNTS, self.board.counts, strict=True)
        )
        return (
            f"{last.seconds:6.0f} s  RSS {last.rss:6.1f} MB  {last.sockets:3} sockets  {last.files:3} files  "
            f"{last.threads:3} threads  {last.tasks:3} tasks  {counts}"
        )


def verdict(result: dict[str, Any]) -> tuple[bool, str]:
    """Return whether the soak was passed, and the line that says it."""
    said = _growth(result["grown"])
    left = [f"{number} {name}" for name, number in result["left"].items() if number > 0]
    said += [f"wrong {result['wrong']}", f"unexpected errors {len(result['errors'])}"]
    said.append(f"left open after closing: {' and '.join(left) or 'nothing'}")
    return not (result["grown"] or left or result["wrong"] or result["errors"]), ", ".join(said)


def _growth(grown: dict[str, tuple[float, float]] | None) -> list[str]:
    if grown is None:
        return [f"growth not judged, that takes {ROUNDS_TO_JUDGE * ROUND * EACH_FAULT / 60:.0f} minutes"]
    said = {name: f"grew from {first:.0f} to {last:.0f}" for name, (first, last) in grown.items()}
    return [f"{name.replace('rss', 'RSS')} {said.get(name, 'flat')}" for name in ALLOWED]


def soak(
    mysql_url: str, seconds: float, show: Callable[[str], object] = print, *, near: bool = False
) -> dict[str, Any]:
    """Soak for so many seconds and return what came of it."""
    return Soak(mysql_url, seconds, show, near=near).run()


def main(arguments: Sequence[str] | None = None) -> int:
    """Soak; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=5.0, help="how long (default: 5)")
    parser.add_argument("--near", action="store_true", help="with a near cache, which is strict")
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")
    asked = parser.parse_args(arguments)
    with ExitStack() as stack:
        show = _nothing if asked.json else partial(print, flush=True)
        result = soak(mysql_server(stack), asked.minutes * 60, show, near=asked.near)
    is_good, line = verdict(result)
    if asked.json:
        print(json.dumps({**result, "is_good": is_good}))
        return 0 if is_good else 1
    for error in result["errors"][:10]:
        print(f"  {error}")
    print(line)
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
