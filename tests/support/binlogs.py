"""A server whose binary log is read back: what was written between two moments, as events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pymysql
from pymysql.cursors import DictCursor

from mysql_redis_cache.binlog import Declared, Reader, Wanted
from mysql_redis_cache.database.config import parse_mysql_config
from mysql_redis_cache.follow.stream import FilePosition, Stream
from tests.support.urls import mysql_arguments
from tools.private_servers import LOGGING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import tzinfo

    from mysql_redis_cache.binlog import Event

__all__ = ["LOGGING", "LoggedServer", "rows_of"]

_REPLICA_ID = 4_000_001


class LoggedServer:
    """A server with a binary log, and a connection that writes to one schema of it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.config = parse_mysql_config(url)
        self.connection = pymysql.connect(**mysql_arguments(url), autocommit=True, local_infile=True)
        self.is_mariadb = "mariadb" in str(self.connection.server_version).lower()
        self.schema = self.ask("SELECT DATABASE() AS name")[0]["name"]

    def close(self) -> None:
        self.connection.close()

    def run(self, *statements: str) -> None:
        with self.connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def ask(self, statement: str, parameters: Sequence[object] = ()) -> list[dict[str, Any]]:
        with self.connection.cursor(DictCursor) as cursor:
            cursor.execute(statement, parameters or None)
            return list(cursor.fetchall())

    def position(self) -> FilePosition:
        """Where the log ends now."""
        (row,) = self.ask("SHOW MASTER STATUS" if self.is_mariadb else "SHOW BINARY LOG STATUS")
        return FilePosition(row["File"], row["Position"])

    def reset_log(self) -> None:
        """Have the log begin anew, as if the server had never logged anything."""
        self.run("RESET MASTER" if self.is_mariadb else "RESET BINARY LOGS AND GTIDS")

    def packets_since(self, position: FilePosition, checksum: str = "CRC32") -> list[bytes]:
        """The bytes of all events that were logged since, those before it that describe the file first."""
        recorded: list[bytes] = []

        class Recorder(Reader):
            def read(self, data: bytes) -> Any:
                recorded.append(data)
                return ()

        with Stream(self.config, Recorder({}), _REPLICA_ID) as stream:
            for prefix in ("master", "source"):
                stream._connection.ask(f"SET @{prefix}_binlog_checksum = '{checksum}'")
            stream.start(position, until_end=True)
            list(stream.events())
        return recorded

    def events_since(
        self,
        position: FilePosition,
        wanted: Mapping[tuple[str, str], Wanted | Sequence[str]] | None = None,
        zone: tzinfo | None = None,
    ) -> list[Event]:
        """What was logged since."""
        reader = Reader(wanted) if zone is None else Reader(wanted, zone)
        with Stream(self.config, reader, _REPLICA_ID) as stream:
            stream.start(position, until_end=True)
            return list(stream.events())

    def declared(self, table: str) -> tuple[Declared, ...]:
        """What the schema says of a table's columns."""
        rows = self.ask(
            "SELECT column_name AS n, column_type AS t, character_set_name AS c "
            "FROM information_schema.columns "
            "WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position",
            (self.schema, table),
        )
        return tuple([Declared(row["n"], str(row["t"]), row["c"]) for row in rows])


def rows_of(events: Sequence[Event], table: str, side: str = "after") -> dict[str, list[Any]]:
    """The values of a table's rows events, by column, in their order."""
    found: dict[str, list[Any]] = {}
    for event in events:
        if getattr(getattr(event, "table", None), "name", None) == table and hasattr(event, side):
            for name, values in zip(event.columns, getattr(event, side), strict=True):
                found.setdefault(name, []).extend(values)
    return found
