"""What the cache does, seen on a real MySQL and a real Redis: `make demo`."""

from __future__ import annotations

import os
import statistics
import sys
import time
import uuid
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import redis

from mysql_redis_cache import MRCClient, MRCServer
from tools.demo_acts import show_async, show_crowd, show_outage, show_race
from tools.demo_follower import show_follower
from tools.private_servers import LOGGING, PrivateMySQL, PrivateRedis

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Rows = list[dict[str, Any]]
    Read = Callable[[MRCClient], Rows]

Result = TypeVar("Result")

WIDTH = 92
ORDERS = 100_000
CUSTOMER = 42
HITS = 50

TABLE = """
CREATE TABLE orders (
    id INT PRIMARY KEY, customer_id INT NOT NULL, product VARCHAR(40) NOT NULL, status VARCHAR(12) NOT NULL,
    amount DECIMAL(9,2) NOT NULL, ordered_on DATE NOT NULL, KEY (customer_id)
)
"""
# One statement that works on every MySQL and MariaDB: five digits make the numbers 0 to 99,999.
DIGITS = "(SELECT 0 d UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 \
UNION SELECT 5 UNION SELECT 6 UNION SELECT 7 UNION SELECT 8 UNION SELECT 9)"
FILL = f"""
INSERT INTO orders
SELECT n, 1 + n MOD 5000, CONCAT('Product ', CRC32(n) MOD 300),
       ELT(1 + CRC32(CONCAT(n, 's')) MOD 4, 'new', 'paid', 'shipped', 'returned'),
       (CRC32(CONCAT(n, 'a')) MOD 50000) / 100, '2025-01-01' + INTERVAL n MOD 365 DAY
FROM (SELECT 1 + a.d + 10 * b.d + 100 * c.d + 1000 * e.d + 10000 * f.d AS n
      FROM {DIGITS} a, {DIGITS} b, {DIGITS} c, {DIGITS} e, {DIGITS} f) numbers
"""
OF_CUSTOMER = "SELECT id, ordered_on, status, amount FROM orders WHERE customer_id = ? ORDER BY id"
REVENUE = "SELECT status, COUNT(*) AS orders, SUM(amount) AS revenue FROM orders GROUP BY status"

NEXT = """
  Read on: docs/tutorial.md, from an empty file to cached and dropped reads in a quarter of an hour;
  docs/tutorial-follower.md for the last act; docs/how-to/ for Flask, Django, FastAPI and others;
  docs/explanation/coherence.md for why no stale entry outlives a drop.
"""


def main() -> None:
    """Start servers, load the orders, and show one step after the other."""
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # a terminal without box characters
    with ExitStack() as life:
        mysql_url = life.enter_context(mysql_schema())
        own_redis = os.environ.get("MRC_TEST_REDIS_URL")
        redis_url = own_redis or life.enter_context(PrivateRedis()).url
        # Beside other entries the demo's get a prefix, so that it leaves those alone.
        namespace = f"demo-{uuid.uuid4().hex[:6]}" if own_redis else None
        client = life.enter_context(MRCClient(mysql_url, redis_url, namespace=namespace))
        server = life.enter_context(MRCServer(redis_url, namespace=namespace))
        inside = life.enter_context(redis.Redis.from_url(redis_url, socket_timeout=10))
        introduce(client, inside)
        show_reads(client)
        show_update(client, server)
        show_entry(client, inside)
        show_race(client, server, inside)
        show_crowd(client)
        show_outage(mysql_url)
        show_async(client)
        show_follower(mysql_url, redis_url, namespace)
        if own_redis:
            server.drop_all()
        print(NEXT)


@contextmanager
def mysql_schema() -> Iterator[str]:
    """A schema of the demo's own, on a private server or on MRC_TEST_MYSQL_URL's; dropped at the end."""
    with ExitStack() as life:
        url = os.environ.get("MRC_TEST_MYSQL_URL") or life.enter_context(PrivateMySQL(LOGGING)).url
        schema = f"mrc_demo_{uuid.uuid4().hex[:8]}"
        with MRCClient(url) as admin:
            admin.execute("CREATE DATABASE ??", [schema])
            try:
                yield urlunsplit(urlsplit(url)._replace(path=f"/{schema}"))
            finally:
                admin.execute("DROP DATABASE ??", [schema])


def introduce(client: MRCClient, inside: redis.Redis) -> None:
    """Say what runs where, and load the table."""
    (about,) = client.query("SELECT VERSION() AS version")
    seconds, _ = timed(lambda: (client.execute(TABLE), client.execute(FILL)))
    print(f"\nmysql-redis-cache: one real table, read through the cache\n{'=' * WIDTH}")
    print(f"  MySQL    {about['version']}")
    print(f"  Redis    {inside.info('server')['redis_version']}")
    print(f"  table    {ORDERS:,} orders, made in {seconds:.1f} s\n")
    print(f"  orders   {OF_CUSTOMER}\n           with customer_id = {CUSTOMER}, named CustomerId")
    print(f"  revenue  {REVENUE}")


def show_reads(client: MRCClient) -> None:
    """A miss and hits of a small query, and of one that costs MySQL something."""
    heading("reads")
    client.read_from_cache("connect")  # or the first read would pay for the connection to Redis
    for name, read in (("orders", orders), ("revenue", revenue)):
        miss = show_miss(client, f"{name}, first time", read)
        show_hits(client, f"{name}, again (median of {HITS})", read, miss)


def show_update(client: MRCClient, server: MRCServer) -> None:
    """An update is seen as soon as the entry has been dropped."""
    heading("an order changes")
    order = orders(client)[0]
    status = "returned" if order["status"] == "paid" else "paid"
    update = "UPDATE orders SET status = ? WHERE id = ?"
    seconds, written = timed(lambda: client.execute(update, [status, order["id"]]))
    line(
        f"UPDATE order {order['id']}",
        "MySQL",
        written.affected_rows,
        seconds,
        f"{order['status']} → {status}",
    )
    seconds, dropped = timed(lambda: server.drop_outdated_cache(["CustomerId"], [CUSTOMER]))
    line(f"drop CustomerId = {CUSTOMER}", "Redis", dropped, seconds, "entry gone")
    miss = show_miss(
        client, "orders, read anew", orders, lambda rows: f"order {rows[0]['id']} is {rows[0]['status']}"
    )
    show_hits(client, f"orders, again (median of {HITS})", orders, miss)
    if orders(client)[0]["status"] != status:
        raise SystemExit("the demo read a stale row; this must never happen")


def show_entry(client: MRCClient, inside: redis.Redis) -> None:
    """The entry as it lies in Redis."""
    key = client.get_key_from_query(OF_CUSTOMER, [CUSTOMER], ["CustomerId"])
    value = bytes(inside.get(key) or b"")  # type: ignore[arg-type]
    print(f"\n  what lies in Redis now\n  {'-' * (WIDTH - 2)}")
    print(f"  key      {key}")
    print(f"  value    {shortened(value.decode())}  ({len(value):,} bytes)")
    print(
        f"  TTL      {inside.ttl(key):,} s  (3,600 asked for, ± 10 %, so that not all entries end at once)\n"
    )


def orders(client: MRCClient) -> Rows:
    """The orders of one customer, through the cache."""
    return client.query_with_cache(OF_CUSTOMER, [CUSTOMER], ["CustomerId"], 3600)


def revenue(client: MRCClient) -> Rows:
    """The revenue by status, through the cache."""
    return client.query_with_cache(REVENUE, ttl=3600)


def show_miss(client: MRCClient, name: str, read: Read, note: Callable[[Rows], str] | None = None) -> float:
    """Print one read that finds nothing cached, and return its seconds."""
    with counted(client, "misses", 1):
        seconds, rows = timed(lambda: read(client))
    remark = "miss, now cached" if note is None else f"miss, now cached: {note(rows)}"
    line(name, "MySQL", len(rows), seconds, remark)
    return seconds


def show_hits(client: MRCClient, name: str, read: Read, miss: float) -> None:
    """Print some reads of what is cached, against the seconds of the miss before."""
    with counted(client, "hits", HITS):
        results = [timed(lambda: read(client)) for _ in range(HITS)]
    seconds = statistics.median(seconds for seconds, _ in results)
    line(name, "Redis", len(results[0][1]), seconds, f"hit, {miss / seconds:,.0f} × as fast")


@contextmanager
def counted(client: MRCClient, name: str, times: int) -> Iterator[None]:
    """Make sure that the client's own counter agrees with what the table says."""
    before = client.stats()[name]
    yield
    if client.stats()[name] - before != times:
        raise SystemExit(f"the demo expected {times} {name}; the client counted otherwise: {client.stats()}")


def timed(call: Callable[[], Result]) -> tuple[float, Result]:
    """Seconds that a call took, and what it returned."""
    begun = time.perf_counter()
    result = call()
    return time.perf_counter() - begun, result


def heading(title: str) -> None:
    """The head of a part of the table."""
    print(f"\n  {title:<36}{'from':<8}{'rows':>6}{'ms':>10}\n  {'-' * (WIDTH - 2)}")


def line(step: str, source: str, rows: int, seconds: float, remark: str = "") -> None:
    """One line of the table."""
    print(f"  {step:<36}{source:<8}{rows:>6}{seconds * 1000:>10.2f}   {remark}")


def shortened(text: str, size: int = 60) -> str:
    """The beginning of a long text."""
    return text if len(text) <= size else f"{text[:size]}…"


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
