"""The same reads and drops from an event loop, asyncio's or trio's. The only room that knows anyio."""

from mysql_redis_cache.client import MRCClient
from mysql_redis_cache.server import MRCServer

from .client import AsyncMRCClient
from .server import AsyncMRCServer
from .transaction import AsyncTransaction

__all__ = ["AsyncMRCClient", "AsyncMRCServer", "AsyncTransaction"]

MRCClient.facade = AsyncMRCClient
MRCServer.facade = AsyncMRCServer
