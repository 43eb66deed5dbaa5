"""The binary log of a real server: what was written comes back, in the words of a key."""

from __future__ import annotations

import random
import zlib
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pymysql
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mysql_redis_cache.binlog import Undecodable, Wanted, spellings
from mysql_redis_cache.binlog.chartables import MULTI_BYTE, SINGLE_BYTE
from mysql_redis_cache.database import Database
from mysql_redis_cache.keys.jstext import plain, text
from tests.support.binlogs import LoggedServer, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def server(logged_url: str) -> Iterator[LoggedServer]:
    server = LoggedServer(logged_url)
    yield server
    server.close()


@pytest.fixture(scope="module")
def database(logged_url: str) -> Iterator[Database]:
    database = Database(logged_url)
    yield database
    database.close()


WHOLE = st.integers
SETTINGS = settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])


def dates(first: int = 1000, last: int = 9999) -> st.SearchStrategy[str]:
    return st.datetimes(datetime(first, 1, 1), datetime(last, 12, 31)).map(lambda d: d.isoformat(" "))


def decimals(digits: int, scale: int) -> st.SearchStrategy[str]:
    bound = 10**digits - 1
    return st.integers(-bound, bound).map(lambda n: f"{n}e-{scale}").map(lambda n: format(Decimal(n), "f"))


def times(decimals_: int) -> st.SearchStrategy[str]:
    def shown(micros: int) -> str:
        sign, micros = ("-" if micros < 0 else ""), abs(micros)
        seconds, micros = divmod(micros, 10**6)
        return f"{sign}{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{micros:06}"

    bound = 838 * 3600 * 10**6
    return st.integers(-bound, bound).map(lambda n: shown(n // 10 ** (6 - decimals_) * 10 ** (6 - decimals_)))


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
FLOATS = st.floats(-(2.0**127), 2.0**127, allow_nan=False, allow_subnormal=False, width=32)
TYPES: dict[str, st.SearchStrategy[Any]] = {
    **{
        f"{name}{sign}": WHOLE(0, 2 ** (8 * width) - 1)
        if sign
        else WHOLE(-(2 ** (8 * width - 1)), 2 ** (8 * width - 1) - 1)
        for name, width in (("TINYINT", 1), ("SMALLINT", 2), ("MEDIUMINT", 3), ("INT", 4), ("BIGINT", 8))
        for sign in ("", " UNSIGNED")
    },
    "INT(5) ZEROFILL": WHOLE(0, 2**32 - 1),
    "BOOLEAN": st.booleans().map(int),
    "YEAR": st.one_of(st.just(0), WHOLE(1901, 2155)),
    **{
        f"DECIMAL({digits},{scale})": decimals(digits, scale)
        for digits, scale in (
            (1, 0),
            (5, 2),
            (9, 9),
            (10, 0),
            (12, 5),
            (18, 9),
            (19, 1),
            (38, 20),
            (65, 30),
            (65, 0),
        )
    },
    "FLOAT": FLOATS,
    "DOUBLE": st.floats(-1e308, 1e308, allow_nan=False),
    "DOUBLE(20,4)": st.integers(-(10**12), 10**12).map(lambda n: n / 10000),
    "DATE": dates().map(lambda d: d[:10]),
    **{f"DATETIME({n})": dates().map(lambda d, n=n: d[: 20 + n] if n else d[:19]) for n in range(7)},
    **{
        f"TIMESTAMP({n}) NULL": dates(1971, 2037).map(lambda d, n=n: d[: 20 + n] if n else d[:19])
        for n in range(7)
    },
    **{f"TIME({n})": times(n) for n in range(7)},
    "CHAR(20)": TEXTS.map(str.rstrip),
    "VARCHAR(20)": TEXTS,
    "VARCHAR(300)": TEXTS,
    "TINYTEXT": TEXTS.map(lambda t: t[:20]),
    "TEXT": TEXTS,
    "MEDIUMTEXT": TEXTS,
    "LONGTEXT": TEXTS,
    "ENUM('a','b ü','','x''y')": st.sampled_from(["a", "b ü", "x'y"]),
    "SET('a','b','ç','d','e','f','g','h','i')": st.sets(st.sampled_from("abçdefghi")).map(
        lambda s: ",".join([c for c in "abçdefghi" if c in s])
    ),
    "BINARY(5)": st.binary(max_size=5),
    "VARBINARY(300)": st.binary(max_size=30),
    "TINYBLOB": st.binary(max_size=30),
    "BLOB": st.binary(max_size=30),
    "LONGBLOB": st.binary(max_size=30),
    "BIT(1)": WHOLE(0, 1),
    "BIT(7)": WHOLE(0, 127),
    "BIT(13)": WHOLE(0, 2**13 - 1),
    "BIT(64)": WHOLE(0, 2**64 - 1),
}
MARIADB_TYPES: dict[str, st.SearchStrategy[Any]] = {
    "UUID": st.builds(
        lambda each, version: f"{each[:14]}{version}{each[15:]}",
        st.uuids(version=4).map(str),
        st.integers(1, 8),
    ),
    "INET6": st.one_of(
        st.ip_addresses(v=6).map(str),
        st.ip_addresses(v=4).map(lambda ip: f"::ffff:{ip}"),
        st.lists(st.sampled_from(["0", "0", "0", "1", "ffff", "ab"]), min_size=8, max_size=8).map(":".join),
    ),
    "INET4": st.ip_addresses(v=4).map(str),
    "BINARY(16)": st.binary(max_size=16),
    "BINARY(4)": st.binary(max_size=4),
    "VARCHAR(20) COMPRESSED": TEXTS,
    "VARCHAR(1000) COMPRESSED": TEXTS.map(lambda t: t * 20),
    "TEXT COMPRESSED": TEXTS.map(lambda t: t * 50),
    "BLOB COMPRESSED": st.binary(max_size=300).map(lambda b: b * 10),
}


def check(server: LoggedServer, database: Database, kind: str, values: list[Any]) -> None:
    """Write values into a column; what a SELECT gives and what the log gives must share a key's text."""
    table = f"probe_{abs(zlib.crc32(kind.encode()))}"
    server.run(f"CREATE TABLE IF NOT EXISTS {table} (id INT PRIMARY KEY, v {kind})", f"DELETE FROM {table}")
    before = server.position()
    with server.connection.cursor() as cursor:
        cursor.executemany(f"INSERT INTO {table} VALUES (%s, %s)", list(enumerate(values)))
    selected = [row["v"] for row in database.query(f"SELECT v FROM {table} ORDER BY id")]
    wanted = Wanted(("id", "v"), server.declared(table))
    read = rows_of(server.events_since(before, {(server.schema, table): wanted}), table)

    assert read["id"] == list(range(len(values)))
    for shown, value in zip(selected, read["v"], strict=True):
        assert not isinstance(value, Undecodable), (kind, shown, value)
        assert text(plain(shown)) in spellings(value), (kind, shown, value)
        if isinstance(value, (str, bytes, int)) and "JSON" not in kind:
            assert text(plain(value)) == text(plain(shown)), (kind, shown, value)


@SETTINGS
@given(st.data())
@pytest.mark.parametrize("kind", [*TYPES, *MARIADB_TYPES])
def test_a_value_has_the_text_that_a_select_gives(
    kind: str, server: LoggedServer, database: Database, data: st.DataObject
) -> None:
    """A drop made of the log finds the entries of those who passed what they had read."""
    if kind in MARIADB_TYPES and not server.is_mariadb:
        return
    if kind == "INET4" and server.ask("SELECT VERSION() AS v")[0]["v"] < "10.10":
        return
    server.run("SET time_zone = '+00:00'", "SET sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE'")
    values = data.draw(st.lists((TYPES | MARIADB_TYPES)[kind], min_size=1, max_size=30))
    check(server, database, kind, [None, *values])


SINGLE = sorted(SINGLE_BYTE)


@pytest.mark.parametrize("charset", [*SINGLE, *sorted(MULTI_BYTE)])
def test_every_character_set_is_read_as_the_server_reads_it(charset: str, server: LoggedServer) -> None:
    """Whatever a column holds in its own character set, the log gives the text that a SELECT gives."""
    sql = "SELECT 1 FROM information_schema.character_sets WHERE character_set_name = %s"
    known = server.ask(sql, (charset,))
    if not known:
        return
    chosen = random.Random(charset)
    codes = [bytes([first]) for first in range(1, 256)]
    if charset in MULTI_BYTE:
        codes += [bytes([chosen.randrange(0x81, 0xFF), chosen.randrange(0x40, 0xFF)]) for _ in range(600)]
        codes += list(MULTI_BYTE[charset][1])
    table = f"charset_{charset}"
    create = f"CREATE TABLE {table} (id INT PRIMARY KEY, v VARCHAR(9) CHARACTER SET {charset})"
    server.run("SET sql_mode = 'STRICT_ALL_TABLES'", create)
    before = server.position()
    with server.connection.cursor() as cursor:
        for number, code in enumerate(codes):
            with suppress(pymysql.Error):  # no character of the set
                cursor.execute(f"INSERT INTO {table} VALUES ({number}, _{charset} X'{code.hex()}')")
    selected = server.ask(f"SELECT id, CONVERT(v USING utf8mb4) AS v FROM {table}")
    shown = {row["id"]: row["v"] for row in selected}
    read = rows_of(server.events_since(before, {(server.schema, table): ("id", "v")}), table)
    pairs = dict(zip(read["id"], read["v"], strict=True))

    assert len(pairs) > 90
    differing = {
        number: (shown[number], value)
        for number, value in pairs.items()
        if value != shown[number] and not (isinstance(value, Undecodable) and "?" in shown[number])
    }
    assert differing == {}


@pytest.mark.parametrize("zone", ["+00:00", "+05:30", "Europe/Berlin"])
def test_a_timestamp_is_told_in_the_zone_of_those_who_read(zone: str, server: LoggedServer) -> None:
    """TIMESTAMP is an instant in the log; a key has the text that a session of the readers' zone sees."""
    offset = timezone(timedelta(hours=5, minutes=30)) if zone[0] == "+" and zone != "+00:00" else UTC
    reader = ZoneInfo(zone) if "/" in zone else offset
    table = f"zone_{abs(zlib.crc32(zone.encode()))}"
    server.run("SET time_zone = '+00:00'", f"CREATE TABLE {table} (id INT PRIMARY KEY, v TIMESTAMP(6) NULL)")
    before = server.position()
    server.run(f"INSERT INTO {table} VALUES (1, '2026-03-29 00:59:59.5'), (2, '2026-07-01 12:00:00')")
    read = rows_of(server.events_since(before, {(server.schema, table): ("v",)}, reader), table)

    moments = [datetime(2026, 3, 29, 0, 59, 59, 500000, UTC), datetime(2026, 7, 1, 12, tzinfo=UTC)]
    assert [str(value) for value in read["v"]] == [
        moment.astimezone(reader).replace(tzinfo=None).isoformat() for moment in moments
    ]
