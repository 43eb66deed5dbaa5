"""The zone of DATETIME columns: how it is named, and moments as its wall clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mysql_redis_cache.values.zones import in_zone, session_zone, zone_of

ROME = ZoneInfo("Europe/Rome")
NOON = datetime(2025, 7, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "zone"),
    [
        (None, None),
        ("UTC", UTC),
        ("utc", UTC),
        (UTC, UTC),
        (ZoneInfo("UTC"), UTC),
        ("Europe/Rome", ROME),
        (ROME, ROME),
        (timezone(timedelta(hours=2)), timezone(timedelta(hours=2))),
    ],
)
def test_ways_to_name_a_zone(given: Any, zone: Any) -> None:
    """By name, or by a zone of Python's."""
    assert zone_of(given) == zone


@pytest.mark.parametrize("name", ["Europe/Rom", "", "/etc/passwd", "../UTC", "+02:00", "a\0b"])
def test_names_of_no_zone(name: str) -> None:
    """The error says what there is to write."""
    with pytest.raises(ValueError, match="is not known here; write 'UTC'"):
        zone_of(name)


def test_what_is_no_zone() -> None:
    """Hours are none."""
    with pytest.raises(TypeError, match="must be a str, a ZoneInfo or None, not int"):
        zone_of(2)


@pytest.mark.parametrize(
    ("zone", "name"),
    [
        (UTC, "+00:00"),
        (ROME, "Europe/Rome"),
        (timezone(timedelta(hours=5, minutes=30)), "+05:30"),
        (timezone(-timedelta(hours=3, minutes=30)), "-03:30"),
    ],
)
def test_what_mysql_calls_it(zone: tzinfo, name: str) -> None:
    """An offset needs no table of zones in the server."""
    assert session_zone(zone) == name


class Odd(tzinfo):
    """A zone without a name."""

    def utcoffset(self, moment: datetime | None) -> timedelta | None:
        return moment and timedelta(hours=1)


@pytest.mark.parametrize("zone", [Odd(), timezone(timedelta(seconds=61))])
def test_zones_that_mysql_has_no_name_for(zone: tzinfo) -> None:
    """They are refused."""
    with pytest.raises(ValueError, match="use a ZoneInfo"):
        session_zone(zone)


def test_moments_at_any_depth() -> None:
    """Lists and dicts are copied where one is inside, and only there."""
    plain = [1, "x", datetime(2025, 1, 1), [2]]

    assert in_zone(plain, ROME) is plain
    assert in_zone([NOON, [{"at": NOON}], 1], ROME) == [local := datetime(2025, 7, 1, 14), [{"at": local}], 1]


@given(st.datetimes(datetime(1000, 1, 2), datetime(9999, 12, 30), timezones=st.timezones()))
def test_one_moment_is_one_text(moment: datetime) -> None:
    """In whatever zone it was written."""
    assert in_zone(moment, UTC) == in_zone(moment.astimezone(UTC), UTC)
    assert in_zone(moment, UTC).tzinfo is None
