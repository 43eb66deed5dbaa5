"""Binary data in JSON, as Node.js writes a ``Buffer``: ``{"type":"Buffer","data":[104,105]}``.

Only that exact shape is binary data, with its keys in the order Node.js writes them: MySQL sorts the keys of
a JSON column, so a look-alike there, ``{"data": …, "type": …}``, stays the object it is.
"""

from __future__ import annotations

import secrets

import orjson

__all__ = ["TakenOut", "revive", "take_out", "write_buffer"]

_START = b'{"type":"Buffer","data":['
_END = b"]}"
_CHUNK = 1 << 16  # numbers that are lists at one time: each takes 8 bytes, and 16 more while it is parsed
_LONG = 1 << 16  # bytes of JSON


def write_buffer(value: object) -> orjson.Fragment:
    """Write bytes, in pieces, so that 64 MB are not for a moment a list of 64 M numbers.

    Raises:
        TypeError: *value* is no bytes, bytearray or memoryview.
    """
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise TypeError(type(value).__name__)
    data = bytes(value)
    pieces = (orjson.dumps(list(data[i : i + _CHUNK]))[1:-1] for i in range(0, len(data), _CHUNK))
    return orjson.Fragment(_START + b",".join(pieces) + _END)


class TakenOut:
    """Long binary values that ``take_out`` took out of an entry.

    Attributes:
        token: what the marks in their places begin with.
        values: them, in the order of their marks.
    """

    def __init__(self) -> None:
        self.token = secrets.token_hex(16)
        self.values: list[bytes] = []

    def mark(self, value: bytes) -> bytes:
        """Keep *value*; return what stands for it in the JSON."""
        self.values.append(value)
        return b'{"type":"Buffer","data":"%b%d"}' % (self.token.encode(), len(self.values) - 1)


def take_out(payload: bytes) -> tuple[bytes, TakenOut]:
    """Take long binary values out of JSON before it is parsed.

    What looks like the start of a Buffer is one: inside a string its quotes would be escaped.

    Returns:
        The JSON with marks in their places, and them, for ``revive``.
    """
    taken = TakenOut()
    pieces = []
    done = position = 0
    while (start := payload.find(_START, position)) >= 0:
        position = start + len(_START)
        end = payload.find(_END, position)
        if end - position < _LONG or (value := _read_numbers(payload, position, end)) is None:
            continue
        pieces += [payload[done:start], taken.mark(value)]
        done = position = end + len(_END)
    return b"".join([*pieces, payload[done:]]), taken


def _read_numbers(payload: bytes, start: int, end: int) -> bytes | None:
    """Return the bytes whose numbers stand there; None if that is not what stands there."""
    pieces = []
    while start < end:
        stop = end if end - start <= _CHUNK else payload.rfind(b",", start, start + _CHUNK)
        chunk = payload[start:stop]
        if stop <= start or chunk.translate(None, b"0123456789,"):
            return None
        try:
            pieces.append(bytes(orjson.loads(b"[%b]" % chunk)))
        except ValueError:
            return None
        start = stop + 1
    return b"".join(pieces) if start == end + 1 else None


def revive(value: object, taken: TakenOut | None = None, *, are_rows: bool = False) -> object:
    """Put bytes where a Buffer was written, in place.

    Args:
        value: what was read from the JSON.
        taken: what ``take_out`` took out of it.
        are_rows: whether dicts in a list, or in lists in it, are rows: those stay what they are.

    Returns:
        The value.

    Raises:
        ValueError: it nests too deep to look through.
    """
    try:
        return _revive_rows(value, taken) if are_rows and type(value) is list else _revive(value, taken)
    except RecursionError:
        raise ValueError("the JSON nests too deep to read") from None


def _revive_rows(rows: list[object], taken: TakenOut | None) -> object:
    for row in rows:
        if type(row) is list:
            _revive_rows(row, taken)
        elif type(row) is dict:
            _revive_values(row, taken)
            if isinstance(data := _bytes_of(row, taken), bytes):  # it was taken out for one
                row["data"] = list(data)
    return rows


def _revive(value: object, taken: TakenOut | None) -> object:
    if type(value) is list:
        for i, item in enumerate(value):
            if type(item) is dict or type(item) is list:
                value[i] = _revive(item, taken)
    elif type(value) is dict:
        if (data := _bytes_of(value, taken)) is not None:
            return data
        _revive_values(value, taken)
    return value


def _revive_values(value: dict[str, object], taken: TakenOut | None) -> None:
    for key, item in value.items():
        if type(item) is dict or type(item) is list:
            value[key] = _revive(item, taken)


def _bytes_of(value: dict[str, object], taken: TakenOut | None) -> bytes | None:
    if len(value) != 2 or value.get("type") != "Buffer" or next(iter(value)) != "type":
        return None
    data = value.get("data")
    if type(data) is list and bool not in map(type, data):  # bytes() would take true for 1
        try:
            return bytes(data)
        except (TypeError, ValueError):
            return None
    if taken is not None and type(data) is str and data.startswith(taken.token):
        return taken.values[int(data.removeprefix(taken.token))]
    return None
