"""What one writes by hand: redis-py with its pool, orjson, and a PyMySQL DictCursor on one connection."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import Any

import orjson
import pymysql
import redis
from pymysql.cursors import DictCursor
from workload import (
    BIG_STORE,
    DROPPED_USER,
    FEW_QUERY,
    MANY_QUERY,
    TTL,
    USERS,
    Databases,
    Workload,
    digest_of,
)

from subjects import RAW, Subject, for_cached_users, for_new_users, repeated

FEW = FEW_QUERY.replace("?", "%s")
MANY = MANY_QUERY.replace("?", "%s")


def make_subject(workload: Workload) -> Subject:
    """The cache by hand; its hit is ``orjson.loads(redis.get(key))`` with a key made beforehand."""
    connection = pymysql.connect(**workload.mysql, autocommit=True, cursorclass=DictCursor)
    client = redis.Redis(**workload.redis(Databases.RAW))
    store = redis.Redis(**workload.redis(Databases.DROP))
    keys = {user: f"UserId={user}_{digest_of(FEW)}" for user in range(1, USERS + 1)}
    many_key = f"StoreId={BIG_STORE}_{digest_of(MANY)}"

    def read(key: str, query: str, param: int) -> Any:
        cached = client.get(key)
        if cached is not None:
            return orjson.loads(cached)
        with connection.cursor() as cursor:
            cursor.execute(query, [param])
            rows = cursor.fetchall()
        client.set(key, orjson.dumps(rows, default=_decimal_as_float), ex=TTL)
        return rows

    operations = {
        "hit": for_cached_users(lambda user: orjson.loads(client.get(keys[user]))),
        "miss_few": for_new_users(lambda user: read(keys[user], FEW, user)),
        "miss_many": repeated(lambda number: read(many_key, MANY, number), BIG_STORE),
        "key": for_cached_users(_key),
        "drop": repeated(lambda user: _drop(store, user), DROPPED_USER),
    }
    return Subject(
        RAW,
        f"redis-py {redis.__version__}, orjson {orjson.__version__}",
        Databases.RAW,
        operations,
        client.close,
    )


def _key(user: int) -> str:
    return f"UserId={user}_StoreId=3_{hashlib.sha1(FEW.encode()).hexdigest()}"


def _drop(store: redis.Redis, user: int) -> None:
    found = list(store.scan_iter(match=f"*UserId={user}_*", count=1000))
    store.unlink(*found)


def _decimal_as_float(value: object) -> float:
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"no JSON for {type(value).__name__}")
