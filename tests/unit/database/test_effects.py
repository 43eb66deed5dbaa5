"""What a statement may do to its session: harmless only where that is certain."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mysql_redis_cache.database.effects import HARMLESS, effects_of

HARMLESS_TEXTS = [
    "SELECT 1",
    "select\n id, name from users where id = ?",
    "(SELECT 1) UNION (SELECT 2)",
    "/* why */ SELECT 1 -- end",
    "SELECT COUNT(*), MAX(a), CONCAT(a, b), JSON_EXTRACT(a, '$.b'), ST_X(p) FROM t",
    "SELECT CAST(a AS CHAR(10)), CONVERT(a, DECIMAL(10, 2)) FROM t WHERE a IN (1, 2) AND (b OR (c))",
    "SELECT a FROM t USE INDEX (a) JOIN u USING (id) WHERE EXISTS (SELECT 1) GROUP BY a HAVING (a > 1)",
    "SELECT ROW_NUMBER() OVER (PARTITION BY a ORDER BY b) FROM t",
    "SELECT NOW(6), CURRENT_TIMESTAMP (3), IF (a, b, c), 1.5 * (2), -(3), 2*(4)",
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9) SELECT i FROM n",
    "SELECT a FROM (SELECT 1) AS t (a)",
    "INSERT INTO t (a, b) VALUES (1, 'x'), (2, 'y') ON DUPLICATE KEY UPDATE a = VALUES(a)",
    "INSERT INTO `t` (`a`) VALUES (?)",
    "INSERT INTO shop.t (a) SELECT a FROM u",
    "REPLACE INTO t (a) VALUES (1)",
    "UPDATE t SET a = (b + 1) WHERE id = 5",
    "DELETE FROM t WHERE a = 'f(x)'",
    "SELECT 'GET_LOC', 'someone@example.com', a@b.c FROM t".replace(", a@b.c", ""),
    "SELECT @@version, @@session.sql_mode",
    "SHOW TABLES",
    "EXPLAIN SELECT 1",
    "DO 1",
    "SELECT locked_at, `lock` FROM blocks WHERE is_locked FOR UPDATE",
    "SELECT 'it''s; not another statement'",
    "UPDATE sequences SET id = LAST_INSERT_ID(id + 1)",
]


@pytest.mark.parametrize("text", HARMLESS_TEXTS)
def test_what_most_statements_are(text: str) -> None:
    """They cost nothing more."""
    assert effects_of(text) == HARMLESS


CHANGING = [
    "SET time_zone = '+01:00'",
    "USE shop",
    "CALL p()",
    "call shop.p(1)",
    "/*!50000 CALL p() */",
    "/*M!100100 CALL p() */",
    "EXECUTE made",
    "EXECUTE IMMEDIATE 'SELECT 1'",
    "PREPARE made FROM 'SELECT 1'",
    "BEGIN NOT ATOMIC SELECT 1; END",
    "LOCK TABLES t WRITE",
    "FLUSH TABLES t FOR EXPORT",
    "HANDLER t OPEN",
    "CREATE TEMPORARY TABLE t (a INT)",
    "XA START 'x'",
    "KILL 5",
    "SELECT GET_LOCK('a', 1)",
    "select get_lock/**/('a', 1)",
    "SELECT `GET_LOCK`('a', 1)",
    "SELECT service_get_write_locks('a', 'b', 1)",
    "SELECT VERSION_TOKENS_LOCK_SHARED('a', 1)",
    "WITH t AS (SELECT GET_LOCK('a', 1)) SELECT 1",
    "SELECT @a := 1",
    "SELECT 1 INTO @a",
    "SELECT LAST_INSERT_ID(42)",
    "DELETE FROM t WHERE LAST_INSERT_ID (id) > 1",
    "SELECT @a",
    "SELECT f(1)",
    "SELECT shop.f(1)",
    "SELECT `f`(1)",
    "SELECT f /* x */ (1)",
    "INSERT INTO t VALUES (f(1))",
    "INSERT INTO t (a) VALUES (shop . f (1))",
    "UPDATE t SET a = next_number()",
    "SELECT 1; CALL p()",
    "SELECT 'a\\'; CALL p() -- '",
    "VACUUM",
    "-- nothing",
    "SELECT /*+ SET_VAR(sql_mode = '') */ 1",
    "SET STATEMENT sql_mode = '' FOR SELECT 1",
    f"SELECT '{'x' * 2_000_000}'",
    f"SELECT '{'; ' * 20_000}'",
]


@pytest.mark.parametrize("text", CHANGING, ids=lambda text: text[:40])
def test_what_may_leave_something_behind(text: str) -> None:
    """What cannot be known counts as that."""
    assert effects_of(text).changes


@pytest.mark.parametrize(
    "text", ["SAVEPOINT a", "RELEASE SAVEPOINT a", "ROLLBACK TO a", "START TRANSACTION", "COMMIT"]
)
def test_transactions_change_no_session(text: str) -> None:
    """What they do is in the flags of the reply."""
    assert not effects_of(text).changes
    assert not effects_of(text).is_opaque


@pytest.mark.parametrize(
    ("text", "is_opaque", "may_commit"),
    [
        ("CALL p()", True, True),
        ("EXECUTE made", True, True),
        ("BEGIN NOT ATOMIC COMMIT; END", True, True),
        ("SET STATEMENT max_statement_time = 1 FOR CALL p()", True, True),
        ("CREATE TABLE t (a INT)", False, True),
        ("SELECT f(1)", False, False),
        ("INSERT INTO t VALUES (1)", False, False),
        ("SET @a = 1", False, True),
        ("SAVEPOINT a", False, False),
        ("ROLLBACK TO a", False, False),
    ],
)
def test_what_may_commit_and_whether_that_shows(text: str, is_opaque: bool, may_commit: bool) -> None:
    """A procedure may begin another transaction, so that one is open as before."""
    effects = effects_of(text)
    assert (effects.is_opaque, effects.may_commit) == (is_opaque, may_commit)


@pytest.mark.parametrize(
    ("text", "hides"),
    [
        ("CALL p()", True),
        ("EXECUTE made", True),
        ("EXECUTE IMMEDIATE 'SELECT 1'", True),
        ("SELECT f(1)", True),
        ("SET time_zone = 'SYSTEM'", False),
        ("SELECT GET_LOCK('a', 1)", False),
        ("CREATE TABLE t (a INT)", False),
    ],
)
def test_what_runs_more_than_its_text_shows(text: str, hides: bool) -> None:
    """A routine may do whatever a session can be told to."""
    assert effects_of(text).hides == hides


def test_what_is_beyond_a_reset() -> None:
    """Roles, also behind EXECUTE IMMEDIATE, and resource groups."""
    assert effects_of("SET RESOURCE GROUP slow").is_beyond_reset
    assert effects_of("SET ROLE reader").is_beyond_reset
    assert effects_of("set/**/default role reader for me").is_beyond_reset
    assert effects_of("EXECUTE IMMEDIATE 'SET ROLE reader'").is_beyond_reset
    assert not effects_of("SET time_zone = 'SYSTEM'").is_beyond_reset
    assert not effects_of("SELECT role FROM users").is_beyond_reset


@pytest.mark.parametrize(
    ("text", "asks_back"),
    [
        ("SELECT LAST_INSERT_ID()", True),
        ("SELECT last_insert_id ( )", True),
        ("SELECT last_insert_id/**/()", True),
        ("SELECT last_insert_id(-- nothing\n)", True),
        ("SELECT `last_insert_id`()", True),
        ("SELECT PREVIOUS/**/VALUE FOR s", True),
        ("SELECT @@`identity`", True),
        ("SELECT @@session . warning_count", True),
        ("SELECT LAST_INSERT_ID(42)", False),
        ("SELECT FOUND_ROWS()", True),
        ("SELECT ROW_COUNT()", True),
        ("SELECT @@identity", True),
        ("SELECT @@session.warning_count", True),
        ("SHOW WARNINGS LIMIT 1", True),
        ("SHOW COUNT(*) ERRORS", True),
        ("SELECT LASTVAL(s)", True),
        ("INSERT INTO t VALUES (1) ON DUPLICATE KEY UPDATE id = LAST_INSERT_ID(id)", False),
        ("UPDATE sequences SET id = LAST_INSERT_ID(id + 1)", False),
        ("SELECT last_name, warnings, profile FROM users", False),
        ("SHOW TABLES", False),
    ],
)
def test_who_asks_for_what_ran_before(text: str, asks_back: bool) -> None:
    """The answer would be about somebody else's statement."""
    assert effects_of(text).asks_back == asks_back


NOISE = st.sampled_from([" ", "\n", "\t", "/**/", "/* x */", " -- y\n", "#z\n"])
TAKING = [
    ["SELECT", "GET_LOCK", "(", "'a'", ",", "1", ")"],
    ["SET", "time_zone", "=", "'+01:00'"],
    ["CALL", "p", "(", ")"],
    ["LOCK", "TABLES", "t", "WRITE"],
    ["SELECT", "1", "INTO", "@a"],
    ["SELECT", "my_function", "(", ")"],
    ["EXECUTE", "made"],
]


@given(words=st.sampled_from(TAKING), data=st.data())
def test_neither_case_nor_comments_hide_anything(words: list[str], data: st.DataObject) -> None:
    """A statement is known by its words."""
    text = "".join(
        data.draw(st.sampled_from([word.lower(), word.upper(), word.title()])) + data.draw(NOISE)
        for word in words
    )
    assert effects_of(data.draw(NOISE) + text).changes


@given(st.text(max_size=200))
def test_any_text_has_an_answer(text: str) -> None:
    """Also one that is no SQL."""
    effects_of(text)


@given(st.text(alphabet="()`'\"@;#-/*\\ abS\n", max_size=80))
def test_signs_do_not_trouble_it(text: str) -> None:
    """Unfinished quotes and comments among them."""
    effects_of(f"SELECT {text}")
