"""DECIMAL as rows hold it, with every digit.

Source: ``decimal2bin`` in strings/decimal.cc of MySQL's source: nine digits in four bytes, the leftover
digits before the first and after the last group in fewer, the highest bit turned over, all bits of a negative
number.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from .cursor import Malformed

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["decimal_reader", "decimal_size"]

_BYTES = (0, 1, 1, 2, 2, 3, 3, 4, 4, 4)  # by number of digits
_MOST_DIGITS, _MOST_DECIMALS = 65, 38


def decimal_size(precision: int, scale: int) -> int:
    """Return how many bytes a DECIMAL(precision, scale) takes.

    Raises:
        Malformed: there is none such.
    """
    if not 0 < precision <= _MOST_DIGITS or scale > min(precision, _MOST_DECIMALS):
        raise Malformed(f"DECIMAL({precision},{scale})")
    return sum([_BYTES[digits] for digits in _groups(precision, scale)])


def decimal_reader(precision: int, scale: int) -> Callable[[bytes], Decimal]:
    """Return the reading of a DECIMAL(precision, scale)."""
    groups = [(digits, _BYTES[digits]) for digits in _groups(precision, scale)]
    size = decimal_size(precision, scale)
    sign, all_bits = 1 << size * 8 - 1, (1 << size * 8) - 1

    def read(cell: bytes) -> Decimal:
        number = int.from_bytes(cell, "big")
        is_negative = not number & sign
        raw = (number ^ sign ^ (all_bits if is_negative else 0)).to_bytes(size, "big")
        digits, position = "-" if is_negative else "", 0
        for count, width in groups:
            group = f"{int.from_bytes(raw[position : position + width], 'big'):0{count}}"
            if len(group) > count:
                raise Malformed("a DECIMAL with a group of digits that is none")
            digits, position = digits + group, position + width
        return Decimal(f"{digits}e-{scale}")

    return read


def _groups(precision: int, scale: int) -> list[int]:
    before, after = precision - scale, scale
    groups = [before % 9, *[9] * (before // 9), *[9] * (after // 9), after % 9]
    return [digits for digits in groups if digits]
