"""What one side writes, the other reads as its users expect it: every column type, both ways.

`cases.py` is the table: the value of each side, and why, where they are not the same.
"""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pymysql
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mysql_redis_cache import MRCClient
from tests.support.urls import mysql_arguments

from .cases import CASES, DATES, DIGITS, MICROSECONDS, UUID_TEXT, Case, Server
from .peer import UNDEFINED, BigInt, Call, Date, PeerError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pymysql.connections import Connection
    from redis import Redis

    from .peer import Peer

pytestmark = pytest.mark.real

TABLE = "interop_types"


def as_node(value: Any) -> Any:
    """What JSON.parse gives for a stored value: every number a double, bytes in the JSON form of a Buffer."""
    match value:
        case bool() | None | str():
            return value
        case int() | float():
            return float(value)
        case bytes():
            return {"type": "Buffer", "data": as_node(list(value))}
        case list():
            return [as_node(part) for part in value]
        case _:
            return {name: as_node(part) for name, part in value.items()}


def as_python(value: Any) -> Any:
    """A value but for the type of its whole numbers: npm writes 5.0 as 5, so Python reads an int."""
    match value:
        case float() if value.is_integer() and repr(value) != "-0.0":
            return int(value)
        case list():
            return [as_python(part) for part in value]
        case dict():
            return {name: as_python(part) for name, part in value.items()}
        case _:
            return value


def query_for(name: str) -> str:
    """The query of one case; each has an entry of its own."""
    return f"SELECT `{name}` AS v FROM {TABLE}"


@pytest.fixture(scope="session", name="kinds")
def _kinds(mysql_url: str, server_flavour: str) -> Iterator[set[Server]]:
    """A table with a column per case; yields which cases this server has."""
    with closing(pymysql.connect(**mysql_arguments(mysql_url), autocommit=True)) as connection:
        kinds: set[Server] = {"any", "mariadb" if server_flavour == "mariadb" else "mysql"}
        if server_flavour == "mysql" and int(connection.get_server_info().split(".")[0]) >= 9:
            kinds.add("vector")
        cases = {name: case for name, case in CASES.items() if case.server in kinds}
        columns = ", ".join(f"`{name}` {case.sql_type}" for name, case in cases.items())
        literals = ", ".join(case.literal for case in cases.values())
        with connection.cursor() as cursor:
            cursor.execute("SET SESSION sql_mode = ''")  # zero and partial dates
            cursor.execute(f"CREATE TABLE {TABLE} ({columns}) CHARACTER SET utf8mb4")
            cursor.execute(f"INSERT INTO {TABLE} VALUES ({literals})")
            yield kinds
            cursor.execute(f"DROP TABLE {TABLE}")


@pytest.fixture(name="case", params=CASES)
def _case(request: pytest.FixtureRequest, npm: Peer, kinds: set[Server]) -> tuple[str, Case]:
    """Each case of the table: its query and what is expected."""
    case = CASES[request.param]
    if case.server not in kinds:
        pytest.skip("column types of the other servers (MariaDB, MySQL, MySQL 9)")
    return query_for(request.param), case


def test_column_read_by_python(case: tuple[str, Case], client: MRCClient) -> None:
    """A hit returns what the miss returned: the value of the table, type and all."""
    query, expected = case

    miss, hit = client.query_with_cache(query), client.query_with_cache(query)

    assert repr(miss) == repr(hit) == repr([{"v": expected.python}])  # tells 1, 1.0 and True


def test_column_written_by_python_and_read_by_node(
    case: tuple[str, Case], client: MRCClient, npm: Peer
) -> None:
    """Node finds our entry and reads the value in it, in the form JSON has for it."""
    query, expected = case
    client.query_with_cache(query)

    reading = npm.call("readFromCache", query)

    assert repr(as_node(reading)) == repr([{"v": as_node(expected.python)}])


def test_column_written_by_node_and_read_by_node(case: tuple[str, Case], npm: Peer) -> None:
    """What npm's own users get on a hit is what the table says."""
    query, expected = case
    npm.call("queryWithCache", query)

    reading = npm.call("queryWithCache", query)

    assert repr(as_node(reading)) == repr([{"v": as_node(expected.in_node)}])


def test_column_written_by_node_and_read_by_python(
    case: tuple[str, Case], client: MRCClient, npm: Peer
) -> None:
    """We find npm's entry and read the value in it, binary data as bytes."""
    query, expected = case
    npm.call("queryWithCache", query)

    reading = client.query_with_cache(query)

    assert repr(as_python(reading)) == repr([{"v": as_python(expected.in_node)}])


def test_differences_are_the_documented_ones() -> None:
    """A case without a reason is the same for the users of both; one with a reason is not."""
    for name, case in CASES.items():
        is_same = repr(as_python(case.python)) == repr(as_python(case.in_node))

        assert is_same == (not case.why), name


def test_digits_that_node_cannot_read_are_the_ones_it_never_had() -> None:
    """Node reads our BIGINT with every digit as the very number that its own entry holds."""
    for case in CASES.values():
        if case.why == DIGITS:
            assert as_node(case.python) == as_node(case.in_node)


NPM_DATES = {name: case for name, case in CASES.items() if case.why in (DATES, MICROSECONDS)}


@pytest.mark.parametrize("name", NPM_DATES)
def test_dates_as_node_writes_them(
    name: str, kinds: set[Server], npm: Peer, mysql_url: str, redis_url: str, redis_client: Redis
) -> None:
    """With dates="npm" the entry is, byte for byte, that of a Node process at UTC."""
    query = query_for(name)
    npm.call("queryWithCache", query)
    with MRCClient(mysql_url, redis_url, dates="npm") as client:
        key = client.get_key_from_query(query)
        theirs = redis_client.getdel(key)

        miss, hit = client.query_with_cache(query), client.query_with_cache(query)

    assert redis_client.get(key) == theirs
    assert miss == hit == [{"v": NPM_DATES[name].node}]


ODD_DATES_AS_NODE: dict[str, str | None] = {
    "date_zero": "0000-00-00",
    "date_partial": "2026-11-00",
    "date_year_1": "0001-01-01T00:00:00.000Z",
    "datetime_zero": None,
}


@pytest.mark.parametrize(("name", "expected"), ODD_DATES_AS_NODE.items(), ids=ODD_DATES_AS_NODE)
def test_odd_dates_with_dates_as_node(
    name: str, expected: str | None, kinds: set[Server], npm: Peer, mysql_url: str, redis_url: str
) -> None:
    """Where mysql2 would make another date of it, dates="npm" does not; a zero DATETIME is null, as there."""
    with MRCClient(mysql_url, redis_url, dates="npm") as client:
        assert client.query_with_cache(query_for(name)) == [{"v": expected}]

    assert npm.call("queryWithCache", query_for(name)) == [{"v": expected}]


# Result sets, not columns -----------------------------------------------------------------------------------

RESULT_SETS: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "no_rows": ("SELECT 1 AS v FROM DUAL WHERE 1 = 0", []),
    "many_rows": (
        "SELECT 1 AS v UNION ALL SELECT NULL UNION ALL SELECT 3",
        [{"v": 1}, {"v": None}, {"v": 3}],
    ),
    "duplicate_names": ("SELECT 1 AS a, 2 AS a", [{"a": 2}]),
    "names_differ_in_case": ("SELECT 1 AS a, 2 AS A", [{"a": 1, "A": 2}]),
    "numbers_as_names": ("SELECT 'b' AS b, 'two' AS `2`, 'one' AS `1`", [{"b": "b", "2": "two", "1": "one"}]),
    "odd_names": ('SELECT 1 AS `a b`, 2 AS `naïve日本`, 3 AS `a"b`', [{"a b": 1, "naïve日本": 2, 'a"b': 3}]),
    "names_of_javascript": (
        "SELECT 1 AS `constructor`, 2 AS `toString`",
        [{"constructor": 1, "toString": 2}],
    ),
    "no_alias": ("SELECT 1+1, 'x'", [{"1+1": 2, "x": "x"}]),
    "sum": ("SELECT SUM(x) AS v FROM (SELECT 1 x UNION ALL SELECT 2) t", [{"v": 3}]),
    "sum_of_nothing": ("SELECT SUM(x) AS v FROM (SELECT 1 x) t WHERE x = 2", [{"v": None}]),
    "average": ("SELECT AVG(x) AS v FROM (SELECT 1 x UNION ALL SELECT 2) t", [{"v": 1.5}]),
    "count": ("SELECT COUNT(*) AS v FROM (SELECT 1 x) t", [{"v": 1}]),
    "binary_expression": ("SELECT X'00ff' AS v", [{"v": b"\0\xff"}]),
    "time_expression": ("SELECT TIME '01:02:03' AS v", [{"v": "01:02:03"}]),
    "percent_sign": ("SELECT 'a%b %s' AS v", [{"v": "a%b %s"}]),
}


@pytest.mark.parametrize(("query", "rows"), RESULT_SETS.values(), ids=RESULT_SETS)
def test_result_set_both_ways(
    query: str, rows: list[dict[str, Any]], client: MRCClient, npm: Peer, redis_client: Redis
) -> None:
    """Names and rows are the same, whoever writes and whoever reads."""
    ours = client.query_with_cache(query)
    ours_in_node = npm.call("queryWithCache", query)
    redis_client.flushdb()
    npm.call("queryWithCache", query)
    theirs_in_python = client.query_with_cache(query)

    assert as_python(ours) == as_python(theirs_in_python) == rows
    assert as_node(ours_in_node) == as_node(rows)


def test_procedure_both_ways(
    client: MRCClient, npm: Peer, mysql_admin: Connection, redis_client: Redis
) -> None:
    """CALL gives what mysql2 gives: the rows of each result set, then a header."""
    call = "CALL interop_procedure()"
    with mysql_admin.cursor() as cursor:
        cursor.execute("DROP PROCEDURE IF EXISTS interop_procedure")
        cursor.execute("CREATE PROCEDURE interop_procedure() BEGIN SELECT 1 AS a; SELECT 'b' AS b; END")

    ours = client.query_with_cache(call)
    redis_client.flushdb()
    theirs = npm.call("queryWithCache", call)

    assert as_node(ours) == as_node(theirs)
    assert ours[:2] == [[{"a": 1}], [{"b": "b"}]]


def test_column_named_proto(client: MRCClient, npm: Peer) -> None:
    """mysql2 refuses such a name, but npm reads our entry."""
    query = "SELECT 1 AS `__proto__`"
    with pytest.raises(PeerError, match="__proto__"):
        npm.call("queryWithCache", query)

    client.query_with_cache(query)

    assert npm.call("queryWithCache", query) == [{"__proto__": 1}]


def test_params_both_ways(client: MRCClient, npm: Peer, redis_client: Redis) -> None:
    """The placeholders of mysql2 mean the same here: numbers, text, lists, identifiers, bytes."""
    query = "SELECT ? AS number, ? AS text, 2 IN (?) AS listed, 1 AS ??, ? AS raw"
    params, names = [1.5, "a'b\\c?", [1, 2], "x`y", b"\0\xff"], ["n", "t", "l", "i", "b"]
    rows = [{"number": 1.5, "text": "a'b\\c?", "listed": 1, "x`y": 1, "raw": b"\0\xff"}]

    ours = client.query_with_cache(query, params, names)
    redis_client.flushdb()
    npm.call("queryWithCache", query, params, names)
    theirs = npm.call("queryWithCache", query, params, names)

    assert ours == rows
    assert as_node(theirs) == as_node(rows)


# Values of with_cache ---------------------------------------------------------------------------------------


@dataclass
class Place:
    name: str
    raw: bytes


PYTHON_VALUES: dict[str, tuple[Any, Any]] = {
    "none": (None, None),
    "false": (False, False),
    "zero": (0, 0),
    "empty_text": ("", ""),
    "empty_list": ([], []),
    "empty_dict": ({}, {}),
    "nested": ({"a": [1, {"b": None}]}, {"a": [1, {"b": None}]}),
    "text": ("é😀\u2028</script>", "é😀\u2028</script>"),
    "buffer_like_key": ({"$": 1}, {"$": 1}),
    "nan": (float("nan"), None),
    "infinity": ([float("inf")], [None]),
    "decimal": (Decimal("1.50"), 1.5),
    "date": (date(2026, 11, 22), "2026-11-22"),
    "datetime": (datetime(2026, 11, 22, 13, 14, 15, 123456), "2026-11-22T13:14:15.123456"),
    "time": (time(1, 2, 3), "01:02:03"),
    "uuid": (UUID(UUID_TEXT), UUID_TEXT),
    "bytes": (b"\0\xff", {"type": "Buffer", "data": [0, 255]}),
    "tuple": ((1, 2), [1, 2]),
    "dataclass": (Place("x", b"\1"), {"name": "x", "raw": {"type": "Buffer", "data": [1]}}),
    "int_beyond_2_to_53": (2**53 + 1, 2**53),
}


@pytest.mark.parametrize(("value", "in_node"), PYTHON_VALUES.values(), ids=PYTHON_VALUES)
def test_value_of_with_cache_read_by_node(value: Any, in_node: Any, client: MRCClient, npm: Peer) -> None:
    """Node's withCache takes our entry for a hit, whatever the value, and does not run its function."""
    client.with_cache(lambda: value, "a_signature", [1], ["Id"])

    assert npm.call("withCache", "not this", "a_signature", [1], ["Id"]) == {"value": in_node, "runs": 0}


NODE_VALUES: dict[str, tuple[Any, Any]] = {
    "null": (None, None),
    "false": (False, False),
    "zero": (0, 0),
    "minus_zero": (-0.0, 0),
    "empty_text": ("", ""),
    "empty_array": ([], []),
    "nested": ({"a": [1, {"b": None}]}, {"a": [1, {"b": None}]}),
    "text": ("é😀\u2028</script>", "é😀\u2028</script>"),
    "lone_surrogate": ("\ud83d", "\ud83d"),
    "undefined_property": ({"a": UNDEFINED, "b": 1}, {"b": 1}),
    "undefined_element": ([UNDEFINED], [None]),
    "nan": ({"a": float("nan")}, {"a": None}),
    "large_number": (1e21, 1e21),
    "date": (Date("2026-11-22T13:14:15.123Z"), "2026-11-22T13:14:15.123Z"),
    "invalid_date": ([Date(None)], [None]),
    "buffer": ({"raw": b"\0\xff"}, {"raw": b"\0\xff"}),
    "empty_buffer": (b"", b""),
}


@pytest.mark.parametrize(("value", "in_python"), NODE_VALUES.values(), ids=NODE_VALUES)
def test_value_of_node_read_by_with_cache(value: Any, in_python: Any, client: MRCClient, npm: Peer) -> None:
    """Our with_cache takes npm's entry for a hit and does not run the function."""
    npm.call("withCache", value, "a_signature", [1], ["Id"])

    reading = client.with_cache(lambda: pytest.fail("ran"), "a_signature", [1], ["Id"])

    assert repr(reading) == repr(in_python)


def test_null_of_node_is_told_from_a_miss(client: MRCClient, npm: Peer) -> None:
    """A cached null is None here too, and not the default that means a miss."""
    npm.call("writeToCache", "q", None, [1], ["Id"])

    assert client.read_from_cache("q", [1], ["Id"], default="missed") is None
    assert client.read_from_cache("q", [2], ["Id"], default="missed") == "missed"


def test_bigint_is_not_for_sharing(npm: Peer) -> None:
    """JSON.stringify refuses a BigInt, so Node cannot write one; our ints it reads."""
    with pytest.raises(PeerError, match="BigInt"):
        npm.call("writeToCache", "q", BigInt(2**60), [1], ["Id"])


INTEGERS = st.integers(min_value=-(2**53), max_value=2**53)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | INTEGERS | FLOATS | st.text() | st.binary(max_size=20),
    lambda parts: st.lists(parts, max_size=4) | st.dictionaries(st.text(max_size=8), parts, max_size=4),
    max_leaves=8,
)
BATCHES = st.lists(VALUES, min_size=10, max_size=20)
BOUNDED = settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@BOUNDED
@given(values=BATCHES)
def test_any_value_written_by_python(values: list[Any], client: MRCClient, npm: Peer) -> None:
    """Node reads every JSON value that we write, each float to the last bit."""
    for i, value in enumerate(values):
        client.write_to_cache("any", value, [i], ["i"])

    readings = npm.batch([Call("readFromCache", ("any", [i], ["i"])) for i in range(len(values))])

    assert [as_node(reading) for reading in readings] == [as_node(value) for value in values]


@BOUNDED
@given(values=BATCHES)
def test_any_value_written_by_node(values: list[Any], client: MRCClient, npm: Peer) -> None:
    """We read every JSON value that Node writes, each number as the double it was."""
    npm.batch([Call("writeToCache", ("any", value, [i], ["i"])) for i, value in enumerate(values)])

    readings = [client.read_from_cache("any", [i], ["i"]) for i in range(len(values))]

    assert [as_node(reading) for reading in readings] == [as_node(value) for value in values]


def test_entry_is_compact_json(client: MRCClient, redis_client: Redis) -> None:
    """What lies under the key is the JSON that JSON.stringify would write."""
    client.write_to_cache("q", {"a": [1, "é"], "b": b"\xff"}, [1], ["Id"])

    entry = redis_client.get(client.get_key_from_query("q", [1], ["Id"]))
    assert (
        entry
        == json.dumps(
            {"a": [1, "é"], "b": {"type": "Buffer", "data": [255]}}, ensure_ascii=False, separators=(",", ":")
        ).encode()
    )
