"""The packets that end what a server says: what a statement did, status flags, how the session has changed.

https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_ok_packet.html
"""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

from mysql_redis_cache.values.rows import lenenc_bytes, lenenc_int

__all__ = ["MORE_RESULTS", "PLAIN_END", "End", "Ok", "parse_end", "parse_ok"]

MORE_RESULTS = 8
"""The flag that says that another result set follows."""

_STATE_CHANGED = 1 << 14
PLAIN_END = 7
"""The size up to which the end of a result set has its status at the same place in both forms."""

End = tuple[int, bytes]
"""Status flags, and changes of the session."""


class Ok(NamedTuple):
    """An OK packet: what a statement without rows did, and how it has changed the session."""

    affected_rows: int
    insert_id: int
    status: int
    warnings: int
    info: str
    changes: bytes = b""

    def as_npm(self) -> dict[str, object]:
        """Return it in the form mysql2 gives it to npm's users."""
        changed = re.search(r"\schanged:\s*(\d+)", self.info, re.IGNORECASE)
        return {
            "fieldCount": 0,
            "affectedRows": self.affected_rows,
            "insertId": self.insert_id,
            "info": self.info,
            "serverStatus": self.status,
            "warningStatus": self.warnings,
            "changedRows": int(changed[1]) if changed else 0,
        }


def parse_ok(payload: bytes) -> Ok:
    """Read an OK packet.

    https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_ok_packet.html
    """
    affected_rows, position = lenenc_int(payload, 1)
    insert_id, position = lenenc_int(payload, position)
    status, warnings = struct.unpack_from("<HH", payload, position)
    info, changes, position = b"", b"", position + 4
    if len(payload) > position:
        info, position = lenenc_bytes(payload, position)
    if status & _STATE_CHANGED and len(payload) > position:
        changes, _ = lenenc_bytes(payload, position)
    return Ok(affected_rows, insert_id, status, warnings, info.decode("utf-8", "replace"), changes)


def parse_end(payload: bytes) -> End:
    """Read the end of a result set: an EOF packet, or an OK packet with another first byte."""
    if len(payload) <= PLAIN_END:  # either way the status stands there
        return payload[3] | payload[4] << 8, b""
    ok = parse_ok(payload)
    return ok.status, ok.changes
