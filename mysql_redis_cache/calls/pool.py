"""The MySQL connections of a client, for direct use."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from mysql_redis_cache.database import Connection, Pool

__all__ = ["ConnectionPool"]


class ConnectionPool:
    """The connections that the client's own statements use. Got by ``get_mysql_pool()``.

    They are plain PyMySQL ones in autocommit mode::

        with pool.connection() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT name FROM users WHERE id = %s", (123,))

    An exception in the block closes the connection, unless it is the server's answer to a statement. So does
    a transaction left open. What else is changed in the session ends with the block.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    @property
    def size(self) -> int:
        """How many connections there may be."""
        return self._pool.size

    @property
    def in_use(self) -> int:
        """How many are in use."""
        return self._pool.in_use

    def connection(self, timeout: float | None = None) -> AbstractContextManager[Connection]:
        """Return a context manager that borrows a connection.

        Args:
            timeout: how many seconds to wait for one; default is ``pool_timeout``.

        Returns:
            To be used in ``with``, which raises ``PoolTimeout`` if none became free in time,
            ``DatabaseUnavailable`` if MySQL cannot be reached, ``ClosedError`` after ``close``.

        Raises:
            TypeError, ValueError: *timeout* is no number of seconds that can be waited.
        """
        return self._pool.connection(timeout)

    def __repr__(self) -> str:
        return repr(self._pool)
