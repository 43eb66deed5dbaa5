"""AsyncMRCServer: drops from coroutines."""

from __future__ import annotations

from typing import Any

from mysql_redis_cache.server import MRCServer

from .borrowing import in_thread
from .facade import Facade

__all__ = ["AsyncMRCServer"]


def _default(_: AsyncMRCServer) -> None:
    """Bound the threads as anyio bounds those of everybody."""


class AsyncMRCServer(Facade):
    """Drops outdated entries, from coroutines.

    Each method does what the method of the same name of ``MRCServer`` does.

    Args:
        redis_config: as for ``MRCServer``; or a ready ``MRCServer``, which stays its maker's to close.
        owned: close a ready server when this facade is closed.
        **options: as for ``MRCServer``.
    """

    def __init__(self, redis_config: MRCServer | object, *, owned: bool = False, **options: Any) -> None:
        if not isinstance(redis_config, MRCServer):
            super().__init__(MRCServer(redis_config, **options), owned=True)
        elif options:
            raise TypeError("a ready MRCServer brings its own options")
        else:
            super().__init__(redis_config, owned=owned)

    drop_outdated_cache = in_thread(MRCServer.drop_outdated_cache, _default)
