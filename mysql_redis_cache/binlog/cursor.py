"""Reading bytes in order, each step checked against what is there before anything is taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from struct import Struct
    from typing import Any

__all__ = ["Cursor", "Malformed"]

_LENENC_WIDTHS = {0xFC: 2, 0xFD: 3, 0xFE: 8}


class Malformed(ValueError):
    """The bytes are not what their format says; the message says where they differ, never what they hold."""


class Cursor:
    """A place in some bytes.

    Args:
        data: the bytes.
        position: where to begin.
        end: where to end; nothing beyond is looked at.

    Every method raises ``Malformed`` if fewer bytes are left than it takes.
    """

    __slots__ = ("data", "end", "position")

    def __init__(self, data: bytes, position: int = 0, end: int | None = None) -> None:
        self.data = data
        self.position = position
        self.end = len(data) if end is None else end

    @property
    def left(self) -> int:
        """How many bytes are left."""
        return self.end - self.position

    def skip(self, size: int) -> int:
        """Step over *size* bytes; return where they began."""
        start = self.position
        if size > self.end - start:
            raise Malformed(f"{size} bytes are announced where {self.end - start} are left")
        self.position = start + size
        return start

    def take(self, size: int) -> bytes:
        """Take *size* bytes."""
        start = self.skip(size)
        return self.data[start : self.position]

    def rest(self) -> bytes:
        """Take all that is left."""
        return self.take(self.left)

    def uint(self, width: int) -> int:
        """Take an unsigned integer of *width* bytes, little-endian."""
        return int.from_bytes(self.take(width), "little")

    def unpack(self, form: Struct) -> tuple[Any, ...]:
        """Take what a compiled ``struct`` describes."""
        return form.unpack_from(self.data, self.skip(form.size))

    def lenenc(self) -> int:
        """Take a length-encoded integer.

        Source: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_dt_integers.html
        """
        first = self.uint(1)
        if first < 0xFB:
            return first
        if first not in _LENENC_WIDTHS:
            raise Malformed(f"a length begins with {first:#x}")
        return self.uint(_LENENC_WIDTHS[first])

    def counted(self) -> bytes:
        """Take bytes behind their length-encoded length."""
        return self.take(self.lenenc())

    def short(self) -> bytes:
        """Take bytes behind their length in one byte."""
        return self.take(self.uint(1))

    def until_nul(self) -> bytes:
        """Take bytes up to a NUL, and step over it."""
        place = self.data.find(b"\0", self.position, self.end)
        if place < 0:
            raise Malformed("a text without its closing NUL")
        taken = self.take(place - self.position)
        self.position += 1
        return taken

    def finish(self) -> None:
        """Check that nothing is left."""
        if self.position != self.end:
            raise Malformed(f"{self.left} bytes follow the end")
