"""What was worked out for something that callers size, kept while it is in use, within so many bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

__all__ = ["Kept"]

K = TypeVar("K", bound="Hashable")
V = TypeVar("V")


class Kept(dict[K, V]):
    """Values by key, those not asked for of late forgotten; ``kept[key]`` costs what it costs in a dict.

    There are two generations. New values go into the young one, which is the dict itself; when that has half
    of the bytes it becomes the old one, and what was in the old one is gone. An old value that is asked for
    is young again. There is no lock: threads that meet may forget a value too early, never mix two up.

    Args:
        most: bytes, of all values together.
        size: the bytes that a key and its value take, about.
    """

    def __init__(self, most: int, size: Callable[[K, V], int]) -> None:
        super().__init__()
        self._half = most // 2
        self._size_of = size
        self._size = 0
        self._old: dict[K, V] = {}

    def __missing__(self, key: K) -> V:
        """Look in the old generation.

        Raises:
            KeyError: it is not there either.
        """
        return self.keep(key, self._old[key])

    def keep(self, key: K, value: V) -> V:
        """Keep *value*, unless it would be a generation by itself; return it."""
        size = self._size_of(key, value)
        if size > self._half:
            return value
        if self._size + size > self._half:
            self._old, self._size = dict(self), 0
            self.clear()
        self._size += size
        self[key] = value
        return value
