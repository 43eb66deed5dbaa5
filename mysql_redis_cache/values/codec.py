r"""Values and their JSON bytes: what lies under a main key, and what a caller gets back.

Plain compact UTF-8 JSON that any reader understands. Binary data is written as Node.js writes a ``Buffer``,
``{"type":"Buffer","data":[104,105]}``, and comes back as ``bytes``. Everything else reads back as JSON does:
a ``Decimal`` as float, a date as its ISO 8601 text, a tuple as a list.

orjson does the work. Only what it refuses goes through the slower walk below, which either finds a form
that JSON has (the escape ``\ud83d`` for half a surrogate pair) or names the culprit and the path to it.
"""

from __future__ import annotations

import json
import math
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeAlias
from uuid import UUID

import orjson

from .buffers import revive, take_out, write_buffer
from .decimals import ExactRows, decimal_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = [
    "LARGE",
    "Between",
    "Dates",
    "decode",
    "decode_plain",
    "encode",
    "encode_rows",
    "is_plain",
    "parts_of",
]

Dates = Literal["iso", "npm"]
Between: TypeAlias = "Callable[[], object] | None"

MAX_DEPTH = 250
"""How deep lists and dicts may nest: what orjson writes, and far below what any reader takes."""

_INT64_MIN, _UINT64_MAX = -(2**63), 2**64 - 1
LARGE = 1 << 17  # bytes of JSON
_PART = 1 << 16  # so that half a millisecond or so passes until others may run
_NEXT_ROW = b'},{"'
_BUFFER = b"Buffer"  # without its quotes: bytes as frequent as those make the search four times as slow
_ESCAPE = b"\\u"  # of half a surrogate pair, perhaps
_OPTIONS = {
    # Dataclasses are passed to our own hook: orjson would leave out fields whose name begins with "_".
    "iso": orjson.OPT_PASSTHROUGH_DATACLASS,
    "npm": orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME,
}


def encode(value: object, dates: Dates = "iso") -> bytes:
    """Turn a value into JSON.

    Args:
        value: None, bool, str, numbers (a Decimal with all its digits), date, datetime, time, UUID, bytes,
            Enum members (as their value), and lists, tuples, dataclasses and str-keyed dicts of these. NaN
            and the infinities become null, as in JavaScript.
        dates: ``"npm"`` writes date and datetime as a Node.js process at UTC does,
            ``2025-12-23T10:30:00.000Z``: milliseconds, cut not rounded; a naive datetime is taken as UTC.

    Returns:
        Compact UTF-8 JSON.

    Raises:
        TypeError: something in it has no JSON form; the message names its type and the path to it.
        ValueError: it nests deeper than ``MAX_DEPTH`` or contains itself.
    """
    default = _DEFAULTS[dates]
    try:
        return orjson.dumps(value, default, _OPTIONS[dates])
    except TypeError:  # orjson names neither the type nor the place, so look closer
        return _dump_plain(_plain(value, "$", 0, default))


def encode_rows(rows: object) -> bytes:
    """Turn rows that ``rows`` made (JSON-native values and bytes) into JSON.

    Args:
        rows: a list of dicts, or the lists of them that a ``CALL`` returned.

    Returns:
        Compact UTF-8 JSON; ``decode`` gives back the very same rows. DECIMAL columns of ``ExactRows`` have
        all their digits in it.
    """
    try:
        if isinstance(rows, ExactRows):
            return rows.to_json(write_buffer)
        return orjson.dumps(rows, _default_of_rows, orjson.OPT_PASSTHROUGH_SUBCLASS)
    except TypeError:
        return encode(rows)


def _default_of_rows(value: object) -> orjson.Fragment:
    if isinstance(value, ExactRows):  # among the result sets of a CALL
        return orjson.Fragment(value.to_json(write_buffer))
    return write_buffer(value)


def decode(payload: bytes, between: Between = None, are_rows: bool = False) -> object:
    """Turn JSON bytes back into a value.

    Args:
        payload: what ``encode``, ``encode_rows`` or another writer stored.
        between: called again and again while many rows are decoded, a millisecond apart or so, for nothing
            else runs in the interpreter meanwhile.
        are_rows: whether a query's rows are expected, or the lists of them that a ``CALL`` returned: a row
            that looks like a Buffer is a row.

    Returns:
        The value; ``{"type":"Buffer","data":[…]}``, at any depth, as bytes.

    Raises:
        ValueError: it is not JSON (NaN, Infinity and a byte order mark are not), or nests too deep to read.
    """
    if len(payload) > LARGE:
        return _decode_large(payload, between, are_rows=are_rows)
    try:
        value = orjson.loads(payload)
    except orjson.JSONDecodeError:
        value = _load_surrogates(payload)
    return revive(value, are_rows=are_rows) if _BUFFER in payload else value


def is_plain(payload: bytes) -> bool:
    """Whether ``decode_plain`` gives what ``decode`` does: for a *payload* that is decoded many times."""
    return len(payload) <= LARGE and _BUFFER not in payload and _ESCAPE not in payload


decode_plain = orjson.loads


def _decode_large(payload: bytes, between: Between, *, are_rows: bool) -> object:
    rest, taken = take_out(payload)
    value = _load(rest) if between is None else _load_rows(rest, between)
    return revive(value, taken, are_rows=are_rows) if _BUFFER in rest else value


def _load_rows(payload: bytes, between: Callable[[], object]) -> object:
    """Read a list of objects a part at a time.

    What looks like the end of one object and the start of the next is that: in a string its quote would be
    escaped. If it is deeper inside, the brackets of the part do not match, and the whole is read at once.
    """
    if not payload.startswith(b"[{"):
        return _load(payload)
    rows: list[object] = []
    try:
        for part in parts_of(payload):
            if rows:
                between()
            rows += orjson.loads(part)
    except orjson.JSONDecodeError:
        return _load(payload)
    return rows


def parts_of(payload: bytes) -> Iterator[bytes]:
    """Cut a list of objects into lists of some of them, each half a millisecond's worth; see ``decode``."""
    start = 1
    while (end := payload.find(_NEXT_ROW, start + _PART)) >= 0:
        yield b"[%b}]" % payload[start:end]
        start = end + 2
    yield b"[%b" % payload[start:]


def _load(payload: bytes) -> object:
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError:
        return _load_surrogates(payload)


# --- what orjson does not know -----------------------------------------------------------------------------


_BASES: tuple[tuple[type, Callable[[Any], object]], ...] = (
    (tuple, list),
    (str, str),
    (float, float),
    (UUID, str),
)


def _converted(value: object) -> object:
    """Return the nearer-to-JSON form of a value orjson does not take as it is.

    Raises:
        TypeError: there is none.
    """
    if isinstance(value, Decimal):
        return orjson.Fragment(decimal_json(value))
    if isinstance(value, Enum):
        return value.value
    for base, convert in _BASES:
        if isinstance(value, base):
            return convert(value)
    if isinstance(value, (datetime, date)) or (isinstance(value, time) and value.tzinfo is None):
        return value.isoformat()
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    raise TypeError(type(value).__name__)


def _default(value: object) -> object:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return write_buffer(value)
    return _converted(value)


def _default_npm(value: object) -> object:
    if isinstance(value, datetime):
        moment = value.astimezone(UTC) if value.tzinfo else value
        return f"{moment.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"
    if isinstance(value, date):
        return f"{value.isoformat()}T00:00:00.000Z"
    return _default(value)


_DEFAULTS: dict[Dates, Callable[[object], object]] = {"iso": _default, "npm": _default_npm}


# --- the slow way: find the culprit, or write what orjson cannot -------------------------------------------


def _plain(value: object, path: str, depth: int, default: Callable[[object], object]) -> object:
    """Return *value* made of dicts, lists, str, numbers, bool and None only, or raise with the path."""
    if depth > MAX_DEPTH:
        raise ValueError(f"{_short(path)} nests deeper than {MAX_DEPTH} levels, or contains itself")
    if value is None or type(value) in {str, bool}:
        return value
    if isinstance(value, dict):
        return {
            _plain_key(key, path): _plain(item, path + _step(key), depth + 1, default)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_plain(item, f"{path}[{i}]", depth + 1, default) for i, item in enumerate(value)]
    return _plain_leaf(value, path, depth, default)


def _plain_leaf(value: object, path: str, depth: int, default: Callable[[object], object]) -> object:
    if isinstance(value, int):
        return _plain_int(value, path)
    if type(value) is float:
        return value if math.isfinite(value) else None
    if isinstance(value, Decimal):
        return value
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"type": "Buffer", "data": list(bytes(value))}
    try:
        converted = default(value)
    except (TypeError, OverflowError):
        raise TypeError(
            f"{_short(path)} is of type {type(value).__name__}, which has no JSON form; "
            "pass str, numbers, bool, None, date, datetime, naive time, bytes, UUID, Decimal, "
            "or lists, tuples, dataclasses and dicts of these"
        ) from None
    return _plain(converted, path, depth, default)


def _plain_int(value: int, path: str) -> int:
    if not _INT64_MIN <= value <= _UINT64_MAX:
        raise TypeError(
            f"{_short(path)} is an int beyond 64 bits, which JSON readers cut; pass it as a string"
        )
    return int(value)


def _plain_key(key: object, path: str) -> str:
    if not isinstance(key, str):
        raise TypeError(
            f"{_short(path)} has a key of type {type(key).__name__}; keys of JSON objects are strings"
        )
    return str(key.value) if isinstance(key, Enum) else str(key)


def _step(key: object) -> str:
    return f".{key}" if isinstance(key, str) and key.isidentifier() else f"[{key!r}]"


def _short(path: str) -> str:
    """Keep both ends of a path that is too long to read."""
    return path if len(path) <= 200 else f"{path[:100]}…{path[-80:]}"


def _dump_plain(value: object) -> bytes:
    r"""Write a plain tree; half a surrogate pair as the escape ``JSON.stringify`` writes, ``\ud83d``."""
    return _text(value).encode("utf-8", "backslashreplace")


def _text(value: object) -> str:
    if isinstance(value, dict):
        return f"{{{','.join([f'{_text(key)}:{_text(item)}' for key, item in value.items()])}}}"
    if isinstance(value, list):
        return f"[{','.join(map(_text, value))}]"
    if isinstance(value, Decimal):
        return decimal_json(value)
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _load_surrogates(payload: bytes) -> object:
    """Read JSON that orjson refused, if the reason is an escaped half of a surrogate pair.

    Raises:
        ValueError: it is not JSON.
    """
    if b"\\ud" not in payload and b"\\uD" not in payload:
        raise ValueError(f"{len(payload)} bytes are not JSON")
    try:
        return json.loads(
            payload.decode("utf-8"), parse_int=_read_int, parse_float=_read_float, parse_constant=_refuse
        )
    except RecursionError:
        raise ValueError("the JSON nests too deep to read") from None


def _read_int(digits: str) -> int | float:
    number = int(digits)
    return number if _INT64_MIN <= number <= _UINT64_MAX else _read_float(digits)


def _read_float(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else _refuse("a number that overflows")


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
