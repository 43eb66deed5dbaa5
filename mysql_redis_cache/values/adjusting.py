"""Cells whose JSON is not what readers of JSON take for their type, put right before it is read.

TIME is the server's text, ``-12:34:56.5``, where readers want a duration of ISO 8601; DATETIME and TIMESTAMP
are of no time zone, where one was asked for. Only whole columns of rows are touched, never what is inside a
JSON column, and no digit of a number is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any

import msgspec

from .hints import mentions

__all__ = ["Adjust", "adjust_all", "adjust_columns"]

Adjust = Callable[[bytes], bytes]

_rows = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_write = msgspec.json.Encoder().encode
_TIME = re.compile(rb'"(-?)([0-9]{2,3}):([0-9]{2}):([0-9]{2}(?:\.[0-9]+)?)"')
_MOMENT = re.compile(rb'"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+"')


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
    changes = [(name, change) for name, change in found.items() if change is not None]

    def adjust(payload: bytes) -> bytes:
        rows = _rows.decode(payload)
        for row in rows:
            for name, change in changes:
                if name in row:
                    row[name] = msgspec.Raw(change(bytes(row[name])))
        return _write(rows)

    return adjust if changes else None


def adjust_all(hint: object, zone: tzinfo | None) -> Adjust | None:
    """Return what puts the cells of all columns right, each being of the type *hint*; None as above."""
    change = _change_for(hint, zone, quoting=False)
    if change is None:
        return None

    def adjust(payload: bytes) -> bytes:
        rows = _rows.decode(payload)
        return _write(
            [{name: msgspec.Raw(change(bytes(cell))) for name, cell in row.items()} for row in rows]
        )

    return adjust


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


def _in_utc(cell: bytes) -> bytes:
    return cell[:-1] + b'Z"' if _MOMENT.fullmatch(cell) else cell


def _in_zone(zone: tzinfo) -> Adjust:
    def change(cell: bytes) -> bytes:
        if not _MOMENT.fullmatch(cell):
            return cell
        try:
            moment = datetime.fromisoformat(cell[1:-1].decode())
        except ValueError:
            return cell
        return b'"%b"' % moment.replace(tzinfo=zone).isoformat().encode()

    return change
