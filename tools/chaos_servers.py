"""The servers of ``tools.chaos``: a MySQL or MariaDB, another that replicates it by GTID, and a Redis."""

from __future__ import annotations

import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pymysql
from pymysql.cursors import DictCursor

from mysql_redis_cache.gtids import covers
from tools.private_servers import LOGGING, PrivateMySQL
from tools.programs import is_mariadb

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

__all__ = ["SCHEMA", "Pair"]

SCHEMA = "chaos"
PATIENCE = 30.0
# What is committed stays: after a crash a server and its replica are the same.
DURABLE = ("--innodb-flush-log-at-trx-commit=1", "--sync-binlog=1")
# MySQL 9.7 logs what foreign keys change, and its replica then misses rows of its own.
CASCADES = "--loose-innodb-native-foreign-keys=ON"
FRAGILE = ("--innodb-flush-log-at-trx-commit=0", "--sync-binlog=0")
SEMI_SYNC = {
    True: (
        *("--rpl-semi-sync-master-enabled=ON", "--rpl-semi-sync-master-timeout=200"),
        *("--rpl-semi-sync-master-wait-point=AFTER_SYNC", "--rpl-semi-sync-master-wait-no-slave=ON"),
    ),
    False: (
        *("--plugin-load-add=semisync_source.so", "--loose-rpl-semi-sync-source-enabled=ON"),
        *("--loose-rpl-semi-sync-source-timeout=200", "--loose-rpl-semi-sync-source-wait-point=AFTER_SYNC"),
        "--loose-rpl-semi-sync-source-wait-no-replica=ON",
    ),
}


class Pair:
    """A server, and one that replicates it and takes no writes until it is promoted.

    Args:
        is_durable: whether a crash loses nothing.
        is_replicated: whether there is the other.
        is_mute: whether commits wait for a replica that says nothing, semi-synchronously.

    Attributes:
        servers: both, or the one.
        primary: the number of the one that takes writes.
    """

    def __init__(self, *, is_durable: bool, is_replicated: bool, is_mute: bool) -> None:
        first = PrivateMySQL()
        self.is_mariadb = is_mariadb(first.program or "")
        more = (*(DURABLE if is_durable else FRAGILE), *(SEMI_SYNC[self.is_mariadb] if is_mute else ()))
        more = (*LOGGING, CASCADES, "--innodb-lock-wait-timeout=2", *more)
        first.options = [*more]
        self.servers = [first]
        if is_replicated:
            replica = ("--server-id=2", "--log-slave-updates", "--read-only")
            self.servers.append(PrivateMySQL([*more, *replica]))
        self.primary = 0

    def __enter__(self) -> Self:
        for server in self.servers:
            server.start()
        reset = "RESET MASTER" if self.is_mariadb else "RESET BINARY LOGS AND GTIDS"
        for number in range(len(self.servers)):
            self.run(reset, on=number, schema=None)  # what made the account is in the log of each
        self.run(f"CREATE DATABASE {SCHEMA} CHARACTER SET utf8mb4", schema=None)
        if len(self.servers) > 1:
            self._replicate()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for server in self.servers:
            server.close()

    def _replicate(self) -> None:
        name = "MASTER" if self.is_mariadb else "SOURCE"
        place = f"{name}_HOST = '127.0.0.1', {name}_PORT = {self.servers[0].port}, {name}_CONNECT_RETRY = 1"
        account = f"{name}_USER = 'mrc', {name}_PASSWORD = 'mrc'"
        if self.is_mariadb:
            change, start, how = "CHANGE MASTER TO", "START SLAVE", "MASTER_USE_GTID = slave_pos"
        else:
            change, start = "CHANGE REPLICATION SOURCE TO", "START REPLICA"
            how = "SOURCE_AUTO_POSITION = 1, GET_SOURCE_PUBLIC_KEY = 1, SOURCE_RETRY_COUNT = 1000"
        self.run(f"{change} {place}, {account}, {how}", start, on=1, schema=None)

    @property
    def urls(self) -> list[str]:
        """Of both."""
        return [f"{server.url}{SCHEMA}" for server in self.servers]

    @property
    def url(self) -> str:
        """Of the one that takes writes."""
        return self.urls[self.primary]

    def connect(self, on: int | None = None, schema: str | None = SCHEMA) -> pymysql.Connection[Any]:
        """Open a connection, in autocommit, to the one that takes writes or another."""
        parts = urlsplit(self.servers[self.primary if on is None else on].url)
        return pymysql.connect(
            host=parts.hostname,
            port=parts.port or 0,
            user=parts.username,
            password=parts.password or "",
            database=schema,
            autocommit=True,
            connect_timeout=5,
            read_timeout=PATIENCE,
            cursorclass=DictCursor,
        )

    def run(self, *statements: str, on: int | None = None, schema: str | None = SCHEMA) -> list[Any]:
        """Run statements over a connection of their own; return the rows of the last."""
        rows: list[Any] = []
        with closing(self.connect(on, schema)) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
                rows = list(cursor.fetchall())
        return rows

    def end_prepared(self, *, on: int | None = None) -> None:
        """Commit what was prepared over connections that are gone: it keeps its locks, also on a replica."""
        how = "XA RECOVER" if self.is_mariadb else "XA RECOVER CONVERT XID"
        for row in self.run(how, on=on):
            name = row["data"] if self.is_mariadb else bytes.fromhex(row["data"][2:]).decode()
            with suppress(pymysql.Error):  # it is in good hands
                self.run(f"XA COMMIT '{name}'", on=on)

    def fail_over(self, read_from: Callable[[str], object], *, is_planned: bool) -> None:
        """Have the replica take the place of the server, which takes no more writes or is killed.

        Args:
            read_from: called with the URL of the replica before anybody writes to it.
            is_planned: whether the server lives on.
        """
        if not is_planned:
            self.servers[0].kill()
            self._promote(read_from)
            return
        self.run("SET GLOBAL read_only = ON")
        self.end_prepared()
        with closing(self.connect()) as connection, connection.cursor() as cursor:
            cursor.execute("FLUSH TABLES WITH READ LOCK")  # for accounts that may write all the same
            self._catch_up()
            self._promote(read_from)
            cursor.execute("SHOW PROCESSLIST")
            rows = [row for row in cursor.fetchall() if row["User"] == "mrc"]
            for number in [row["Id"] for row in rows if row["Info"] != "SHOW PROCESSLIST"]:
                with suppress(pymysql.Error):  # it is gone
                    cursor.execute(f"KILL {number}")

    def _promote(self, read_from: Callable[[str], object]) -> None:
        self._await_applied()
        it = "SLAVE" if self.is_mariadb else "REPLICA"
        self.run(f"STOP {it}", f"RESET {it} ALL", "SET GLOBAL read_only = OFF", on=1)
        self.servers[1].options.remove("--read-only")
        read_from(self.urls[1])
        self.end_prepared(on=1)
        self.primary = 1

    def _catch_up(self) -> None:
        """Wait until the replica has what the server has."""
        if self.is_mariadb:
            (row,) = self.run("SELECT @@gtid_binlog_pos AS gtids", on=0)
            self.run(f"SELECT MASTER_GTID_WAIT('{row['gtids']}', {PATIENCE:g})", on=1)
        else:
            (row,) = self.run("SELECT @@global.gtid_executed AS gtids", on=0)
            self.run(f"SELECT WAIT_FOR_EXECUTED_GTID_SET('{row['gtids']}', {PATIENCE:g})", on=1)

    def _await_applied(self) -> None:
        """Wait until the replica has applied what it has received."""
        until = time.monotonic() + PATIENCE
        while not self._has_applied():
            if time.monotonic() > until:
                raise TimeoutError(
                    f"the replica did not apply what it has received:\n{self.servers[1].log_tail()}"
                )
            time.sleep(0.05)

    def _has_applied(self) -> bool:
        if self.is_mariadb:
            (row,) = self.run("SHOW SLAVE STATUS", on=1)
            (done,) = self.run("SELECT @@gtid_slave_pos AS gtids", on=1)
            return covers(str(done["gtids"]), str(row["Gtid_IO_Pos"]))
        (row,) = self.run("SHOW REPLICA STATUS", on=1)
        return covers(str(row["Executed_Gtid_Set"]), str(row["Retrieved_Gtid_Set"]))
