"""MRCServer: drops outdated entries when data has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mysql_redis_cache.calls import Dropping, Lasting
from mysql_redis_cache.drops import Drops
from mysql_redis_cache.errors import ClosedError
from mysql_redis_cache.keys import check_namespace
from mysql_redis_cache.runtime import process
from mysql_redis_cache.store import PATIENT, link

if TYPE_CHECKING:
    from mysql_redis_cache.aio import AsyncMRCServer

__all__ = ["MRCServer"]


class MRCServer(Dropping, Lasting):
    """Drops outdated entries; needs Redis only.

    Safe to share between threads; opens nothing before it is used. ``async with MRCServer(...)`` gives an
    ``AsyncMRCServer`` over this server instead.

    Args:
        redis_config: as for ``MRCClient``, but not ``None``.
        namespace: the namespace of the clients whose entries it drops.
        index: find entries by the index that clients with ``index=True`` keep.
        wait_replicas: how many replicas must have a deletion before a drop returns.
    """

    def __init__(
        self,
        redis_config: object,
        *,
        namespace: str | None = None,
        index: bool = False,
        wait_replicas: int = 0,
    ) -> None:
        self._link = link(redis_config, timeout=PATIENT)
        self._drops = Drops(
            self._link, check_namespace(namespace), indexed=index, wait_replicas=wait_replicas
        )
        self._closed = False

    def _drain_redis(self) -> None:
        self._link.drain()

    def _end(self) -> None:
        self._closed = True
        self._link.close()

    def _check_open(self) -> None:
        process.check()
        if self._closed:
            raise ClosedError("this server is closed; make a new one")

    async def __aenter__(self) -> AsyncMRCServer:
        # The one arrow up: whoever never asks for it need not import anyio.
        from mysql_redis_cache.aio import AsyncMRCServer  # noqa: PLC0415

        self._entered = entered = AsyncMRCServer(self, owned=True)
        return await entered.__aenter__()
