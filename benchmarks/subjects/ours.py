"""This library's blocking client and server."""

from __future__ import annotations

from workload import BIG_STORE, DROPPED_USER, FEW_QUERY, MANY_QUERY, STORE_QUERY, TTL, Databases, Workload

from mysql_redis_cache import MRCClient, MRCServer
from subjects import OURS, OURS_INDEX, Subject, for_cached_users, for_new_users, repeated


def make_subject(workload: Workload) -> Subject:
    """The default: reads with leases, drops by sweep."""
    client = MRCClient(workload.mysql, workload.patient_redis(Databases.OURS))
    server = MRCServer(workload.patient_redis(Databases.DROP))

    def close() -> None:
        client.close()
        server.close()

    operations = {
        "hit": for_cached_users(lambda user: client.query_with_cache(FEW_QUERY, [user], ["UserId"], TTL)),
        "miss_few": for_new_users(lambda user: client.query_with_cache(FEW_QUERY, [user], ["UserId"], TTL)),
        "miss_many": repeated(
            lambda store: client.query_with_cache(MANY_QUERY, [store], ["StoreId"], TTL), BIG_STORE
        ),
        "key": for_cached_users(
            lambda user: client.get_key_from_query(STORE_QUERY, [user, 3], ["UserId", "StoreId"])
        ),
        "drop": repeated(lambda user: server.drop_outdated_cache(["UserId"], [user]), DROPPED_USER),
    }
    return Subject(OURS, "", Databases.OURS, operations, close)


def make_index_subject(workload: Workload) -> Subject:
    """Drops through the index."""
    server = MRCServer(workload.patient_redis(Databases.INDEX), index=True)
    operations = {"drop": repeated(lambda user: server.drop_outdated_cache(["UserId"], [user]), DROPPED_USER)}
    return Subject(OURS_INDEX, "", Databases.INDEX, operations, server.close)
