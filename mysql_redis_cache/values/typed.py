"""JSON bytes as values of a class or type, read by msgspec; what is pydantic's own by pydantic.

Only this module and its neighbours know the readers; they are imported when the first typed read is made.
pydantic is imported only if a class of it was given, attrs never.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from typing import Any, TypeAlias, get_args, get_origin
from uuid import UUID

import msgspec

from . import codec
from .adjusting import adjust_all, adjust_columns
from .buffers import revive
from .hints import columns_of, is_named_tuple, is_pydantic, is_row, mentions, name_of

__all__ = ["NotOneColumn", "Reader", "row_reader", "value_reader"]

Reader: TypeAlias = Callable[[bytes], Any]

_BUFFER = b"Buffer"
_HALF = b"\\ud"  # of a surrogate pair, perhaps: neither reader takes one alone
_READY = (bytes, bytearray, Decimal, datetime, date, time, timedelta, UUID)


def row_reader(into: Any, zone: tzinfo | None) -> Reader:
    """Return what reads the JSON of rows as a list of *into*.

    Args:
        into: a class with the columns of the rows, or the type of the only one.
        zone: that of DATETIME and TIMESTAMP columns; None leaves their values naive.

    Raises:
        TypeError: there is no way to read it.
    """
    try:
        return _reader_of_rows(into, zone) if is_row(into) else _reader_of_column(into, zone)
    except (TypeError, NameError) as error:
        raise TypeError(f"into={name_of(into)} cannot be read from rows: {error}") from error


def value_reader(into: Any) -> Reader:
    """Return what reads the JSON of a function's value as *into*; raises as ``row_reader``."""
    try:
        if any(map(is_pydantic, [into, *get_args(into)])):
            return _of_pydantic(into, are_rows=False)
        return _of_msgspec(into, are_rows=False)
    except (TypeError, NameError) as error:
        raise TypeError(f"into={name_of(into)} cannot be read from JSON: {error}") from error


def _reader_of_rows(into: Any, zone: tzinfo | None) -> Reader:
    columns = columns_of(into)
    if is_pydantic(into):
        return _after(adjust_columns(columns, zone, quoting=True), _of_pydantic(list[into], are_rows=True))
    if not is_named_tuple(into):
        return _after(adjust_columns(columns, zone), _of_msgspec(list[into], are_rows=True))
    read, make = _of_msgspec(list[_shadow(into)], are_rows=True), into._make  # type: ignore[misc]  # as made
    return _after(
        adjust_columns(columns, zone),
        lambda payload: [make(msgspec.structs.astuple(row)) for row in read(payload)],
    )


def _reader_of_column(into: Any, zone: tzinfo | None) -> Reader:
    read = _of_msgspec(list[dict[str, into]], are_rows=True)

    def read_cells(payload: bytes) -> list[Any]:
        rows = read(payload)
        for number, row in enumerate(rows):
            if len(row) != 1:
                raise NotOneColumn(number, len(row))
        return [cell for row in rows for cell in row.values()]

    return _after(adjust_all(into, zone), read_cells)


class NotOneColumn(Exception):
    """A row has not the one column that a type for one asks for.

    Attributes:
        row: its number.
        width: how many columns it has.
    """

    def __init__(self, row: int, width: int) -> None:
        super().__init__(row, width)
        self.row = row
        self.width = width


def _after(adjust: Callable[[bytes], bytes] | None, read: Reader) -> Reader:
    """Return *read* of what *adjust* makes of the JSON."""
    return read if adjust is None else lambda payload: read(adjust(payload))


def _shadow(named_tuple: Any) -> Any:
    """Return a Struct of the same fields: msgspec reads named tuples from JSON lists alone."""
    hints, defaults = columns_of(named_tuple), named_tuple._field_defaults
    fields = [
        (name, hints.get(name, Any), *([defaults[name]] if name in defaults else []))
        for name in named_tuple._fields
    ]
    return msgspec.defstruct(named_tuple.__name__, fields, gc=False)


def _of_msgspec(kind: Any, *, are_rows: bool) -> Reader:
    decode = msgspec.json.Decoder(kind, strict=False, dec_hook=_read_other).decode
    _check_known(kind)
    load = _exact if mentions(kind, _is_decimal) else codec.decode

    def read(payload: bytes) -> Any:
        if _BUFFER not in payload and _HALF not in payload:
            return decode(payload)
        value = revive(load(payload), are_rows=are_rows)
        return msgspec.convert(value, kind, strict=False, builtin_types=_READY, dec_hook=_read_other)

    return read


def _of_pydantic(kind: Any, *, are_rows: bool) -> Reader:
    """Return what reads by pydantic, which takes all digits of a Decimal from text or a Decimal alone."""
    from pydantic import TypeAdapter  # noqa: PLC0415 - who gives a class of it has it

    adapter: Any = TypeAdapter(kind)
    exact = not are_rows and mentions(kind, _is_decimal)  # of rows the digits are text by now

    def read(payload: bytes) -> Any:
        if not exact and _BUFFER not in payload and _HALF not in payload:
            return adapter.validate_json(payload)
        return adapter.validate_python(revive(_exact(payload), are_rows=are_rows))

    return read


def _is_decimal(hint: object) -> bool:
    return hint is Decimal


def _number(digits: str) -> int | Decimal:
    """Read a number with all its digits; one without a fraction fits an int too."""
    return int(digits[:-2]) if digits.endswith("e0") else Decimal(digits)


_read_exact = msgspec.json.Decoder(float_hook=_number).decode


def _exact(payload: bytes) -> Any:
    """Read untyped JSON with all digits of its numbers, and with halves of surrogate pairs in its texts."""
    try:
        return _read_exact(payload)
    except msgspec.DecodeError:
        return json.loads(payload, parse_float=_number)


def _check_known(kind: Any) -> None:
    """Raise ``TypeError`` for a class that nobody can read."""
    while not isinstance(kind, type) and (arguments := get_args(kind)) and get_origin(kind) in {list, dict}:
        kind = arguments[-1]
    if isinstance(msgspec.inspect.type_info(kind), msgspec.inspect.CustomType):
        raise TypeError(f"{name_of(kind)} {_UNKNOWN}")


_UNKNOWN = (
    "is no dataclass, TypedDict, NamedTuple, attrs class, msgspec Struct or pydantic model, "
    "and no type that a column may have"
)


def _read_other(kind: Any, value: Any) -> Any:
    """Read what msgspec does not know: a model of pydantic inside another class."""
    if is_pydantic(kind):
        return kind.__pydantic_validator__.validate_python(value)
    raise TypeError(f"{name_of(kind)} {_UNKNOWN}")
