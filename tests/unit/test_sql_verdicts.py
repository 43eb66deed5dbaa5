"""What a statement does, which call it is for, and whether its result may be cached."""

from __future__ import annotations

import pytest

from mysql_redis_cache.sql.statements import Statement

CACHEABLE = [
    "SELECT 1",
    "select * from t where id = ?",
    "  \n\tSELECT 1",
    "-- leading\n# comments\n/* of all */ SELECT 1",
    "/*!50000 SELECT */ 1",
    "/*! SELECT 1 */",
    "SELECT 1;",
    "SELECT 1 ; -- done\n /* really */ ;",
    "(SELECT 1) UNION ALL (SELECT 2) ORDER BY 1",
    "((SELECT 1))",
    "WITH x AS (SELECT 1) SELECT * FROM x",
    "WITH RECURSIVE x (n) AS (SELECT 1 UNION SELECT n + 1 FROM x) SELECT * FROM x",
    "WITH x AS (SELECT 1) (SELECT * FROM x)",
    "(WITH x AS (SELECT 1) SELECT REPLACE('a', 'b', 'c') FROM x)",
    "SHOW TABLES",
    "SHOW GRANTS FOR 'app'@'localhost'",
    "DESCRIBE t",
    "DESC t",
    "EXPLAIN SELECT 1",
    "EXPLAIN UPDATE t SET a = 1",
    "EXPLAIN ANALYZE SELECT 1",
    "EXPLAIN ANALYZE FORMAT=TREE WITH x AS (SELECT 1) SELECT * FROM x",
    "TABLE t",
    "VALUES ROW(1, 2)",
    "CALL report(?)",
    "SELECT created_at, updated_at, deleted FROM t",
    "SELECT 'for update', \"for update\", 'a; DELETE'",
    "SELECT `into`, t.into, t . into FROM t",
    "SELECT 1 -- FOR UPDATE",
    "SELECT /* INTO OUTFILE */ 1",
    "SELECT /*+ SET_VAR(into = 1) */ 1",
    "SELECT get_lock FROM t",
    "SELECT last_insert_id, `user` FROM t",
    "SELECT shop.last_insert_id(1)",
    "SELECT `last_insert_id`(1)",
    "SELECT SUBSTRING('abc' FROM 1 FOR 2)",
    "SELECT * FROM t USE INDEX FOR JOIN (i)",
    "SELECT * FROM t FOR SYSTEM_TIME AS OF NOW()",
    "SELECT next, value FROM t",
    "SELECT * FROM 2into",
    "SELECT NOW(), RAND(), UUID(), DATABASE(), VERSION()",
    "SELECT @@version, @@session.sql_mode",
    "SELECT users.id FROM users",
]


@pytest.mark.parametrize("text", CACHEABLE)
def test_a_read_may_be_cached(text: str) -> None:
    """Words that only look like a write, in names, strings and comments, do no harm."""
    assert Statement(text).refusal is None
    assert Statement(text).is_read


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("UPDATE t SET a = 1", "it is not a read (it begins with UPDATE); use execute()"),
        ("insert into t values (1)", "it is not a read (it begins with INSERT); use execute()"),
        ("REPLACE INTO t VALUES (1)", "begins with REPLACE"),
        ("DELETE FROM t", "begins with DELETE"),
        ("/* SELECT */ DELETE FROM t", "begins with DELETE"),
        ("-- SELECT\nDROP TABLE t", "begins with DROP"),
        ("/*! DELETE FROM t */", "begins with DELETE"),
        ("SET NAMES utf8mb4", "begins with SET"),
        ("DO SLEEP(1)", "begins with DO"),
        ("ANALYZE TABLE t", "begins with ANALYZE"),
        ("COMMIT", "begins with COMMIT"),
        ("WITH x AS (SELECT 1) UPDATE t SET a = 1", "it is not a read (its verb is UPDATE); use execute()"),
        ("WITH x AS (SELECT 1) DELETE FROM t", "its verb is DELETE"),
        ("EXPLAIN ANALYZE UPDATE t, u SET a = 1", "its verb is UPDATE"),
        ("DESC ANALYZE DELETE t FROM t", "its verb is DELETE"),
        ("-- nothing", "begins with no verb"),
        ("? ", "begins with no verb"),
    ],
)
def test_a_write_is_no_read(text: str, says: str) -> None:
    """The refusal names the verb and the call to use."""
    assert says in (Statement(text).refusal or "")
    assert not Statement(text).is_read


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("SELECT * FROM t FOR UPDATE", "it locks rows; use query() inside transaction()"),
        ("SELECT * FROM t for\n -- why\n update skip locked", "locks rows"),
        ("SELECT * FROM t FOR SHARE", "locks rows"),
        ("SELECT * FROM t LOCK IN SHARE MODE", "locks rows"),
        ("SELECT * FROM t LIMIT 1 /*! FOR UPDATE */", "locks rows"),
        ("SELECT * FROM t WHERE a = 1.FOR UPDATE", "locks rows"),
        ("(SELECT * FROM t FOR UPDATE) UNION SELECT 1", "locks rows"),
        ("SELECT * FROM t INTO OUTFILE '/tmp/x'", "it writes what it selects (INTO); use execute()"),
        ("SELECT a INTO DUMPFILE '/tmp/x' FROM t", "INTO"),
        ("SELECT a INTO @a FROM t", "INTO"),
        ("SELECT 1; DELETE FROM t", "it holds several statements"),
        ("SELECT 1;; SELECT 2", "several statements"),
        ("SELECT 1 /*! ; DELETE FROM t */", "several statements"),
        ("SELECT GET_LOCK('a', 1)", "another in each session"),
        ("SELECT release_lock ('a')", "another in each session"),
        ("SELECT NEXTVAL(s)", "another in each session"),
        ("SELECT NEXT VALUE FOR s", "another in each session"),
        ("SELECT LAST_INSERT_ID()", "another in each session"),
        ("SELECT FOUND_ROWS()", "another in each session"),
        ("SELECT ROW_COUNT( )", "another in each session"),
        ("SELECT CONNECTION_ID/**/()", "another in each session"),
        ("SELECT USER(), SESSION_USER()", "another in each session"),
        ("SELECT * FROM t WHERE owner = CURRENT_USER", "the account"),
        ("SELECT @n := @n + 1 FROM t", "a user variable"),
        ("SELECT @n", "a user variable"),
        ("SELECT @'n', @`n`", "a user variable"),
        ("SELECT @@last_insert_id", "a variable"),
        ("SELECT @@SESSION.identity", "a variable"),
        ("CALL totals(1, @sum)", "a user variable"),
        ("SHOW WARNINGS", "diagnostics"),
        ("SHOW COUNT(*) ERRORS", "diagnostics"),
    ],
)
def test_a_read_whose_answer_is_not_for_everybody_is_refused(text: str, says: str) -> None:
    """Locks, writes, several statements and answers of one session are not cached."""
    assert says in (Statement(text).refusal or "")
    assert not Statement(text).is_read


@pytest.mark.parametrize(
    ("text", "verb"),
    [
        ("select 1", "SELECT"),
        ("((SELECT 1))", "SELECT"),
        ("WITH x AS (SELECT 1) SELECT * FROM x", "SELECT"),
        ("WITH x AS (SELECT 1) DELETE FROM t", "DELETE"),
        ("WITH x AS (SELECT 1) (SELECT * FROM x)", "WITH"),
        ("explain update t set a = 1", "EXPLAIN"),
        ("EXPLAIN ANALYZE UPDATE t, u SET a = 1", "UPDATE"),
        ("/* SELECT */ call p()", "CALL"),
        ("-- nothing", ""),
        ("'SELECT'", ""),
    ],
)
def test_the_verb_says_what_a_statement_does(text: str, verb: str) -> None:
    """Comments, parentheses and a WITH before it are not the verb."""
    assert verb == Statement(text).verb
