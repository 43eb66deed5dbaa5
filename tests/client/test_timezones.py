"""``timezone=``: aware datetimes as params, in keys, in sessions and in typed rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from mysql_redis_cache import DatabaseUnavailable, MRCClient, MRCServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis
    from pymysql.connections import Connection

pytestmark = [pytest.mark.anyio, pytest.mark.real]

ROME = ZoneInfo("Europe/Rome")
EAST = timezone(timedelta(hours=5, minutes=30))
NOON = datetime(2025, 7, 1, 12, 0, 0, 250_000, UTC)
AT = "SELECT id, at, seen FROM moments WHERE at = ?"


@dataclass
class Moment:
    id: int
    at: datetime
    seen: datetime | None


@pytest.fixture
def moments(mysql_admin: Connection) -> Iterator[Connection]:
    """A table with a DATETIME and a TIMESTAMP column."""
    with mysql_admin.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS moments")
        cursor.execute("CREATE TABLE moments (id INT PRIMARY KEY, at DATETIME(6), seen TIMESTAMP(6) NULL)")
        yield mysql_admin
        cursor.execute("DROP TABLE moments")


def rows_of(connection: Connection, query: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()


@pytest.mark.parametrize("zone", ["UTC", UTC, "+05:30"])
async def test_a_moment_is_one_whatever_zone_it_is_written_in(
    make_client: Callable[..., Any], moments: Connection, zone: Any, redis_client: redis.Redis
) -> None:
    """One statement, one key, one entry; it comes back as the moment it was, hit and miss."""
    client = make_client(timezone=EAST if zone == "+05:30" else zone)
    await client.execute("INSERT INTO moments VALUES (1, ?, ?)", [NOON, NOON.astimezone(ROME)])

    for written in (NOON, NOON.astimezone(ROME), NOON.astimezone(EAST)):
        (row,) = await client.query_with_cache(AT, [written], ["At"], into=Moment)
        assert (row.at, row.seen) == (NOON, NOON)
        assert row.at.utcoffset() == (timedelta(hours=5.5) if zone == "+05:30" else timedelta(0))
        assert await client.query(AT, [written], into=Moment) == [row]
    keys = {client.get_key_from_query(AT, [each], ["At"]) for each in (NOON, NOON.astimezone(ROME))}
    assert redis_client.keys("*") == [key.encode() for key in keys]
    assert client.stats()["fills"] == 1
    wall = (NOON.astimezone(EAST) if zone == "+05:30" else NOON).replace(tzinfo=None)
    assert rows_of(moments, "SELECT at FROM moments") == ((wall,),)


async def test_moments_in_lists_and_mappings(make_client: Callable[..., Any], moments: Connection) -> None:
    """For ``IN``, by name, and in ``SET ?``."""
    client = make_client(timezone="UTC")
    rome = NOON.astimezone(ROME)
    await client.execute("INSERT INTO moments SET ?", [{"id": 1, "at": rome}])

    assert await client.query("SELECT id FROM moments WHERE at IN (?)", [[rome, rome]], into=int) == [1]
    assert await client.query("SELECT id FROM moments WHERE at = %(at)s", {"at": rome}, into=int) == [1]
    cached = client.query_with_cache
    assert await cached("SELECT id FROM moments WHERE at IN (?)", [[rome, rome]], into=int) == [1]
    assert await cached("SELECT id FROM moments WHERE at = %(at)s", {"at": rome}, into=int) == [1]
    async with client.transaction() as tx:
        assert await tx.query("SELECT id FROM moments WHERE at = ?", [rome]) == [{"id": 1}]


async def test_drops_find_the_moment(make_client: Callable[..., Any], moments: Connection) -> None:
    """As reads do, after a transaction too."""
    client = make_client(timezone="UTC")
    rome, day = NOON.astimezone(ROME), [NOON]
    for _ in range(2):
        await client.query_with_cache(AT, day, ["At"])
        assert await client.drop_outdated_cache(["At"], [rome]) == 1
    await client.query_with_cache(AT, day, ["At"])
    assert await client.drop_query(AT, [rome], ["At"])
    await client.query_with_cache(AT, day, ["At"])
    async with client.transaction() as tx:
        tx.drop_outdated_cache(["At"], [rome])
    assert await client.read_from_cache(AT, day, ["At"]) is None


async def test_tags_and_drops_of_many_find_the_moment(
    make_client: Callable[..., Any], moments: Connection
) -> None:
    """Wherever a pair may stand."""
    client = make_client(timezone="UTC")
    rome = NOON.astimezone(ROME)
    tagged = ("SELECT id FROM moments", None, (), 60)
    for tags in ({"At": NOON}, [("At", rome)]):
        await client.query_with_cache(*tagged, tags=tags)
        assert await client.drop_many("At", [rome, NOON]) == 1
    await client.query_with_cache(*tagged, tags={"At": NOON})
    await client.execute("DELETE FROM moments", drops={"At": rome})
    assert await client.read_from_cache(*tagged[:3], tags={"At": rome}) is None


async def test_functions_have_it_in_their_keys(make_client: Callable[..., Any]) -> None:
    """The function itself gets what it was called with."""
    client = make_client(timezone="UTC")
    seen: list[datetime] = []

    @client.cached("at_v1", ["At"])
    def hour(at: datetime) -> int:
        seen.append(at)
        return at.hour

    for at in (NOON.astimezone(EAST), NOON):
        answer = hour(at)
        assert (answer if client.is_blocking else await answer) == 17
    assert seen == [NOON]
    assert seen[0].tzinfo is EAST


async def test_sessions_are_of_the_zone(make_client: Callable[..., Any], moments: Connection) -> None:
    """From the first statement on, and again after one that sets another; of the config if that names one."""
    zone = "SELECT @@session.time_zone AS z"
    client = make_client(timezone=EAST)
    for _ in range(2):
        assert await client.query(zone, into=str, one=True) == "+05:30"
        await client.execute("SET time_zone = '-03:00'")
    own = make_client(timezone="UTC", mysql={**_config(client), "time_zone": "SYSTEM"})
    assert await own.query(zone, into=str, one=True) == "SYSTEM"
    plain = make_client(mysql={**_config(client), "time_zone": "+01:00"})
    assert await plain.query(zone, into=str, one=True) == "+01:00"


def _config(client: Any) -> dict[str, Any]:
    names = ("host", "port", "user", "password", "database")
    return {name: client._core.database._config.arguments[name] for name in names}


async def test_a_zone_that_the_server_does_not_know(make_client: Callable[..., Any]) -> None:
    """The error says what to load or to write."""
    client = make_client(
        timezone=ZoneInfo("Europe/Rome"), mysql={**_config(make_client()), "time_zone": "No/Such"}
    )

    with pytest.raises(DatabaseUnavailable, match=r"No/Such.*mysql_tzinfo_to_sql"):
        await client.query("SELECT 1")


async def test_without_the_option(client: Any, moments: Connection) -> None:
    """Aware datetimes are refused, and the error names it; typed moments are as the column has them."""
    for call in (client.query_with_cache, client.query):
        with pytest.raises(TypeError, match="give the client timezone="):
            await call(AT, [NOON])
    with pytest.raises(TypeError, match="give the client timezone="):
        await client.execute("DELETE FROM moments WHERE at = ?", [NOON])
    with pytest.raises(TypeError, match="give the client timezone="):
        await client.drop_outdated_cache(["At"], [NOON])
    await client.execute("INSERT INTO moments VALUES (1, '2025-07-01 12:00:00', NULL)")
    (row,) = await client.query_with_cache("SELECT * FROM moments", into=Moment)
    assert row == Moment(1, datetime(2025, 7, 1, 12), None)


async def test_node_dates(make_client: Callable[..., Any], moments: Connection) -> None:
    """They are of UTC, and come back aware with or without the option."""
    for options in ({}, {"timezone": "UTC"}):
        client = make_client(dates="npm", **options)
        await client.execute("REPLACE INTO moments VALUES (1, '2025-07-01 12:00:00.25', NULL)")
        (row,) = await client.query_with_cache("SELECT * FROM moments", into=Moment)
        assert row.at == NOON


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"timezone": 2}, TypeError, "timezone must be a str, a ZoneInfo or None, not int"),
        ({"timezone": "Rome"}, ValueError, "timezone='Rome' is not known here"),
        ({"timezone": ROME, "dates": "npm"}, ValueError, "timezone must be UTC"),
        ({"timezone": timezone(timedelta(seconds=1))}, ValueError, "use a ZoneInfo"),
    ],
)
def test_bad_options(mysql_url: str, options: Any, error: type[Exception], message: str) -> None:
    """They are refused when the client is made."""
    with pytest.raises(error, match=message):
        MRCClient(mysql_url, **options)


def test_a_server_says_what_to_do(redis_url: str) -> None:
    """It has no zone: the values are those of the keys."""
    with MRCServer(redis_url) as server, pytest.raises(TypeError, match="aware datetime"):
        server.drop_outdated_cache(["At"], [NOON])


@pytest.mark.parametrize("zone", ["bad zone", "'; DROP TABLE x", "", 3])
def test_bad_time_zones_of_sessions(mysql_url: str, zone: Any) -> None:
    """They are refused before anything is sent."""
    with pytest.raises((TypeError, ValueError), match="time_zone"):
        MRCClient({"host": "localhost", "time_zone": zone})
