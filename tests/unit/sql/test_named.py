"""``:name`` placeholders and params by name: where they are, what is bound, in which order a key has them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mysql_redis_cache import sql
from mysql_redis_cache.sql import statement
from mysql_redis_cache.sql.named import NamedValues


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        pytest.param("SELECT :a", "SELECT 1", id="a-word"),
        pytest.param("SELECT :a+:b,:a", "SELECT 1+'x',1", id="twice-and-beside-signs"),
        pytest.param("SELECT 5 % :a, '%%', 100%%1", "SELECT 5 % 1, '%%', 100%%1", id="percent-is-text"),
        pytest.param("SELECT ':b', \":b\", `:b`, :a", "SELECT ':b', \":b\", `:b`, 1", id="quotes"),
        pytest.param("SELECT :a -- :b\n# :b\n/* :b */", "SELECT 1 -- :b\n# :b\n/* :b */", id="comments"),
        pytest.param("SELECT @x:=:a, @y := 2", "SELECT @x:=1, @y := 2", id="assignment"),
        pytest.param("SELECT x::text, :a", "SELECT x::text, 1", id="cast"),
        pytest.param(
            "SELECT TIME'10:30:00', 10:30, a:b, :a", "SELECT TIME'10:30:00', 10:30, a:b, 1", id="times"
        ),
        pytest.param("SELECT 'it''s :b', 'x\\':b', :a", "SELECT 'it''s :b', 'x\\':b', 1", id="escapes"),
        pytest.param("SELECT 1 IN (:l), 1 IN :l", "SELECT 1 IN (1, 2), 1 IN (1, 2)", id="lists"),
        pytest.param("UPDATE t SET :d WHERE i = :a", "UPDATE t SET `x` = 5 WHERE i = 1", id="assignments"),
        pytest.param("SELECT :größe, :_x1", "SELECT 3, 4", id="any-name"),
    ],
)
def test_a_name_after_a_colon_is_a_placeholder(text: str, bound: str) -> None:
    """But not in quotes and comments, in ``::`` and ``:=``, nor after a word or a number."""
    values = {"a": 1, "b": "x", "l": [1, 2], "d": {"x": 5}, "größe": 3, "_x1": 4}
    names = set(sql.statements.scans(text)["default"].named.names)

    assert statement(text).bind({name: values[name] for name in names}) == bound


@pytest.mark.parametrize(
    ("text", "params", "error", "says"),
    [
        pytest.param("SELECT :a, :b", {"a": 1}, ValueError, "lack 'b'", id="missing"),
        pytest.param(
            "SELECT :a", {"a": 1, "b": 2}, ValueError, "have 'b', which it does not use", id="unused"
        ),
        pytest.param("SELECT :a", None, ValueError, r":a, which takes its value from a mapping", id="none"),
        pytest.param("SELECT :a", [], ValueError, r"mapping, as \{'a': …\}", id="empty-list"),
        pytest.param("SELECT :a, ?", [1], ValueError, ":a, which takes", id="with-a-mark"),
        pytest.param("SELECT :a, ?", {"a": 1}, TypeError, "a query with [?] or %s", id="mapping-for-a-mark"),
        pytest.param("SELECT :a, %(b)s", {"a": 1, "b": 2}, ValueError, "in one form", id="two-forms"),
        pytest.param("SELECT :a", {"a": {1}}, TypeError, r"params\['a'\] is a set", id="value"),
    ],
)
def test_slips_are_named(text: str, params: Any, error: type[Exception], says: str) -> None:
    """Before anything is sent."""
    for check in (statement(text).check, statement(text).bind):
        with pytest.raises(error, match=says):
            check(params)


def test_the_body_of_a_trigger_may_have_colons() -> None:
    """``:NEW`` of MariaDB's Oracle mode is no param."""
    text = "CREATE TRIGGER t BEFORE INSERT ON o FOR EACH ROW BEGIN :NEW.a := 1; END"

    assert statement(text).bind() == text


@given(st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=8), st.data())
def test_named_and_counted_placeholders_mean_the_same(names: list[str], data: st.DataObject) -> None:
    """The text with ``:name`` and its mapping is sent as the text with ``?`` and its list is."""
    value = st.none() | st.integers(-9, 9) | st.text("a':\\?%", max_size=4) | st.binary(max_size=2)
    values = {name: data.draw(value) for name in dict.fromkeys(names)}
    between = [data.draw(st.sampled_from([", ", " + ", "\n,/* :x ? */", ", ':y', "])) for _ in names]
    named = "SELECT " + "".join(f":{name}{rest}" for name, rest in zip(names, between, strict=True)) + "1"
    counted = "SELECT " + "".join(f"?{rest}" for rest in between) + "1"

    assert statement(named).bind(values) == statement(counted).bind([values[name] for name in names])


def test_the_order_of_one_call_is_not_that_of_the_next() -> None:
    """What is remembered of the last call holds for an equal one only."""
    query = statement("SELECT :b, :a")
    params = {"a": 1, "b": 2}
    picks: list[list[str]] = [["a"], ["b"], [], ["a", "b"], ["a"]]

    shown = [query.named(params, names) for names in (*picks, *picks)]

    assert [(tuple(values), list(names)) for values, names in shown] == 2 * [
        ((1, 2), ["a"]),
        ((2, 1), ["b"]),
        ((2, 1), ["b", "a"]),
        ((2, 1), ["b", "a"]),
        ((1, 2), ["a"]),
    ]
    query.named(params, ["a", "b"])
    with pytest.raises(TypeError, match="not str"):
        query.named(params, "ab")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="lack 'b' and have 'c'"):
        query.named({"a": 1, "c": 2}, ["a", "b"])


def test_a_signature_has_the_names_of_its_params() -> None:
    """In the order of the alphabet: two spellings of one mapping are one call."""
    for params in ({"City": "Oslo", "Unit": "C"}, {"Unit": "C", "City": "Oslo"}):
        values, shown = sql.alphabetical(params, ())
        assert (tuple(values), list(shown)) == (("Oslo", "C"), ["City", "Unit"])
    values, shown = sql.alphabetical({"City": "Oslo", "Unit": "C"}, ["Unit"])
    assert (tuple(values), values.names, list(shown)) == (("C", "Oslo"), ("Unit", "City"), ["Unit"])


@pytest.mark.parametrize(
    ("params", "says"), [({1: 2}, "names of the params must be str, not int"), ("ab", "not str")]
)
def test_a_signature_needs_names(params: Any, says: str) -> None:
    """Which are text."""
    with pytest.raises(TypeError, match=says):
        sql.alphabetical(params, ())


def test_named_values_are_those_of_their_names() -> None:
    """In the order asked for."""
    values = NamedValues.of({"a": 1, "b": 2}, ["b", "a"])

    assert (tuple(values), values.names) == ((2, 1), ("b", "a"))
