"""AsyncMRCServer: drops from coroutines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from mysql_redis_cache.calls import BlockingServer, Watched

from .borrowing import dropping, watching
from .facade import Facade

if TYPE_CHECKING:
    from mysql_redis_cache.observe import Watch
    from mysql_redis_cache.options import ServerOptions

__all__ = ["AsyncMRCServer"]


class AsyncMRCServer(Watched, Facade):
    """Drops outdated entries, from coroutines.

    Each method does what the method of the same name of ``MRCServer`` does.

    Args:
        redis_config: as for ``MRCServer``; or a ready ``MRCServer``, which stays its maker's to close.
        owned: close a ready server when this facade is closed.
        **options: as for ``MRCServer``.
    """

    def __init__(
        self, redis_config: BlockingServer | object, *, owned: bool = False, **options: Unpack[ServerOptions]
    ) -> None:
        if not isinstance(redis_config, BlockingServer):
            super().__init__(BlockingServer(redis_config, **options), owned=True)
        elif options:
            raise TypeError("a ready MRCServer brings its own options")
        else:
            super().__init__(redis_config, owned=owned)

    _blocking: BlockingServer

    def _observed(self) -> Watch:
        return self._blocking._observed()  # noqa: SLF001 - one server, two faces

    drop_outdated_cache = dropping(BlockingServer.drop_outdated_cache)
    drop_many = dropping(BlockingServer.drop_many)
    drop_query = dropping(BlockingServer.drop_query)
    drop_all = dropping(BlockingServer.drop_all)
    drop_again = dropping(BlockingServer.drop_again)

    wait_for = watching(BlockingServer.wait_for)
