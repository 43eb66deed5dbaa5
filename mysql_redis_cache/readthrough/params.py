"""The params of a cached call, as they were when it was made: the caller may change a list meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mysql_redis_cache.sql import GREATEST_INT, NamedValues, is_list, is_sendable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["are_plain", "copied", "plain", "surely_sendable"]

_UNCHANGING = frozenset({int, str, float, bool, type(None), bytes})
_LEAST = -GREATEST_INT
_SENDABLE = frozenset({bool, type(None), bytes})


def plain(params: Any) -> tuple[Any, ...] | None:
    """Return *params* if MySQL takes all for certain and none can change; this is asked on every hit."""
    if params is None:
        return ()
    if type(params) is not list and type(params) is not tuple:
        return None
    return tuple(params) if are_plain(params) else None


def are_plain(values: Iterable[Any]) -> bool:
    """Tell whether MySQL takes all *values* for certain and none can change."""
    for value in values:
        kind = type(value)
        if kind is int:
            if _LEAST <= value <= GREATEST_INT:
                continue
        elif kind is str:
            if value.isascii():
                continue
        elif kind in _SENDABLE:
            continue
        return False
    return True


def surely_sendable(params: Sequence[Any]) -> bool:
    """Tell whether MySQL takes all *params* for certain, lists too."""
    return all(map(is_sendable, params))


def copied(params: Sequence[Any] | None) -> tuple[Any, ...]:
    """Return *params* as they are now, with copies of what can change.

    Nothing else is copied: an object may be one that cannot be, and a subclass is taken for what it is.

    Raises:
        ValueError: one is nested too deeply, or contains itself.
    """
    try:
        copies = [value if type(value) in _UNCHANGING else _copied(value) for value in params or ()]
    except RecursionError:
        raise ValueError("a param is nested too deeply, or contains itself") from None
    if isinstance(params, NamedValues):
        return NamedValues.of(dict(zip(params.names, copies, strict=True)), params.names)
    return tuple(copies)


def _copied(value: Any) -> Any:
    if isinstance(value, (bytearray, memoryview)):
        return memoryview(value).tobytes()
    if is_list(value):
        if _UNCHANGING.issuperset(map(type, value)):
            return value if type(value) is tuple else list(value)
        return list(map(_copied, value))
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return value
