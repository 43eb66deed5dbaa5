"""What of MySQL or MariaDB would bite."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from .findings import Finding, Level, clock, is_near, latency, version_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mysql_redis_cache.database import Database

__all__ = ["look_at_mysql"]

ROUNDS = 20
MAXSIZE = 10
OLDEST = {"MySQL": (8, 0), "MariaDB": (10, 6)}
VARIABLES = "binlog_format", "binlog_row_image", "init_connect", "log_bin", "max_connections", "read_only"

Variables = dict[str, Any]


def look_at_mysql(url: str, database: Database) -> Iterator[Finding]:
    """Yield what the server says of itself and how it answers.

    Raises:
        DatabaseUnavailable: it does not.
    """
    database.query("SELECT 1")
    times: list[float] = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        database.query("SELECT 1")
        times.append(time.perf_counter() - began)
    yield latency("MySQL", times)
    (row,) = database.query("SELECT VERSION() AS version, CAST(UNIX_TIMESTAMP(NOW(6)) AS DOUBLE) AS now")
    yield clock("MySQL", float(row["now"]), time.time())
    yield _version(str(row["version"]))
    marks = ", ".join("?" * len(VARIABLES))
    rows = database.query(f"SHOW GLOBAL VARIABLES WHERE Variable_name IN ({marks})", list(VARIABLES))
    about = {row["Variable_name"]: row["Value"] for row in rows}
    yield from _role(about)
    yield _encryption(url, database)
    yield _connections(about)
    yield from _sessions(about)
    yield _binlog(about)


def _version(version: str) -> Finding:
    name = "MariaDB" if "mariadb" in version.lower() else "MySQL"
    oldest = OLDEST[name]
    if version_of(version) >= oldest:
        return Finding(Level.OK, "MySQL version", version if name in version else f"{name} {version}")
    return Finding(Level.WARNING, "MySQL version", version, f"{name} {oldest[0]}.{oldest[1]} or later")


def _role(about: Variables) -> Iterator[Finding]:
    if str(about.get("read_only")).upper() in {"ON", "1"}:
        text = "read only, so it looks like a replica: what is loaded from it may be older than a drop"
        yield Finding(Level.ERROR, "MySQL role", text, "name the server that takes the writes")


def _encryption(url: str, database: Database) -> Finding:
    (row,) = database.query("SHOW STATUS LIKE 'Ssl_cipher'")
    if row["Value"]:
        verified = "ssl_" in url
        text = f"on, {row['Value']}{'' if verified else ', the certificate not verified'}"
        if verified or is_near(url):
            return Finding(Level.OK, "MySQL TLS", text)
        return Finding(Level.NOTE, "MySQL TLS", text, "ssl_mode=VERIFY_IDENTITY")
    if is_near(url):
        return Finding(Level.OK, "MySQL TLS", "off, on this machine")
    text = "off: rows are readable on the way"
    return Finding(Level.WARNING, "MySQL TLS", text, "ssl_mode=VERIFY_IDENTITY")


def _connections(about: Variables) -> Finding:
    most = int(about.get("max_connections", 0))
    text = f"max_connections is {most}: {most // MAXSIZE} processes with maxsize={MAXSIZE}, the default"
    return Finding(Level.OK, "MySQL connections", text)


def _sessions(about: Variables) -> Iterator[Finding]:
    if about.get("init_connect"):
        text = "init_connect changes sessions; connections whose session was changed are closed, not kept"
        yield Finding(Level.NOTE, "MySQL sessions", text, "set such things in mysql_config")


def _binlog(about: Variables) -> Finding:
    topic, on = "MySQL binary log", str(about.get("log_bin")).upper() in {"ON", "1"}
    if not on:
        return Finding(Level.NOTE, topic, "off: what others write cannot be followed", "log_bin")
    wanted = {"binlog_format": "ROW", "binlog_row_image": "FULL"}
    missing = [
        f"{name}={value}" for name, value in wanted.items() if str(about.get(name, value)).upper() != value
    ]
    if missing:
        return Finding(Level.NOTE, topic, "on, but it does not tell whole rows", ", ".join(missing))
    return Finding(Level.OK, topic, "on, with whole rows")
