"""Dropping what is outdated."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

from mysql_redis_cache.drops import DROP_TIMEOUT, Budget, Following
from mysql_redis_cache.keys import from_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mysql_redis_cache.drops import Drops
    from mysql_redis_cache.joined import Work
    from mysql_redis_cache.keys import Namespace, Tagged, Wanted
    from mysql_redis_cache.sql import Params

__all__ = ["Dropping"]


def _nothing() -> None:
    """Look at no clock."""


class Dropping:
    """Drops of outdated entries, by a client and by a server alike.

    Inside a transaction of the same client, in the same thread or task, they wait for its COMMIT.
    """

    _drops: Drops | None  # None without a cache: then there is nothing to drop
    _namespace: Namespace

    def _check_open(self) -> None:
        """Raise ``ClosedError`` after ``close``."""
        raise NotImplementedError

    def _transaction_here(self) -> Work | None:
        """Return the transaction that drops asked for here have to wait for."""
        return None

    def _following(self) -> Following:
        """Return what performs the drops that follow a COMMIT of somebody else's."""
        self._check_open()
        return Following(self._drops, self._namespace)

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
            how many entries were deleted; 0 of a client without Redis, and inside a transaction of this
            client, whose end performs the drop.

        Raises:
            TypeError, ValueError: bad pairs, before anything is sent.
            CacheUnavailable: Redis could not be reached; outdated entries may remain. Repeating is safe.
            DropTimeout: it took longer than *timeout*. Repeating is safe.
        """
        seek = partial(self._namespace.matcher, key_names, key_values, require_all_match)
        return self._drop(seek, dry_run=dry_run, timeout=timeout, retry_for=retry_for)

    def drop_many(
        self,
        key_name: str,
        key_values: Iterable[object],
        *,
        dry_run: bool = False,
        timeout: float = DROP_TIMEOUT,
        retry_for: float = 0.0,
    ) -> int:
        """Delete the entries that carry any of many values of one name: ``drop_many("UserId", ids)``.

        It takes one walk, or as many look-ups in the index as there are values, sent together.

        Args:
            key_name: the name.
            key_values: its values, 100,000 say; with none there is nothing to do.
            dry_run: as for ``drop_outdated_cache``.
            timeout: as for ``drop_outdated_cache``; checking the values counts.
            retry_for: as for ``drop_outdated_cache``.

        Returns:
            as ``drop_outdated_cache``.

        Raises:
            Exception: as ``drop_outdated_cache``.
        """
        seek = partial(self._namespace.of_many, key_name, key_values)
        return self._drop(seek, dry_run=dry_run, timeout=timeout, retry_for=retry_for)

    def drop_query(
        self,
        query: str,
        params: Params = None,
        param_names: Sequence[str] | None = (),
        *,
        tags: Tagged = None,
        any_params: bool = False,
        dry_run: bool = False,
        timeout: float = DROP_TIMEOUT,
        retry_for: float = 0.0,
    ) -> int:
        """Delete the one entry of a call; the only way for entries without named params and tags.

        Args:
            query: the query, or signature, as it was cached.
            params: as it was cached.
            param_names: as it was cached.
            tags: as it was cached.
            any_params: delete all entries of *query*, whatever their params, names and tags; by a walk.
            dry_run: as for ``drop_outdated_cache``.
            timeout: as for ``drop_outdated_cache``.
            retry_for: as for ``drop_outdated_cache``.

        Returns:
            whether it was cached, or with *any_params* how many were; as ``drop_outdated_cache``.

        Raises:
            Exception: as ``drop_outdated_cache``.
        """
        wanted = self._namespace.of_call(query, params, param_names, tags, any_params=any_params)
        dropped = self._drop(lambda _: wanted, dry_run=dry_run, timeout=timeout, retry_for=retry_for)
        return dropped if any_params else bool(dropped)

    def drop_all(
        self, *, dry_run: bool = False, timeout: float = DROP_TIMEOUT, retry_for: float = 0.0
    ) -> int:
        """Delete all entries of the namespace, and make loads in flight cache nothing.

        Unlike ``FLUSHDB`` it leaves what others keep in that Redis database; but without a namespace whatever
        is named like an entry counts as one, those of all namespaces and of npm's clients too.

        Args:
            dry_run: as for ``drop_outdated_cache``.
            timeout: as for ``drop_outdated_cache``.
            retry_for: as for ``drop_outdated_cache``.

        Returns:
            as ``drop_outdated_cache``.

        Raises:
            Exception: as ``drop_outdated_cache``.
        """
        wanted = self._namespace.everything()
        return self._drop(lambda _: wanted, dry_run=dry_run, timeout=timeout, retry_for=retry_for)

    def drop_again(self, failed: str, *, timeout: float | None = None, retry_for: float = 0.0) -> int:
        """Perform the drops that an ``InvalidationFailed`` was about, maybe in another process.

        Args:
            failed: what its ``to_json()`` gave.
            timeout: seconds the drops may take; by default what the error says.
            retry_for: as for ``drop_outdated_cache``.

        Returns:
            how many entries were deleted.

        Raises:
            ValueError: it is no such text, or for another namespace than this one's.
            CacheUnavailable, DropTimeout: as ``drop_outdated_cache``.
        """
        self._check_open()
        wanted, seconds = self._parsed(failed)
        if self._drops is None:
            return 0
        budget = Budget(max(seconds if timeout is None else timeout, retry_for))
        return self._drops.perform(wanted, budget, retry_for=retry_for)

    def _parsed(self, failed: str) -> tuple[list[Wanted], float]:
        prefix = self._namespace.prefix
        try:
            about: dict[str, Any] = json.loads(failed)
            wanted = [from_json(one, prefix) for one in about["drops"]]
            namespace, seconds = about["namespace"], float(about["timeout"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"this is not what InvalidationFailed.to_json() gives: {error!r}") from None
        if namespace != (prefix[:-1] or None):
            raise ValueError(
                f"the drops are for namespace {namespace!r}, and not for {prefix[:-1] or None!r}"
            )
        return wanted, seconds

    def _drop(
        self,
        seek: Callable[[Callable[[], object]], Wanted | None],
        *,
        dry_run: bool,
        timeout: float,
        retry_for: float,
    ) -> int:
        """Perform a drop, or leave it to the open transaction."""
        self._check_open()
        work = None if dry_run else self._transaction_here()
        if self._drops is not None and work is None:
            return self._drops.drop(seek, dry_run=dry_run, timeout=timeout, retry_for=retry_for)
        wanted = seek(_nothing)
        if work is not None and wanted is not None:
            work.want(wanted)
        return 0
