"""Read MySQL through a Redis cache that drops exactly the outdated answers.

``MRCClient`` reads, ``MRCServer`` drops; ``AsyncMRCClient`` and ``AsyncMRCServer`` do so from an event loop.
"""

from .aio import AsyncMRCClient, AsyncMRCServer
from .client import MRCClient
from .database import WriteResult
from .errors import (
    CacheUnavailable,
    ClosedError,
    DatabaseUnavailable,
    DropTimeout,
    InvalidationFailed,
    LoadFailed,
    MRCError,
    PoolTimeout,
    QueryTimeout,
)
from .server import MRCServer

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
    "WriteResult",
]
