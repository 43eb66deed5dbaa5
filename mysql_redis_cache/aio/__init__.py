"""The same reads and drops from an event loop, asyncio's or trio's. The only wing that imports anyio."""

from .client import AsyncMRCClient
from .server import AsyncMRCServer
from .transaction import AsyncTransaction

__all__ = ["AsyncMRCClient", "AsyncMRCServer", "AsyncTransaction"]
