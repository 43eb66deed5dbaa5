"""Drops that wait for a COMMIT: asked for now, performed together then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mysql_redis_cache.keys import Namespace, Tagged, Wanted
    from mysql_redis_cache.sql import Params

__all__ = ["Pending", "Work"]


class Work(Protocol):
    """What has an end after which drops are performed."""

    @property
    def namespace(self) -> Namespace:
        """Whose entries the drops are for."""
        raise NotImplementedError

    def want(self, *wanted: Wanted) -> None:
        """Have these performed then."""


class Pending:
    """The drops that are to follow a COMMIT.

    Args:
        work: what is committed.
    """

    def __init__(self, work: Work) -> None:
        self._work = work

    def drop_outdated_cache(
        self, key_names: Sequence[str], key_values: Sequence[object], require_all_match: bool = True
    ) -> None:
        """Have the entries that carry the pairs dropped.

        Raises:
            TypeError, ValueError: bad pairs, at once.
            RuntimeError: the transaction is over, so that nothing would run the drop.
        """
        self._work.want(self._work.namespace.matcher(key_names, key_values, require_all_match))

    def drop_many(self, key_name: str, key_values: Iterable[object]) -> None:
        """Have the entries that carry any of many values of one name dropped."""
        wanted = self._work.namespace.of_many(key_name, key_values)
        self._work.want(*([] if wanted is None else [wanted]))

    def drop_query(
        self,
        query: str,
        params: Params = None,
        param_names: Sequence[str] | None = (),
        *,
        tags: Tagged = None,
        any_params: bool = False,
    ) -> None:
        """Have the one entry of a call dropped, or all of its query; as ``MRCClient.drop_query``."""
        self._work.want(self._work.namespace.of_call(query, params, param_names, tags, any_params=any_params))

    def drop_all(self) -> None:
        """Have all entries of the namespace dropped."""
        self._work.want(self._work.namespace.everything())
