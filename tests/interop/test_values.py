"""What one side reads from MySQL, the other reads as its users expect it: every column type, both ways.

`cases.py` is the table: the value of each side, and why, where they are not the same.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pymysql
import pytest

from mysql_redis_cache import MRCClient
from tests.support.urls import mysql_arguments

from .cases import CASES, DATES, DIGITS, MICROSECONDS, Case, Server
from .forms import as_node, as_python
from .peer import PeerError

if TYPE_CHECKING:
    from pymysql.connections import Connection
    from redis import Redis

    from .peer import Peer

pytestmark = pytest.mark.real

TABLE = "interop_types"


def query_for(name: str) -> str:
    """The query of one case; each has an entry of its own."""
    return f"SELECT `{name}` AS v FROM {TABLE}"


@pytest.fixture(scope="session", name="kinds")
def _kinds(mysql_url: str, server_flavour: str) -> set[Server]:
    """A table with a column per case; returns which cases this server has."""
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
        return kinds  # the schema ends with the run


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
