"""Events about the files of the log and about the stream of them."""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import TYPE_CHECKING

from .cursor import Malformed
from .events import Event

if TYPE_CHECKING:
    from .cursor import Cursor
    from .events import Header

__all__ = [
    "BinlogCheckpoint",
    "FormatDescription",
    "Heartbeat",
    "Incident",
    "Rotate",
    "StartEncryption",
    "Stop",
    "parse_checkpoint",
    "parse_format",
    "parse_heartbeat",
    "parse_heartbeat_v2",
    "parse_incident",
    "parse_rotate",
    "parse_start_encryption",
    "parse_stop",
]

_IN_USE = 0x1
_FORMAT = Struct("<H50sIB")
_ENCRYPTION = Struct("<BI12s")
_FILE_NAME, _POSITION = 1, 2  # fields of a heartbeat, second version


@dataclass(frozen=True, slots=True)
class FormatDescription(Event):
    """The first event of every file: who wrote it, and how.

    Attributes:
        binlog_version: 4.
        server_version: such as ``9.7.4`` or ``10.11.19-MariaDB-log``.
        created: when the server started, in seconds, if the file is the first since; else 0.
        header_lengths: the sizes of the post-headers, from type 1 on.
        checksum: of every event: 0 is none, 1 is CRC32.
    """

    binlog_version: int
    server_version: str
    created: int
    header_lengths: bytes
    checksum: int

    @property
    def is_mariadb(self) -> bool:
        """Whether MariaDB wrote it."""
        return "mariadb" in self.server_version.lower()

    @property
    def is_in_use(self) -> bool:
        """Whether the file is being written, or was when its server crashed. A stream hides that."""
        return bool(self.header.flags & _IN_USE)

    def header_length(self, number: int) -> int:
        """Return the size of the post-header of a type; 0 if its writer does not know the type."""
        return self.header_lengths[number - 1] if 0 < number <= len(self.header_lengths) else 0


@dataclass(frozen=True, slots=True)
class Rotate(Event):
    """The log goes on in *file* at *position*. An artificial one only says where a stream begins."""

    position: int
    file: str


@dataclass(frozen=True, slots=True)
class Stop(Event):
    """The server was shut down in order."""


@dataclass(frozen=True, slots=True)
class Heartbeat(Event):
    """The server lives, and has nothing to say beyond *position* in *file*."""

    file: str
    position: int


@dataclass(frozen=True, slots=True)
class StartEncryption(Event):
    """MariaDB: what follows in the file is encrypted; a stream is not."""

    scheme: int
    key_version: int
    nonce: bytes


@dataclass(frozen=True, slots=True)
class BinlogCheckpoint(Event):
    """MariaDB: recovery after a crash needs no file before *file*."""

    file: str


@dataclass(frozen=True, slots=True)
class Incident(Event):
    """The log lacks something that happened (1 is ``LOST_EVENTS``): anything may have changed."""

    number: int
    message: str


def parse_format(header: Header, body: Cursor) -> FormatDescription:
    """Parse a FORMAT_DESCRIPTION_EVENT.

    Args:
        header: the event's.
        body: what follows the header, the room for a checksum at the end included: this event alone has it
            always, as the byte before it says whether the others do.

    Returns:
        The description.

    Raises:
        Malformed: it is none, or of a version that no server of today writes.
    """
    version, server, created, header_size = body.unpack(_FORMAT)
    if version != 4 or header_size != 19 or body.left < 5:
        raise Malformed(f"binary log version {version} with headers of {header_size} bytes")
    lengths = body.take(body.left - 5)
    checksum = body.uint(1)
    name = server.rstrip(b"\0").decode("utf-8", "backslashreplace")
    return FormatDescription(header, version, name, created, lengths, checksum)


def parse_rotate(header: Header, body: Cursor) -> Rotate:
    """Parse a ROTATE_EVENT."""
    return Rotate(header, body.uint(8), _name(body.rest()))


def parse_stop(header: Header, _: Cursor) -> Stop:
    """Parse a STOP_EVENT."""
    return Stop(header)


def parse_heartbeat(header: Header, body: Cursor) -> Heartbeat:
    """Parse a HEARTBEAT_LOG_EVENT, which has its position in the header, modulo 2^32."""
    return Heartbeat(header, _name(body.rest()), header.next_position)


def parse_heartbeat_v2(header: Header, body: Cursor) -> Heartbeat:
    """Parse a HEARTBEAT_LOG_EVENT_V2: fields of type, length and value up to a type 0."""
    file, position = b"", 0
    while kind := body.lenenc():
        value = body.counted() if kind == _FILE_NAME else None
        if value is not None:
            file = value
        elif kind == _POSITION:
            body.lenenc()
            position = body.lenenc()
        else:
            body.counted()
    return Heartbeat(header, _name(file), position)


def parse_start_encryption(header: Header, body: Cursor) -> StartEncryption:
    """Parse MariaDB's START_ENCRYPTION_EVENT."""
    return StartEncryption(header, *body.unpack(_ENCRYPTION))


def parse_checkpoint(header: Header, body: Cursor) -> BinlogCheckpoint:
    """Parse MariaDB's BINLOG_CHECKPOINT_EVENT."""
    return BinlogCheckpoint(header, _name(body.take(body.uint(4))))


def parse_incident(header: Header, body: Cursor) -> Incident:
    """Parse an INCIDENT_EVENT."""
    return Incident(header, body.uint(2), body.short().decode("utf-8", "backslashreplace"))


def _name(name: bytes) -> str:
    if not name:
        raise Malformed("a file without a name")
    return name.decode("utf-8", "surrogateescape")
