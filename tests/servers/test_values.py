"""Every column type on a real server: hit equals miss, and Node reads what it would have stored itself."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pymysql
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mysql_redis_cache.database import Database, ExternalDatabase
from mysql_redis_cache.observe import Watch
from mysql_redis_cache.values import codec
from tests.support.drivers import connected_by_mysqlclient, has_mysqlclient
from tests.support.external import PlainConnection
from tests.support.urls import mysql_arguments

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pymysql.connections import Connection

pytestmark = pytest.mark.real

RECORDS = json.loads((Path(__file__).parents[1] / "data" / "values.json").read_text())["records"]
BY_SERVER = {
    flavour: {record["id"]: record for record in RECORDS if flavour in record["servers"]}
    for flavour in ("mariadb", "mysql")
}
IDS = list(dict.fromkeys(record["id"] for record in RECORDS))

# --- where we differ from the npm package, and why ---------------------------------------------------------

TEXT = "npm makes a number of text that looks like one, and loses zeros and digits; text stays text"
ODD_DATES = "mysql2 makes a valid date of a zero, partial or early one; the server's text stays"
DATES = 'npm writes dates as instants; by default they stay what the server says, see dates="npm"'

EXPECTED: dict[str, tuple[Any, str]] = {
    "char_numeric": ("00123", TEXT),
    "vc_00123": ("00123", TEXT),
    "vc_1_50": ("1.50", TEXT),
    "vc_5dot": ("5.", TEXT),
    "vc_neg1": ("-1", TEXT),
    "vc_neg0_0": ("-0.0", TEXT),
    "vc_17digits": ("90071992547409931", TEXT),
    "vc_phone_plain": ("3331234567", TEXT),
    "vc_zip": ("01234", TEXT),
    "vc_credit": ("4111111111111111", TEXT),
    "vc_ver2": ("3.10", TEXT),
    "vc_bin_coll_num": ("007", TEXT),
    "enum_num": ("010", TEXT),
    "set_num": ("2", TEXT),
    "cast_char": ("7", TEXT),
    "concat_num": ("07", TEXT),
    "lpad": ("007", TEXT),
    "md5_numeric_like": ("0123456789012345678901234567890123456789", TEXT),
    "json_unquote": ("007", TEXT),
    "date_0001": ("0001-01-01", ODD_DATES),
    "date_0099": ("0099-12-31", ODD_DATES),
    "date_zero_month": ("2026-00-00", ODD_DATES),
    "timestamp_zero": ("0000-00-00 00:00:00", ODD_DATES),
    "date": ("2026-11-22", DATES),
    "date_jan1": ("2026-01-01", DATES),
    "date_9999": ("9999-12-31", DATES),
    "date_1883": ("1850-06-15", DATES),
    "datetime": ("2026-11-22T13:14:15", DATES),
    "datetime_midnight": ("2026-11-22T00:00:00", DATES),
    "datetime_summer": ("2026-07-04T12:00:00", DATES),
    "datetime3": ("2026-11-22T13:14:15.123000", DATES),
    "datetime6": ("2026-11-22T13:14:15.123456", DATES),
    "datetime6_zero_frac": ("2026-11-22T13:14:15", DATES),
    "datetime_dst_overlap_ny": ("2026-11-01T01:30:00", DATES),
    "datetime_min": ("1000-01-01T00:00:00", DATES),
    "datetime_max": ("9999-12-31T23:59:59.499999", DATES),
    "timestamp6": ("2026-11-22T13:14:15.123456", DATES),
    "timestamp_epoch": ("1970-01-01T00:00:01", DATES),
    "timestamp_2038": ("2038-01-19T03:14:07", DATES),
    "max_date": ("2026-11-22", DATES),
    "ts_literal": ("2026-11-22T13:14:15.500000", DATES),
}
ON_MARIADB: dict[str, tuple[Any, str]] = {
    "json_str_num": ("00123", TEXT),
    "json_extract": ("007", TEXT),
}
ON_MYSQL: dict[str, tuple[Any, str]] = {
    "json_str_num": ("00123", TEXT),
    "json_extract": ("007", TEXT),
    "cast_json_str": ("00123", TEXT),
}
HEADER = {
    "fieldCount": 0,
    "affectedRows": 0,
    "insertId": 0,
    "info": "",
    "serverStatus": 2,
    "warningStatus": 0,
    "changedRows": 0,
}
SHAPED: dict[str, tuple[Any, str]] = {
    "union_mixed": ([{"v": "1"}, {"v": "a"}, {"v": "007"}], TEXT),
    "call_one": ([[{"a": 1, "b": "007", "c": 1.5}], HEADER], TEXT),
    "call_two": ([[{"a": 1}], [{"b": "007"}], HEADER], TEXT),
}
# With dates="npm" the only dates that are not npm's.
NPM_ODD_DATES = {
    "date_0001": "0001-01-01T00:00:00.000Z",
    "date_0099": "0099-12-31T00:00:00.000Z",
    "date_zero_month": "2026-00-00",
}


@pytest.fixture(scope="module")
def types(mysql_url: str, server_flavour: str) -> Iterator[str]:
    """A schema with a table of one row that has every type, and the procedures of the records."""
    database = Database(mysql_url)
    columns = [record for record in BY_SERVER[server_flavour].values() if "type" in record]
    with database.pool.connection() as connection:
        _run(connection, "DROP TABLE IF EXISTS types")
        definitions = ", ".join(f"`{record['id']}` {record['type']}" for record in columns)
        _run(connection, f"CREATE TABLE types (id INT PRIMARY KEY, {definitions}) CHARACTER SET utf8mb4")
        _run(connection, "INSERT INTO types (id) VALUES (1)")
        for record in columns:
            mode = "''" if "sql_mode" in record else "DEFAULT"
            _run(connection, f"SET sql_mode = {mode}")
            _run(connection, f"UPDATE types SET `{record['id']}` = {record['literal']}")
        _run(connection, "SET sql_mode = DEFAULT")
        for name, body in PROCEDURES.items():
            _run(
                connection,
                f"CREATE OR REPLACE PROCEDURE {name}() {body}"
                if server_flavour == "mariadb"
                else f"CREATE PROCEDURE {name}() {body}",
            )
    yield mysql_url
    database.close()


PROCEDURES = {
    "sp_one": "SELECT 1 AS a, '007' AS b, 1.5 AS c",
    "sp_two": "BEGIN SELECT 1 AS a; SELECT '007' AS b; END",
    "sp_none": "DO 1",
}


def _run(connection: Connection[Any], statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.fixture(scope="module")
def database(types: str) -> Iterator[Database]:
    """With dates as ISO 8601."""
    database = Database(types)
    yield database
    database.close()


@pytest.fixture(scope="module")
def npm_dates(types: str) -> Iterator[Database]:
    """With dates as npm writes them."""
    database = Database(types, dates="npm")
    yield database
    database.close()


def query_of(name: str, flavour: str) -> tuple[dict[str, Any], str]:
    record = BY_SERVER[flavour].get(name)
    if record is None:
        pytest.skip(f"{flavour} does not have it")
    return record, record.get("query", f"SELECT `{name}` AS v FROM types")


def as_node_reads(payload: bytes) -> Any:
    """Parse JSON as Node.js does: every number is a double."""
    return json.loads(payload, parse_int=float)


def wanted(record: dict[str, Any], flavour: str) -> Any:
    """What an entry should hold, as Node.js reads it."""
    name = record["id"]
    differing = (ON_MARIADB if flavour == "mariadb" else ON_MYSQL) | SHAPED
    if name in differing and name not in SHAPED:
        return [{"v": differing[name][0]}]
    if name in SHAPED:
        return as_node_reads(json.dumps(SHAPED[name][0]).encode())
    if name in EXPECTED:
        return [{"v": EXPECTED[name][0]}]
    return as_node_reads(json.dumps(record["npm"]).encode())


@pytest.mark.parametrize("name", IDS)
def test_a_hit_equals_the_miss(name: str, database: Database, server_flavour: str) -> None:
    """What is decoded of the entry is what was read, to the type."""
    _, query = query_of(name, server_flavour)

    rows = database.query(query)

    assert repr(rows) == repr(codec.decode(codec.encode_rows(rows)))


@pytest.mark.parametrize("name", IDS)
def test_node_reads_what_it_would_have_stored(name: str, database: Database, server_flavour: str) -> None:
    """Or else the difference is in the tables above, with its reason."""
    record, query = query_of(name, server_flavour)

    payload = codec.encode_rows(database.query(query))

    assert wanted(record, server_flavour) == as_node_reads(payload)


@pytest.fixture(scope="module", params=["PyMySQL", "mysqlclient"])
def external(request: pytest.FixtureRequest, types: str) -> Iterator[ExternalDatabase]:
    """Over a connection of each driver that frameworks use."""
    if request.param == "mysqlclient" and not has_mysqlclient():
        pytest.skip("mysqlclient is not installed")
    connect = pymysql.connect if request.param == "PyMySQL" else connected_by_mysqlclient
    with closing(connect(**mysql_arguments(types) | {"read_timeout": 60}, autocommit=True)) as connection:
        yield ExternalDatabase(PlainConnection(connection), dates="iso", zone=None, watch=Watch())


@pytest.mark.parametrize("name", IDS)
def test_an_external_connection_gives_the_same(
    name: str, database: Database, external: ExternalDatabase, server_flavour: str
) -> None:
    """Whoever's connection a row came over, to the type and to the digits of its DECIMALs."""
    _, query = query_of(name, server_flavour)
    if query.startswith("CALL"):
        with pytest.raises(ValueError, match="CALL has several results"):
            external.query(query)
        return

    rows, own = external.query(query), database.query(query)

    if server_flavour == "mariadb" and name.startswith("json_") and rows != own:
        # Neither driver tells which of MariaDB's text columns are JSON: they come as they were written.
        assert [json.loads(row["v"]) for row in rows] == [row["v"] for row in own]
        return
    assert repr(rows) == repr(own)
    assert codec.encode_rows(rows) == codec.encode_rows(own)


@pytest.mark.parametrize("name", [name for name in EXPECTED if EXPECTED[name][1] in {DATES, ODD_DATES}])
def test_npm_dates_are_those_of_npm(name: str, npm_dates: Database, server_flavour: str) -> None:
    """But for those that npm gets wrong."""
    record, query = query_of(name, server_flavour)

    rows = npm_dates.query(query)

    expected = [{"v": NPM_ODD_DATES[name]}] if name in NPM_ODD_DATES else record["npm"]
    assert expected == rows
    assert rows == codec.decode(codec.encode_rows(rows))


PYTHON_VALUES: dict[str, Any] = {
    "tinyint1_true": 1,
    "bigint_unsigned_max": 2**64 - 1,
    "bigint_neg_2p53p1": -(2**53) - 1,
    "dec_5_0": 5.0,
    "sum_int": 3.0,
    "double_1e15": 1e15,
    "year_0": 0,
    "blob_utf8": "héllo".encode(),
    "bit64": b"\xff" * 8,
    "time_min": "-838:59:59",
    "time6": "12:34:56.000001",
    "geometry_point": {"x": 1.0, "y": 2.0},
}


@pytest.mark.parametrize("name", PYTHON_VALUES)
def test_python_types(name: str, database: Database, server_flavour: str) -> None:
    """Integers are int, decimals float, binary bytes, times the server's text."""
    _, query = query_of(name, server_flavour)

    assert repr([{"v": PYTHON_VALUES[name]}]) == repr(database.query(query))


def test_json_columns_are_their_value(database: Database, server_flavour: str) -> None:
    """On MariaDB too, where they are LONGTEXT and only extended metadata tell them from other text."""
    database.execute("DROP TABLE IF EXISTS documents")
    database.execute("CREATE TABLE documents (id INT PRIMARY KEY, j JSON, t TEXT)")
    text = '{"b": [1, 1.50, "é😀", null, true], "a": {}}'
    database.execute("INSERT INTO documents VALUES (1, ?, ?), (2, NULL, NULL)", [text, text])
    value = {"b": [1, 1.5, "é😀", None, True], "a": {}}
    queries = [
        "SELECT j, t FROM documents ORDER BY id",
        "SELECT d.j, t FROM (SELECT * FROM documents) AS d ORDER BY id",
        "SELECT j, t FROM documents WHERE id = 1 UNION ALL SELECT j, t FROM documents WHERE id = 2",
        "SELECT (SELECT j FROM documents AS o WHERE o.id = d.id) AS j, t FROM documents AS d ORDER BY id",
    ]
    for query in queries:
        rows = database.query(query)
        assert rows == [{"j": value, "t": text}, {"j": None, "t": None}]
        assert rows == codec.decode(codec.encode_rows(rows))
    (row,) = database.query(
        "SELECT JSON_OBJECT('a', 1) AS a, JSON_ARRAY(1, '2') AS b, JSON_EXTRACT('[7]', '$[0]') AS c"
    )
    assert row == {"a": {"a": 1}, "b": [1, "2"], "c": 7}


def test_a_procedure_gives_json_as_its_value(database: Database, mysql_admin: Connection[Any]) -> None:
    """Like any other result set."""
    _run(mysql_admin, "DROP PROCEDURE IF EXISTS gives_json")
    _run(mysql_admin, "CREATE PROCEDURE gives_json() SELECT JSON_OBJECT('a', JSON_ARRAY(1)) AS j")

    assert database.query("CALL gives_json()")[0] == [{"j": {"a": [1]}}]


def test_cursors_see_text_as_they_did(database: Database, server_flavour: str) -> None:
    """What PyMySQL's users get is PyMySQL's."""
    with database.pool.connection() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT JSON_OBJECT('a', 1) AS j, 'x' AS t")
        assert cursor.fetchall() == (('{"a": 1}', "x"),)
        assert cursor.description is not None
        assert [column[0] for column in cursor.description] == ["j", "t"]


def test_uuids_and_addresses_are_text(database: Database, server_flavour: str) -> None:
    """Though the extended metadata name them too."""
    if server_flavour == "mysql":
        pytest.skip("MySQL has no such types")
    database.execute("DROP TABLE IF EXISTS addresses")
    database.execute("CREATE TABLE addresses (u UUID, a INET4, b INET6, p POINT)")
    uuid = "123e4567-e89b-12d3-a456-426614174000"
    database.execute("INSERT INTO addresses VALUES (?, '10.0.0.1', '::1', POINT(1, 2))", [uuid])

    rows = database.query("SELECT * FROM addresses")

    assert rows == [{"u": uuid, "a": "10.0.0.1", "b": "::1", "p": {"x": 1.0, "y": 2.0}}]


def test_json_that_looks_like_a_buffer(database: Database, server_flavour: str) -> None:
    """Comes back from the cache as it was, in whichever order its keys are."""
    database.execute("DROP TABLE IF EXISTS documents")
    database.execute("CREATE TABLE documents (j JSON)")
    for text in ('{"type": "Buffer", "data": [1, 2]}', '{"data":[1,2],"type":"Buffer"}'):
        database.execute("DELETE FROM documents")
        database.execute("INSERT INTO documents VALUES (?)", [text])
        for query in (
            "SELECT j AS v FROM documents",
            "SELECT JSON_ARRAY(JSON_EXTRACT(j, '$')) AS v FROM documents",
        ):
            rows = database.query(query)
            value = rows[0]["v"] if isinstance(rows[0]["v"], dict) else rows[0]["v"][0]
            assert value == {"type": "Buffer", "data": [1, 2]}
            assert rows == codec.decode(codec.encode_rows(rows))


@pytest.mark.parametrize(
    "columns", ["type, {} AS data", "type, 0 AS data, {} AS data", "data, type, {} AS data"]
)
@pytest.mark.parametrize("value", ["CAST('[1, 2]' AS JSON)", "ST_GeomFromText('GEOMETRYCOLLECTION EMPTY')"])
def test_a_row_that_looks_like_a_buffer(
    database: Database, server_flavour: str, columns: str, value: str
) -> None:
    """Is the same row on a hit, whatever columns make it one."""
    if server_flavour == "mariadb":
        value = value.replace("CAST('[1, 2]' AS JSON)", "'[1, 2]'")
    rows = database.query(f"SELECT {columns.format(value)} FROM (SELECT 'Buffer' AS type, 0 AS data) AS t")

    assert rows == codec.decode(codec.encode_rows(rows))
    assert set(rows[0]) == {"type", "data"}


def test_vectors(database: Database, server_flavour: str) -> None:
    """Lists of 32-bit floats; NULL is None, not an empty list as with mysql2."""
    if server_flavour == "mariadb":
        pytest.skip("MariaDB 10.11 has no vectors")
    rows = database.query("SELECT STRING_TO_VECTOR('[0.1, 2]') AS a, CAST(NULL AS BINARY) AS b")
    (null,) = database.query("SELECT vector3 AS v FROM types UNION ALL SELECT NULL LIMIT 1, 1")

    assert rows == [{"a": [0.10000000149011612, 2.0], "b": None}]
    assert null == {"v": None}
    assert rows == codec.decode(codec.encode_rows(rows))


def test_vectors_do_not_trouble_the_connection(database: Database, server_flavour: str) -> None:
    """With PyMySQL's own reader the rest of the rows would be left behind."""
    if server_flavour == "mariadb":
        pytest.skip("MariaDB 10.11 has no vectors")
    for _ in range(3):
        assert database.query("SELECT vector3 AS v FROM types UNION ALL SELECT vector3 FROM types")
        assert database.query("SELECT 7 AS n") == [{"n": 7}]


cells = st.one_of(
    st.none(),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=300),
    st.binary(max_size=300),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.datetimes().map(lambda moment: moment.isoformat(" ")),
)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(cells, cells), min_size=1, max_size=20))
def test_any_rows_hit_as_they_missed(database: Database, rows: list[tuple[Any, Any]]) -> None:
    """Whatever types the server finds for them."""
    union = " UNION ALL ".join(["SELECT ? AS a, ? AS b"] * len(rows))

    found = database.query(union, [cell for row in rows for cell in row])

    assert repr(found) == repr(codec.decode(codec.encode_rows(found)))
    assert len(found) == len(rows)


def test_a_large_result_is_read_whole(database: Database) -> None:
    """Packet numbers go round, blocks and pieces join."""
    rows = database.query(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900) "
        "SELECT a.i * 1000 + b.i AS id, REPEAT('x', a.i % 300) AS t "
        "FROM n a JOIN n b WHERE b.i <= 30 ORDER BY id"
    )

    assert len(rows) == 27_000
    assert rows[-1] == {"id": 900_030, "t": ""}
    assert all(len(row["t"]) == row["id"] // 1000 % 300 for row in rows)


def test_a_long_row_is_read_whole(database: Database) -> None:
    """Longer than a packet, which has at most 16 MiB."""
    rows = database.query("SELECT REPEAT('ab', 4500000) AS a, REPEAT('cd', 4500000) AS b")

    assert rows == [{"a": "ab" * 4_500_000, "b": "cd" * 4_500_000}]


# What docs/explanation/values.md says of the two servers.
ON_EACH: dict[str, tuple[Any, Any]] = {
    "j": ({"a": 2, "b": 1.5, "aa": 100.0}, {"b": 1.5, "aa": 100.0, "a": 2}),
    "COALESCE(j, 'x')": ('{"a": 2, "b": 1.5, "aa": 100.0}', '{"b":1.50,"aa":1e2,"a":1,"a":2}'),
    "JSON_VALUE(j, '$.a')": ("2", "1"),
    "JSON_LENGTH(j)": (3, 4),
    "JSON_KEYS(j)": (["a", "b", "aa"], '["b", "aa", "a"]'),
    "d": (-0.0, 0.0),
    "e + 0": (1.0, 1),
    "GREATEST(1, '2')": ("2", 2.0),
}


@pytest.mark.parametrize("expression", ON_EACH)
def test_where_the_servers_differ(
    expression: str, database: Database, mysql_admin: Connection[Any], server_flavour: str
) -> None:
    """The table in the docs is true, and has no more than what is here."""
    _run(mysql_admin, "DROP TABLE IF EXISTS differing")
    _run(mysql_admin, "CREATE TABLE differing (j JSON, d DOUBLE, e ENUM('a', 'b'))")
    _run(mysql_admin, """INSERT INTO differing VALUES ('{"b":1.50,"aa":1e2,"a":1,"a":2}', -0e0, 'a')""")

    rows = database.query(f"SELECT {expression} AS v FROM differing")

    assert repr(rows) == repr([{"v": ON_EACH[expression][server_flavour == "mariadb"]}])
    assert repr(rows) == repr(codec.decode(codec.encode_rows(rows)))
