"""dogpile.cache over Redis, as its documentation sets it up for several processes."""

from __future__ import annotations

from importlib.metadata import version

import pymysql
from dogpile.cache import make_region
from pymysql.cursors import DictCursor
from workload import BIG_STORE, FEW_QUERY, MANY_QUERY, TTL, Databases, Workload

from subjects import DOGPILE, Subject, for_cached_users, for_new_users, repeated

FEW = FEW_QUERY.replace("?", "%s")
MANY = MANY_QUERY.replace("?", "%s")


def make_subject(workload: Workload) -> Subject:
    """Functions decorated with ``cache_on_arguments``; it has no drop by a part of the key."""
    connection = pymysql.connect(**workload.mysql, autocommit=True, cursorclass=DictCursor)
    backend = {
        **workload.redis(Databases.DOGPILE),
        "redis_expiration_time": TTL,
        "distributed_lock": True,  # one load per cold key over all processes, as ours
        "thread_local_lock": False,
    }
    region = make_region().configure("dogpile.cache.redis", expiration_time=TTL, arguments=backend)

    def load(query: str, param: int) -> list[dict[str, object]]:
        with connection.cursor() as cursor:
            cursor.execute(query, [param])
            return list(cursor.fetchall())

    @region.cache_on_arguments()
    def orders_of_user(user: int) -> list[dict[str, object]]:
        return load(FEW, user)

    @region.cache_on_arguments()
    def orders_of_store(store: int) -> list[dict[str, object]]:
        return load(MANY, store)

    def with_two_params(user: int, store: int) -> None: ...

    key = region.function_key_generator(None, with_two_params)
    operations = {
        "hit": for_cached_users(orders_of_user),
        "miss_few": for_new_users(orders_of_user),
        "miss_many": repeated(orders_of_store, BIG_STORE),
        "key": for_cached_users(lambda user: key(user, 3)),
    }
    return Subject(DOGPILE, version("dogpile.cache"), Databases.DOGPILE, operations, connection.close)
