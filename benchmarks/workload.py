"""What every subject is asked to do: the table, the queries, and the cached keys to be dropped."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pymysql

if TYPE_CHECKING:
    from collections.abc import Iterator

    import redis

TTL = 3600
ORDERS = 20_000
USERS = 2_000  # ten orders each
CACHED_USERS = 100  # those that hits are measured on
BIG_STORE = 1  # half of all orders: 10,000

_COLUMNS = "id, user_id, store_id, sku, qty, price, state, placed"
FEW_QUERY = f"SELECT {_COLUMNS} FROM orders WHERE user_id = ?"
MANY_QUERY = f"SELECT {_COLUMNS} FROM orders WHERE store_id = ?"
STORE_QUERY = f"SELECT {_COLUMNS} FROM orders WHERE user_id = ? AND store_id = ?"  # its entries are dropped

_TABLE = """
CREATE TABLE orders (
  id INT PRIMARY KEY, user_id INT NOT NULL, store_id INT NOT NULL, sku VARCHAR(16) NOT NULL, qty INT NOT NULL,
  price DECIMAL(10,2) NOT NULL, state VARCHAR(12) NOT NULL, placed DATETIME NOT NULL,
  KEY (user_id), KEY (store_id)) ENGINE=InnoDB
"""
_STATES = ("new", "paid", "packed", "sent", "returned")

DROPPED_USER = 12
STORES = range(1, 7)
# The substring "UserId=12" is in the names of these users' entries too: 660 that a drop must leave alone.
_LOOK_ALIKES = (*range(120, 130), *range(1200, 1300))


@dataclass(frozen=True, slots=True)
class Workload:
    """Where the private servers are.

    Attributes:
        mysql: ``host``, ``port``, ``user``, ``password`` and ``database``.
        redis_port: of Redis on loopback.
    """

    mysql: dict[str, Any]
    redis_port: int

    @property
    def mysql_with_db(self) -> dict[str, Any]:
        """The same under the one name for the database that all clients but PyMySQL know."""
        return {"db" if name == "database" else name: value for name, value in self.mysql.items()}

    def redis(self, database: int) -> dict[str, Any]:
        """Connection arguments of a Redis *database*."""
        return {"host": "127.0.0.1", "port": self.redis_port, "db": database}

    def patient_redis(self, database: int) -> dict[str, Any]:
        """The same for this library, which else goes to MySQL when a busy machine keeps it waiting 0.25 s."""
        return {**self.redis(database), "socket_timeout": 10, "socket_connect_timeout": 10}


class Databases:
    """Which Redis database belongs to whom."""

    RAW = 1
    DOGPILE = 2
    OURS = 3
    PYPI = 4
    DROP = 5
    INDEX = 6
    COLD = 7
    FACADE = 8  # and the two after it


def load_orders(mysql: dict[str, Any]) -> None:
    """Create and fill the table of orders: ten of each user, half of all in one store."""
    settings = {name: value for name, value in mysql.items() if name != "database"}
    connection = pymysql.connect(**settings, autocommit=True)
    with connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE IF NOT EXISTS {mysql['database']}")
        cursor.execute(f"USE {mysql['database']}")
        cursor.execute(_TABLE)
        cursor.executemany("INSERT INTO orders VALUES (%s, %s, %s, %s, %s, %s, %s, %s)", list(_orders()))
        cursor.execute("ANALYZE TABLE orders")


def _orders() -> Iterator[tuple[object, ...]]:
    for number in range(1, ORDERS + 1):
        yield (
            number,
            (number - 1) % USERS + 1,
            BIG_STORE if number <= ORDERS // 2 else BIG_STORE + 1,
            f"KX-{number * 7919 % 10_000:04}",
            number % 9 + 1,
            f"{number * 37 % 30_000 / 100:.2f}",
            _STATES[number % len(_STATES)],
            f"2025-{number % 12 + 1:02}-{number % 28 + 1:02} {number % 24:02}:{number % 60:02}:00",
        )


def digest_of(text: str) -> str:
    """SHA-1, as keys name a query and the index names a pair."""
    return hashlib.sha1(text.encode()).hexdigest()


# ── The keys of a drop ──────────────────────────────────────────────────────────────────────────────────

_VALUE = json.dumps(
    [{"id": 1, "user_id": 12, "store_id": 3, "price": 19.99, "placed": "2025-12-23T10:30:00"}]
)
_FILL = """
for number = tonumber(ARGV[1]), tonumber(ARGV[2]) do
  local pairs = {'UserId=' .. (300000 + math.floor(number / 6)), 'StoreId=' .. (number % 6 + 1)}
  local name = pairs[1] .. '_' .. pairs[2] .. '_' .. ARGV[3]
  redis.call('SET', name, ARGV[4], 'EX', 86400)
  if ARGV[5] == 'indexed' then
    for _, pair in ipairs(pairs) do
      local digest = string.sub(redis.sha1hex(pair), 1, 20)
      redis.call('ZADD', 'mrc:idx:' .. digest, ARGV[6], name)
      redis.call('ZADD', 'mrc:idx:pairs', ARGV[6], digest)
    end
  end
end
"""
_FAR_MOMENT = 4_102_444_800_000  # milliseconds: the year 2100


def dropped_or_alike() -> list[tuple[int, int]]:
    """(user, store) of the six entries that a drop of ``UserId=12`` must delete and of 660 look-alikes."""
    return [(user, store) for user in (DROPPED_USER, *_LOOK_ALIKES) for store in STORES]


def fill_drop_database(client: redis.Redis, count: int, *, indexed: bool = False) -> None:
    """Write *count* entries, of which six carry ``UserId=12`` and 660 look as if they did.

    *indexed* also puts them into the index, as ``index=True`` clients do: one sorted set per pair.
    """
    client.flushdb()
    restore_dropped(client)
    if indexed:
        _index_dropped(client)
    others = count - len(dropped_or_alike())
    mode = "indexed" if indexed else "plain"
    for start in range(0, others, 10_000):
        end = min(start + 10_000, others) - 1
        client.eval(_FILL, 0, start, end, digest_of(STORE_QUERY), _VALUE, mode, _FAR_MOMENT)


def restore_dropped(client: redis.Redis) -> None:
    """Write anew whatever a drop may have deleted; a drop leaves the index as it is."""
    with client.pipeline(transaction=False) as pipeline:
        for user, store in dropped_or_alike():
            pipeline.set(_name(user, store), _VALUE, ex=86_400)
        pipeline.execute()


def _index_dropped(client: redis.Redis) -> None:
    with client.pipeline(transaction=False) as pipeline:
        pipeline.zadd("mrc:idx", {"over": _FAR_MOMENT})
        for user, store in dropped_or_alike():
            for pair in (f"UserId={user}", f"StoreId={store}"):
                digest = digest_of(pair)[:20]
                pipeline.zadd(f"mrc:idx:{digest}", {_name(user, store): _FAR_MOMENT})
                pipeline.zadd("mrc:idx:pairs", {digest: _FAR_MOMENT})
        pipeline.execute()


def _name(user: int, store: int) -> str:
    return f"UserId={user}_StoreId={store}_{digest_of(STORE_QUERY)}"
