"""Have a follower of the binary log live through everything at once, then compare every entry with MySQL.

Writers change rows in all the ways there are, readers fill the cache, nobody drops but followers, of which
one leads. Meanwhile followers are killed and frozen, Redis is frozen and restarted from an older snapshot,
MySQL is restarted and killed, tables are redefined and emptied, logs rotated and purged, and in the middle
another server takes the place of the first. All the while entries are looked at, and none may be outdated for
longer than the lag that the leader reports. When all is quiet every entry is compared: 0 must be outdated::

    python -m tools.chaos --seconds 120
    MRC_MYSQL_PROGRAM=/usr/sbin/mysqld python -m tools.chaos --seconds 120

With ``--spoil`` something that is needed is taken out, and something outdated must be found: the follower
itself, the order of drop and position, the wait until a change can be read (with semi-synchronous commits
that wait for a replica that says nothing), or the lag, which is 0 while drops are late. Ends with status 1 if
that is not so.
"""

from __future__ import annotations

import argparse
import random
import sys
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import pymysql
import redis

from mysql_redis_cache import MRCClient, MRCError
from tools.chaos_followers import SPOILED, Followers
from tools.chaos_servers import SCHEMA, Pair
from tools.chaos_shop import RULES, Reader, Writer, fill, stale
from tools.chaos_watch import TOLERANCE, Delays, Watch, judge
from tools.private_servers import PrivateRedis

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tools.chaos_watch import Report

__all__ = ["Result", "chaos", "main", "repeating"]

WRITERS, READERS = 3, 2
PATIENCE = 30.0
RULES_OF_SCHEMA = {f"{SCHEMA}.{table}": rule for table, rule in RULES.items()}
SENTINEL = "SELECT ? AS n"


class Result(NamedTuple):
    """What a run came to.

    Attributes:
        entries: how many there were at the end.
        outdated: those that are not what MySQL has.
        looks: how many entries were looked at meanwhile, some of them often.
        delays: for how long they were outdated.
        done: what was done to the servers and followers, each as often as it was.
    """

    entries: int
    outdated: list[Any]
    looks: int
    delays: Delays
    done: dict[str, int]


@contextmanager
def repeating(*works: Callable[[], object]) -> Iterator[None]:
    """Repeat some works, each in a thread, until the block ends; raise what any of them has raised."""
    over = threading.Event()
    raised: list[BaseException] = []

    def repeat(work: Callable[[], object]) -> None:
        try:
            while not over.is_set():
                work()
        except BaseException as error:
            raised.append(error)

    running = [threading.Thread(target=repeat, args=(work,)) for work in works]
    for thread in running:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in running:
            thread.join(PATIENCE)
    if raised:
        raise raised[0]


class Chaos:
    """One run.

    Args:
        pair: the servers.
        cache: Redis.
        followers: who follows; ``None`` if nobody does.
        seed: of all choices.
    """

    def __init__(self, pair: Pair, cache: PrivateRedis, followers: Followers | None, seed: int) -> None:
        self.pair, self.cache, self.followers = pair, cache, followers
        self._chance = random.Random(seed)
        self._admin = redis.Redis.from_url(cache.url, socket_timeout=10)
        self.done: dict[str, int] = {}
        self._columns = 0
        self.client = MRCClient(pair.url, cache.url)
        self.watch = Watch(lambda: self.client, self._admin)

    # What is done to them

    def torment(self, kinds: Sequence[Callable[[], object]]) -> None:
        """Do one of these things."""
        act = self._chance.choice(kinds)
        self.done[act.__name__] = self.done.get(act.__name__, 0) + 1
        with suppress(pymysql.Error, redis.RedisError, OSError):
            act()
            self.pair.end_prepared()
        time.sleep(self._chance.uniform(0.1, 0.8))

    @property
    def kinds(self) -> list[Callable[[], object]]:
        """Everything."""
        return [
            self.kill_follower,
            self.freeze_follower,
            self.freeze_redis,
            self.restart_redis,
            self.restart_mysql,
            self.kill_mysql,
            self.rotate,
            self.purge,
            self.redefine,
            self.empty,
        ]

    def kill_follower(self) -> None:
        if self.followers is not None:
            self.followers.kill_one()

    def freeze_follower(self) -> None:
        if self.followers is not None:
            self.followers.freeze_one(self._chance.uniform(0.5, 2.5))

    def freeze_redis(self) -> None:
        self.cache.suspend()
        time.sleep(self._chance.uniform(0.5, 2.0))
        self.cache.resume()

    def restart_redis(self) -> None:
        """Have it lose what came after a snapshot."""
        self._admin.save()
        time.sleep(self._chance.uniform(0.0, 1.0))
        self.cache.kill()
        self.cache.start()
        self.watch.forget()

    def restart_mysql(self) -> None:
        self.pair.servers[self.pair.primary].restart()

    def kill_mysql(self) -> None:
        server = self.pair.servers[self.pair.primary]
        server.kill()
        server.start()

    def rotate(self) -> None:
        self.pair.run("FLUSH BINARY LOGS")

    def purge(self) -> None:
        """Take away the logs that a follower, frozen meanwhile, may not have read."""
        *_, last = self.pair.run("FLUSH BINARY LOGS", "SHOW BINARY LOGS")
        self.pair.run(f"PURGE BINARY LOGS TO '{last['Log_name']}'")

    def redefine(self) -> None:
        self._columns += 1
        self.pair.run(f"ALTER TABLE child ADD COLUMN more{self._columns} INT FIRST")

    def empty(self) -> None:
        self.pair.run("DELETE FROM child WHERE v < 0", "TRUNCATE TABLE child")

    def fail_over(self, *, is_planned: bool) -> None:
        name = "planned failover" if is_planned else "failover"
        self.done[name] = self.done.get(name, 0) + 1
        before = self.client
        self.pair.fail_over(self._read_from, is_planned=is_planned)
        before.close()

    def _read_from(self, url: str) -> None:
        self.client = MRCClient(url, self.cache.url)

    # The run

    def run(self, seconds: float, kinds: Sequence[Callable[[], object]]) -> tuple[int, list[Any]]:
        """Do it, and compare; return how many entries there are, and those that are outdated."""
        writers = [Writer(self.pair.connect, number) for number in range(WRITERS)]
        readers = [Reader(lambda: self.client, number) for number in range(READERS)]
        began = time.monotonic()
        with repeating(self.watch.act, *[reader.act for reader in readers]):
            with repeating(*[writer.act for writer in writers]):
                while time.monotonic() < began + seconds:
                    self.torment(kinds)
                    is_half = time.monotonic() > began + seconds / 2
                    if is_half and len(self.pair.servers) > 1 and not self.pair.primary:
                        self.fail_over(is_planned=self._chance.random() < 0.5)
                time.sleep(1.0)
                self.kill_follower()  # what it has not done is left to the next, and no more is written
                self.kill_follower()
            for writer in writers:
                writer.close()
            self.pair.end_prepared()
            self._await_level()
            time.sleep(1.0)
        found = stale(self.client)
        self.client.close()
        self._admin.close()
        return found

    def _await_level(self) -> None:
        """Wait until a follower has dropped whatever was written before."""
        self.pair.run("REPLACE INTO parent VALUES (-1, 0)")
        until = time.monotonic() + (PATIENCE if self.followers is not None else 0)
        value = 0
        while time.monotonic() < until:
            with suppress(MRCError):
                self.client.query_with_cache(SENTINEL, [-1], ["Parent"])
            value += 1
            self.pair.run(f"UPDATE parent SET v = {value} WHERE id = -1")
            for _ in range(100):
                time.sleep(0.05)
                missing = object()
                with suppress(MRCError):
                    if self.client.read_from_cache(SENTINEL, [-1], ["Parent"], missing) is missing:
                        return
        if self.followers is not None:
            raise TimeoutError(f"no follower has dropped what was written:\n{self.followers.said()}")


def chaos(seconds: float, *, spoil: str | None = None, fragile: bool = False, seed: int = 0) -> Result:
    """Run it on servers of its own.

    Args:
        seconds: for how long.
        spoil: what is taken out, one of ``SPOILED``.
        fragile: whether MySQL loses what it had committed last when it is killed; then nobody replicates it.
        seed: of all choices.
    """
    has_replica = spoil is None and not fragile
    with (
        Pair(is_durable=not fragile, is_mute=spoil == "visibility", is_replicated=has_replica) as pair,
        PrivateRedis() as cache,
    ):
        fill(pair.run)
        arguments = (pair.urls, cache.url, RULES_OF_SCHEMA)
        followers = None if spoil == "follower" else Followers(*arguments, spoil=spoil)
        reports: list[Report] = []
        try:
            if followers is not None:
                _await_leader(cache.url)
            run = Chaos(pair, cache, followers, seed)
            count, outdated = run.run(seconds, _kinds(run, spoil))
        finally:
            if followers is not None:
                reports = followers.end()
        return Result(count, outdated, run.watch.looks, judge(reports, run.watch.sightings), run.done)


def _kinds(run: Chaos, spoil: str | None) -> list[Callable[[], object]]:
    """Return what is done; where something outdated is to be found nothing may drop it widely."""
    if spoil is None:
        return run.kinds
    kinds: dict[str, list[Callable[[], object]]] = {
        "follower": [run.rotate],
        "position": [run.kill_follower],
        "visibility": [_toggling(run.pair)],
        "lag": [run.rotate],
    }
    return kinds[spoil]


def _toggling(pair: Pair) -> Callable[[], object]:
    """Return what has commits wait for the replica again, which it did not do after it had waited in vain."""
    name = "rpl_semi_sync_master_enabled" if pair.is_mariadb else "rpl_semi_sync_source_enabled"

    def wait_again() -> None:
        for _ in range(20):
            pair.run(f"SET GLOBAL {name} = OFF", f"SET GLOBAL {name} = ON")
            time.sleep(0.1)

    return wait_again


def _await_leader(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        until = time.monotonic() + PATIENCE
        while not client.exists("{mrc:follow:default}"):
            if time.monotonic() > until:
                raise TimeoutError("no follower leads")
            time.sleep(0.05)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it as the command line says; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fragile", action="store_true", help="MySQL loses commits when it is killed")
    parser.add_argument("--spoil", choices=[*SPOILED])
    options = parser.parse_args(arguments)
    found = chaos(options.seconds, spoil=options.spoil, fragile=options.fragile, seed=options.seed)
    delays = found.delays
    print(f"{len(found.outdated)} outdated of {found.entries} entries")
    print(
        f"{found.looks} looks before: outdated for {delays.longest:.2f} s at most, where leaders reported "
        f"{delays.lag:.2f} s of lag at most, {delays.counted:.2f} s with the time in which nobody led; "
        f"at {len(delays.late)} looks for more than {TOLERANCE} s longer than the lag of that time"
    )
    print(", ".join(f"{name} {times}" for name, times in sorted(found.done.items())))
    for each in [*found.outdated[:5], *delays.late[:5]] if options.spoil is None else ():
        print(*each, sep="\n    ")
    return int(bool(found.outdated or delays.late) != (options.spoil is not None))


if __name__ == "__main__":
    sys.exit(main())
