"""Read MySQL through a Redis cache that drops exactly the outdated answers.

``MRCClient`` reads, ``MRCServer`` drops; ``AsyncMRCClient`` and ``AsyncMRCServer`` do so from an event loop.
"""

from importlib import metadata
from typing import TYPE_CHECKING

from mysql_redis_cache.aio import AsyncMRCClient, AsyncMRCServer, AsyncTransaction
from mysql_redis_cache.calls import Transaction
from mysql_redis_cache.client import MRCClient
from mysql_redis_cache.database import WriteResult
from mysql_redis_cache.errors import (
    CacheUnavailable,
    ClosedError,
    DatabaseUnavailable,
    DropTimeout,
    FollowTimeout,
    InvalidationFailed,
    LoadFailed,
    MRCError,
    PoolTimeout,
    QueryTimeout,
    RowMismatch,
    TooManyRows,
    TransactionEnded,
)
from mysql_redis_cache.options import Near
from mysql_redis_cache.readthrough import Query
from mysql_redis_cache.runtime import unheard
from mysql_redis_cache.server import MRCServer

__all__ = [
    "AsyncMRCClient",
    "AsyncMRCServer",
    "AsyncTransaction",
    "CacheUnavailable",
    "ClosedError",
    "DatabaseUnavailable",
    "DropTimeout",
    "FollowTimeout",
    "InvalidationFailed",
    "LoadFailed",
    "MRCClient",
    "MRCError",
    "MRCServer",
    "Near",
    "PoolTimeout",
    "Query",
    "QueryTimeout",
    "RowMismatch",
    "TooManyRows",
    "Transaction",
    "TransactionEnded",
    "WriteResult",
]

# Tracebacks, reprs and pickles show the names under which users know these, not the files they stand in.
for _public in [globals()[name] for name in __all__]:
    _public.__module__ = __name__

unheard.attend(__name__)

if TYPE_CHECKING:
    __version__: str
else:

    def __getattr__(name: str) -> str:
        """Look ``__version__`` up when it is asked for: it stands in the package's metadata alone."""
        if name != "__version__":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        try:
            return metadata.version("mysql-redis-cache")
        except metadata.PackageNotFoundError:
            raise AttributeError(f"{__name__} is not installed, and so has no __version__") from None
