"""MRCServer: drops outdated entries when data has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Self

from mysql_redis_cache.drops import DROP_TIMEOUT, Drops
from mysql_redis_cache.errors import ClosedError
from mysql_redis_cache.keys import check_namespace
from mysql_redis_cache.runtime import process
from mysql_redis_cache.store import PATIENT, link

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["MRCServer"]


class MRCServer:
    """Drops outdated entries; needs Redis only.

    Safe to share between threads; opens nothing before it is used. ``async with MRCServer(...)`` gives an
    ``AsyncMRCServer`` over this server instead.

    Args:
        redis_config: as for ``MRCClient``, but not ``None``.
        namespace: the namespace of the clients whose entries it drops.
        index: find entries by the index that clients with ``index=True`` keep.
        wait_replicas: how many replicas must have a deletion before a drop returns.
    """

    # Set by the room above, which this one must not import.
    facade: ClassVar[Callable[..., Any]]

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

    def drop_outdated_cache(
        self,
        key_names: Sequence[str],
        key_values: Sequence[object],
        require_all_match: bool = True,
        *,
        dry_run: bool = False,
        timeout: float = DROP_TIMEOUT,
        retry_for: float = 0.0,
    ) -> int:
        """Delete the entries that carry the pairs, and make loads in flight of such entries cache nothing.

        When this has returned, no cached read that starts later gives rows older than what was committed
        before it was called.

        Args:
            key_names: the names of the pairs.
            key_values: one value for each.
            require_all_match: whether an entry must carry all the pairs (the default: they name one
                combination) or any of them.
            dry_run: count what would be deleted and delete nothing.
            timeout: seconds the drop may take.
            retry_for: seconds to keep trying while Redis cannot be reached.

        Returns:
            how many entries were deleted.

        Raises:
            TypeError, ValueError: bad pairs, before anything is sent.
            CacheUnavailable: Redis could not be reached; outdated entries may remain. Repeating is safe.
            DropTimeout: it took longer than *timeout*. Repeating is safe.
        """
        process.check()
        if self._closed:
            raise ClosedError("this server is closed; make a new one")
        return self._drops.drop(
            key_names,
            key_values,
            require_all=require_all_match,
            dry_run=dry_run,
            timeout=timeout,
            retry_for=retry_for,
        )

    def close_redis_connection(self) -> None:
        """Close the connections to Redis; a later call opens new ones."""
        self._link.drain()

    def close(self) -> None:
        """Close everything; final, and safe to repeat."""
        self._closed = True
        self._link.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError("an MRCServer cannot be pickled; make one in each process")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    async def __aenter__(self) -> Any:
        self._entered = type(self).facade(self, owned=True)
        return await self._entered.__aenter__()

    async def __aexit__(self, *exc_info: object) -> None:
        await self._entered.__aexit__(*exc_info)
