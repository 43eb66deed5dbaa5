"""What a reader says of a value that does not fit, as ``RowMismatch``: where, which types, and no values.

The readers' own messages are not passed on: some quote the value, and so may a check of the caller's class.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple, get_args

import msgspec

from mysql_redis_cache.errors import RowMismatch

from .hints import columns_of, is_mapping, mentions, name_of
from .typed import NotOneColumn

__all__ = ["explained"]

_AT = re.compile(r" - at `(?:key in )?(\$.*)`$")
_TYPES = re.compile(r"Expected `(?:array of length .*|(.*?))`, got `(?:array of length .*|(.*?))`")
_MISSING = re.compile(r"Object missing required field `(.*?)`")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*?)`")
_STEP = re.compile(r"\.([^.\[]+)|\[([0-9]+)\]|\[\.\.\.\]")
_NAMES = {"object": "dict", "array": "list", "null": "None", "decimal": "Decimal", "uuid": "UUID"}


class _Place(NamedTuple):
    """Where a misfit is.

    Attributes:
        path: as text.
        column: the first name in it, or empty.
        is_column: whether it is a whole column, and not something inside one.
        value: what is there, as far as it can be found.
    """

    path: str
    column: str
    is_column: bool
    value: Any


def explained(error: Exception, into: Any, value: Any) -> Exception:
    """Return what the caller is told of *error*, which a reader of *into* raised.

    Args:
        error: a reader's, or one of the caller's class.
        into: the class or type.
        value: what the JSON holds.
    """
    if isinstance(error, NotOneColumn):
        return RowMismatch(name_of(into), f"$[{error.row}]", "", "one column", f"a row of {error.width}")
    if isinstance(error, msgspec.ValidationError):
        return _of_msgspec(str(error), into, value)
    if type(error).__module__.startswith("pydantic"):
        return _of_pydantic(error, into, value)
    return error


def _of_msgspec(message: str, into: Any, value: Any) -> RowMismatch:
    at = _AT.search(message)
    path, name = at[1] if at else "$", name_of(into)
    if missing := _MISSING.match(message):
        column = missing[1]
        return RowMismatch(name, f"{path}.{column}", column, _expected(into, column), "missing")
    place = _place(path, value, into)
    if unknown := _UNKNOWN.match(message):
        return RowMismatch(name, f"{path}.{unknown[1]}", unknown[1], "no such column", "there")
    types = _TYPES.match(message)
    expected = _named(types[1]) if types and types[1] else ""
    if place.is_column:
        expected = _expected(into, place.column)
    found = _named(types[2]) if types and types[2] else _type_of(place.value)
    return RowMismatch(name, place.path, place.column, expected or "another value", found)


def _of_pydantic(error: Any, into: Any, value: Any) -> Exception:
    try:
        first = error.errors(include_url=False, include_context=False)[0]
    except (AttributeError, IndexError):
        return error  # type: ignore[no-any-return]  # no error of validation
    steps = [f"[{step}]" if isinstance(step, int) else f".{step}" for step in first["loc"]]
    place = _place(f"${''.join(steps)}", value, into)
    found = "missing" if first["type"] == "missing" else _type_of(first["input"])
    expected = _expected(into, place.column) if place.is_column else first["type"].partition("_")[0]
    return RowMismatch(name_of(into), place.path, place.column, expected, found)


def _expected(into: Any, column: str) -> str:
    columns = columns_of(into)
    if not columns:
        return name_of(get_args(into)[-1] if is_mapping(into) and get_args(into) else into)
    return name_of(columns[column]) if column in columns else ""


def _place(path: str, value: Any, into: Any) -> _Place:
    """Find a path's place. Keys of dicts inside a column are values of the caller's, and are not shown."""
    fields = _fields_in(into)
    shown, column, is_column, is_at = "$", "", False, True
    for told, number in _STEP.findall(path):
        is_row = not (told or number or column) and shown != "$" and isinstance(value, dict)
        name = (
            next(iter(value)) if is_row and len(value) == 1 else told
        )  # that of the only column of a row is not told
        is_shown = bool(name) and (not column or name in fields)
        shown += f".{name}" if is_shown else f"[{number or '...'}]"
        is_column = bool(name) and not column
        column = column or name
        try:
            value = value[name or int(number)]
        except (LookupError, TypeError, ValueError):
            value, is_at = None, False
    return _Place(shown, column, is_column, value if is_at else ...)


def _fields_in(into: Any) -> set[str]:
    """Return the names of all fields of the classes that *into* is made of."""
    names: set[str] = set()

    def collect(hint: object) -> bool:
        names.update(columns_of(hint))
        return False

    mentions(into, collect)
    return names


def _type_of(value: object) -> str:
    if value is ...:
        return "another value"
    return "None" if value is None else type(value).__name__


def _named(kinds: str) -> str:
    """Return msgspec's names of types as Python's."""
    return " | ".join([_NAMES.get(kind, kind) for kind in kinds.split(" | ")])
