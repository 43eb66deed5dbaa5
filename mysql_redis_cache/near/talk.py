"""A connection on which replies and pushes come as they like."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

import hiredis

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

__all__ = ["PIECE", "Talk"]

PIECE = 1 << 16
"""Bytes that are read at once."""

_NOT_YET = object()


class Talk:
    """Commands and replies over a connection of redis-py's, which has been opened as all are.

    Args:
        connection: the connection.
        timeout: seconds for what is said to be taken.
    """

    def __init__(self, connection: Any, timeout: float) -> None:
        self.socket: socket.socket = connection._sock  # noqa: SLF001 - of that name in every supported version
        self._connection = connection
        self._timeout = timeout
        self._reader = hiredis.Reader(notEnoughData=_NOT_YET)

    def say(self, commands: Sequence[tuple[bytes, ...]]) -> None:
        """Send *commands*."""
        if not commands:
            return
        self.socket.settimeout(self._timeout)
        for packed in self._connection.pack_commands(commands):
            self.socket.sendall(packed)

    def hear(self) -> list[object]:
        """Return the replies and pushes that have come."""
        self.socket.settimeout(0.0)
        is_read_whole = False
        while not is_read_whole:
            is_read_whole = self._read()
        said: list[object] = []
        while (one := self._reader.gets()) is not _NOT_YET:
            said.append(one)
        return said

    def _read(self) -> bool:
        """Read a piece; return whether that was all."""
        try:
            data = self.socket.recv(PIECE)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        if not data:
            raise ConnectionResetError("Redis closed the connection")
        self._reader.feed(data)
        # What TLS has decrypted already, no selector tells of.
        return not (isinstance(self.socket, ssl.SSLSocket) and self.socket.pending())
