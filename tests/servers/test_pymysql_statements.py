"""PyMySQL's own statement tests, run by PyMySQL and by a client: the same rows are written and read.

Source: ``test_basic``, ``test_cursor``, ``test_issues`` and ``test_SSCursor`` of PyMySQL, and the MySQLdb
tests it keeps. What they send that is refused here stands in a table of docs/explanation/sql.md.
"""

from __future__ import annotations

import datetime as dt
import time
from contextlib import closing
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pymysql
import pytest

from mysql_redis_cache import MRCClient
from mysql_redis_cache.values import codec
from tests.support.urls import mysql_arguments

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pymysql.connections import Connection

pytestmark = pytest.mark.real

COLUMNS = (
    "b bit, i int, l bigint, f real, s varchar(32), u varchar(32), bb blob, d date, dt datetime(6), td time,"
    " t time, st datetime"
)
NAMES = "b, i, l, f, s, u, bb, d, dt, td, t, st"
TWELVE = ", ".join(["%s"] * 12)
DATA = (
    True,
    -3,
    123456789012,
    5.7,
    "hello'\" world",
    "Espa\xc3\xb1ol",
    b"binary\x00data",
    dt.date(1988, 2, 2),
    dt.datetime(2014, 5, 15, 7, 45, 57, 123456),
    dt.timedelta(5, 6),
    dt.time(16, 32),
    time.struct_time((2026, 1, 2, 3, 4, 5, 4, 2, 0)),
)
ALL_BYTES = bytes(range(256))
# What writes, with what it is given, and then what reads.
CASES: dict[str, tuple[str, list[tuple[str, Any]], str, Any]] = {
    "datatypes": (
        COLUMNS,
        [(f"insert into {{t}} ({NAMES}) values ({TWELVE})", DATA)],
        "select * from {t}",
        None,
    ),
    "nulls": (
        COLUMNS,
        [(f"insert into {{t}} ({NAMES}) values ({TWELVE})", [None] * 12)],
        "select * from {t}",
        None,
    ),
    "sequence": (
        COLUMNS,
        [("insert into {t} (i, l) values (2,4), (6,8), (10,12)", None)],
        "select l from {t} where i in %s order by i",
        ([2, 6],),
    ),
    "tuple": (
        COLUMNS,
        [("insert into {t} (i, l) values (2,4), (6,8), (10,12)", ())],
        "select l from {t} where i in %s order by i",
        [(2, 6)],
    ),
    "one in a tuple": (
        "id int",
        [("insert into {t} values (1), (2)", None)],
        "select id from {t} where id in %s",
        ((1,),),
    ),
    "mapping": (
        "a int, b int, c int",
        [("insert into {t} (a,b,c) values (%(a)s, %(b)s, %(c)s)", {"a": 1, "b": 2, "c": 3})],
        "select a, b, c from {t} where a = %(a)s",
        {"a": 1},
    ),
    "binary": (
        "b binary(255)",
        [("insert into {t} (b) values (_binary %s)", (ALL_BYTES[:255],))],
        "select b from {t}",
        None,
    ),
    "blob": (
        "b blob",
        [("insert into {t} (b) values (_binary %s)", [ALL_BYTES * 200])],
        "select b from {t}",
        None,
    ),
    "bytearray": (
        "b blob",
        [("insert into {t} (b) values (%s)", [bytearray(ALL_BYTES)])],
        "select b from {t}",
        None,
    ),
    "microseconds": (
        "id int, ts datetime(6)",
        [("insert into {t} values (%s, %s)", (1, dt.datetime(2013, 11, 12, 9, 9, 9, 123450)))],
        "select ts from {t}",
        (),
    ),
    "iterables": (
        "value_1 varchar(1), value_2 varchar(1)",
        [
            ("insert into {t} (value_1, value_2) values (%s, %s)", [("a",), "\u0430"]),
            ("insert into {t} (value_1, value_2) values (%s, %s)", [["b"], "\u0430"]),
            (
                "insert into {t} (value_1, value_2) values (%(value_1)s, %(value_2)s)",
                {"value_1": [["c"]], "value_2": "\u0430"},
            ),
        ],
        "select * from {t} where value_1 in %s and value_2=%s",
        [("a", "b", "c"), "\u0430"],
    ),
    "binary beside text": (
        "value_1 binary(3), value_2 varchar(3)",
        [("insert into {t} (value_1, value_2) values (_binary %s, %s)", [b"\x00\xff\x00", "\xe4\xf6\xfc"])],
        "select * from {t}",
        None,
    ),
    "doubled percents in names": (
        "`A%` int, `B%` int",
        [
            ("insert into {t} (`A%%`, `B%%`) values (%s, %s)", (3, 4)),
            ("insert into {t} (`A%`) values (5)", None),
        ],
        "select `A%%`, `B%%` from {t} where `A%%` >= %s order by 1",
        [3],
    ),
    "doubled percents": (
        "d date",
        [("insert into {t} values (%s)", ["2025-12-23"])],
        "select date_format(d, '%%Y-%%m') as m, %(n)s %% 3 as r, '100%%' as h from {t}",
        {"n": 10},
    ),
    "like": (
        "s varchar(9)",
        [("insert into {t} values ('a%b')", None), ("insert into {t} values ('ab')", None)],
        "select s from {t} where s like %s",
        ["%a%"],
    ),
    "quotes": (
        "email varchar(32), name varchar(32)",
        [("insert into {t} (email, name) values ('floydophone', %s)", ("Cooper's \\ \"\n",))],
        "select email from {t} where name = %s",
        ("Cooper's \\ \"\n",),
    ),
    "decimal": (
        "c decimal(20, 5)",
        [("insert into {t} values (%s)", [Decimal("1E+3")])],
        "select c from {t} where c > %s",
        [Decimal("0.5")],
    ),
    "update": (
        "id int, zone varchar(9)",
        [("insert into {t} values (%s, %s)", (1, "a")), ("UPDATE {t} SET zone = %s", ["Foo"])],
        "SELECT * FROM {t}",
        None,
    ),
    "rows": (
        "a int, b int",
        [("insert into {t} values %s, %s", [(1, 2), (3, 4)])],
        "select a from {t} where (a, b) in %s and (b, a) in (%s, %s)",
        [((1, 2), (3, 4)), (2, 1), (9, 9)],
    ),
    "delete": (
        "col1 int",
        [
            ("insert into {t} values (%s)", [0]),
            ("insert into {t} values (%s)", [1]),
            ("delete from {t} where col1=%s", (0,)),
        ],
        "select col1 from {t}",
        None,
    ),
}


@pytest.fixture(scope="module")
def pymysql_connection(mysql_url: str) -> Iterator[Connection]:
    arguments = mysql_arguments(mysql_url)
    with closing(pymysql.connect(**arguments, autocommit=True)) as connection:
        yield connection


@pytest.fixture(scope="module")
def client(mysql_url: str) -> Iterator[MRCClient]:
    with MRCClient(mysql_url) as client:
        yield client


@pytest.fixture(params=CASES.values(), ids=CASES)
def case(request: pytest.FixtureRequest, pymysql_connection: Connection) -> Iterator[Any]:
    """One of PyMySQL's tests with its tables: one to be written by PyMySQL, one by a client."""
    columns, *steps = request.param
    with pymysql_connection.cursor() as cursor:
        for table in ("theirs", "ours"):
            cursor.execute(f"CREATE TABLE {table} ({columns})")
        yield steps
        cursor.execute("DROP TABLE theirs, ours")


def test_statements_of_pymysql_give_its_rows(
    case: Any, pymysql_connection: Connection, client: MRCClient
) -> None:
    """What they write is the same, and what they read; with PyMySQL's own params."""
    writes, read, params = case
    with pymysql_connection.cursor() as cursor:
        run_all(cursor.execute, "theirs", writes)
        run_all(client.execute, "ours", writes)
        assert rows(cursor, "SELECT * FROM ours") == rows(cursor, "SELECT * FROM theirs") != []
        theirs = rows(cursor, read.format(t="theirs"), params)
        names = [column[0] for column in cursor.description]

    ours = client.query(read.format(t="ours"), params)
    assert [list(row) for row in ours] == [names] * len(theirs)
    assert [list(row.values()) for row in ours] == [list(map(as_json, row)) for row in theirs] != []


def run_all(execute: Callable[..., Any], table: str, statements: list[tuple[str, Any]]) -> None:
    for text, params in statements:
        execute(text.format(t=table), params)


def rows(cursor: Any, text: str, params: Any = None) -> list[Any]:
    cursor.execute(text, params)
    return list(cursor.fetchall())


def as_json(value: object) -> object:
    """A value of PyMySQL's as a client gives it."""
    if isinstance(value, dt.timedelta):
        hours, seconds = divmod(int(value.total_seconds()), 3600)
        return f"{hours:02}:{seconds // 60:02}:{seconds % 60:02}"
    return codec.decode(codec.encode(value))
