"""Drops by pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mysql_redis_cache.drops import DROP_TIMEOUT
from mysql_redis_cache.keys import Matcher
from mysql_redis_cache.values import in_zone

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from mysql_redis_cache.drops import Drops

__all__ = ["Dropping"]


class Dropping:
    """Drops of outdated entries, by a client and by a server alike."""

    _drops: Drops | None  # None without a cache: then there is nothing to drop
    _zone: tzinfo | None = None  # of a client with ``timezone=``

    def _check_open(self) -> None:
        """Raise ``ClosedError`` after ``close``."""
        raise NotImplementedError

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
            how many entries were deleted; 0 of a client without Redis.

        Raises:
            TypeError, ValueError: bad pairs, before anything is sent.
            CacheUnavailable: Redis could not be reached; outdated entries may remain. Repeating is safe.
            DropTimeout: it took longer than *timeout*. Repeating is safe.
        """
        self._check_open()
        if self._zone is not None:
            key_values = in_zone(key_values, self._zone)
        if self._drops is None:
            Matcher(key_names, key_values, require_all_match)
            return 0
        return self._drops.drop(
            key_names,
            key_values,
            require_all=require_all_match,
            dry_run=dry_run,
            timeout=timeout,
            retry_for=retry_for,
        )
