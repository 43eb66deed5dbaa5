"""Cells whose JSON is not what readers of JSON take for their type, put right before it is read.

TIME is the server's text, ``-12:34:56.5``, where readers want a duration of ISO 8601; DATETIME and TIMESTAMP
are of no time zone, where one was asked for. Only whole columns of rows are touched, never what is inside a
JSON column, and no digit of a number is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from functools import partial
from typing import Any

import msgspec

from .hints import mentions

__all__ = ["Adjust", "adjust_all", "adjust_columns"]

Adjust = Callable[[bytes], bytes]

_rows = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_write = msgspec.json.Encoder().encode
_TIME = re.compile(rb'"(-?)([0-9]{2,3}):([0-9]{2}):([0-9]{2}(?:\.[0-9]+)?)"')
_NAME = rb'"(?:[^"\\]|\\.)*"'
_BEFORE_A_NAME = b"{,"
_CELL = rb'"[^"\\]*"|-?[0-9][0-9.eE+-]*'
_MOMENTS = frozenset([len('"2026-01-02T03:04:05"'), len('"2026-01-02T03:04:05.678901"')])


def adjust_columns(
    columns: Mapping[str, Any], zone: tzinfo | None, *, quoting: bool = False
) -> Adjust | None:
    """Return what puts the cells of these columns right; None if there is nothing to do.

    Args:
        columns: the annotation of each.
        zone: that of DATETIME and TIMESTAMP columns, if known.
        quoting: whether the reader takes all digits of a Decimal from text alone.
    """
    found = {name: _change_for(hint, zone, quoting=quoting) for name, hint in columns.items()}
    changes = {name: change for name, change in found.items() if change is not None}
    # One search for each, beginning with what does not vary: that is several times as fast.
    flat = [_in_flat(re.escape(msgspec.json.encode(name)), change) for name, change in changes.items()]
    return _adjust(flat, changes.get) if changes else None


def adjust_all(hint: object, zone: tzinfo | None) -> Adjust | None:
    """Return what puts the cells of all columns right, each being of the type *hint*; None as above."""
    change = _change_for(hint, zone, quoting=False)
    return change and _adjust([_in_flat(_NAME, change)], lambda _: change)


def _in_flat(name: bytes, change: Adjust) -> Adjust:
    """Return what changes the cells behind a name; not what only looks like it, since a quote is in it."""

    def changed(found: re.Match[bytes]) -> bytes:
        if found.string[found.start() - 1] not in _BEFORE_A_NAME:
            return found[0]
        return found[1] + change(found[2])

    return partial(re.compile(rb"(%b:)(%b)" % (name, _CELL)).sub, changed)


def _adjust(flat: Sequence[Adjust], change_of: Callable[[str], Adjust | None]) -> Adjust:
    def adjust(payload: bytes) -> bytes:
        if not _is_flat(payload):
            return _adjust_rows(payload, change_of)
        for change in flat:
            payload = change(payload)
        return payload

    return adjust


def _is_flat(payload: bytes) -> bool:
    """Whether no object is inside another, so that each name is a column's.

    Every brace then begins a row: one more at least than there are ends of a row and starts of the next.
    Quotes inside a text are escaped, so what looks like a name and its colon is that.
    """
    return payload.startswith(b'[{"') and payload.count(b"{") == payload.count(b'},{"') + 1


def _adjust_rows(payload: bytes, change_of: Callable[[str], Adjust | None]) -> bytes:
    """Change the cells of rows with objects in them, which takes four times as long."""
    rows = _rows.decode(payload)
    for row in rows:
        for name, cell in row.items():
            if (change := change_of(name)) is not None:
                row[name] = msgspec.Raw(change(bytes(cell)))
    return _write(rows)


def _change_for(hint: object, zone: tzinfo | None, *, quoting: bool) -> Adjust | None:
    if mentions(hint, lambda kind: kind is timedelta):
        return _duration
    if zone is not None and mentions(hint, _is_moment):
        return _in_utc if zone is UTC else _in_zone(zone)
    return _quoted if quoting and mentions(hint, lambda kind: kind is Decimal) else None


def _is_moment(kind: object) -> bool:
    """Whether it is a datetime, pydantic's ``AwareDatetime`` and ``NaiveDatetime`` among them."""
    return isinstance(kind, type) and (issubclass(kind, datetime) or kind.__name__.endswith("Datetime"))


def _duration(cell: bytes) -> bytes:
    return _TIME.sub(rb'"\1PT\2H\3M\4S"', cell)


def _quoted(cell: bytes) -> bytes:
    return cell if cell[:1] not in b"-0123456789" else b'"%b"' % cell


def _is_naive(cell: bytes) -> bool:
    return len(cell) in _MOMENTS and cell[11:12] == b"T"


def _in_utc(cell: bytes) -> bytes:
    return cell[:-1] + b'Z"' if _is_naive(cell) else cell


def _in_zone(zone: tzinfo) -> Adjust:
    def change(cell: bytes) -> bytes:
        if not _is_naive(cell):
            return cell
        try:
            moment = datetime.fromisoformat(cell[1:-1].decode())
        except ValueError:
            return cell
        return b'"%b"' % moment.replace(tzinfo=zone).isoformat().encode()

    return change
