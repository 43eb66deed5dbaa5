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
    "EXPLAIN INSERT INTO t VALUES (1)",
    "DESC REPLACE INTO t VALUES (1)",
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
    "WITH user (id) AS (SELECT 1) SELECT * FROM user",
    "WITH RECURSIVE setval (n) AS (SELECT 1 UNION SELECT n + 1 FROM setval WHERE n < 3) SELECT * FROM setval",
    "WITH a AS (SELECT 1), found_rows (n, m) AS (SELECT 1, 2), user AS (SELECT 3) SELECT * FROM found_rows",
    "with `user` (id) as (select 1) select * from `user`",
    "SELECT * FROM (SELECT 1) AS user (id)",
    "SELECT * FROM (SELECT 1) user (id), (VALUES ROW(1)) AS nextval (n)",
    "SELECT * FROM user JOIN row_count USING (id)",
    "SELECT * FROM user FORCE INDEX (user) PARTITION (p0)",
    "SELECT user, found_rows, row_count, connection_id FROM visits WHERE user IN (1, 2)",
    "SELECT $user(1), user$(1), ünser(1), my_user(1) FROM t",
    "SELECT t.current_role, 1 AS current_role, `current_user` FROM t",
    "SELECT (SELECT 1), user FROM t",
    "SELECT 1 AS found_rows FROM t",
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
        ("DELETE FROM t RETURNING id", "(it begins with DELETE); use query(), which gives its rows"),
        ("ANALYZE FORMAT=JSON SELECT 1", "it is not a read (it begins with ANALYZE); use query()"),
        ("CHECKSUM TABLE t", "it is not a read (it begins with CHECKSUM); use query()"),
        ("HELP 'SELECT'", "it is not a read (it begins with HELP); use query()"),
        (
            "SET STATEMENT max_statement_time=1 FOR SELECT 1",
            "it is not a read (it begins with SET); use query()",
        ),
        (
            "SET STATEMENT max_statement_time=1 FOR DELETE FROM t",
            "(it begins with SET); use query() for its rows, or execute()",
        ),
        ("CHECK TABLE t", "(it begins with CHECK); use query(), which gives its rows"),
        ("HANDLER t READ FIRST", "(it begins with HANDLER); use query(), which gives its rows"),
        ("BEGIN", "(it begins with BEGIN); use transaction()"),
        ("EXECUTE p", "(it begins with EXECUTE); use query() for its rows, or execute()"),
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
        ("SELECT GET_LOCK('a', 1)", "ends with its call; use a connection of get_mysql_pool()"),
        ("SELECT IS_FREE_LOCK('a')", "another in each session"),
        ("SELECT release_lock ('a')", "ends with its call"),
        ("SELECT NEXTVAL(s)", "another in each session"),
        ("SELECT NEXT VALUE FOR s", "another in each session"),
        ("SELECT LAST_INSERT_ID()", "another in each session"),
        ("SELECT FOUND_ROWS()", "another in each session"),
        ("SELECT ROW_COUNT( )", "another in each session"),
        ("SELECT CONNECTION_ID/**/()", "another in each session"),
        ("SELECT USER(), SESSION_USER()", "another in each session"),
        ("SELECT (1) + USER()", "another in each session"),
        ("SELECT CAST(USER() AS CHAR)", "another in each session"),
        ("SELECT user() AS user FROM (SELECT 1) AS user (id)", "another in each session"),
        ("WITH user (id) AS (SELECT USER()) SELECT * FROM user", "another in each session"),
        ("WITH x AS (SELECT 1) SELECT nextval(s), setval (s, (1)) FROM x", "another in each session"),
        ("SELECT CURRENT_ROLE()", "the account"),
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


ROWS = [
    *(text for text in CACHEABLE if not text.startswith("CALL")),
    "SELECT * FROM t FOR UPDATE",
    "SELECT GET_LOCK('a', 1)",
    "SELECT @n",
    "SHOW WARNINGS",
    "HELP 'contents'",
    "CHECKSUM TABLE t",
    "ANALYZE SELECT 1",
    "ANALYZE FORMAT=JSON SELECT 1",
    "SET STATEMENT max_statement_time=1 FOR SELECT 1",
    "SET STATEMENT a=1, b='FOR' FOR WITH x AS (SELECT 1) SELECT * FROM x",
    "EXPLAIN FORMAT=JSON INSERT INTO t VALUES (1)",
    "EXPLAIN FOR CONNECTION 5",
    "XA RECOVER",
    "SELECT 'into', `into` FROM t -- INTO",
]
BOTH = [
    "INSERT INTO t VALUES (1) RETURNING id",
    "REPLACE INTO t VALUES (1) RETURNING *",
    "DELETE FROM t RETURNING id",
    "SET STATEMENT a=1 FOR DELETE FROM t RETURNING id",
    "SET STATEMENT a=1 FOR UPDATE t SET a = 1",
    "EXPLAIN ANALYZE UPDATE t, u SET a = 1",
    "ANALYZE UPDATE t SET a = 1",
    "ANALYZE TABLE t",
    "ANALYZE NO_WRITE_TO_BINLOG TABLE t",
    "CHECK TABLE t",
    "OPTIMIZE TABLE t",
    "REPAIR TABLE t",
    "CACHE INDEX t IN c",
    "LOAD INDEX INTO CACHE t",
    "HANDLER t READ FIRST",
    "CALL report()",
    "EXECUTE p",
    "BEGIN NOT ATOMIC SELECT 1; END",
    "XA START 'a'",
    "WHATEVER THE FUTURE BRINGS",
    "? ",
]
EFFECT = [
    "INSERT INTO t VALUES (1)",
    "INSERT INTO returning_customers SELECT 'returning' FROM t -- RETURNING",
    "REPLACE t SET a = 1",
    "UPDATE t SET a = 1",
    "WITH x AS (SELECT 1) DELETE FROM t",
    "SELECT a INTO @a FROM t",
    "SELECT * FROM t INTO OUTFILE '/tmp/x'",
    "TABLE t INTO OUTFILE '/tmp/x'",
    "SET NAMES utf8mb4",
    "CREATE TABLE t SELECT 1",
    "CREATE TABLE IF NOT EXISTS t (a INT)",
    "ALTER TABLE t ADD a INT",
    "DROP TABLE t",
    "TRUNCATE t",
    "RENAME TABLE a TO b",
    "GRANT SELECT ON t TO u",
    "DO SLEEP(1)",
    "USE other",
    "LOCK TABLES t READ",
    "UNLOCK TABLES",
    "FLUSH TABLES",
    "KILL 5",
    "LOAD DATA INFILE 'x' INTO TABLE t",
    "START REPLICA",
    "/* SELECT */ DELETE FROM t",
]
TRANSACTIONS = [
    *("START TRANSACTION", "BEGIN", "BEGIN WORK", "begin;", "COMMIT", "commit and chain", "ROLLBACK"),
    *("ROLLBACK TO a", "SAVEPOINT a", "RELEASE SAVEPOINT a"),
]


@pytest.mark.parametrize("text", ROWS)
def test_what_gives_rows_alone_is_for_query(text: str) -> None:
    """``execute()`` would throw them away."""
    Statement(text).check_rows()
    with pytest.raises(ValueError, match=r"execute\(\) returns no rows, .*; use query\(\)$"):
        Statement(text).check_effect()


@pytest.mark.parametrize("text", BOTH)
def test_what_may_be_either_is_for_both(text: str) -> None:
    """What gives rows of what it has done, and what only the server knows."""
    Statement(text).check_rows()
    Statement(text).check_effect()


@pytest.mark.parametrize("text", EFFECT)
def test_what_gives_no_rows_is_for_execute(text: str) -> None:
    """``query()`` promises rows."""
    Statement(text).check_effect()
    with pytest.raises(ValueError, match=r"query\(\) returns rows, .*; use execute\(\)$"):
        Statement(text).check_rows()


@pytest.mark.parametrize("text", TRANSACTIONS)
def test_what_begins_or_ends_a_transaction_gives_no_rows(text: str) -> None:
    """There is a call for that."""
    with pytest.raises(ValueError, match=r"; use transaction\(\)$"):
        Statement(text).check_rows()


@pytest.mark.parametrize("text", [*ROWS, *BOTH, *EFFECT, *TRANSACTIONS])
def test_advice_is_taken(text: str) -> None:
    """Where caching is refused, the call that is named takes the statement."""
    refusal = Statement(text).refusal or ""
    if "query()" in refusal:
        Statement(text).check_rows()
    if "execute()" in refusal:
        Statement(text).check_effect()
