"""Time zones: moments as the wall clock of one zone, which is what DATETIME columns hold."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

__all__ = ["has_aware", "in_zone", "session_zone", "zone_of"]


def zone_of(timezone: object) -> tzinfo | None:
    """Return the zone that the ``timezone`` option names.

    Args:
        timezone: a name such as ``"UTC"`` or ``"Europe/Rome"``, a ``ZoneInfo`` or another tzinfo, or None.

    Raises:
        TypeError: it is none of these.
        ValueError: there is no zone of this name.
    """
    if timezone is None or isinstance(timezone, tzinfo):
        return UTC if _is_utc(timezone) else timezone
    if not isinstance(timezone, str):
        raise TypeError(f"timezone must be a str, a ZoneInfo or None, not {type(timezone).__name__}")
    if timezone.upper() == "UTC":
        return UTC
    try:
        return ZoneInfo(timezone)
    except (ValueError, LookupError, OSError):
        raise ValueError(
            f"timezone={timezone!r} is not known here; write 'UTC', a name such as 'Europe/Rome', or a "
            "datetime.timezone. Where Python has no zones, as on Windows, pip install tzdata"
        ) from None


def _is_utc(zone: tzinfo | None) -> bool:
    return isinstance(zone, ZoneInfo) and zone.key in {"UTC", "Etc/UTC"}


def session_zone(zone: tzinfo) -> str:
    """Return what MySQL calls *zone* in ``SET time_zone``: an offset where it has one for ever, or its name.

    Raises:
        ValueError: it has neither.
    """
    if isinstance(zone, ZoneInfo) and zone.key:
        return zone.key
    offset = zone.utcoffset(None)
    if offset is None or offset % timedelta(minutes=1):
        raise ValueError(f"timezone is a {type(zone).__name__} that MySQL has no name for; use a ZoneInfo")
    minutes = offset // timedelta(minutes=1)
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


def has_aware(value: object) -> bool:
    """Whether *value* is an aware datetime, or a list or dict with one in it."""
    if isinstance(value, datetime):
        return value.tzinfo is not None
    if isinstance(value, (list, tuple)):
        return any(map(has_aware, value))
    return isinstance(value, Mapping) and any(map(has_aware, value.values()))


def in_zone(value: Any, zone: tzinfo) -> Any:
    """Return *value* with every aware datetime in it, at any depth, as the wall clock of *zone*, naive.

    Raises:
        ValueError: it nests too deeply, or a moment is beyond what the zone's calendar has.
    """
    try:
        return _in_zone(value, zone) if has_aware(value) else value
    except RecursionError:
        raise ValueError("a param is nested too deeply, or contains itself") from None
    except OverflowError:
        raise ValueError("an aware datetime is in the year 0 or 10000 in the zone of timezone=") from None


def _in_zone(value: Any, zone: tzinfo) -> Any:
    if isinstance(value, datetime):
        return value if value.tzinfo is None else value.astimezone(zone).replace(tzinfo=None, fold=0)
    if isinstance(value, Mapping):
        return {name: _in_zone(item, zone) for name, item in value.items()}
    return [_in_zone(item, zone) for item in value] if isinstance(value, (list, tuple)) else value
