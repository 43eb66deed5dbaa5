"""The cache of a FastAPI application, as a dependency of its endpoints."""

from typing import Annotated, TypeAlias

from fastapi import Depends

from mysql_redis_cache.aio import AsyncMRCClient
from mysql_redis_cache.client import MRCClient

from .starlette import blocking_cache_of, cache_of, lifespan

__all__ = ["BlockingCache", "Cache", "blocking_cache_of", "cache_of", "lifespan"]

Cache: TypeAlias = Annotated[AsyncMRCClient, Depends(cache_of)]
"""Of ``async def`` endpoints: ``async def user(user_id: int, cache: Cache)``."""

BlockingCache: TypeAlias = Annotated[MRCClient, Depends(blocking_cache_of)]
"""Of ``def`` endpoints and dependencies, which run in threads."""
