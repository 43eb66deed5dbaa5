"""JavaScript's ``String(v)`` for the values a key is made of.

The npm package writes a parameter into a key as JavaScript turns it into text, so this is the text both
sides must agree on. ``plain`` first reduces a value to one of the few types that have such a text
(subclasses to their base type, an Enum to its value, dates to ISO text); ``text`` then writes it.
"""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from time import struct_time
from types import NoneType
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["NUMBER", "Plain", "number_text", "plain", "text"]

Plain: TypeAlias = "bool | int | float | Decimal | str | bytes | list[Plain] | dict[str, Plain] | None"

NUMBER = (
    r"(?:-?[1-9](?:\.[0-9]+)?e[+-][1-9][0-9]*"  # a float from 1e21 up or below 1e-6
    r"|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?"  # an int, a Decimal, a float of everyday size
    r"|NaN|-?Infinity)"
)
"""Regular expression (source text) of every text that a number has in a key.

The longest form stands first, so that it also works where nothing is tried twice (possessive groups).
"""

_MAX_DIGITS = 4300
"""What Python allows for an int's text by default; ``Decimal("1E+999999999")`` must not become a gigabyte."""


def number_text(value: float) -> str:
    """Write a float as JavaScript does.

    Args:
        value: any float, NaN and the infinities included.

    Returns:
        ``1`` for ``1.0``, ``0`` for ``-0.0``, ``10000000000000000`` for ``1e16``, ``1e+21`` for ``1e21``.

    Source: ECMA-262, Number::toString. Python's ``repr`` finds the same shortest digits; only the place
    of the point and the form of the exponent differ.
    """
    written = repr(value)
    if "e" in written:
        return _move_point(written)
    if written.endswith(".0"):
        return "0" if value == 0 else written[:-2]
    return _NOT_FINITE.get(written, written)


_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def _move_point(written: str) -> str:
    mantissa, _, exponent = written.partition("e")
    sign = "-" if mantissa.startswith("-") else ""
    digits = mantissa.lstrip("-").replace(".", "")
    point = int(exponent) + 1  # the decimal point stands after this many of the digits
    if len(digits) <= point <= 21:
        return sign + digits.ljust(point, "0")
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{fraction}e{point - 1:+d}"


def plain(value: object) -> Plain:
    """Reduce a value to one of the types that have a text.

    Args:
        value: str, int, float, bool, None, Decimal, date, naive datetime or time, struct_time, UUID, bytes,
            bytearray, memoryview, list, tuple, dict with str keys; a subclass of those, or an Enum of them.

    Returns:
        The value as an exact built-in type (or Decimal); date, datetime, time, struct_time and UUID as their
        ISO text.

    Raises:
        TypeError: for any other type, an aware datetime or time, a dict key that is no str. The message
            names the type, never the value, and reads on from "param 1 (UserId)".
        ValueError: for a Decimal that is not finite or too long to be written out.
    """
    if type(value) in _AS_THEY_ARE:
        return value  # type: ignore[return-value] # looking its type up does not narrow it
    convert = _CONVERTERS.get(type(value))
    if convert is not None:
        return convert(value)
    if isinstance(value, Enum):
        return plain(value.value)
    for base in type(value).__mro__:
        if base in _CONVERTERS:
            return _CONVERTERS[base](value)
    raise TypeError(
        f"is of type {type(value).__qualname__}; use a str, a number, bool, None, a date, datetime, time, "
        "UUID, bytes, an Enum, or a list or dict of those"
    )


def _decimal(value: Decimal) -> Decimal:
    if not value.is_finite():
        raise ValueError("is a Decimal that is not finite; MySQL has no such number")
    exponent = value.as_tuple().exponent
    if max(abs(value.adjusted()), abs(int(exponent))) > _MAX_DIGITS:
        raise ValueError(f"is a Decimal of more than {_MAX_DIGITS} digits")
    return Decimal(value)


def _naive(value: datetime | time, iso: str) -> str:
    if value.tzinfo is not None:
        option = "give the client timezone=, or " if isinstance(value, datetime) else ""
        raise TypeError(
            f"is an aware {type(value).__name__}; MySQL's columns know no time zone, so {option}convert it "
            "to the column's zone and pass it naive (value.replace(tzinfo=None)), or as text"
        )
    return iso


def _dict(value: dict[object, object]) -> Plain:
    for key in value:
        if not isinstance(key, str):
            raise TypeError(f"is a dict with a key of type {type(key).__qualname__}; keys must be str")
    return {str.__str__(key): plain(item) for key, item in value.items() if isinstance(key, str)}


_AS_THEY_ARE = frozenset((NoneType, bool, int, float, str, bytes))

# The base type's own methods, so that a subclass cannot change the text.
_CONVERTERS: dict[type, Callable[[Any], Plain]] = {
    int: int.__int__,
    float: float.__float__,
    str: str.__str__,
    Decimal: _decimal,
    datetime: lambda value: _naive(value, datetime.isoformat(value)),
    date: date.isoformat,
    time: lambda value: _naive(value, time.isoformat(value)),
    struct_time: lambda value: datetime(*value[:6]).isoformat(),
    UUID: UUID.__str__,
    bytes: lambda value: memoryview(value).tobytes(),
    bytearray: lambda value: memoryview(value).tobytes(),
    memoryview: memoryview.tobytes,
    list: lambda value: [plain(item) for item in value],
    tuple: lambda value: [plain(item) for item in value],
    dict: _dict,
}


def text(value: Plain) -> str:
    """Write a plain value as JavaScript's ``String(value)`` does.

    Args:
        value: what ``plain`` returned.

    Returns:
        The text. An int and a Decimal keep every digit, which a JavaScript number cannot; bytes are read
        as UTF-8, as Node reads a Buffer.
    """
    return _TEXTS[type(value)](value)


def _list_text(value: list[Plain]) -> str:
    return ",".join(["" if item is None else text(item) for item in value])


_TEXTS: dict[type, Callable[[Any], str]] = {
    NoneType: lambda _: "null",
    bool: lambda value: "true" if value else "false",
    int: str,
    float: number_text,
    str: str,
    Decimal: lambda value: format(value, "f"),
    bytes: lambda value: value.decode("utf-8", "replace"),
    list: _list_text,
    dict: lambda _: "[object Object]",
}
