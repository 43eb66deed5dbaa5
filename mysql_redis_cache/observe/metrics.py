"""The metrics that exporters show, and what they are called.

Each is a count or a gauge that stands there as it is: none is a difference of two counts, which could go back
for a moment and would look like a restart.
"""

from __future__ import annotations

from .events import Drop, PoolTimeout, PoolWait
from .read_events import Load
from .readings import Duration, Metric, by_label, by_query, drops_by_result, loads_by_result, one

__all__ = ["DURATIONS", "METRICS", "SECONDS"]

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Bounds of the buckets of durations: a load by primary key takes half a millisecond, a sweep seconds."""

METRICS = (
    Metric(
        "mysql_redis_cache.requests",
        "mrc_requests",
        "{request}",
        "Cached reads, by what the cache said.",
        ("result",),
        by_label(
            hit="hits", near_hit="near_hits", miss="misses", bypass="bypasses", unavailable="unavailable"
        ),
    ),
    Metric(
        "mysql_redis_cache.stale",
        "mrc_stale",
        "{request}",
        "Reads answered with an entry past its ttl, as the windows allow.",
        (),
        one("stale"),
    ),
    Metric(
        "mysql_redis_cache.shared_loads",
        "mrc_shared_loads",
        "{request}",
        "Reads answered by a load that another read of the same key had under way.",
        (),
        one("shared_loads"),
    ),
    Metric(
        "mysql_redis_cache.refreshes",
        "mrc_refreshes",
        "{refresh}",
        "Refreshes begun behind a reader's back.",
        (),
        one("refreshes"),
    ),
    Metric(
        "mysql_redis_cache.loads",
        "mrc_loads",
        "{load}",
        "Queries sent to MySQL for cached reads, and calls of cached functions.",
        ("result",),
        loads_by_result,
    ),
    Metric(
        "mysql_redis_cache.fills",
        "mrc_fills",
        "{fill}",
        "Answers to be stored in Redis, by what became of that.",
        ("result",),
        by_label(stored="fills", refused="refused_fills", oversized="oversized_entries"),
    ),
    Metric("mysql_redis_cache.drops", "mrc_drops", "{drop}", "Drops.", ("result",), drops_by_result),
    Metric(
        "mysql_redis_cache.drop.entries",
        "mrc_dropped_entries",
        "{entry}",
        "Entries deleted by drops.",
        (),
        one("dropped_entries"),
    ),
    Metric(
        "mysql_redis_cache.redis.available",
        "mrc_redis_available",
        "1",
        "0 while Redis fails and reads go past it, else 1.",
        (),
        lambda stats: {(): 1 - stats.redis_down},
        is_gauge=True,
        combine=min,
    ),
    Metric(
        "mysql_redis_cache.redis.failures",
        "mrc_redis_failures",
        "{command}",
        "Commands that Redis did not answer, or refused.",
        (),
        one("cache_failures"),
    ),
    Metric(
        "mysql_redis_cache.corrupt_entries",
        "mrc_corrupt_entries",
        "{entry}",
        "Entries that were no JSON.",
        (),
        one("corrupt_entries"),
    ),
    Metric(
        "mysql_redis_cache.verified",
        "mrc_verified",
        "{entry}",
        "Entries that verify compared with MySQL.",
        (),
        one("verified"),
    ),
    Metric(
        "mysql_redis_cache.stale_found",
        "mrc_stale_found",
        "{entry}",
        "Entries that verify found to be outdated.",
        (),
        one("stale_found"),
    ),
    Metric(
        "db.client.connection.count",
        "mrc_pool_connections",
        "{connection}",
        "Connections to MySQL, by whether they are in use.",
        ("state",),
        by_label(used="pool_in_use", idle="pool_idle"),
        is_gauge=True,
    ),
    Metric(
        "db.client.connection.max",
        "mrc_pool_max_connections",
        "{connection}",
        "Connections to MySQL that there may be.",
        (),
        one("pool_size"),
        is_gauge=True,
    ),
    Metric(
        "db.client.connection.timeouts",
        "mrc_pool_timeouts",
        "{timeout}",
        "Statements that waited for a connection to MySQL in vain.",
        (),
        one("pool_timeouts"),
    ),
    Metric(
        "mysql_redis_cache.near.size",
        "mrc_near_bytes",
        "By",
        "Bytes in the near cache.",
        (),
        one("near_bytes"),
        is_gauge=True,
    ),
    Metric(
        "mysql_redis_cache.near.items",
        "mrc_near_entries",
        "{entry}",
        "Entries in the near cache.",
        (),
        one("near_entries"),
        is_gauge=True,
    ),
    Metric(
        "mysql_redis_cache.near.evictions",
        "mrc_near_evictions",
        "{entry}",
        "Entries taken out of the near cache, to make room or because they are outdated.",
        ("reason",),
        by_label(full="near_evictions", invalidation="near_invalidations"),
    ),
    Metric(
        "mysql_redis_cache.near.fills",
        "mrc_near_fills",
        "{entry}",
        "Entries put into the near cache.",
        (),
        one("near_fills"),
    ),
    Metric(
        "mysql_redis_cache.near.losses",
        "mrc_near_losses",
        "{loss}",
        "Times that the near cache was emptied because its connection to Redis was lost.",
        (),
        one("near_losses"),
    ),
    Metric(
        "mysql_redis_cache.query.requests",
        "mrc_query_requests",
        "{request}",
        "Cached reads of labelled queries, by what the cache said.",
        ("query", "result"),
        by_query(lambda query: {("hit",): query.hits, ("miss",): query.misses}),
    ),
    Metric(
        "mysql_redis_cache.query.loads",
        "mrc_query_loads",
        "{load}",
        "Loads of labelled queries.",
        ("query",),
        by_query(lambda query: {(): query.loads}),
    ),
    Metric(
        "mysql_redis_cache.query.load.time",
        "mrc_query_load_seconds",
        "s",
        "How long the loads of labelled queries took, all together.",
        ("query",),
        by_query(lambda query: {(): query.load_seconds}),
    ),
)

DURATIONS = (
    Duration(
        "mysql_redis_cache.load.duration",
        "mrc_load_duration_seconds",
        "How long a load took.",
        (Load,),
        ("ok", "error"),
    ),
    Duration(
        "mysql_redis_cache.drop.duration",
        "mrc_drop_duration_seconds",
        "How long a drop took.",
        (Drop,),
        ("ok", "timeout", "unavailable"),
    ),
    Duration(
        "db.client.connection.wait_time",
        "mrc_pool_wait_seconds",
        "How long a statement waited for a connection to MySQL, of those that had to.",
        (PoolWait, PoolTimeout),
    ),
)
