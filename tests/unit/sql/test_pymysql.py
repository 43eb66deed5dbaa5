"""Statements written for PyMySQL: ``%s`` with a list, ``%(name)s`` with a mapping, beside PyMySQL itself."""

from __future__ import annotations

import string
import time
from collections import OrderedDict
from datetime import timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pymysql
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mysql_redis_cache.sql import statement
from mysql_redis_cache.sql.named import NamedValues

if TYPE_CHECKING:
    from collections.abc import Mapping


@pytest.mark.parametrize(
    ("text", "params", "sql"),
    [
        pytest.param("SELECT %s %% 3", [10], "SELECT 10 % 3", id="modulo"),
        pytest.param(
            "SELECT DATE_FORMAT(%s, '%%Y-%%m')", ["x"], "SELECT DATE_FORMAT('x', '%Y-%m')", id="date"
        ),
        pytest.param("SELECT DATE_FORMAT(%s, '%Y')", ["x"], "SELECT DATE_FORMAT('x', '%Y')", id="single"),
        pytest.param("SELECT `A%%`, %s -- 5%%", [1], "SELECT `A%`, 1 -- 5%", id="in-names-and-comments"),
        pytest.param("SELECT %%%s, %s", [1, 2], "SELECT %1, 2", id="percent-then-placeholder"),
        pytest.param("SELECT '%%s', %s", [1], "SELECT '%s', 1", id="quoted-placeholder"),
        pytest.param("SELECT '%%%%', %s", [1], "SELECT '%%', 1", id="two-doubled"),
        pytest.param("SELECT %s", ["100%%"], "SELECT '100%%'", id="values-keep-theirs"),
        pytest.param("SELECT '%%', ?", [1], "SELECT '%%', 1", id="not-beside-a-question-mark"),
        pytest.param("SELECT '%%'", None, "SELECT '%%'", id="not-without-placeholders"),
        pytest.param("SELECT '%%'", [], "SELECT '%%'", id="nor-with-an-empty-list"),
    ],
)
def test_a_doubled_percent_stands_for_one(text: str, params: list[Any] | None, sql: str) -> None:
    """Where ``%s`` or ``%(name)s`` are the placeholders, as PyMySQL's users must write it."""
    assert sql == statement(text).bind(params)


@pytest.mark.parametrize(
    ("text", "params", "sql"),
    [
        pytest.param("SELECT 1 IN %s", [(1, 2)], "SELECT 1 IN (1, 2)", id="in"),
        pytest.param("SELECT 1 IN %s", [[1]], "SELECT 1 IN (1)", id="in-one"),
        pytest.param("SELECT 1 NOT IN %s AND %s", [(1, 2), 3], "SELECT 1 NOT IN (1, 2) AND 3", id="not-in"),
        pytest.param("SELECT 1 IN (%s)", [(1, 2)], "SELECT 1 IN (1, 2)", id="in-with-parentheses"),
        pytest.param("SELECT 1 IN (0, %s)", [(1, 2)], "SELECT 1 IN (0, 1, 2)", id="in-after-a-comma"),
        pytest.param("SELECT FIELD(a, %s)", [(1, 2)], "SELECT FIELD(a, 1, 2)", id="arguments"),
        pytest.param("SELECT (1, 2) = %s", [(1, 2)], "SELECT (1, 2) = (1, 2)", id="row"),
        pytest.param(
            "SELECT * FROM t WHERE (a, b) IN %s",
            [((1, 2), (3, 4))],
            "SELECT * FROM t WHERE (a, b) IN ((1, 2), (3, 4))",
            id="rows",
        ),
        pytest.param(
            "SELECT * FROM t WHERE (a, b) IN (%s, %s)",
            [(1, 2), (3, 4)],
            "SELECT * FROM t WHERE (a, b) IN ((1, 2), (3, 4))",
            id="each-row",
        ),
        pytest.param(
            "SELECT * FROM t WHERE NOT ROW(a, b) NOT IN (%s)",
            [[1, 2]],
            "SELECT * FROM t WHERE NOT ROW(a, b) NOT IN ((1, 2))",
            id="one-row",
        ),
        pytest.param(
            "SELECT * FROM t WHERE (a, b) IN (%s)",
            [[(1, 2), (3, 4)]],
            "SELECT * FROM t WHERE (a, b) IN ((1, 2), (3, 4))",
            id="rows-in-parentheses",
        ),
        pytest.param(
            "SELECT * FROM t WHERE COALESCE(a, b) IN (%s)",
            [[1, 2]],
            "SELECT * FROM t WHERE COALESCE(a, b) IN (1, 2)",
            id="a-call-is-no-row",
        ),
        pytest.param(
            "SELECT * FROM t WHERE (a, b) = (1, 2) AND c IN (%s)",
            [[1, 2]],
            "SELECT * FROM t WHERE (a, b) = (1, 2) AND c IN (1, 2)",
            id="a-row-before-something-else",
        ),
        pytest.param("INSERT INTO t VALUES %s", [(1, "a")], "INSERT INTO t VALUES (1, 'a')", id="values"),
        pytest.param(
            "INSERT INTO t VALUES %s, %s",
            [(1, 2), (3, 4)],
            "INSERT INTO t VALUES (1, 2), (3, 4)",
            id="two-rows",
        ),
        pytest.param(
            "INSERT INTO t VALUES %s",
            [[(1, 2), (3, 4)]],
            "INSERT INTO t VALUES (1, 2), (3, 4)",
            id="list-of-rows",
        ),
        pytest.param("INSERT INTO t VALUES (%s, %s)", [1, 2], "INSERT INTO t VALUES (1, 2)", id="each-value"),
        pytest.param(
            "UPDATE t SET %s WHERE id IN %s",
            [{"a": 1}, (1, 2)],
            "UPDATE t SET `a` = 1 WHERE id IN (1, 2)",
            id="set",
        ),
        pytest.param("SELECT /*+ %s */ 1 IN %s", [5, (1, 2)], "SELECT /*+ 5 */ 1 IN (1, 2)", id="hint"),
        pytest.param("SELECT 1 IN %(a)s", {"a": (1, 2)}, "SELECT 1 IN (1, 2)", id="named"),
        pytest.param("SELECT 1 IN ?", [(1, 2)], "SELECT 1 IN 1, 2", id="but-not-for-a-question-mark"),
    ],
)
def test_a_list_brings_its_parentheses_where_there_are_none(text: str, params: Any, sql: str) -> None:
    """``IN %s`` as PyMySQL writes it, ``IN (%s)`` as ``IN (?)``; rows are told from elements."""
    assert sql == statement(text).bind(params)


def test_many_lists_take_one_look_at_the_statement() -> None:
    """Thousands of rows are no reason to read the text thousands of times."""
    text = f"SELECT * FROM t WHERE (a, b) IN ({', '.join(['%s'] * 5000)})"
    began = time.process_time()
    bound = statement(text).bind([(1, 2)] * 5000)

    assert bound.count("(1, 2)") == 5000
    assert time.process_time() - began < 20  # it would take a quarter of an hour


@pytest.mark.parametrize(
    ("text", "params", "sql"),
    [
        pytest.param("SELECT %(a)s, %(b)s, %(a)s", {"b": "x", "a": 1}, "SELECT 1, 'x', 1", id="twice"),
        pytest.param("SELECT '%(a)s', %(b)s", {"b": 1}, "SELECT '%(a)s', 1", id="quoted-is-text"),
        pytest.param("SELECT 5 %% %(b)s", {"b": 2}, "SELECT 5 % 2", id="modulo"),
        pytest.param("SELECT %(tenant id)s", {"tenant id": 2}, "SELECT 2", id="any-name"),
        pytest.param("UPDATE t SET %(a)s", {"a": {"n": 1}}, "UPDATE t SET `n` = 1", id="assignments"),
        pytest.param("SELECT '?', %(a)s", {"a": 1}, "SELECT '?', 1", id="quoted-question-mark"),
        pytest.param("SELECT 1", {}, "SELECT 1", id="empty"),
        pytest.param("SELECT '%%'", {}, "SELECT '%%'", id="empty-and-doubled"),
    ],
)
@pytest.mark.parametrize("kind", [dict, OrderedDict, MappingProxyType])
def test_a_mapping_fills_names(
    kind: type[Mapping[str, Any]], text: str, params: dict[str, Any], sql: str
) -> None:
    """Any mapping does; a name may be used twice."""
    statement(text).check(kind(params))

    assert sql == statement(text).bind(kind(params))


@pytest.mark.parametrize(
    ("text", "params", "error", "says"),
    [
        pytest.param("SELECT %(a)s", {}, ValueError, "lack 'a'", id="missing"),
        pytest.param("SELECT %(a)s", {"a": 1, "b": 2}, ValueError, "have 'b', which", id="unused"),
        pytest.param("SELECT %(a)s", {"b": 2}, ValueError, "lack 'a' and have 'b'", id="misspelt"),
        pytest.param("SELECT %(a)s", {"a": 1, 2: 2}, ValueError, "have 2, which", id="no-str"),
        pytest.param("SELECT 1", {"a": 1}, ValueError, "have 'a', which", id="none-wanted"),
        pytest.param(
            "SELECT %(a)s", [1], ValueError, r"%\(a\)s, which takes its value from a mapping", id="list"
        ),
        pytest.param("SELECT ?, %(a)s", {"a": 1}, TypeError, "list or tuple, not dict", id="mixed"),
        pytest.param("SELECT %s, %(a)s", {"a": 1}, TypeError, "list or tuple, not dict", id="mixed-percents"),
        pytest.param("SELECT %s", {"a": 1}, TypeError, "list or tuple, not dict", id="no-names"),
        pytest.param("SELECT %(a)s", {"a": {1}}, TypeError, r"params\['a'\] is a set", id="value"),
        pytest.param(
            "SELECT %(a)s", {"a": [1, []]}, ValueError, r"params\['a'\]\[1\] is an empty", id="inside"
        ),
    ],
)
def test_a_mapping_has_just_the_names_of_the_query(
    text: str, params: Any, error: type[Exception], says: str
) -> None:
    """A name too many or too few is named; so is the one whose value cannot be sent."""
    for check in (statement(text).check, statement(text).bind):
        with pytest.raises(error, match=says):
            check(params)


def test_names_in_the_order_of_their_first_use() -> None:
    """A key is made of the values in that order, whatever the order in the mapping; shown ones come first."""
    query = statement("SELECT %(c)s, %(a)s, %(c)s, %(b)s")
    params = {"a": 1, "b": 2, "c": 3}

    for none in (None, (), []):
        values, shown = query.named(params, none)
        assert (tuple(values), values.names, tuple(shown)) == ((3, 1, 2), ("c", "a", "b"), ("c", "a", "b"))
    for both in (["b", "c"], ("c", "b")):
        values, shown = query.named(params, both)
        assert (tuple(values), list(shown)) == ((3, 2, 1), ["c", "b"])
    assert query.bind(values) == query.bind(params) == "SELECT 3, 1, 3, 2"


@pytest.mark.parametrize(
    ("param_names", "error", "says"),
    [
        (["a", "d"], ValueError, "param_names has 'd', which the query does not use; it uses 'c', 'a', 'b'"),
        ("a", TypeError, "param_names must be a list or tuple of str, not str"),
        ({"a"}, TypeError, "not set"),
    ],
)
def test_shown_names_are_names_of_the_query(param_names: Any, error: type[Exception], says: str) -> None:
    """Whatever else is a slip."""
    with pytest.raises(error, match=says):
        statement("SELECT %(c)s, %(a)s, %(b)s").named({"a": 1, "b": 2, "c": 3}, param_names)


def test_named_values_of_another_query_are_refused() -> None:
    """They keep their names."""
    values = NamedValues.of({"a": 1}, ["a"])

    with pytest.raises(ValueError, match="lack 'b' and have 'a'"):
        statement("SELECT %(b)s").bind(values)


# Beside PyMySQL


@pytest.fixture(scope="module")
def mogrify() -> Any:
    """What PyMySQL sends."""
    connection: Any = pymysql.connections.Connection(defer_connect=True)
    connection.server_status = 0
    return connection.cursor().mogrify


def same(theirs: str, ours: str) -> bool:
    """Both are one text, but for spaces behind commas, and how bools, tabs and backspaces are written."""
    for mine, its in ((", ", ","), ("true", "1"), ("false", "0"), (r"\t", "\t"), (r"\b", "\b")):
        ours = ours.replace(mine, its)
    return theirs.replace(", ", ",") == ours


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(string.printable, max_size=8).filter(lambda text: "true" not in text and "false" not in text),
    st.text("äß€😀%?'\\", max_size=4),
    st.binary(max_size=4),
    st.dates(),
    st.datetimes().map(lambda moment: moment.replace(microsecond=0)),
    st.timedeltas(timedelta(hours=-800), timedelta(hours=800)),
    st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**9), max_value=10**9),
    st.just(time.gmtime(0)),
)
lists = st.lists(scalars, min_size=1, max_size=3) | st.lists(scalars, min_size=1, max_size=3).map(tuple)
rows = st.lists(lists, min_size=1, max_size=3)
code = st.sampled_from(
    ["a", "5 %% 2", "'%%Y'", "`b%%`", "'it''s'", "f(a)", "/* 5%% */", "t.n", "'a,b'", "b -- %%\n"]
)
# A placeholder among words around it, with the kind of value that PyMySQL's users give it.
spots = st.one_of(
    st.tuples(st.sampled_from(["{}", "f({})", "a = {}", "({}", "f(a, {})", "LIKE {}"]), scalars),
    st.tuples(st.sampled_from(["a IN {}", "a NOT IN {}", "(a, b) = {}", "VALUES {}", "= ANY {}"]), lists),
    st.tuples(st.sampled_from(["(a, b) IN {}", "ROW(a, b) NOT IN {}"]), rows),
    st.tuples(st.sampled_from(["WHERE (a, b) IN ({})", "AND (a, b) NOT IN ({})"]), lists),
)
statements = st.lists(code.map(lambda text: (text, None)) | spots, min_size=1, max_size=6)


# Its own literals were wrong before: TIMEs below zero, no bytes.
like_pymysql = pytest.mark.skipif(pymysql.VERSION[:3] < (1, 2, 4), reason="PyMySQL below 1.2.4")


@like_pymysql
@given(statements)
def test_a_list_fills_what_it_fills_in_pymysql(mogrify: Any, parts: list[tuple[str, Any]]) -> None:
    """Whatever PyMySQL's users write runs as it is: the server is sent the same."""
    text = " ".join(part.format("%s") for part, _ in parts)
    params = [value for part, value in parts if "{}" in part]
    if not params:
        return

    assert same(mogrify(text, params), statement(text).bind(params))


@like_pymysql
@given(statements)
def test_a_mapping_fills_what_it_fills_in_pymysql(mogrify: Any, parts: list[tuple[str, Any]]) -> None:
    """The same by name."""
    text = " ".join(part.format(f"%(p{place})s") for place, (part, _) in enumerate(parts))
    params = {f"p{place}": value for place, (part, value) in enumerate(parts) if "{}" in part}
    if not params:
        return

    assert same(mogrify(text, params), statement(text).bind(params))


def test_decimals_and_struct_times_are_pymysql_s(mogrify: Any) -> None:
    """A moment from ``time.localtime()`` is no tuple of nine numbers."""
    moment = time.struct_time((2026, 1, 2, 3, 4, 5, 4, 2, 0))

    assert mogrify("%s, %s", [moment, Decimal("1E+3")]) == statement("%s, %s").bind([moment, Decimal("1E+3")])
    assert statement("SELECT ?").bind([moment]) == "SELECT '2026-01-02 03:04:05'"
