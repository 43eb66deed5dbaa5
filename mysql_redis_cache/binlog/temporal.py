"""Dates and times as rows hold them, to the text that the library's rows have.

That is ISO 8601, and the server's own text for what no calendar has: zero, partial and impossible dates.

Source: https://dev.mysql.com/doc/dev/mysql-server/latest/field__types_8h.html;
``my_datetime_packed_from_binary`` and its siblings in mysys/my_time.cc of MySQL's source. Values with
fractions of a second are integers, the highest byte first, with the highest bit turned over, so that they
sort; the older ones hold the digits as a decimal number.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from .cursor import Malformed
from .spellings import Moment

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo

__all__ = [
    "date_text",
    "datetime2",
    "datetime_text",
    "time2",
    "time_text",
    "timestamp2",
    "timestamp_text",
    "year",
]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def year(value: int) -> int:
    """Read a YEAR: years since 1900, or 0."""
    return value + 1900 if value else 0


@lru_cache(maxsize=1 << 12)  # a table has few different days
def date_text(value: int) -> Moment:
    """Read a DATE: 5 bits of day, 4 of month, the year."""
    return Moment(_day(value >> 9, value >> 5 & 15, value & 31))


def time_text(value: int) -> Moment:
    """Read a TIME of old: ±hhmmss as a number."""
    rest, seconds = divmod(abs(value), 100)
    return _time(value < 0, *divmod(rest, 100), seconds, "")


def datetime_text(value: int) -> Moment:
    """Read a DATETIME of old: yyyymmddhhmmss as a number."""
    digits = f"{value:014}"
    if len(digits) > 14:
        raise Malformed("a DATETIME of more than 14 digits")
    years, month, day, *clock = map(int, (digits[:4], *re.findall("..", digits[4:])))
    return _moment(_day(years, month, day), _clock(*clock), "")


def time2(decimals: int) -> Callable[[bytes], Moment]:
    """Return the reading of a TIME with so many decimals: a sign, 1 free bit, 10 of hours, 6 and 6."""
    width = 3 + (decimals + 1) // 2

    def read(cell: bytes) -> Moment:
        value = int.from_bytes(cell, "big") - (1 << width * 8 - 1)
        clock, fraction = divmod(abs(value), 1 << (width - 3) * 8)
        return _time(value < 0, clock >> 12, clock >> 6 & 63, clock & 63, _fraction(fraction, decimals))

    return read


def datetime2(decimals: int) -> Callable[[bytes], Moment]:
    """Return the reading of a DATETIME of n decimals: a sign, 17 bits of year * 13 + month, 5, 5, 6, 6."""

    def read(cell: bytes) -> Moment:
        value = int.from_bytes(cell[:5], "big") - (1 << 39)
        if value < 0:
            raise Malformed("a DATETIME before the year 0")
        years, month = divmod(value >> 22, 13)
        clock = _clock(value >> 12 & 31, value >> 6 & 63, value & 63)
        fraction = _fraction(int.from_bytes(cell[5:], "big"), decimals)
        return _moment(_day(years, month, value >> 17 & 31), clock, fraction)

    return read


def timestamp_text(zone: tzinfo) -> Callable[[int], Moment]:
    """Return the reading of a TIMESTAMP of old in a time zone: seconds since 1970."""
    return lambda value: _local(value, "", zone)


def timestamp2(decimals: int, zone: tzinfo) -> Callable[[bytes], Moment]:
    """Return the reading of a TIMESTAMP with so many decimals, in a time zone."""

    def read(cell: bytes) -> Moment:
        fraction = _fraction(int.from_bytes(cell[4:], "big"), decimals)
        return _local(int.from_bytes(cell[:4], "big"), fraction, zone)

    return read


def _local(seconds: int, fraction: str, zone: tzinfo) -> Moment:
    if not seconds and not fraction.strip("0"):
        return _moment("0000-00-00", "00:00:00", fraction)
    local = (_EPOCH + timedelta(seconds=seconds)).astimezone(zone)
    day = _day(local.year, local.month, local.day)
    return _moment(day, _clock(local.hour, local.minute, local.second), fraction)


def _fraction(value: int, decimals: int) -> str:
    """Write the digits of a fraction, which is kept in hundredths, ten-thousandths or millionths."""
    if not decimals:
        return ""
    digits = f"{value:0{decimals + decimals % 2}}"
    if len(digits) > decimals + decimals % 2:
        raise Malformed("a fraction of a second of more than a second")
    return digits[:decimals]


def _time(is_negative: bool, hours: int, minutes: int, seconds: int, fraction: str) -> Moment:
    sign, point = "-" if is_negative else "", "." if fraction else ""
    return Moment(f"{sign}{_clock(hours, minutes, seconds)}{point}{fraction}")


def _clock(hours: int, minutes: int, seconds: int) -> str:
    if minutes > 59 or seconds > 59 or hours > 838:
        raise Malformed("a time that no clock shows")
    return f"{hours:02}:{minutes:02}:{seconds:02}"


def _day(years: int, month: int, day: int) -> str:
    if month > 12 or day > 31 or years > 9999:
        raise Malformed("a day that no calendar has")
    return f"{years:04}-{month:02}-{day:02}"


def _moment(day: str, clock: str, fraction: str) -> Moment:
    if not _is_day(day):
        return Moment(f"{day} {clock}.{fraction}" if fraction else f"{day} {clock}")
    return Moment(f"{day}T{clock}.{fraction:0<6}" if fraction.strip("0") else f"{day}T{clock}")


@lru_cache(maxsize=1 << 12)
def _is_day(day: str) -> bool:
    try:
        date.fromisoformat(day)
    except ValueError:
        return False
    return True
