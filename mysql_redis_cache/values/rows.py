"""Result sets as JSON-native rows: what a column's type makes of the text the server sent.

MySQL's text protocol sends every value as text; the column's metadata says what it means. A miss returns the
very rows a later hit decodes, so only what survives JSON is made here: numbers, strings, lists, dicts, None,
and bytes (which ``codec`` writes as a Buffer).

Values are converted column by column, a block of rows at a time: in pure Python that is several times faster
than cell by cell, since most of the work then happens inside a few C calls.
"""

from __future__ import annotations

import re
import struct
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from . import cells as convert
from .decimals import ExactRows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from . import codec

__all__ = ["Column", "Row", "RowBuilder", "lenenc_bytes", "lenenc_int", "parse_column", "row_builder"]

Row = dict[str, Any]

_BINARY = 63  # the character set number of what is not text; the BINARY flag is also set for utf8_bin text
_ZEROFILL = 0x40

# Column types: https://dev.mysql.com/doc/dev/mysql-server/latest/field__types_8h.html
_FLOATS = {0, 4, 5}  # DECIMAL of old, FLOAT, DOUBLE
_DECIMAL = 246
_INTEGERS = {1, 2, 3, 8, 9}  # TINYINT, SMALLINT, INT, BIGINT, MEDIUMINT
_YEAR = 13
_DATES = {10, 14}  # DATE, NEWDATE
_MOMENTS = {7, 12}  # TIMESTAMP, DATETIME
_TIME = 11
_BIT = 16
_VECTOR = 242
_JSON = 245
_GEOMETRY = 255
_JSON_AS_WRITTEN = 256 + _JSON  # not a server's: MariaDB's JSON, which it describes as text
_IS_JSON = b"\x01\x04json"  # of MariaDB's extended metadata: the format, which is json


class Column(NamedTuple):
    """One column of a result set, as the server describes it."""

    name: str
    type_code: int
    charset: int
    flags: int
    decimals: int


@lru_cache(maxsize=1024)
def parse_column(packet: bytes, describes_more: bool = False) -> Column:
    """Read a column definition.

    Args:
        packet: the payload of a ``Protocol::ColumnDefinition41``
            (https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset_column_definition.html).
        describes_more: whether MariaDB's extended metadata are in it
            (https://mariadb.com/kb/en/result-set-packets/), which alone tell a JSON column from text.

    Returns:
        The column.
    """
    position = 0
    texts = []
    for _ in range(6):  # catalog, schema, table, original table, name, original name
        text, position = lenenc_bytes(packet, position)
        texts.append(text)
    more = b""
    if describes_more:
        more, position = lenenc_bytes(packet, position)
    charset, type_code, flags, decimals = struct.unpack_from("<xH4xBHB", packet, position)
    if more == _IS_JSON:
        type_code = _JSON_AS_WRITTEN
    return Column(texts[4].decode(), type_code, charset, flags, decimals)


def lenenc_int(data: bytes, position: int) -> tuple[int, int]:
    """Read a length-encoded integer; return it and the position behind it."""
    first = data[position]
    if first < 0xFB:
        return first, position + 1
    end = position + 1 + {0xFC: 2, 0xFD: 3, 0xFE: 8}[first]
    return int.from_bytes(data[position + 1 : end], "little"), end


def lenenc_bytes(data: bytes, position: int) -> tuple[bytes, int]:
    """Read length-encoded bytes; return them and the position behind them."""
    size, start = lenenc_int(data, position)
    return data[start : start + size], start + size


class RowBuilder:
    """Turns the cells of one result set into rows.

    Args:
        columns: the columns, in the order of the cells.
        dates: ``"iso"`` or ``"npm"``, see ``codec.encode``.
    """

    def __init__(self, columns: Sequence[Column], dates: codec.Dates = "iso") -> None:
        self.width = len(columns)
        order = _order(columns)
        self._names = [columns[i].name for i in order]
        self._assemble = _assembler(self.width)
        self._converters = [(i, _converter(columns[i], dates)) for i in order]
        counting = {columns[i].name: i for i in order}  # of columns with one name the last
        self._decimals = {name: i for name, i in counting.items() if columns[i].type_code == _DECIMAL}
        self._zerofilled = {name for name, i in self._decimals.items() if columns[i].flags & _ZEROFILL}

    def build(self, cells: list[convert.Cell]) -> list[Row]:
        """Convert a block of whole rows.

        Args:
            cells: all cells of the block, row after row, as the server sent them; None for NULL.

        Returns:
            The rows. Of columns with one name the last counts, in the place of the first, as in JavaScript.
            ``ExactRows`` where there are DECIMAL columns.
        """
        columns = [converted(cells[i :: self.width]) for i, converted in self._converters]
        rows = self._assemble(zip(*columns, strict=False), *self._names)
        return ExactRows.of(rows, self._digits(cells)) if self._decimals else rows

    def _digits(self, cells: list[convert.Cell]) -> dict[str, list[convert.Cell]]:
        digits = {name: cells[i :: self.width] for name, i in self._decimals.items()}
        for name in self._zerofilled:
            digits[name] = _unfilled(digits[name])
        return digits


@lru_cache(maxsize=256)
def row_builder(columns: tuple[Column, ...], dates: codec.Dates) -> RowBuilder:
    """Return the builder for these columns, made once for as long as they recur."""
    return RowBuilder(columns, dates)


@lru_cache(maxsize=256)
def _assembler(width: int) -> Callable[..., list[Row]]:
    """Write a function that makes dicts of tuples, given the tuples and the names of their columns.

    A dict display takes half the time of ``dict(zip(names, row))``, the largest cost of a big result. The
    source consists of numbered variables only; nothing of a query gets into it.
    """
    numbers = range(width)
    names = "".join(f", n{i}" for i in numbers)
    pairs = ", ".join(f"n{i}: v{i}" for i in numbers)
    values = "".join(f"v{i}, " for i in numbers)
    assembler = eval(f"lambda rows{names}: [{{{pairs}}} for {values} in rows]")  # noqa: S307 - see above
    return cast("Callable[..., list[Row]]", assembler)


def _order(columns: Sequence[Column]) -> list[int]:
    """Return the order of the columns in the rows: as selected, but for one shape.

    A row ``{"type": "Buffer", "data": [1]}`` would read back as bytes. With its keys the other way round, the
    order MySQL gives them inside JSON columns, it is left alone.
    """
    order = list(range(len(columns)))
    if list(dict.fromkeys(column.name for column in columns)) != ["type", "data"]:
        return order
    may_be_lists = any(column.type_code in _AS_LISTS for column in columns if column.name == "data")
    return sorted(order, key=lambda i: columns[i].name) if may_be_lists else order


def _converter(column: Column, dates: codec.Dates) -> convert.Converter:
    kind = column.type_code
    if column.flags & _ZEROFILL == 0 and kind in _AS_JSON:  # leading zeros are not JSON
        return _AS_JSON[kind]
    if kind in _DATES or kind in _MOMENTS:
        return _date_converter(column) if dates == "iso" else convert.each(convert.npm_date)
    if kind in _OTHERS:
        return convert.each(_OTHERS[kind])
    if kind == _BIT or (column.charset == _BINARY and kind != _TIME):
        return list
    return convert.each(bytes.decode)


def _date_converter(column: Column) -> convert.Converter:
    if column.type_code in _DATES:
        return convert.iso_dates(10)
    return convert.iso_dates(19 + (column.decimals and column.decimals + 1), column.decimals)


_unfilled = convert.each(lambda cell: re.sub(rb"^0+(?=[0-9])", b"", cell))  # JSON has no leading zeros
_AS_JSON = {**dict.fromkeys(_INTEGERS, convert.integers), _DECIMAL: convert.decimals}
_AS_LISTS = {_VECTOR, _JSON, _JSON_AS_WRITTEN, _GEOMETRY}
_OTHERS: dict[int, Callable[[bytes], Any]] = {
    **dict.fromkeys(_INTEGERS | {_YEAR}, int),
    **dict.fromkeys(_FLOATS | {_DECIMAL}, float),
    _VECTOR: convert.vector,
    _JSON: convert.json_value,
    _JSON_AS_WRITTEN: convert.json_as_written,
    _GEOMETRY: convert.geometry,
}
