"""What JSON gives back for a value that a function says it returns."""

from __future__ import annotations

import types
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import partial
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints, is_typeddict
from uuid import UUID

from .hints import is_mapping, is_row

__all__ = ["json_gives", "returned"]

_UNIONS = (Union, types.UnionType)
_GIVEN: tuple[tuple[tuple[type, ...], str], ...] = (
    ((date, time, timedelta, UUID), "str"),  # a datetime is a date
    ((Decimal,), "float"),
    ((Enum,), "its value"),
    ((tuple, set, frozenset), "list"),
    ((bytearray, memoryview), "bytes"),
)


def json_gives(hint: object) -> str | None:
    """Return what JSON gives in place of a value of this type; None where it gives the same.

    Args:
        hint: an annotation. What is inside lists, dicts and unions counts; a TypedDict is a dict.

    Returns:
        What is given instead, such as ``"dict"`` for a dataclass, or ``"list[dict]"`` for a list of them.
    """
    kind, arguments = get_origin(hint) or hint, get_args(hint)
    if kind is Annotated:
        return json_gives(arguments[0])
    if kind in _UNIONS:
        return next(filter(None, map(json_gives, arguments)), None)
    if not isinstance(kind, type) or is_typeddict(kind):
        return None
    if is_row(kind) and not is_mapping(kind) and not issubclass(kind, tuple):
        return "dict"
    given = next((name for bases, name in _GIVEN if issubclass(kind, bases)), None)
    return given or _inside(kind, arguments)


def _inside(kind: type, arguments: tuple[Any, ...]) -> str | None:
    """Return what is given for what is inside a list or dict."""
    if not issubclass(kind, Iterable) or kind in {str, bytes}:
        return None
    inner = next(filter(None, map(json_gives, arguments)), None)
    return inner and (f"dict[str, {inner}]" if issubclass(kind, Mapping) else f"list[{inner}]")


def returned(fn: Callable[..., Any]) -> object:
    """Return what *fn* says that it returns, when it is awaited if it has to be; Any if it does not say."""
    while isinstance(fn, partial):
        fn = fn.func
    if isinstance(fn, type):
        return fn
    if not hasattr(fn, "__code__"):  # an object that can be called, or a bound method of one
        fn = getattr(fn, "__func__", type(fn).__call__)
    try:
        hint = get_type_hints(fn, include_extras=True).get("return", Any)
    except Exception:  # noqa: BLE001 - a name that is defined later, or only for type checkers
        return Any
    kind = get_origin(hint)
    if isinstance(kind, type) and issubclass(kind, Awaitable) and get_args(hint):
        return get_args(hint)[-1]
    return hint
