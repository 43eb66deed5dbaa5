"""The last act of the demo: a drop that somebody forgot, found, and then made impossible."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mysql_redis_cache import MRCClient
from mysql_redis_cache.follow import Follower
from mysql_redis_cache.observe import StaleFound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["show_follower"]

PATIENCE = 10.0
ORDER, TTL = 4711, 86_400
READ = "SELECT status FROM orders WHERE id = ?"
WRITE = "UPDATE orders SET status = ? WHERE id = ?"


def show_follower(mysql_url: str, redis_url: str, namespace: str | None) -> None:
    """Write past the cache, look for what is outdated, then have the binary log followed, and write again."""
    title = "a drop that somebody forgot, and a follower of MySQL's log that makes it impossible"
    print(f"\n  {title}\n  {'-' * 90}")
    with MRCClient(mysql_url, redis_url, namespace=namespace, verify=1.0) as client:
        client.execute(WRITE, ["new", ORDER])
        _read(client)
        client.execute(WRITE, ["paid", ORDER])
        print(f"  UPDATE to 'paid' and no drop              {_read(client)!r}: outdated, for a day")
        print(f"  verify compares hits with MySQL           {_verified(client)}")
        schema = urlsplit(mysql_url).path.strip("/")
        rules = {f"{schema}.orders": {"OrderId": "id"}}
        follower = Follower(mysql_url, redis_url, rules, namespace=namespace)
        problems = follower.check().problems
        if problems:
            follower.close()
            print(f"  no follower on this server                {problems[0]}")
            return
        with _running(follower):
            print(f'  mrc follow, [orders] OrderId = "id"       read anew: {_read(client)!r}')
            _show_drops(client)


def _show_drops(client: MRCClient) -> None:
    begun = time.perf_counter()
    written = client.execute(WRITE, ["shipped", ORDER])
    _await(lambda: client.read_from_cache(READ, [ORDER], ["OrderId"]) is None)
    seconds = time.perf_counter() - begun
    print(f"  UPDATE to 'shipped' and no drop           {_read(client)!r}, {1000 * seconds:.1f} ms later")
    written = client.execute(WRITE, ["returned", ORDER])
    if written.gtid is not None:
        client.wait_for(written.gtid, PATIENCE)
        print(f"  UPDATE to 'returned', wait_for(gtid)      {_read(client)!r}: reads what it wrote")


def _read(client: MRCClient) -> str:
    return str(client.query_with_cache(READ, [ORDER], ["OrderId"], TTL)[0]["status"])


def _verified(client: MRCClient) -> str:
    found: list[StaleFound] = []
    client.events.subscribe(found.append, [StaleFound])
    begun = time.perf_counter()
    _read(client)
    _await(lambda: bool(found))
    seconds = time.perf_counter() - begun
    return f"a drop by {', '.join(found[0].names)} is missing (after a second look, {seconds:.1f} s)"


@contextmanager
def _running(follower: Follower) -> Iterator[None]:
    thread = threading.Thread(target=follower.run)
    thread.start()
    try:
        _await(lambda: follower.stats()["lag"] == 0.0)
        yield
    finally:
        follower.stop()
        thread.join(PATIENCE)
        follower.close()


def _await(is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not is_so():
        if time.monotonic() > until:
            raise SystemExit(f"the demo waited in vain for {PATIENCE:g} s; this must never happen")
        time.sleep(0.0005)
