"""Using a client or server in a block, and closing it."""

from __future__ import annotations

from typing import Any, NoReturn, Self

__all__ = ["Lasting"]


class Lasting:
    """What a client and a server have in common: each lasts for a process, and ends for good."""

    _entered: Any  # the asynchronous twin of ``async with``

    def close_redis_connection(self) -> None:
        """Close the connections to Redis; a later call opens new ones."""
        self._drain_redis()

    def close(self) -> None:
        """Close everything; final, and safe to repeat."""
        self._end()

    def _drain_redis(self) -> None:
        raise NotImplementedError

    def _end(self) -> None:
        raise NotImplementedError

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"an {type(self).__name__} cannot be pickled; make one in each process")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    async def __aexit__(self, *exc_info: object) -> None:
        await self._entered.__aexit__(*exc_info)
