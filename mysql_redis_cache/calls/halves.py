"""The two halves of a read, what is cached and caching something; and what can be said of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mysql_redis_cache.policy import DEFAULT_TTL
from mysql_redis_cache.readthrough.explaining import explain
from mysql_redis_cache.readthrough.protocol import known, look, put
from mysql_redis_cache.readthrough.reads import NO_WINDOWS
from mysql_redis_cache.transaction import UnitOfWork

from .asking import Driven

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mysql_redis_cache.keys import Tagged
    from mysql_redis_cache.observe import Explanation
    from mysql_redis_cache.policy import Lifetime
    from mysql_redis_cache.sql import Params

__all__ = ["Halves"]

FAR: Mapping[str, Any] = {"near": False}


def _not_at_all(value: object) -> None:
    """Say for how long to keep *value*."""


class Halves(Driven):
    """Looking an entry up, writing one, and explaining one."""

    def read_from_cache(
        self,
        query: str,
        params: Params = None,
        param_names: Sequence[str] | None = (),
        default: Any = None,
        *,
        tags: Tagged = None,
        near: bool = True,
    ) -> Any:
        """Return what is cached, or *default*; MySQL is not asked.

        Args:
            query: as it was cached.
            params: as it was cached.
            param_names: as it was cached.
            default: returned on a miss, and when Redis does not answer; a sentinel of your own tells a
                cached ``None`` from a miss.
            tags: as it was cached.
            near: ``False`` for an answer from Redis, past the near cache.
        """
        core = self._core
        core.check_open()
        read = core.reads.of_function(
            query, params, param_names, DEFAULT_TTL, NO_WINDOWS if near else FAR, tags=tags
        )
        steps = known(default) if core.is_off else look(default)
        return self._driver.run(core.observer.watched(steps, read), read)

    def explain(
        self,
        query: str,
        params: Params = None,
        param_names: Sequence[str] | None = (),
        *,
        tags: Tagged = None,
    ) -> Explanation:
        """Explain how a call is cached, and what is there now; nothing is read or loaded.

        Args:
            query: as for ``query_with_cache``, or the signature of ``with_cache``.
            params: as for ``query_with_cache``.
            param_names: as for ``query_with_cache``.
            tags: as for ``query_with_cache``.

        Returns:
            the key and its parts, what may keep the statement from being cached, the drops that reach it, and
            where it is now; ``print`` shows it to people, ``as_dict()`` is JSON.

        Raises:
            TypeError, ValueError: bad params or names, with which nothing could be cached.
        """
        core = self._core
        core.check_open()
        return explain(core, query, params, param_names, tags)

    def write_to_cache(
        self,
        query: str,
        value: Any,
        params: Params = None,
        param_names: Sequence[str] | None = (),
        ttl: Lifetime = DEFAULT_TTL,
        *,
        tags: Tagged = None,
    ) -> None:
        """Cache *value*; a load in flight does not overwrite it. Without Redis configured, do nothing.

        Inside ``transaction()``, what others may not see yet is not stored: after the COMMIT the
        entry that it was to replace is dropped.

        Raises:
            CacheUnavailable: Redis did not take it.
            TypeError: the value has no JSON form; the message says where in it.
        """
        core = self._core
        core.check_open()
        read = core.reads.of_function(query, params, param_names, ttl, tags=tags)
        work = core.transaction_here()
        if isinstance(work, UnitOfWork):  # a framework's may be that of a test, which never commits
            core.check_value(value)
            work.want(work.namespace.of_call(query, params, param_names, tags))
            return self._driver.run(known(None), read)  # type: ignore[no-any-return]
        if core.is_off:
            read.lifespan = _not_at_all
        return self._driver.run(put(value), read)  # type: ignore[no-any-return]
