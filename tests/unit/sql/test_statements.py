"""What is sent for a text and its parameters, and what is refused."""

from __future__ import annotations

import enum
import json
import tracemalloc
import uuid
from collections import OrderedDict
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mysql_redis_cache.sql import statements
from mysql_redis_cache.sql.statements import statement

ROOT = Path(__file__).parents[3]
TAGS = {
    "$bytes": bytes.fromhex,
    "$datetime": datetime.fromisoformat,
    "$float": float,
    "$set": set,
}


def revive(pairs: list[tuple[str, Any]]) -> Any:
    """The object that a tagged JSON object stands for."""
    if len(pairs) == 1 and pairs[0][0] in TAGS:
        return TAGS[pairs[0][0]](pairs[0][1])
    return dict(pairs)


VECTORS = json.loads((ROOT / "tests/data/placeholders.json").read_text(), object_pairs_hook=revive)["records"]
ERRORS: dict[str, type[Exception]] = {"ValueError": ValueError, "TypeError": TypeError}


def bind_value(value: object, **modes: bool) -> str:
    return statement("SELECT ?").bind([value], **modes).removeprefix("SELECT ")


@pytest.mark.parametrize("vector", [pytest.param(v, id=v["id"]) for v in VECTORS])
def test_sends_what_mysql2_sends_or_differs_for_a_stated_reason(vector: dict[str, Any]) -> None:
    """Every recorded wire text of mysql2 is ours too, except where the record says why not."""
    expected = vector.get("ours", vector["npm"])
    mode = {"no_backslash_escapes": True} if "sql_mode" in vector else {}

    if isinstance(expected, dict):
        with pytest.raises(ERRORS[expected["error"]]):
            statement(vector["sql"]).bind(vector["params"], **mode)
    else:
        assert expected == statement(vector["sql"]).bind(vector["params"], **mode)


def test_every_difference_to_mysql2_is_documented() -> None:
    """The reasons in the vectors are the ones in the documentation's table."""
    page = (ROOT / "docs/explanation/sql.md").read_text()

    assert not {
        vector["why"] for vector in VECTORS if "ours" in vector and f"| {vector['why']} |" not in page
    }


class Colour(enum.Enum):
    RED = "red"
    NESTED = (1, 2)


class Level(enum.IntEnum):
    HIGH = 3


class Word(enum.StrEnum):
    QUOTED = "it's"


class Flag(enum.IntFlag):
    A = 1
    B = 2


class Noisy(str):
    """A str that shows something else than it holds."""

    __slots__ = ()

    def __str__(self) -> str:
        return "' OR 1=1 -- "

    def replace(self, *_: Any) -> str:  # type: ignore[override]
        return "' OR 1=1 -- "


class Point(NamedTuple):
    x: int
    y: int


class Money(Decimal):
    def __str__(self) -> str:
        return "'"


class Stamp(datetime):
    def isoformat(self, *_: Any, **__: Any) -> str:  # type: ignore[override]
        return "'"


@pytest.mark.parametrize(
    ("value", "sql"),
    [
        pytest.param(None, "NULL", id="none"),
        pytest.param(True, "true", id="true"),
        pytest.param(False, "false", id="false"),
        pytest.param(0, "0", id="zero"),
        pytest.param(-(2**63), "-9223372036854775808", id="bigint"),
        pytest.param(10**81 - 1, "9" * 81, id="81-digits"),
        pytest.param(1.0, "1.0e0", id="integral-float"),
        pytest.param(-0.0, "-0.0e0", id="negative-zero"),
        pytest.param(0.1, "0.1e0", id="float"),
        pytest.param(1e22, "1e+22", id="float-exponent"),
        pytest.param(5e-324, "5e-324", id="smallest-float"),
        pytest.param(Decimal("1.10"), "1.10", id="decimal-keeps-its-zeros"),
        pytest.param(Decimal("1E+5"), "100000", id="decimal-exponent"),
        pytest.param(Decimal("1E-7"), "0.0000001", id="small-decimal"),
        pytest.param(Decimal("-0"), "-0", id="decimal-zero"),
        pytest.param("", "''", id="empty-str"),
        pytest.param("ä€😀", "'ä€😀'", id="unicode"),
        pytest.param(b"", "X''", id="empty-bytes"),
        pytest.param(bytearray(b"\x00'"), "X'0027'", id="bytearray"),
        pytest.param(memoryview(b"abcd")[::2], "X'6163'", id="memoryview-with-stride"),
        pytest.param(date(2026, 1, 2), "'2026-01-02'", id="date"),
        pytest.param(date(1, 1, 1), "'0001-01-01'", id="first-date"),
        pytest.param(datetime(2026, 1, 2, 3, 4, 5), "'2026-01-02 03:04:05'", id="datetime"),
        pytest.param(datetime(2026, 1, 2, 3, 4, 5, 678000), "'2026-01-02 03:04:05.678'", id="milliseconds"),
        pytest.param(datetime(2026, 1, 2, 3, 4, 5, 6), "'2026-01-02 03:04:05.000006'", id="microseconds"),
        pytest.param(time(3, 4, 5), "'03:04:05'", id="time"),
        pytest.param(time(3, 4, 5, 600000), "'03:04:05.600'", id="time-milliseconds"),
        pytest.param(timedelta(), "'00:00:00'", id="no-time"),
        pytest.param(timedelta(hours=100, microseconds=1), "'100:00:00.000001'", id="timedelta"),
        pytest.param(timedelta(seconds=-1.5), "'-00:00:01.500000'", id="negative-timedelta"),
        pytest.param(timedelta(hours=-838, minutes=-59, seconds=-59), "'-838:59:59'", id="longest-time"),
        pytest.param(uuid.UUID(int=1), "'00000000-0000-0000-0000-000000000001'", id="uuid"),
        pytest.param(Colour.RED, "'red'", id="enum"),
        pytest.param(Level.HIGH, "3", id="int-enum"),
        pytest.param(Word.QUOTED, r"'it\'s'", id="str-enum"),
        pytest.param(Flag.A | Flag.B, "3", id="int-flag"),
        pytest.param(Noisy("it's"), r"'it\'s'", id="str-subclass"),
        pytest.param(Money("1.5"), "1.5", id="decimal-subclass"),
        pytest.param(Stamp(2026, 1, 2), "'2026-01-02 00:00:00'", id="datetime-subclass"),
        pytest.param([1, "a", None], "1, 'a', NULL", id="list"),
        pytest.param((1, 2), "1, 2", id="tuple"),
        pytest.param([Point(1, 2), [3, 4]], "(1, 2), (3, 4)", id="rows"),
    ],
)
def test_writes_each_type_so_that_nothing_is_lost(value: object, sql: str) -> None:
    """Every type that has an SQL form is written in that form, subclasses as their base type."""
    assert sql == bind_value(value)


@pytest.mark.parametrize(
    ("value", "default", "no_backslash_escapes"),
    [
        pytest.param("a'b", r"'a\'b'", "'a''b'", id="quote"),
        pytest.param('a"b', r"'a\"b'", "'a\"b'", id="double-quote"),
        pytest.param("a\\", r"'a\\'", "'a\\'", id="backslash-last"),
        pytest.param("\0\n\r\x1a", r"'\0\n\r\Z'", "'\0\n\r\x1a'", id="control"),
        pytest.param("\\' OR 1=1 -- ", r"'\\\' OR 1=1 -- '", "'\\'' OR 1=1 -- '", id="injection"),
    ],
)
def test_escapes_as_the_sql_mode_asks(value: str, default: str, no_backslash_escapes: str) -> None:
    """Backslash escapes by default; under NO_BACKSLASH_ESCAPES only the quote is doubled."""
    assert default == bind_value(value)
    assert default == bind_value(value, ansi_quotes=True)
    assert no_backslash_escapes == bind_value(value, no_backslash_escapes=True)
    assert no_backslash_escapes == bind_value(value, no_backslash_escapes=True, ansi_quotes=True)


SECRET = "hunter2"


@pytest.mark.parametrize(
    ("value", "error", "says"),
    [
        pytest.param([], ValueError, r"params\[0\] is an empty list", id="empty-list"),
        pytest.param([[1], []], ValueError, r"params\[0\]\[1\] is an empty list", id="empty-row"),
        pytest.param((), ValueError, "empty list", id="empty-tuple"),
        pytest.param(float("nan"), ValueError, r"params\[0\] is NaN", id="nan"),
        pytest.param([1, float("inf")], ValueError, r"params\[0\]\[1\] is NaN or infinite", id="infinity"),
        pytest.param(Decimal("NaN"), ValueError, "NaN", id="decimal-nan"),
        pytest.param(Decimal("-Infinity"), ValueError, "infinite", id="decimal-infinity"),
        pytest.param(10**81, ValueError, "81", id="82-digits"),
        pytest.param(10**5000, ValueError, "81", id="more-than-python-prints"),
        pytest.param(Decimal("1E+999999"), ValueError, "81", id="decimal-without-end"),
        pytest.param(Decimal("1.1E-80"), ValueError, "81", id="decimal-fraction"),
        pytest.param(SECRET + "\ud800", ValueError, "lone surrogate", id="surrogate"),
        pytest.param(timedelta(hours=839), ValueError, "838:59:59", id="long-timedelta"),
        pytest.param(datetime.now(UTC), TypeError, "convert it", id="aware-datetime"),
        pytest.param(time(1, tzinfo=UTC), TypeError, "no time zone", id="aware-time"),
        pytest.param({SECRET: 1}, TypeError, "only in SET", id="dict"),
        pytest.param(OrderedDict(a=SECRET), TypeError, "only in SET", id="dict-subclass"),
        pytest.param([1, {SECRET}], TypeError, r"params\[0\]\[1\] is a set", id="set-in-list"),
        pytest.param(frozenset({SECRET}), TypeError, "frozenset", id="frozenset"),
        pytest.param((c for c in SECRET), TypeError, "generator", id="generator"),
        pytest.param(complex(1), TypeError, "complex", id="complex"),
        pytest.param(object(), TypeError, r"params\[0\] is a object", id="object"),
        pytest.param(int, TypeError, r"params\[0\] is a type", id="class"),
    ],
)
def test_refuses_what_mysql_would_not_get_unharmed(value: object, error: type[Exception], says: str) -> None:
    """A refusal names the place and the type, never the value, with or without a connection."""
    with pytest.raises(error, match=says) as refused:
        bind_value(value)
    with pytest.raises(error, match=says):
        statement("SELECT ?").check([value])

    assert SECRET not in str(refused.value)
    assert refused.value.__cause__ is None


def test_names_the_parameter_that_is_refused() -> None:
    """The position counts from 0, as the caller's list does."""
    with pytest.raises(TypeError, match=r"^params\[2\] is a set, "):
        statement("SELECT ?, ??, ?").bind([1, "a", {1}])


@pytest.mark.parametrize(
    ("text", "params", "sql"),
    [
        pytest.param("SELECT ?? FROM t", ["n"], "SELECT `n` FROM t", id="name"),
        pytest.param("SELECT ?? FROM t", [["id", "t.n"]], "SELECT `id`, `t`.`n` FROM t", id="names"),
        pytest.param("SELECT ?? FROM t", ["a`; DROP"], "SELECT `a``; DROP` FROM t", id="backtick"),
        pytest.param("SELECT ?? FROM t", [5], "SELECT `5` FROM t", id="number"),
        pytest.param("SELECT ?? FROM t", ["c->$.a"], "SELECT `c->$.a` FROM t", id="json-arrow"),
    ],
)
def test_writes_identifiers(text: str, params: list[object], sql: str) -> None:
    """``??`` takes names: a dot separates, a backtick is doubled, a list is a list of names."""
    assert sql == statement(text).bind(params)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        pytest.param("", ValueError, id="empty"),
        pytest.param("a..b", ValueError, id="empty-part"),
        pytest.param("a\0", ValueError, id="nul"),
        pytest.param([], ValueError, id="empty-list"),
        pytest.param("\udc00", ValueError, id="surrogate"),
        pytest.param(None, TypeError, id="none"),
        pytest.param(True, TypeError, id="bool"),
        pytest.param(b"n", TypeError, id="bytes"),
        pytest.param({"n": 1}, TypeError, id="dict"),
    ],
)
def test_refuses_what_is_no_identifier(name: object, error: type[Exception]) -> None:
    """An identifier is a non-empty str without NUL, or an int."""
    with pytest.raises(error, match=r"^params\[0\]"):
        statement("SELECT ??").bind([name])


@pytest.mark.parametrize(
    ("text", "sql"),
    [
        pytest.param("UPDATE t SET ? WHERE id = 1", "UPDATE t SET {} WHERE id = 1", id="update"),
        pytest.param("insert into t set ?", "insert into t set {}", id="insert-lower-case"),
        pytest.param("UPDATE t SET b = f(1, 2), ?", "UPDATE t SET b = f(1, 2), {}", id="after-comma"),
        pytest.param("UPDATE t SET ?, b = 1", "UPDATE t SET {}, b = 1", id="first-of-two"),
        pytest.param("UPDATE t SET /* where */ ?", "UPDATE t SET /* where */ {}", id="after-comment"),
        pytest.param(
            "INSERT INTO t VALUES (1) ON DUPLICATE KEY UPDATE ?",
            "INSERT INTO t VALUES (1) ON DUPLICATE KEY UPDATE {}",
            id="on-duplicate-key",
        ),
        pytest.param("UPDATE t SET %s", "UPDATE t SET {}", id="percent"),
    ],
)
def test_a_dict_is_assignments_where_assignments_may_stand(text: str, sql: str) -> None:
    """After SET or KEY UPDATE, or a comma of that list, a dict becomes ``name = value`` pairs."""
    expected = sql.format(r"`a` = 'x\'', `t`.`b` = NULL")

    assert expected == statement(text).bind([{"a": "x'", "t.b": None}])


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("SELECT * FROM t WHERE n = ?", id="comparison"),
        pytest.param("SELECT * FROM t WHERE FIND_IN_SET(?, tags)", id="function"),
        pytest.param("UPDATE t SET a = ?", id="value"),
        pytest.param("UPDATE t SET a = 1 WHERE b IN (1, ?)", id="after-where"),
        pytest.param("UPDATE t SET a = 1 ORDER BY b, ?", id="after-order"),
        pytest.param("UPDATE t SET a = f(1, ?)", id="in-call"),
        pytest.param("UPDATE t SET a = 1; SELECT 1, ?", id="next-statement"),
        pytest.param("SELECT 'SET', ?", id="quoted-set"),
        pytest.param("SELECT t.set, ?", id="column-called-set"),
        pytest.param("/* SET */ SELECT 1, ?", id="set-in-comment"),
        pytest.param("SELECT (SELECT 1 FROM t FOR UPDATE), ?", id="update-without-key"),
    ],
)
def test_a_dict_elsewhere_is_refused(text: str) -> None:
    """A dict where a value belongs would make ``n = `n` = 1``, true for every row: it is a TypeError."""
    with pytest.raises(TypeError, match="only in SET"):
        statement(text).bind([{"n": 1}])


@pytest.mark.parametrize(
    ("columns", "error", "says"),
    [
        pytest.param({}, ValueError, "empty dict", id="empty"),
        pytest.param({"a": 1, "b": {SECRET: 1}}, TypeError, r"params\[0\]\[1\] is a dict", id="nested"),
        pytest.param({"a": [1, 2]}, TypeError, r"params\[0\]\[0\] is a list", id="list"),
        pytest.param({None: 1}, TypeError, "not an identifier", id="no-name"),
        pytest.param({"a": {1}}, TypeError, r"params\[0\]\[0\] is a set", id="set"),
    ],
)
def test_refuses_a_dict_that_is_no_assignments(
    columns: dict[Any, object], error: type[Exception], says: str
) -> None:
    """Names are identifiers and values single values."""
    with pytest.raises(error, match=says) as refused:
        statement("UPDATE t SET ?").bind([columns])

    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "params", "says"),
    [
        pytest.param("SELECT 1", [1], r"query \(0\) and the params \(1\)", id="none-wanted"),
        pytest.param("SELECT ?", [], r"query \(1\) and the params \(0\)", id="none-given"),
        pytest.param("SELECT ?", None, r"query \(1\) and the params \(0\)", id="given-none"),
        pytest.param("SELECT ?", [1, 2], r"query \(1\) and the params \(2\)", id="too-many"),
        pytest.param("SELECT ?, ??", [1], r"query \(2\) and the params \(1\)", id="too-few"),
        pytest.param("SELECT '?'", [1], r"query \(0\) and the params \(1\)", id="quoted"),
        pytest.param("SELECT 'x ?", [1], r"query \(0\) and the params \(1\)", id="unterminated-quote"),
        pytest.param("SELECT /* ?", [1], r"query \(0\) and the params \(1\)", id="unterminated-comment"),
        pytest.param("SELECT ???", [1], r"\?\?\? in it", id="three-marks"),
        pytest.param("SELECT ????", [1, 2], r"\?\?\? in it", id="four-marks"),
    ],
)
def test_a_wrong_number_of_params_is_refused(text: str, params: list[object] | None, says: str) -> None:
    """Both counts are named, by each of the three ways to check."""
    for check in (statement(text).bind, statement(text).check, statement(text).check_count):
        with pytest.raises(ValueError, match=says):
            check(params)


@pytest.mark.parametrize(
    "params", ["x", b"x", 1, {"a": 1}, {1}, range(1), iter([1])], ids=lambda params: type(params).__name__
)
def test_params_are_a_list_or_tuple(params: Any) -> None:
    """A bare value is not a list of one, and a str not a list of letters."""
    for check in (statement("SELECT ?").bind, statement("SELECT ?").check, statement("SELECT ?").check_count):
        with pytest.raises(TypeError, match=rf"list or tuple, not {type(params).__name__}"):
            check(params)


@pytest.mark.parametrize(
    ("text", "params", "sql"),
    [
        pytest.param("SELECT %s", [1], "SELECT 1", id="percent-s"),
        pytest.param("SELECT %s, %s", [1, 2], "SELECT 1, 2", id="two"),
        pytest.param("SELECT '%s', %s", [1], "SELECT '%s', 1", id="quoted"),
        pytest.param("SELECT %s -- %s", [1], "SELECT 1 -- %s", id="comment"),
        pytest.param("SELECT a %s, ?", [1], "SELECT a %s, 1", id="text-beside-a-mark"),
        pytest.param("SELECT 7 %% 2, %s", [1], "SELECT 7 % 2, 1", id="two-percents"),
        pytest.param("SELECT 7 %%s", [], "SELECT 7 %%s", id="two-percents-and-s"),
        pytest.param("SELECT id%size FROM t", [], "SELECT id%size FROM t", id="modulo-a-column"),
        pytest.param("SELECT 7 % 2", None, "SELECT 7 % 2", id="modulo"),
        pytest.param("SELECT %d, %(a)s", [], "SELECT %d, %(a)s", id="other-formats"),
    ],
)
def test_percent_s_is_a_placeholder_only_where_no_mark_is(
    text: str, params: list[object] | None, sql: str
) -> None:
    """``%`` is text; ``%s`` outside quotes and comments counts if the text has no ``?`` placeholder."""
    assert sql == statement(text).bind(params)


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        pytest.param(r"SELECT 'a\' ?, ?", (0, 0, 2), id="single"),
        pytest.param(r'SELECT "a\" ?, ?', (0, 2, 2), id="double"),
        pytest.param(r'SELECT "a\\" ?', (1, 1, 1), id="escaped-backslash"),
        pytest.param(r"SELECT `a\` ?", (1, 1, 1), id="backtick"),
        pytest.param(r"SELECT 'a\'' ?", (1, 1, 0), id="escaped-then-closed"),
    ],
)
def test_backslash_in_quotes_means_what_the_sql_mode_says(text: str, counts: tuple[int, int, int]) -> None:
    """Placeholders are counted as the session reads the text; without a session any reading will do."""
    modes = ({}, {"ansi_quotes": True}, {"no_backslash_escapes": True})
    for mode, count in zip(modes, counts, strict=True):
        statement(text).bind([1] * count, **mode)
        statement(text).check([1] * count)
        statement(text).check_count([1] * count)
        with pytest.raises(ValueError, match="differ in number"):
            statement(text).bind([1] * (count + 3), **mode)

    assert counts[0] == statement(text).placeholders
    assert (counts[0] != counts[1]) is statement(text).needs_sql_mode


def test_needs_the_sql_mode_when_placeholders_move() -> None:
    """The count may be the same in both readings and the places still different."""
    assert statement(r'SELECT "\", ?, "\", ?"').needs_sql_mode


@pytest.mark.parametrize("text", ["SELECT /*! ? */ 1", "SELECT /*M!100100 ? */ 1", "SELECT /*+ ? */ 1"])
@pytest.mark.parametrize("value", ["*/ , 2", "/*", ["a", "*/"]])
def test_a_value_cannot_end_the_comment_around_it(text: str, value: object) -> None:
    """A server that skips a versioned comment looks only for its end, quotes or not."""
    assert statement(text).bind(["* /"])
    with pytest.raises(ValueError, match=r"^params\[0\] holds /\* or \*/"):
        statement(text).bind([value])


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        pytest.param("", ValueError, "empty", id="empty"),
        pytest.param(" \n\t", ValueError, "empty", id="blank"),
        pytest.param("SELECT '\ud800'", ValueError, "surrogate at 8", id="surrogate"),
        pytest.param(b"SELECT 1", TypeError, "not bytes", id="bytes"),
        pytest.param(None, TypeError, "not NoneType", id="none"),
        pytest.param(["SELECT 1"], TypeError, "not list", id="list"),
    ],
)
def test_a_query_is_a_text(text: Any, error: type[Exception], says: str) -> None:
    """What cannot be a statement fails at once."""
    with pytest.raises(error, match=says):
        statement(text)


def test_a_text_is_scanned_once() -> None:
    """Statements in use are kept."""
    assert statement("SELECT 1 -- kept") is statement("SELECT 1 -- kept")


@pytest.mark.parametrize("length", [8193, 75_000, 300_000])
def test_a_text_of_any_length_is_scanned_once(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long one by its digest: scanning it takes many times as long as a hit."""
    text = f"SELECT 'for update', ? FROM t WHERE id IN ({'1,' * (length // 2)}1) -- {length}"
    first = statement(text)
    for name in ("scans", "refusal_of", "answer_of", "verb_of"):
        monkeypatch.setattr(statements, name, None)

    again = statement("".join(text))

    assert (again.text, again.placeholders, again.refusal, again.verb) == (text, 1, None, "SELECT")
    again.check_rows()
    assert first.bind(["x"]) == again.bind(["x"]) == text.replace("?", "'x'")


def test_texts_are_kept_in_bounded_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that generates its statements, short or long, with many placeholders or none, stays small."""
    tracemalloc.start()
    try:
        for number in range(30):
            marks = ", ".join("?" * 1000)
            for padding in (0, 500_000):
                _ = statement(f"SELECT {number}, {marks} /* {'x' * padding} */").refusal
        now, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert now < 2 << 20
