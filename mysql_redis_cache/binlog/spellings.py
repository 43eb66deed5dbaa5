"""Values of columns as a key spells them.

A key holds the text of what a caller passed, and callers pass one value in several ways: a DECIMAL as
``Decimal("12.50")`` or as the float 12.5 that a SELECT gave, a DATETIME as ``datetime`` or as text,
a TINYINT(1) as 1 or True. Each is an entry of its own, so a change of the row has to find them all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

import orjson

from mysql_redis_cache.keys.jstext import number_text, plain, text

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet
    from typing import Self

__all__ = ["Bits", "JsonText", "Moment", "Single", "Undecodable", "Value", "all_spellings", "spellings"]


@dataclass(frozen=True, slots=True)
class Undecodable:
    """A value that is there and cannot be told; whatever may depend on it has to be dropped.

    Attributes:
        reason: why, for people.
    """

    reason: str


class Single(float):
    """A FLOAT: the number that a SELECT shows, of six digits, and the 32-bit one that is *stored*."""

    __slots__ = ("stored",)
    stored: float

    def __new__(cls, stored: float) -> Self:
        """Round to what the server shows."""
        single = super().__new__(cls, f"{stored:.6g}")
        single.stored = stored
        return single

    def __eq__(self, other: object) -> bool:  # two that look alike have other spellings
        return isinstance(other, Single) and self.stored == other.stored

    def __hash__(self) -> int:
        return hash(self.stored)


class Bits(bytes):
    """A BIT, the highest byte first."""

    __slots__ = ()


class Moment(str):
    """A DATE, TIME, DATETIME or TIMESTAMP as rows have it: ISO 8601, or the server's text for odd ones."""

    __slots__ = ()


class JsonText(str):
    """A JSON document as the server writes it."""

    __slots__ = ()


Value: TypeAlias = "int | float | Decimal | str | bytes | Undecodable | None"
"""What a column of a row holds; subclasses of these tell how else it may be spelled."""


def spellings(value: Value) -> tuple[str, ...]:
    """List the texts that a value may have in a key.

    Args:
        value: of a column, as ``Rows`` has it; not ``Undecodable``.

    Returns:
        The texts, each once, first that of *value* itself.
    """
    others = next((spell for kind, spell in _SPELLINGS if isinstance(value, kind)), None)
    own = text(plain(value))
    return (own,) if others is None else tuple(dict.fromkeys([own, *others(value)]))


def all_spellings(values: AbstractSet[Value]) -> list[str]:
    """List the texts that any of some values may have, as ``spellings`` does for one."""
    if set(map(type, values)) != {int}:
        return [text for value in values for text in spellings(value)]
    more = [*(["true"] if 1 in values else []), *(["false"] if 0 in values else [])]
    return [*map(str, values), *more]


def _int(value: int) -> list[str]:
    return ["true"] if value == 1 else ["false"] if value == 0 else []


def _decimal(value: Decimal) -> list[str]:
    shortest = format(value.normalize(_EXACT), "f") if value else "0"
    return [shortest, number_text(float(value)), *(_int(int(value)) if value in {0, 1} else [])]


def _single(value: Single) -> list[str]:
    """Shown digits, the shortest that make the same 32 bits, all 64 bits, and what FLOAT(M,D) may show."""
    if not math.isfinite(value.stored):
        return []
    texts = {f"{value.stored:.{digits}g}" for digits in (7, 8, 9)}
    texts |= {f"{value.stored:.{decimals}f}" for decimals in range(8) if abs(value.stored) < 1e15}
    return [number_text(value.stored), *sorted({number_text(float(shown)) for shown in texts})]


def _bits(value: Bits) -> list[str]:
    number = int.from_bytes(value, "big")
    return [str(number), *_int(number)]


def _json(value: JsonText) -> list[str]:
    try:
        return [text(plain(orjson.loads(value)))]
    except (ValueError, TypeError, RecursionError):
        return []


def _moment(value: Moment) -> list[str]:
    day, mark, clock = value.replace("T", " ").partition(" ")
    if not mark and ":" in day:
        return _fractions(day)
    if not mark:
        return [f"{day} 00:00:00", f"{day}T00:00:00", f"{day}T00:00:00.000Z"]
    whole, _, fraction = clock.partition(".")
    times = [f"{day}{between}{clock}" for clock in _fractions(clock) for between in "T "]
    times.append(f"{day}T{whole}.{fraction[:3]:0<3}Z")
    return times if clock.strip("0:.") else [*times, day]


def _fractions(clock: str) -> list[str]:
    """Write a time with each number of decimals that a column or a caller may give it."""
    whole, _, fraction = clock.partition(".")
    shortest = fraction.rstrip("0")
    padded = [f"{whole}.{shortest:0<{digits}}" for digits in range(max(len(shortest), 1), 7)]
    return padded if shortest else [whole, *padded]


_EXACT = Context(prec=100)  # a DECIMAL has at most 65 digits
_SPELLINGS: tuple[tuple[type, Any], ...] = (
    (Moment, _moment),
    (JsonText, _json),
    (Bits, _bits),
    (Single, _single),
    (int, _int),
    (Decimal, _decimal),
)
