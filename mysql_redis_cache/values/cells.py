"""What the cells of a column become: values that JSON can hold.

Dates as ISO 8601, JSON as its value, vectors as lists, shapes as mysql2 gives them. Converters take a whole
column of one block of rows, as the server sent it, with None for NULL.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import orjson

from . import codec

__all__ = [
    "Cell",
    "Converter",
    "decimals",
    "each",
    "geometry",
    "integers",
    "iso_dates",
    "json_as_written",
    "json_value",
    "npm_date",
    "vector",
]

Cell = bytes | None
Converter = Callable[[list[Cell]], list[Any]]


def each(convert: Callable[[bytes], Any]) -> Converter:
    """Make a converter of a column from the conversion of one cell."""

    def converted(cells: list[Cell]) -> list[Any]:
        if None in cells:
            return [None if cell is None else convert(cell) for cell in cells]
        return list(map(convert, cells))  # type: ignore[arg-type]  # no None among them

    return converted


def decimals(cells: list[Cell]) -> list[Any]:
    """Parse numbers that all have a decimal point as one JSON list: twice as fast as ``float`` on each."""
    numbers = integers(cells)
    if set(map(type, numbers)) <= _FLOAT_OR_NONE:
        return numbers
    return [None if number is None else float(number) for number in numbers]


_FLOAT_OR_NONE = {float, type(None)}


def integers(cells: list[Cell]) -> list[Any]:
    """Parse whole numbers as one JSON list: three times as fast as ``int`` on each."""
    texts = [b"null" if cell is None else cell for cell in cells]
    numbers: list[Any] = orjson.loads(b"[%b]" % b",".join(texts))
    return numbers


# --- dates -------------------------------------------------------------------------------------------------

# Found nowhere in valid dates, or in few: zero and partial dates, the year 0, and days a month may not have.
_SUSPECTS = (b"-00", b"0000-", b"-02-29", b"-02-3", b"-04-31", b"-06-31", b"-09-31", b"-11-31")


def iso_dates(length: int, decimals: int = 0) -> Converter:
    """Make a converter of dates that takes the column as one text, unless something needs a closer look.

    Args:
        length: of every cell: 10 for dates, else 19, and the fraction if there is one.
        decimals: how many digits the fraction has.
    """
    padding = b"0" * (6 - decimals) if decimals else b""

    def converted(cells: list[Cell]) -> list[Any]:
        texts = [cell for cell in cells if cell is not None]
        joined = (padding + b"\n").join(texts) + padding
        if set(map(len, texts)) != {length} or any(suspect in joined for suspect in _SUSPECTS):
            return [None if cell is None else _iso_date(cell) for cell in cells]
        moments = joined.replace(b" ", b"T").replace(b".000000", b"").decode("ascii").split("\n")
        if len(texts) == len(cells):
            return moments
        following = iter(moments)
        return [None if cell is None else next(following) for cell in cells]

    return converted


def _iso_date(cell: bytes) -> str:
    """Write a date or moment as ISO 8601; zero, partial and impossible dates stay the server's text."""
    written = cell.decode("ascii")
    moment = _moment(written)
    return moment.isoformat() if moment else written


def npm_date(cell: bytes) -> str | None:
    """Write a date or moment as a Node.js process at UTC does: milliseconds, cut not rounded.

    The zero moment is null, as there. Other zero, partial and impossible dates stay the server's text, where
    mysql2 makes a wrong but valid date of them; and the years 0001 to 0099 stay what they are.
    """
    written = cell.decode("ascii")
    if _moment(written):
        return f"{written[:10]}T{written[11:19] or '00:00:00'}.{written[20:23]:0<3}Z"
    return None if written.startswith("0000-00-00 ") else written


def _moment(written: str) -> date | None:
    try:
        return date.fromisoformat(written) if len(written) == 10 else datetime.fromisoformat(written)
    except ValueError:
        return None


# --- JSON, vectors, shapes ---------------------------------------------------------------------------------

_LIKE_A_BUFFER = b'"Buffer"'


def json_value(cell: bytes) -> object:
    """Read JSON just as a hit reads it; what JSON readers refuse stays text."""
    try:
        return codec.decode(cell)
    except ValueError:
        return cell.decode()


def json_as_written(cell: bytes) -> object:
    """Read JSON whose keys are in the order in which they were written, as MariaDB keeps it.

    An object that looks like a Buffer would read back as bytes. MySQL sorts the keys so that it does not;
    here its two are turned round.
    """
    try:
        return _data_first(orjson.loads(cell)) if _LIKE_A_BUFFER in cell else codec.decode(cell)
    except (ValueError, RecursionError):
        return cell.decode()


def _data_first(value: object) -> object:
    if isinstance(value, list):
        return [_data_first(item) for item in value]
    if not isinstance(value, dict):
        return value
    if list(value) == ["type", "data"]:
        return {key: _data_first(value[key]) for key in ("data", "type")}
    return {key: _data_first(item) for key, item in value.items()}


def vector(cell: bytes) -> list[float | None]:
    """Read a VECTOR: 32-bit floats, little-endian."""
    return [_number(x) for (x,) in struct.iter_unpack("<f", cell)]


def geometry(cell: bytes) -> object:
    """Read a shape as mysql2 gives it: a point is ``{"x": …, "y": …}``, others are lists of those.

    Args:
        cell: the number of the spatial reference system (4 bytes), then well-known binary.

    Returns:
        The shape; bytes that are no known shape unchanged.
    """
    try:
        return _shape(cell, 4)[0]
    except (struct.error, KeyError, RecursionError):
        return cell


_Read = Callable[[bytes, int, str], tuple[object, int]]


def _shape(data: bytes, start: int, _: str = "") -> tuple[object, int]:
    order = "<" if data[start : start + 1] == b"\1" else ">"
    (kind,) = struct.unpack_from(f"{order}I", data, start + 1)
    return _SHAPES[kind](data, start + 5, order)


def _point(data: bytes, start: int, order: str) -> tuple[object, int]:
    x, y = struct.unpack_from(f"{order}dd", data, start)
    return {"x": _number(x), "y": _number(y)}, start + 16


def _several(read: _Read) -> _Read:
    def read_all(data: bytes, start: int, order: str) -> tuple[object, int]:
        (count,) = struct.unpack_from(f"{order}I", data, start)
        position = start + 4
        items = []
        for _ in range(count):
            item, position = read(data, position, order)
            items.append(item)
        return items, position

    return read_all


_POINTS = _several(_point)
_COLLECTION = _several(_shape)
_SHAPES: dict[int, _Read] = {
    1: _point,
    2: _POINTS,  # line
    3: _several(_POINTS),  # polygon: rings
    4: _COLLECTION,  # points
    5: _COLLECTION,  # lines
    6: _COLLECTION,  # polygons
    7: _COLLECTION,
}


def _number(value: float) -> float | None:
    """NaN and the infinities (an empty point has them) are null in JSON."""
    return value if math.isfinite(value) else None
