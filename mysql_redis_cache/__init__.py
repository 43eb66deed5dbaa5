"""Read MySQL through a Redis cache that drops exactly the outdated answers.

``MRCClient`` reads, ``MRCServer`` drops; ``AsyncMRCClient`` and ``AsyncMRCServer`` do so from an event loop.
"""

from mysql_redis_cache.aio import AsyncMRCClient, AsyncMRCServer
from mysql_redis_cache.client import MRCClient
from mysql_redis_cache.database import WriteResult
from mysql_redis_cache.errors import (
    CacheUnavailable,
    ClosedError,
    DatabaseUnavailable,
    DropTimeout,
    InvalidationFailed,
    LoadFailed,
    MRCError,
    PoolTimeout,
    QueryTimeout,
    TransactionEnded,
)
from mysql_redis_cache.server import MRCServer

__all__ = [
    "AsyncMRCClient",
    "AsyncMRCServer",
    "CacheUnavailable",
    "ClosedError",
    "DatabaseUnavailable",
    "DropTimeout",
    "InvalidationFailed",
    "LoadFailed",
    "MRCClient",
    "MRCError",
    "MRCServer",
    "PoolTimeout",
    "QueryTimeout",
    "TransactionEnded",
    "WriteResult",
]
