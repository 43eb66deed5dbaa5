"""DECIMAL in JSON: every digit that was stored, in a number that all readers take for a float.

``10.00`` is written as ``10.00``. Where there is no fraction an exponent is added, ``5e0``: ``5`` would read
as an int, and ``5.0`` has a digit that nobody stored.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Self

import orjson

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = ["ExactRows", "decimal_json", "rows_as_list", "rows_at"]

_Row = dict[str, Any]
_Cell = bytes | None


def decimal_json(value: Decimal) -> str:
    """Write a Decimal; NaN, the infinities and what no float can hold become null, as in JavaScript."""
    if not value.is_finite() or math.isinf(float(value)):
        return "null"
    digits = Decimal.__str__(value)
    return digits if "." in digits or "E" in digits else f"{digits}e0"


def _number(digits: bytes) -> orjson.Fragment:
    return orjson.Fragment(digits if b"." in digits else digits + b"e0")


class ExactRows(list[_Row]):
    """Rows with DECIMAL columns: floats, as callers get them, and beside them the digits for the JSON.

    Attributes:
        digits: for each of those columns what the server sent, None for NULL.
    """

    digits: dict[str, list[_Cell]]

    @classmethod
    def of(cls, rows: Iterable[_Row], digits: dict[str, list[_Cell]]) -> Self:
        """Make them of *rows* and their *digits*."""
        made = cls(rows)
        made.digits = digits
        return made

    def __iadd__(self, block: Iterable[_Row]) -> Self:  # type: ignore[override,misc]  # of rows alone
        """Append a block of the same columns."""
        if isinstance(block, ExactRows):
            for name, cells in block.digits.items():
                self.digits[name] += cells
        return super().__iadd__(block)

    def to_json(self, default: Callable[[Any], Any]) -> bytes:
        """Write the rows, with the digits in the floats' places.

        Args:
            default: writes what JSON has not, as for orjson.
        """
        floats = {name: [row[name] for row in self] for name in self.digits}
        try:
            for name, cells in self.digits.items():
                for row, cell in zip(self, cells, strict=True):
                    if cell is not None:
                        row[name] = _number(cell)
            return orjson.dumps(self, default)
        finally:
            for name, column in floats.items():
                for row, number in zip(self, column, strict=True):
                    row[name] = number


def rows_at(rows: list[_Row], places: Sequence[int]) -> list[_Row]:
    """Return those of the *rows* that stand at *places*, with what is kept beside them."""
    picked = [rows[place] for place in places]
    if not isinstance(rows, ExactRows):
        return picked
    digits = {name: [cells[place] for place in places] for name, cells in rows.digits.items()}
    return ExactRows.of(picked, digits)


def rows_as_list(rows: list[Any]) -> list[Any]:
    """Return *rows*, or the lists of them that a ``CALL`` gave, without what is kept beside them."""
    if isinstance(rows, ExactRows):
        return list(rows)
    if isinstance(rows, list) and rows and isinstance(rows[0], list):
        return [rows_as_list(each) if isinstance(each, list) else each for each in rows]
    return rows
