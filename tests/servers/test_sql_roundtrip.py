"""Values through ``SELECT ?`` to a real server and back, in each sql_mode that changes how text is read."""

from __future__ import annotations

from contextlib import closing
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import pymysql
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymysql.constants import SERVER_STATUS

from mysql_redis_cache.sql.statements import statement
from tests.support.urls import mysql_arguments

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterator, Sequence

    from pymysql.connections import Connection

pytestmark = pytest.mark.real
unhurried = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


class Session(NamedTuple):
    """A connection whose sql_mode is known."""

    connection: Connection
    ansi_quotes: bool

    @property
    def no_backslash_escapes(self) -> bool:
        """As the server itself reports it with every answer."""
        return bool(self.connection.server_status & SERVER_STATUS.SERVER_STATUS_NO_BACKSLASH_ESCAPES)

    def select(self, text: str, params: Sequence[object]) -> tuple[tuple[Any, ...], list[str]]:
        """The one row that *text* gives, and its column names."""
        sql = statement(text).bind(
            params, no_backslash_escapes=self.no_backslash_escapes, ansi_quotes=self.ansi_quotes
        )
        with self.connection.cursor() as cursor:
            cursor.execute(sql)
            (row,) = cursor.fetchall()
            return row, [column[0] for column in cursor.description]

    def escapes(self, quote: str) -> bool:
        """Whether a backslash escapes inside this quote."""
        return quote != "`" and not self.no_backslash_escapes and not (self.ansi_quotes and quote == '"')


@pytest.fixture(
    scope="module",
    params=["", "NO_BACKSLASH_ESCAPES", "ANSI_QUOTES", "ANSI_QUOTES,NO_BACKSLASH_ESCAPES"],
    ids=lambda modes: modes or "default",
)
def session(request: pytest.FixtureRequest, mysql_url: str) -> Iterator[Session]:
    with closing(pymysql.connect(**mysql_arguments(mysql_url))) as connection:
        with connection.cursor() as cursor:
            cursor.execute(f"SET sql_mode = CONCAT(@@sql_mode, ',{request.param}')")
        yield Session(connection, "ANSI_QUOTES" in request.param)


def test_the_server_reports_no_backslash_escapes(session: Session, request: pytest.FixtureRequest) -> None:
    """The flag that tells how to escape follows the session's sql_mode."""
    assert session.no_backslash_escapes is ("NO_BACKSLASH" in request.node.callspec.id)


hostile = st.lists(
    st.sampled_from(
        ["'", '"', "`", "\\", "\0", "\n", "\x1a", "?", "%s", "-- ", "/*", "*/", "#", ";", "a", "ä", "😀"]
    )
).map("".join)
strings = st.text() | hostile
# What the servers' numeric literals hold: nine words of nine digits.
decimals = st.builds(
    lambda digits, places, sign: Decimal(sign * digits).scaleb(-places),
    st.integers(0, 10**60),
    st.integers(0, 20),
    st.sampled_from([1, -1]),
)


@unhurried
@given(value=strings)
def test_texts_come_back(session: Session, value: str) -> None:
    """Any text arrives as it is, in whatever sql_mode."""
    assert ((value,), ["v"]) == session.select("SELECT ? AS v", [value])


@unhurried
@given(value=st.binary() | hostile.map(str.encode))
def test_bytes_come_back(session: Session, value: bytes) -> None:
    """Any bytes arrive as bytes, empty ones too."""
    assert ((value, len(value)), ["v", "n"]) == session.select(
        "SELECT ? AS v, LENGTH(?) AS n", [value, value]
    )


@unhurried
@given(value=st.integers() | st.integers(-(10**81) + 1, 10**81 - 1))
def test_ints_come_back(session: Session, value: int) -> None:
    """Every digit of an int arrives, also where it is a DECIMAL to the server."""
    assert ((value,), ["v"]) == session.select("SELECT ? AS v", [value])


@unhurried
@given(value=st.floats(allow_nan=False, allow_infinity=False))
def test_floats_come_back(session: Session, value: float) -> None:
    """A float arrives as a DOUBLE and is exactly the same one."""
    (back,), _ = session.select("SELECT ? AS v", [value])

    assert isinstance(back, float)
    assert value == back


@unhurried
@given(value=decimals)
def test_decimals_come_back(session: Session, value: Decimal) -> None:
    """A Decimal arrives with every digit and with its scale."""
    (back,), _ = session.select("SELECT ? AS v", [value])

    assert value == back
    assert max(-value.as_tuple().exponent, 0) == (
        -back.as_tuple().exponent if isinstance(back, Decimal) else 0
    )


@pytest.mark.parametrize(
    "digits", ["9" * 81, "0." + "7" * 72, "1" * 9 + "." + "3" * 72, "-" + "1" * 64 + ".123456789"]
)
def test_the_longest_numbers_come_back(session: Session, digits: str) -> None:
    """The limit at which numbers are refused is the servers' own."""
    assert ((Decimal(digits),), ["v"]) == session.select("SELECT ? AS v", [Decimal(digits)])


@unhurried
@given(value=st.datetimes(min_value=datetime(1000, 1, 1)))
def test_datetimes_come_back(session: Session, value: datetime) -> None:
    """To the microsecond."""
    row = session.select("SELECT CAST(? AS DATETIME(6)), CAST(? AS DATE)", [value, value.date()])[0]

    assert (value, value.date()) == row


@unhurried
@given(
    value=st.timedeltas(
        -timedelta(hours=838, minutes=59, seconds=59), timedelta(hours=838, minutes=59, seconds=59)
    )
)
def test_times_come_back(session: Session, value: timedelta) -> None:
    """Durations as far as TIME goes, either way."""
    assert (value,) == session.select("SELECT CAST(? AS TIME(6))", [value])[0]


@unhurried
@given(value=st.times())
def test_times_of_day_come_back(session: Session, value: time) -> None:
    """A time of day is the duration since midnight."""
    since_midnight = datetime.combine(date.min, value) - datetime.min

    assert (since_midnight,) == session.select("SELECT CAST(? AS TIME(6))", [value])[0]


@unhurried
@given(value=st.uuids())
def test_uuids_come_back(session: Session, value: uuid.UUID) -> None:
    """As their text."""
    assert (str(value),) == session.select("SELECT ?", [value])[0]


@unhurried
@given(
    values=st.lists(st.none() | st.booleans() | st.integers() | strings | st.binary(), min_size=1, max_size=8)
)
def test_lists_come_back(session: Session, values: list[object]) -> None:
    """A list is its elements in order, and none of them reaches into the next."""
    assert tuple(values) == session.select("SELECT ?", [values])[0]


@unhurried
@given(rows=st.lists(st.tuples(strings, st.integers(0, 100)), min_size=1, max_size=5), other=strings)
def test_rows_are_found_in_a_list_of_rows(session: Session, rows: list[tuple[str, int]], other: str) -> None:
    """``IN (?)`` with nested lists matches exactly the pairs in it."""
    wanted = rows[0]
    found = session.select(
        "SELECT (BINARY ?, ?) IN (?)", [*wanted, [(row[0].encode(), row[1]) for row in rows]]
    )
    missed = session.select(
        "SELECT (BINARY ?, ?) IN (?)", [other, 101, [(row[0].encode(), row[1]) for row in rows]]
    )

    assert ((1,), (0,)) == (found[0], missed[0])


@unhurried
@given(value=hostile)
def test_a_value_stays_a_value(session: Session, value: str) -> None:
    """No text can leave its quotes: a condition that is never true stays so, before and behind it."""
    text = "SELECT COUNT(*), ? FROM (SELECT 1 AS n) AS t WHERE 1 = 0 AND n = ? AND 1 = 0"

    assert (0, value) == session.select(text, [value, value])[0]


# Spaces around a name are not its own to the servers, and a NUL is allowed nowhere.
names = st.text("abc'\"`\\?#-/*. é", min_size=1, max_size=20).map(lambda name: f"x{name}x".replace(".", ""))


@unhurried
@given(name=names, value=strings)
def test_identifiers_come_back(session: Session, name: str, value: str) -> None:
    """Any name can be a column's, and a dot in a list of names separates table and column."""
    row, columns = session.select("SELECT v.?? AS ?? FROM (SELECT ? AS ??) AS v", [name, name, value, name])

    assert ((value,), [name]) == (row, columns)


def quote(session: Session, mark: str, content: str) -> str:
    if session.escapes(mark):
        content = content.replace("\\", "\\\\")
    return mark + content.replace(mark, mark * 2) + mark


signs = st.text("abc'\"`\\?#-/*!%", max_size=10)
comments = (
    signs.map("-- {}\n".format)
    | signs.map("--\t{}\n".format)
    | signs.map("# {}\n".format)
    | signs.filter(lambda text: "*/" not in text and "/*" not in text).map("/* {} */".format)
    | st.sampled_from(["", "/**/", "/*?*/", "/*/?*/"])
)


@unhurried
@given(data=st.data())
def test_the_server_reads_the_text_as_the_scanner_does(session: Session, data: st.DataObject) -> None:
    """Between strings, names and comments full of question marks every value lands in its own column."""
    columns, params, expected, names_expected = [], [], [], []
    for index in range(data.draw(st.integers(1, 5))):
        literal = data.draw(signs)
        name = f"{data.draw(signs)}{index}"
        value = data.draw(strings)
        mark = data.draw(st.sampled_from("'`") if not session.ansi_quotes else st.sampled_from('"`'))
        columns.append(
            f"{quote(session, chr(39), literal)} {data.draw(comments)} AS l{index}"
            f", /* ? */ {data.draw(comments)} ? {data.draw(comments)} AS {quote(session, mark, name)}"
        )
        params.append(value)
        expected += [literal, value]
        names_expected += [f"l{index}", name]

    assert (tuple(expected), names_expected) == session.select("SELECT " + ", ".join(columns), params)


def test_placeholders_in_executable_comments_are_executed(session: Session) -> None:
    """A value inside ``/*! … */`` counts where the server runs it."""
    assert (1, "it's") == session.select("SELECT 1 /*! , ? */", ["it's"])[0]
    assert (1, 2) == session.select("SELECT 1 /*!50000 , ? */", [2])[0]


def test_ansi_quotes_move_placeholders_only_where_it_says_so(session: Session) -> None:
    """A backslash before a closing double quote: the one case in which the caller must know the mode."""
    text = r'SELECT 1 AS "a\", ? AS "b"' if not session.escapes('"') else r'SELECT 1 AS "a\", ?", ? AS "b"'

    assert statement(text).needs_sql_mode
    assert (1, "v") == session.select(text, ["v"])[0]


def test_set_takes_a_dict(session: Session) -> None:
    """``INSERT … SET ?`` and ``ON DUPLICATE KEY UPDATE ?`` write what the dict says."""
    run = session.connection.cursor().execute
    modes = {"no_backslash_escapes": session.no_backslash_escapes, "ansi_quotes": session.ansi_quotes}
    run("CREATE TEMPORARY TABLE written (id INT PRIMARY KEY, `odd``name` TEXT, data BLOB)")
    row = {"id": 1, "odd`name": 'it\'s \\ "so"', "data": b"\x00\xff'"}
    run(statement("INSERT INTO written SET ?").bind([row], **modes))
    run(
        statement("INSERT INTO written SET ? ON DUPLICATE KEY UPDATE ?").bind(
            [row, {"data": b"new"}], **modes
        )
    )

    assert (1, row["odd`name"], b"new") == session.select("SELECT * FROM written WHERE id = ?", [1])[0]
    run("DROP TEMPORARY TABLE written")
