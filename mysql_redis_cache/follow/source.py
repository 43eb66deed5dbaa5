"""The server that is followed, asked: what it is, how far it has come, what has become visible."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from mysql_redis_cache.database.dump import DumpConnection
from mysql_redis_cache.database.failures import err
from mysql_redis_cache.gtids import count_missing, covers, is_maria, parse_gtid_set, show_gtid_set

from .place import Position

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Self

    from mysql_redis_cache.database.config import MySQLConfig

__all__ = ["Source"]

_PATIENCE = 30.0
_LOOK = 2  # seconds of a wait between two looks at whether it is still wanted
_PAUSE = 0.0005
_SETTLE = 5.0
_VARIABLES = (
    "log_bin",
    "binlog_format",
    "binlog_row_image",
    "binlog_row_metadata",
    "gtid_mode",
    "innodb_native_foreign_keys",
    "innodb_flush_log_at_trx_commit",
    "sync_binlog",
    "time_zone",
    "system_time_zone",
    "log_slave_updates",
    "log_replica_updates",
    "gtid_slave_pos",
    "read_only",
)


class Source:
    """A connection that asks. Not for several threads.

    Args:
        config: where MySQL is.

    Raises:
        DatabaseUnavailable: MySQL cannot be reached.
        pymysql.err.Error: MySQL refuses.
    """

    def __init__(self, config: MySQLConfig) -> None:
        self.config = config
        self._connection = DumpConnection(config, _PATIENCE)
        self.is_mariadb = self._connection.is_mariadb
        named = ", ".join([f"'{name}'" for name in _VARIABLES])
        rows = self.ask(f"SHOW GLOBAL VARIABLES WHERE Variable_name IN ({named})")
        self.variables = {row["Variable_name"].lower(): str(row["Value"]) for row in rows}
        if self.is_mariadb:
            rows = self.ask("SELECT CONCAT_WS('/', @@hostname, @@port, @@server_id, @@datadir) AS name")
        else:
            rows = self.ask("SELECT @@server_uuid AS name")
        self.identity = str(rows[0]["name"])

    def ask(self, statement: str) -> list[dict[str, Any]]:
        """Run a statement; return its rows.

        Raises:
            DatabaseUnavailable: the connection was lost.
            pymysql.err.Error: MySQL's answer.
        """
        return self._connection.ask(statement)

    @property
    def takes_writes(self) -> bool:
        """Whether it is no replica."""
        return self.variables.get("read_only", "OFF").upper() in {"OFF", "0"}

    @property
    def loses_commits(self) -> bool:
        """Whether a crash may lose what the log has, or the log what was committed."""
        settings = (self.variables.get("innodb_flush_log_at_trx_commit"), self.variables.get("sync_binlog"))
        return settings != ("1", "1")

    @property
    def logs_what_it_replicates(self) -> bool:
        """Whether changes that come from another server are in its own log."""
        names = ("log_slave_updates", "log_replica_updates")  # MySQL had both for a while
        return any(self.variables.get(name, "").upper() in {"ON", "1"} for name in names)

    def filters(self) -> tuple[frozenset[str], frozenset[str]]:
        """Return the schemas that alone are logged, none if all are, and those that are not.

        Both are empty if the account must not ask.
        """
        for statement in ("SHOW BINARY LOG STATUS", "SHOW MASTER STATUS"):
            try:
                rows = self.ask(statement)
            except err.Error:  # the right, or the statement of other versions
                continue
            names = [str(row[name]) for row in rows for name in ("Binlog_Do_DB", "Binlog_Ignore_DB")]
            if names:
                logged, left_out = (frozenset(filter(None, each.split(","))) for each in names)
                return logged, left_out
        return frozenset(), frozenset()

    def here(self) -> Position:
        """Return a position such that everything before it is visible: the log may be ahead of the engine."""
        if not self.is_mariadb:
            return Position(self.identity, gtids=self.logged())
        file, offset = self._snapshot()
        (row,) = self.ask(f"SELECT BINLOG_GTID_POS('{file}', {offset}) AS gtids")
        return Position(self.identity, file, offset, gtids=str(row["gtids"] or ""))

    def _snapshot(self) -> tuple[str, int]:
        """Return where in the log a snapshot of MariaDB's data stands that is taken now."""
        self.ask("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        rows = self.ask("SHOW STATUS LIKE 'binlog_snapshot_%'")
        self.ask("COMMIT")
        values = {row["Variable_name"].lower(): row["Value"] for row in rows}
        return str(values["binlog_snapshot_file"]), int(values["binlog_snapshot_position"])

    def has(self, gtids: str) -> bool:
        """Whether the server has the transactions, or has them soon: after a failover it may be catching up.

        Raises:
            ValueError: they are no GTIDs of such a server.
        """
        until = time.monotonic() + _SETTLE
        while not self.has_now(gtids):
            if time.monotonic() > until:
                return False
            time.sleep(0.1)
        return True

    def has_now(self, gtids: str) -> bool:
        """Whether the server has the transactions; as ``has``, which waits for them."""
        return self._has_maria(gtids) if self.is_mariadb else self._has(gtids)

    def _has(self, gtids: str) -> bool:
        known = show_gtid_set(parse_gtid_set(gtids))
        (row,) = self.ask(f"SELECT GTID_SUBSET('{known}', @@global.gtid_executed) AS has")
        return bool(row["has"])

    def _has_maria(self, gtids: str) -> bool:
        if not is_maria(gtids):
            raise ValueError("the position has no GTIDs of MariaDB")
        (row,) = self.ask("SELECT CONCAT_WS(',', @@gtid_binlog_state, @@gtid_slave_pos) AS gtids")
        return covers(str(row["gtids"]).strip(","), gtids)

    def count_missing(self, gtids: str) -> int:
        """Count the transactions in its log that are not among these."""
        return count_missing(gtids, self.logged())

    def logged(self) -> str:
        """Return the GTIDs of what its log has."""
        variable = "@@gtid_binlog_pos" if self.is_mariadb else "@@global.gtid_executed"
        (row,) = self.ask(f"SELECT {variable} AS gtids")
        return str(row["gtids"] or "").replace("\n", "")

    def await_visible(self, gtids: Sequence[str], file: str, offset: int, look: Callable[[], object]) -> None:
        """Wait until what was read of the log can be read from the tables.

        Args:
            gtids: MySQL: the transactions that were read.
            file: MariaDB: in which the last of them stands.
            offset: where in it that ends.
            look: called now and then; what it raises ends the wait.

        Raises:
            DatabaseUnavailable: the connection was lost.
        """
        if self.is_mariadb:
            self._await_snapshot(file, offset, look)
        elif gtids:
            self._await_gtids(show_gtid_set(parse_gtid_set(",".join(gtids))), look)

    def await_gtids(self, gtids: Sequence[str], look: Callable[[], object]) -> None:
        """Wait until transactions can be read from the tables, whichever server's log had them.

        Args:
            gtids: the transactions.
            look: called now and then; what it raises ends the wait.

        Raises:
            DatabaseUnavailable: the connection was lost.
        """
        if not self.is_mariadb:
            self.await_visible(gtids, "", 0, look)
            return
        while not covers(self.here().gtids, ",".join(gtids)):
            look()
            time.sleep(_PAUSE)

    def _await_gtids(self, gtids: str, look: Callable[[], object]) -> None:
        while self.ask(f"SELECT WAIT_FOR_EXECUTED_GTID_SET('{gtids}', {_LOOK}) AS late")[0]["late"]:
            look()

    def _await_snapshot(self, file: str, offset: int, look: Callable[[], object]) -> None:
        until = time.monotonic() + _LOOK
        while file and _order(*self._snapshot()) < _order(file, offset):
            time.sleep(_PAUSE)
            if time.monotonic() > until:
                look()
                until = time.monotonic() + _LOOK

    def close(self) -> None:
        """Close at once; never waits."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _order(file: str, offset: int) -> tuple[int, int]:
    return int(file.rpartition(".")[2]), offset
