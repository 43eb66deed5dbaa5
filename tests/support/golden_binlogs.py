"""Recorded binary logs; ``python -m tests.support.golden_binlogs [URL]`` records a server, or a private one.

Each scenario is a few statements; what is kept are the bytes of its events as the server sent them, and what
a SELECT said of the rows, so that the expected values come from the server and not from the reader.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.binlogs import LOGGING, LoggedServer
from tests.support.urls import with_database
from tools.private_servers import PrivateMySQL

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["COLUMNS", "GOLDEN", "load_golden"]

GOLDEN = Path(__file__).parents[1] / "data" / "binlogs.json"

# Name of the column to its type and the values of three rows; a row of NULLs is added.
COLUMNS: dict[str, tuple[str, tuple[str, str, str]]] = {
    "tiny": ("TINYINT", ("-128", "0", "127")),
    "utiny": ("TINYINT UNSIGNED", ("0", "200", "255")),
    "small": ("SMALLINT", ("-32768", "1", "32767")),
    "medium": ("MEDIUMINT", ("-8388608", "-1", "8388607")),
    "umedium": ("MEDIUMINT UNSIGNED", ("0", "9000000", "16777215")),
    "whole": ("INT", ("-2147483648", "5", "2147483647")),
    "uwhole": ("INT UNSIGNED", ("0", "3000000000", "4294967295")),
    "big": ("BIGINT", ("-9223372036854775808", "7", "9223372036854775807")),
    "ubig": ("BIGINT UNSIGNED", ("0", "9", "18446744073709551615")),
    "price": ("DECIMAL(12,5)", ("-1234567.89012", "0", "12.5")),
    "digits": ("DECIMAL(65,30)", ("-0.000000000000000000000000000001", "1", "99999999999999999999")),
    "single_": ("FLOAT", ("-1.5", "0.1", "123456.7")),
    "double_": ("DOUBLE", ("-1e300", "0.1", "2.5e-8")),
    "shown": ("DOUBLE(20,4)", ("-0.0001", "1.25", "1000000.5")),
    "bits": ("BIT(13)", ("0", "1", "8191")),
    "year_": ("YEAR", ("1901", "2026", "2155")),
    "day": ("DATE", ("'1000-01-01'", "'2026-02-28'", "'9999-12-31'")),
    "time0": ("TIME", ("'-838:59:59'", "'00:00:00'", "'12:34:56'")),
    "time3": ("TIME(3)", ("'-00:00:00.001'", "'01:02:03.400'", "'23:59:59.999'")),
    "moment": ("DATETIME", ("'1000-01-01 00:00:00'", "'2026-02-28 12:34:56'", "'9999-12-31 23:59:59'")),
    "moment6": (
        "DATETIME(6)",
        ("'1000-01-01 00:00:00.000001'", "'2026-01-02 03:04:05.678900'", "'2038-01-01'"),
    ),
    "stamp": ("TIMESTAMP NULL", ("'1970-01-01 00:00:01'", "'2026-02-28 12:34:56'", "'2037-01-01'")),
    "stamp2": ("TIMESTAMP(2) NULL", ("'1970-01-01 00:00:01.5'", "'2026-02-28 12:34:56.78'", "'2037-01-01'")),
    "fixed": ("CHAR(10)", ("''", "'ab'", "'zürich'")),
    "long_fixed": ("CHAR(255)", ("''", "'Ω'", "REPEAT('ä', 255)")),
    "chars": ("VARCHAR(20)", ("''", "'O''Hara'", "'💶'")),
    "long_chars": ("VARCHAR(500)", ("''", "'x'", "REPEAT('ab', 200)")),
    "latin": ("VARCHAR(20) CHARACTER SET latin1", ("''", "'café'", "'€'")),
    "utf16": ("VARCHAR(20) CHARACTER SET utf16", ("''", "'a'", "'💶'")),
    "sjis": ("VARCHAR(20) CHARACTER SET sjis", ("''", "'日本'", "'ｱ'")),
    "tinytext_": ("TINYTEXT", ("''", "'t'", "'tt'")),
    "text_": ("TEXT", ("''", "'text'", "REPEAT('t', 300)")),
    "longtext_": ("LONGTEXT", ("''", "'long'", "'ß'")),
    "bytes": ("BINARY(5)", ("X''", "X'0100'", "X'FF00FF00FF'")),
    "varbytes": ("VARBINARY(20)", ("X''", "X'00'", "X'DEADBEEF'")),
    "blob_": ("BLOB", ("X''", "X'0001'", "X'FF'")),
    "choice": ("ENUM('a','b''c','ü')", ("'a'", "'b''c'", "'ü'")),
    "choices": ("SET('x','y','z')", ("''", "'x,z'", "'x,y,z'")),
    "place": ("POINT", ("ST_GeomFromText('POINT(1 2)')",) * 3),
    "json_": ("JSON", ("'1'", "'[1, 2.5, null, \"ü\"]'", '\'{"a": {"b": true}}\'')),
}
MARIADB_COLUMNS = {
    "uuid_": ("UUID", ("'00000000-0000-0000-0000-000000000000'", "UUID()", "UUID()")),
    "inet6_": ("INET6", ("'::'", "'2001:db8::1'", "'::ffff:1.2.3.4'")),
    "inet4_": ("INET4", ("'0.0.0.0'", "'10.0.0.1'", "'255.255.255.255'")),
    "packed": ("VARCHAR(1000) COMPRESSED", ("''", "'short'", "REPEAT('packed', 100)")),
    "packed_text": ("TEXT COMPRESSED", ("''", "'short'", "REPEAT('packed', 100)")),
}
MYSQL_COLUMNS = {"vector_": ("VECTOR(2)", ("TO_VECTOR('[1,2]')",) * 3)}

TABLE = "CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(20), doc JSON)"
SCENARIOS: dict[str, tuple[str, ...]] = {
    "ddl": ("CREATE TABLE d (a INT)", "ALTER TABLE d ADD COLUMN b INT", "TRUNCATE TABLE d", "DROP TABLE d"),
    "rows": (
        TABLE,
        "INSERT INTO t VALUES (1, 'one', '{}'), (2, NULL, NULL)",
        "UPDATE t SET name = 'two' WHERE id = 2",
        "DELETE FROM t WHERE id = 1",
    ),
    "transaction": (
        "BEGIN",
        "INSERT INTO t VALUES (3, 'c', NULL)",
        "SAVEPOINT s",
        "INSERT INTO t VALUES (4, 'd', NULL)",
        "ROLLBACK TO s",
        "INSERT INTO t VALUES (5, 'e', NULL)",
        "COMMIT",
    ),
    "xa": (
        "XA START 'x', 'branch', 7",
        "INSERT INTO t VALUES (6, 'f', NULL)",
        "XA END 'x', 'branch', 7",
        "XA PREPARE 'x', 'branch', 7",
        "XA COMMIT 'x', 'branch', 7",
    ),
    "xa_one_phase": (
        "XA START 'y'",
        "INSERT INTO t VALUES (7, 'g', NULL)",
        "XA END 'y'",
        "XA COMMIT 'y' ONE PHASE",
    ),
    "minimal": (
        "SET SESSION binlog_row_image = MINIMAL",
        "UPDATE t SET name = 'min' WHERE id = 3",
        "DELETE FROM t WHERE id = 4",
        "SET SESSION binlog_row_image = FULL",
    ),
    "statements": (
        "SET SESSION binlog_format = STATEMENT",
        "SET @who = 'ü'",
        "SET timestamp = 1700000000.5",
        "INSERT INTO t VALUES (20, @who, NULL)",
        "CREATE TABLE auto_ (id INT AUTO_INCREMENT PRIMARY KEY, n DOUBLE)",
        "INSERT INTO auto_ (n) VALUES (1)",
        "INSERT INTO auto_ (n) VALUES (2 * LAST_INSERT_ID())",
        "INSERT IGNORE INTO auto_ (n) VALUES (RAND(3))",
        "LOAD DATA LOCAL INFILE '{file}' INTO TABLE auto_ (n)",
        "SET SESSION binlog_format = ROW",
        "SET timestamp = DEFAULT",
    ),
    "myisam": (
        "CREATE TABLE m (a INT) ENGINE=MyISAM",
        "INSERT INTO m VALUES (1)",
        "BEGIN",
        "INSERT INTO m VALUES (2)",
        "INSERT INTO t VALUES (30, 'i', NULL)",
        "ROLLBACK",
    ),
    "partitions": (
        "CREATE TABLE p (id INT PRIMARY KEY) PARTITION BY HASH (id) PARTITIONS 3",
        "INSERT INTO p VALUES (1), (2)",
        "UPDATE p SET id = 6 WHERE id = 1",
        "ALTER TABLE p TRUNCATE PARTITION p0",
    ),
    "rotation": ("FLUSH BINARY LOGS", "INSERT INTO t VALUES (40, 'j', NULL)"),
}
MARIADB_SCENARIOS = {
    "compressed": (
        "SET GLOBAL log_bin_compress = ON",
        "SET GLOBAL log_bin_compress_min_len = 10",
        "INSERT INTO t VALUES (50, REPEAT('k', 20), NULL)",
        "UPDATE t SET name = REPEAT('l', 20) WHERE id = 50",
        "DELETE FROM t WHERE id = 50",
        "SET GLOBAL log_bin_compress = OFF",
        "SET GLOBAL log_bin_compress_min_len = DEFAULT",
    ),
}
MYSQL_SCENARIOS = {
    "compressed": (
        "SET SESSION binlog_transaction_compression = ON",
        "INSERT INTO t VALUES (50, REPEAT('k', 20), NULL)",
        "SET SESSION binlog_transaction_compression = OFF",
    ),
    "partial_json": (
        "SET SESSION binlog_row_value_options = PARTIAL_JSON",
        """INSERT INTO t VALUES (60, 'm', '{"a": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "b": 1}')""",
        "UPDATE t SET doc = JSON_SET(doc, '$.b', 2) WHERE id = 60",
        "SET SESSION binlog_row_value_options = ''",
    ),
    "queries": (
        "SET SESSION binlog_rows_query_log_events = ON",
        "INSERT INTO t VALUES (70, 'n', NULL)",
        "SET SESSION binlog_rows_query_log_events = OFF",
    ),
    "tagged": (
        "SET gtid_next = 'AUTOMATIC:follow'",
        "INSERT INTO t VALUES (80, 'o', NULL)",
        "SET gtid_next = 'AUTOMATIC'",
    ),
}


def load_golden() -> dict[str, dict[str, Any]]:
    """By ``mariadb`` and ``mysql``: version, packets by scenario, values of the table of all types."""
    golden: dict[str, dict[str, Any]] = json.loads(GOLDEN.read_text(encoding="utf-8"))
    for server in golden.values():
        server["packets"] = {
            name: [bytes.fromhex(packet) for packet in packets] for name, packets in server["packets"].items()
        }
    return golden


def record(server: LoggedServer) -> dict[str, Any]:
    """Run every scenario on a server."""
    mariadb = server.is_mariadb
    columns = COLUMNS | (MARIADB_COLUMNS if mariadb else MYSQL_COLUMNS)
    scenarios = SCENARIOS | (MARIADB_SCENARIOS if mariadb else MYSQL_SCENARIOS)
    server.run("SET NAMES utf8mb4", "SET time_zone = '+00:00'", "SET SESSION group_concat_max_len = 1000")
    packets = {"types": recorded(server, types(columns))}
    selected = {
        name: [row["v"] for row in server.ask(f"SELECT {shown(name)} AS v FROM types ORDER BY id")]
        for name in columns
    }
    declared = [[each.name, each.type, each.charset] for each in server.declared("types")]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("1\n2\n")
        file.flush()
        for name, statements in scenarios.items():
            packets[name] = recorded(server, [each.replace("{file}", file.name) for each in statements])
    version = server.ask("SELECT VERSION() AS v")[0]["v"]
    return {
        "version": version,
        "declared": declared,
        "selected": selected,
        "packets": {name: [each.hex() for each in found] for name, found in packets.items()},
    }


def shown(name: str) -> str:
    """How a column is asked for: bytes and numbers as a text that JSON can hold."""
    if name in {"bytes", "varbytes", "blob_", "bits", "place", "vector_"}:
        return f"HEX({name})"
    return f"CAST({name} AS CHAR)"


def types(columns: dict[str, tuple[str, tuple[str, str, str]]]) -> Iterable[str]:
    """The table of all types, and its rows."""
    described = ", ".join([f"{name} {kind}" for name, (kind, _) in columns.items()])
    yield f"CREATE TABLE types (id INT PRIMARY KEY, {described})"
    for number in range(3):
        values = ", ".join([each[number] for _, each in columns.values()])
        yield f"INSERT INTO types VALUES ({number}, {values})"
    yield "INSERT INTO types (id) VALUES (3)"


def recorded(server: LoggedServer, statements: Iterable[str]) -> list[bytes]:
    """The events that some statements leave in the log."""
    position = server.position()
    server.run(*statements)
    return server.packets_since(position)


def main(url: str | None) -> None:
    """Record one server, and keep what is recorded of the other."""
    golden = json.loads(GOLDEN.read_text(encoding="utf-8")) if GOLDEN.exists() else {}
    with PrivateMySQL(LOGGING) as private:
        base = LoggedServer(with_database(url or private.url, "mysql"))
        schema = f"golden_{uuid.uuid4().hex[:6]}"
        local_infile = base.ask("SELECT @@global.local_infile AS v")[0]["v"]
        base.run(f"CREATE DATABASE {schema} CHARACTER SET utf8mb4", "SET GLOBAL local_infile = ON")
        try:
            server = LoggedServer(with_database(url or private.url, schema))
            golden["mariadb" if server.is_mariadb else "mysql"] = record(server)
        finally:
            base.run(f"DROP DATABASE {schema}", f"SET GLOBAL local_infile = {local_infile}")
    GOLDEN.write_text(json.dumps(golden, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(os.environ.get("MRC_TEST_MYSQL_URL") or (sys.argv[1] if len(sys.argv) > 1 else None))
