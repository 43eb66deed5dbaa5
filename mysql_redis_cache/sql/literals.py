"""Values as SQL text: what may stand in a placeholder's place, and how it is written.

Every value becomes a number, hexadecimal digits or text inside single quotes, so nothing in it can end it
early and ``ANSI_QUOTES`` makes no difference. The text is right for connections whose character set is
utf8mb4, the only one this library opens: in gbk or sjis a backslash may be the second half of a character.

Source: mysql2's ``sql-escaper``, and the MySQL manual, "Literal Values" and "Schema Object Names".
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from time import struct_time
from typing import Any, Self
from uuid import UUID

__all__ = ["GREATEST_INT", "Unsendable", "assignments", "identifier", "is_list", "is_sendable", "literal"]

Writer = Callable[[Any, bool], str]


class Unsendable(Exception):
    """A value that cannot be sent; `sql` turns it into an error that names the parameter.

    Attributes:
        path: where inside the parameter the value stands, such as ``[1][0]``.
    """

    def __init__(self, reason: str, kind: type[TypeError | ValueError] = TypeError) -> None:
        super().__init__(reason)
        self.path = ""
        self._kind = kind

    def inside(self, index: int) -> Self:
        """The same, seen from the list that holds the value at *index*."""
        self.path = f"[{index}]{self.path}"
        return self

    def error(self, name: str) -> TypeError | ValueError:
        """The error for the caller, who knows the parameter as *name*."""
        return self._kind(f"{name}{self.path} {self}")


def literal(value: object, no_backslash_escapes: bool = False) -> str:
    """Write *value* as SQL; a list becomes its elements, a list in it a row, as ``IN (?)`` needs them.

    Args:
        value: None, bool, int, float, Decimal, str, bytes-like, date, datetime, time, timedelta, struct_time,
            UUID, an Enum of those (its value is sent), a subclass of those (sent as its base type), a list or
            tuple.
        no_backslash_escapes: whether the session's sql_mode has ``NO_BACKSLASH_ESCAPES``.

    Returns:
        SQL text that the server reads back as the same value.

    Raises:
        Unsendable: the type has no SQL form, or the server would change the value.
    """
    write = _WRITERS.get(type(value)) or _inherited_writer(type(value))
    return write(value, no_backslash_escapes)


def is_sendable(value: Any) -> bool:
    """Tell quickly that `literal` takes *value*; False means that it has to be asked."""
    kind = type(value)
    if kind is int:
        return bool(_LEAST <= value <= GREATEST_INT)
    if kind is str:
        return bool(value.isascii())
    if kind is list or kind is tuple:
        return _are_sendable(value)
    return kind in _ALWAYS_SENDABLE


def is_list(value: object) -> bool:
    """Tell whether `literal` writes *value* as its elements."""
    return isinstance(value, (list, tuple)) and not isinstance(value, struct_time)


def _are_sendable(values: Sequence[Any]) -> bool:
    kinds = set(map(type, values))
    if kinds == {int}:
        return bool(min(values) >= _LEAST and max(values) <= GREATEST_INT)
    return kinds == {str} and "".join(values).isascii()


def identifier(name: object) -> str:
    """Write *name* as a quoted identifier: ``t.n`` becomes `` `t`.`n` ``, a list its elements with commas.

    Args:
        name: a str, an int (a column called ``5``), or a list or tuple of those.

    Raises:
        Unsendable: another type, or a name that MySQL does not allow anywhere.
    """
    if isinstance(name, (list, tuple)):
        return ", ".join(_each(name, identifier))
    if isinstance(name, bool) or not isinstance(name, (str, int)):
        raise Unsendable(f"is a {type(name).__name__}, not an identifier: ?? takes a str or a list of str")
    text = _encodable(format(name, "d") if isinstance(name, int) else str.__str__(name)).replace("`", "``")
    # As in mysql2, a name with a JSON arrow is one name: its dots belong to the path.
    parts = [text] if "->" in text else text.split(".")
    if not all(parts) or "\0" in text:
        raise Unsendable("is no identifier: it is empty, has an empty part or holds a NUL", ValueError)
    return ".".join(f"`{part}`" for part in parts)


def assignments(columns: dict[Any, object], no_backslash_escapes: bool = False) -> str:
    """Write a dict as the ``SET`` clause has it: `` `name` = 'value', … ``.

    Args:
        columns: column names with their values; a value is anything `literal` takes but a list.
        no_backslash_escapes: as for `literal`.

    Raises:
        Unsendable: the dict is empty, or a name or value in it cannot be sent.
    """
    if not columns:
        raise Unsendable("is an empty dict, which sets nothing: leave the statement out", ValueError)

    def assignment(item: tuple[object, object]) -> str:
        name, value = item
        if is_list(value):
            raise Unsendable("is a list, and a column takes one value: pass text, such as JSON")
        return f"{identifier(name)} = {literal(value, no_backslash_escapes)}"

    return ", ".join(_each(columns.items(), assignment))


def _each(values: Any, write: Callable[[Any], str]) -> list[str]:
    if not values:
        raise Unsendable("is an empty list, which SQL cannot express: leave the query out", ValueError)
    written: list[str] = []
    for index, value in enumerate(values):
        try:
            written.append(write(value))
        except Unsendable as fault:
            raise fault.inside(index) from None
    return written


def _inherited_writer(kind: type) -> Writer:
    # The order of the MRO makes an IntEnum an int, a StrEnum a str and any other Enum an Enum.
    for base in kind.__mro__:
        if base in _WRITERS:
            return _WRITERS[base]
    if issubclass(kind, dict):
        raise Unsendable("is a dict, which may stand only in SET ? or ON DUPLICATE KEY UPDATE ?")
    raise Unsendable(
        f"is a {kind.__name__}, which has no SQL form: pass a number, str, bytes, date, time, UUID or a list"
    )


def _null(_value: None, _mode: bool) -> str:
    return "NULL"


def _boolean(value: bool, _mode: bool) -> str:
    return "true" if value else "false"


# Both servers keep numeric literals in nine words of nine digits, separately before and after the point.
# What does not fit they replace by 65 nines, with no more than a warning.
_WORD = 9
_WORDS = 9
GREATEST_INT = 10 ** (_WORDS * _WORD) - 1
"""The greatest int that both servers keep; the least is its negative."""
_LEAST = -GREATEST_INT
_ALWAYS_SENDABLE = frozenset({bool, type(None), bytes})
_TOO_MANY_DIGITS = "has more digits than MySQL keeps (81): round it or pass it as str"


def _integer(value: int, _mode: bool) -> str:
    if not _LEAST <= value <= GREATEST_INT:
        raise Unsendable(_TOO_MANY_DIGITS, ValueError)
    return int.__repr__(value)


def _float(value: float, _mode: bool) -> str:
    if not math.isfinite(value):
        raise Unsendable("is NaN or infinite, which MySQL does not have: pass None for NULL", ValueError)
    text = float.__repr__(value)
    # Without an exponent the server would read a DECIMAL, whose arithmetic is another.
    return text if "e" in text else text + "e0"


def _decimal(value: Decimal, _mode: bool) -> str:
    _, digits, exponent = Decimal.as_tuple(value)
    if not isinstance(exponent, int):
        raise Unsendable("is NaN or infinite, which MySQL does not have: pass None for NULL", ValueError)
    whole, fraction = max(len(digits) + exponent, 1), max(-exponent, 0)
    if math.ceil(whole / _WORD) + math.ceil(fraction / _WORD) > _WORDS:
        raise Unsendable(_TOO_MANY_DIGITS, ValueError)
    return Decimal.__format__(value, "f")


_ESCAPES = str.maketrans(
    {
        "\0": r"\0",
        "\b": r"\b",
        "\t": r"\t",
        "\n": r"\n",
        "\r": r"\r",
        "\x1a": r"\Z",
        '"': r"\"",
        "'": r"\'",
        "\\": r"\\",
    }
)
_NEEDS_ESCAPE = re.compile(r"""[\0\b\t\n\r\x1a"'\\]""")


def _text(value: str, no_backslash_escapes: bool) -> str:
    text = _encodable(str.__str__(value))
    if no_backslash_escapes:
        return "'" + text.replace("'", "''") + "'"
    return "'" + (text.translate(_ESCAPES) if _NEEDS_ESCAPE.search(text) else text) + "'"


def _encodable(text: str) -> str:
    if text.isascii() or _is_encodable(text):
        return text
    raise Unsendable("holds a lone surrogate, which UTF-8 cannot carry: clean it or pass bytes", ValueError)


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # not to be chained: it holds the whole value
        return False
    return True


def _binary(value: bytes | bytearray | memoryview, _mode: bool) -> str:
    return f"X'{memoryview(value).tobytes().hex()}'"


def _datetime(value: datetime, _mode: bool) -> str:
    if value.tzinfo is not None:
        raise Unsendable(
            "is an aware datetime, and MySQL's DATETIME has no time zone: give the client timezone=, the zone"
            " your columns are in, or convert it, as in value.astimezone(timezone.utc).replace(tzinfo=None)"
        )
    return f"'{datetime.isoformat(value, ' ', _timespec(value.microsecond))}'"


def _time(value: time, _mode: bool) -> str:
    if value.tzinfo is not None:
        raise Unsendable(
            "is an aware time, and MySQL's TIME has no time zone: use value.replace(tzinfo=None)"
        )
    return f"'{time.isoformat(value, _timespec(value.microsecond))}'"


def _timespec(microseconds: int) -> str:
    # Three digits where three suffice: what mysql2 writes, which matters if the text lands in a VARCHAR.
    return "milliseconds" if microseconds and microseconds % 1000 == 0 else "auto"


def _date(value: date, _mode: bool) -> str:
    return f"'{date.isoformat(value)}'"


_LONGEST_TIME = timedelta(hours=838, minutes=59, seconds=59)


def _timedelta(value: timedelta, _mode: bool) -> str:
    if not -_LONGEST_TIME <= value <= _LONGEST_TIME:
        raise Unsendable("is longer than MySQL's TIME, which ends at 838:59:59: pass seconds", ValueError)
    sign = "-" if value < timedelta() else ""
    seconds, microseconds = divmod(abs(value) // timedelta(microseconds=1), 1_000_000)
    fraction = f".{microseconds:06}" if microseconds else ""
    return f"'{sign}{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{fraction}'"


def _uuid(value: UUID, _mode: bool) -> str:
    return f"'{UUID.__str__(value)}'"


def _struct_time(value: struct_time, mode: bool) -> str:
    return _datetime(datetime(*value[:6]), mode)


def _enum(value: Enum, no_backslash_escapes: bool) -> str:
    return literal(value.value, no_backslash_escapes)


def _list(values: list[object] | tuple[object, ...], no_backslash_escapes: bool) -> str:
    def element(value: object) -> str:
        text = literal(value, no_backslash_escapes)
        return f"({text})" if is_list(value) else text

    return ", ".join(_each(values, element))


_WRITERS: dict[type, Writer] = {
    type(None): _null,
    bool: _boolean,
    int: _integer,
    float: _float,
    Decimal: _decimal,
    str: _text,
    bytes: _binary,
    bytearray: _binary,
    memoryview: _binary,
    datetime: _datetime,
    date: _date,
    time: _time,
    timedelta: _timedelta,
    UUID: _uuid,
    struct_time: _struct_time,
    Enum: _enum,
    list: _list,
    tuple: _list,
}
