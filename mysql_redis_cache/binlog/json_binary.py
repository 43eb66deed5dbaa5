"""MySQL's binary JSON, to the text that the server writes for it.

Source: sql/json_binary.h of MySQL's source, whose comment describes the format; ``Json_wrapper::to_string``
of sql-common/json_dom.cc for the text.
"""

from __future__ import annotations

import math
from base64 import b64encode
from json.encoder import encode_basestring
from struct import Struct
from typing import TYPE_CHECKING

from .cursor import Cursor, Malformed
from .decimals import decimal_reader, decimal_size

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["json_text"]

_MAX_DEPTH = 100  # the server's own bound
_LITERALS = {0: "null", 1: "true", 2: "false"}
_NUMBERS = {
    5: Struct("<h"),
    6: Struct("<H"),
    7: Struct("<i"),
    8: Struct("<I"),
    9: Struct("<q"),
    10: Struct("<Q"),
}
_DOUBLE = Struct("<d")
_LITERAL, _DOUBLE_TYPE, _STRING, _OPAQUE = 4, 11, 12, 15
_INLINED, _INLINED_LARGE = {_LITERAL, 5, 6}, {7, 8}
_DECIMAL = 246


def json_text(document: bytes) -> str:
    """Write a document as the server does.

    Args:
        document: as a row holds it; empty stands for ``null``.

    Returns:
        Its text, such as ``{"a": [1, 2.5, null]}``.

    Raises:
        ValueError: it is none.
    """
    if not document:
        return "null"
    return _Writer(document).value(document[0], 1, len(document), 0)


class _Writer:
    """Writes one document.

    Nothing keeps two entries of a broken document from pointing to one place, so what has been read is
    counted: an honest one holds each of its bytes once.
    """

    def __init__(self, document: bytes) -> None:
        self._data = document
        self._left = len(document)

    def value(self, kind: int, start: int, end: int, depth: int) -> str:
        """Write the value of a type that begins at a place."""
        self._count(1)
        body = Cursor(self._data, start, end)
        if kind < _LITERAL:
            return self._container(kind, start, end, depth + 1)
        if kind == _LITERAL:
            return _LITERALS[body.uint(1)]
        if kind in _NUMBERS:
            return str(body.unpack(_NUMBERS[kind])[0])
        if kind == _DOUBLE_TYPE:
            return _double_text(body.unpack(_DOUBLE)[0])
        if kind == _STRING:
            return encode_basestring(self._counted(body).decode())
        if kind == _OPAQUE:
            return _opaque_text(body.uint(1), self._counted(body))
        raise Malformed(f"JSON of type {kind}")

    def _count(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise Malformed("JSON in which one place stands for several")

    def _counted(self, body: Cursor) -> bytes:
        size = shift = 0
        while True:
            byte = body.uint(1)
            size |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
            if shift > 28:
                raise Malformed("a length of more than 32 bits")
        self._count(size)
        return body.take(size)

    def _container(self, kind: int, start: int, end: int, depth: int) -> str:
        if depth > _MAX_DEPTH:
            raise Malformed(f"JSON deeper than {_MAX_DEPTH} levels")
        is_object, width = kind < 2, 4 if kind & 1 else 2
        body = Cursor(self._data, start, end)
        count, size = body.uint(width), body.uint(width)
        whole = Cursor(self._data, start, start + size) if start + size <= end else None
        if whole is None or count * (width + 1) > size:
            raise Malformed("JSON that announces more than there is")
        whole.skip(2 * width)
        keys = [self._key(whole, start, width) for _ in range(count)] if is_object else []
        values = [self._entry(whole, start, width, depth) for _ in range(count)]
        if is_object:
            return f"{{{', '.join([f'{key}: {value}' for key, value in zip(keys, values, strict=True)])}}}"
        return f"[{', '.join(values)}]"

    def _key(self, whole: Cursor, start: int, width: int) -> str:
        place, size = whole.uint(width), whole.uint(2)
        self._count(size)
        key = Cursor(self._data, start + place, whole.end).take(size)
        return encode_basestring(key.decode())

    def _entry(self, whole: Cursor, start: int, width: int, depth: int) -> str:
        kind = whole.uint(1)
        place = whole.skip(width)
        if kind in _INLINED or (width == 4 and kind in _INLINED_LARGE):
            return self.value(kind, place, place + width, depth)
        offset = int.from_bytes(self._data[place : place + width], "little")
        return self.value(kind, start + offset, whole.end, depth)


def _double_text(number: float) -> str:
    if not math.isfinite(number):
        raise Malformed("a number that is not finite")
    written = repr(number)
    mantissa, mark, exponent = written.partition("e")
    if not mark:
        return written
    return f"{mantissa}e{int(exponent)}"


def _opaque_text(kind: int, data: bytes) -> str:
    if kind == _DECIMAL and len(data) > 2:
        precision, scale = data[:2]
        if len(data) - 2 == decimal_size(precision, scale):
            return format(decimal_reader(precision, scale)(data[2:]), "f")
    if len(data) == 8 and kind in _PACKED:
        return f'"{_PACKED[kind](int.from_bytes(data, "little", signed=True))}"'
    return f'"base64:type{kind}:{b64encode(data).decode()}"'


def _day_text(packed: int) -> str:
    years, month = divmod(packed >> 46, 13)
    return f"{years:04}-{month:02}-{packed >> 41 & 31:02}"


def _moment_text(packed: int) -> str:
    clock = packed >> 24
    return f"{_day_text(packed)} {_clock_text(clock >> 12 & 31, clock)}.{packed & 0xFFFFFF:06}"


def _time_text(packed: int) -> str:
    clock = abs(packed) >> 24
    sign = "-" if packed < 0 else ""
    return f"{sign}{_clock_text(clock >> 12 & 1023, clock)}.{abs(packed) & 0xFFFFFF:06}"


def _clock_text(hours: int, clock: int) -> str:
    return f"{hours:02}:{clock >> 6 & 63:02}:{clock & 63:02}"


_PACKED: dict[int, Callable[[int], str]] = {7: _moment_text, 10: _day_text, 11: _time_text, 12: _moment_text}
"""By column type: 24 bits of microseconds below the bits that ``temporal`` describes."""
