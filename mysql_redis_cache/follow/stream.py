"""A server's binary log as it grows, over a connection: what a replica would be sent.

It asks for checksums, for heartbeats (a connection that is silent for longer is lost) and, from MariaDB, for
GTIDs and the statements behind rows.
"""

from __future__ import annotations

import uuid
from collections import deque
from dataclasses import dataclass
from struct import Struct
from typing import TYPE_CHECKING

from mysql_redis_cache.binlog.gtids import encode_gtid_set
from mysql_redis_cache.database.dump import DumpConnection
from mysql_redis_cache.gtids import is_maria, parse_gtid_set

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Self

    from mysql_redis_cache.binlog import Event, Reader
    from mysql_redis_cache.database.config import MySQLConfig

__all__ = ["FilePosition", "GtidPosition", "Stream"]

_DUMP, _DUMP_GTID = 0x12, 0x1E
_POSITION = Struct("<IHI")
_GTID_POSITION = Struct("<HIIQI")
_ENDS, _ANNOTATE_OR_HEARTBEAT_V2, _THROUGH_GTID = 0x1, 0x2, 0x4
_PATIENCE = 3
_FIRST = 4


@dataclass(frozen=True, slots=True)
class FilePosition:
    """Begin in a file; ``""`` is the oldest that there is."""

    file: str = ""
    position: int = _FIRST


@dataclass(frozen=True, slots=True)
class GtidPosition:
    """Begin behind these transactions: MySQL's set of all that are known, MariaDB's last of each domain."""

    gtids: str


class Stream:
    """The events of a server, from a position on. Not for several threads.

    Args:
        config: where MySQL is. The account needs REPLICATION SLAVE.
        reader: what reads the events; it is used for this stream alone.
        server_id: unlike that of any server or replica of the same source; of two, the server ends the older.
        heartbeat: seconds after which a server with nothing to say says so. Three times that, and at least
            5 s, is the longest silence.

    Raises:
        DatabaseUnavailable: MySQL cannot be reached.
        pymysql.err.Error: MySQL refuses.
    """

    def __init__(self, config: MySQLConfig, reader: Reader, server_id: int, heartbeat: float = 1.0) -> None:
        self._reader = reader
        self._server_id = server_id
        self._packets: deque[bytes] = deque()
        self._connection = DumpConnection(config, max(_PATIENCE * heartbeat, 5.0))
        self.is_mariadb = self._connection.is_mariadb
        period = round(heartbeat * 1e9)
        for prefix in ("master", "source"):  # the old names for MariaDB and MySQL 8.0, the new for later ones
            self._connection.ask(
                f"SET @{prefix}_heartbeat_period = {period}, @{prefix}_binlog_checksum = 'CRC32'"
            )
        if self.is_mariadb:
            self._connection.ask("SET @mariadb_slave_capability = 4")
        else:
            self._connection.ask(f"SET @slave_uuid = '{uuid.uuid4()}', @replica_uuid = @slave_uuid")
        self._connection.register(server_id)

    def start(self, position: FilePosition | GtidPosition, *, until_end: bool = False) -> None:
        """Have the server begin.

        Args:
            position: where.
            until_end: whether it ends with what there is now, instead of waiting for more.

        Raises:
            ValueError: the position is none for this server.
            DatabaseUnavailable: the connection was lost.
        """
        flags = _ANNOTATE_OR_HEARTBEAT_V2 | (_ENDS if until_end else 0)
        if isinstance(position, GtidPosition) and not self.is_mariadb:
            self._connection.start(_DUMP_GTID, self._gtid_command(position, flags))
            return
        if isinstance(position, GtidPosition):
            self._connect_state(position)
            position = FilePosition()
        body = _POSITION.pack(position.position % 2**32, flags, self._server_id) + position.file.encode()
        self._connection.start(_DUMP, body)

    def _gtid_command(self, position: GtidPosition, flags: int) -> bytes:
        gtids = encode_gtid_set(parse_gtid_set(position.gtids))
        head = _GTID_POSITION.pack(flags | _THROUGH_GTID, self._server_id, 0, _FIRST, len(gtids))
        return head + gtids

    def _connect_state(self, position: GtidPosition) -> None:
        if not is_maria(position.gtids):
            raise ValueError(f"{position.gtids!r} is no list of domain-server-sequence")
        self._connection.ask(
            f"SET @slave_connect_state = '{position.gtids}', @slave_gtid_strict_mode = 1, "
            "@slave_gtid_ignore_duplicates = 0"
        )

    def events(self) -> Iterator[Event]:
        """Wait for events, one after the other.

        Yields:
            Each event. A server that is idle sends heartbeats, so it never takes longer than their period
            until something comes.

        Raises:
            DatabaseUnavailable: the connection was lost, or nothing came for too long.
            pymysql.err.Error: MySQL's last word, such as 1236: the position is not in its logs.
        """
        while True:
            self._packets.extend(self._connection.read())
            if not self._packets:
                return
            while self._packets:
                yield from self._reader.read(self._packets.popleft())

    @property
    def has_more(self) -> bool:
        """Whether more has come already than ``events`` has yielded, so that it would not wait."""
        return bool(self._packets) or self._connection.has_more

    def close(self) -> None:
        """Close at once; never waits."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
