"""What the server has said of one session: its status with every reply, and that it has changed.

https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_ok_packet.html, with
``CLIENT_SESSION_TRACK``; https://mariadb.com/kb/en/ok_packet/. What no reply tells of (``GET_LOCK``, ``LOCK
TABLES``, user variables set by a SELECT) is known by the statement, see ``effects``; what cannot be known
is taken for changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mysql_redis_cache.values.rows import lenenc_bytes

from .effects import HARMLESS, Effects

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SessionState"]

_IN_TRANSACTION = 1
_AUTOCOMMIT = 2
_NO_BACKSLASH_ESCAPES = 512
# Kinds of session state in an OK packet.
_VARIABLE, _SCHEMA, _STATE, _GTIDS = 0, 1, 2, 3

_CHARACTER_SETS = ("character_set_client", "character_set_connection", "character_set_results")
LOOK = f"SELECT @@sql_mode AS sql_mode, {', '.join(f'@@{name} AS {name}' for name in _CHARACTER_SETS)}"
"""The statement whose answer ``SessionState.seen`` takes."""


class SessionState:
    """One session, as its server tells of it.

    Attributes:
        status: the status flags of the last reply that spoke of the session itself.
        tracks: whether the server tells when something in the session changes.
        tells_autocommit: whether it tells that autocommit is on.
        sql_mode: the modes, in capitals; None if not known.
        narrow: the character set that is not utf8mb4, as ``name=value``; empty if there is none.
        is_changed: the session is, or may be, another than it was at its beginning.
        is_unsure: it may be another than the attributes here say, so that the server must be asked.
        has_moved: another schema is its default now.
        is_beyond_reset: something in it is changed that only a new connection sets right.
        is_used: statements have run in it since its beginning.
        is_lent_afresh: none has run in it since it was last lent.
        has_others_id: ``LAST_INSERT_ID()`` would give one that was made before it was last lent.
        gtid: of what the last statement has committed; None if that was nothing, or is not told.
    """

    __slots__ = (
        "_has_id",
        "_running",
        "gtid",
        "has_moved",
        "has_others_id",
        "is_beyond_reset",
        "is_changed",
        "is_lent_afresh",
        "is_unsure",
        "is_used",
        "narrow",
        "sql_mode",
        "status",
        "tells_autocommit",
        "tracks",
    )

    def __init__(self) -> None:
        self.status = 0
        self.tracks = False
        self.begin(_AUTOCOMMIT)

    def begin(self, status: int) -> None:
        """Be a session at its beginning: connected and set up, or reset and set up again.

        Args:
            status: of the reply to the statement that has switched autocommit on.
        """
        self.tells_autocommit = bool(status & _AUTOCOMMIT)
        self.sql_mode: frozenset[str] | None = None
        self.narrow = ""
        self.is_changed = self.is_unsure = self.has_moved = self.is_beyond_reset = self.is_used = False
        self.is_lent_afresh = True
        self._has_id = self.has_others_id = False
        self._running = HARMLESS
        self.gtid: str | None = None

    def lend(self) -> None:
        """Be lent to somebody else."""
        self.is_lent_afresh = True
        self.has_others_id = self.has_others_id or self._has_id
        self._has_id = False

    def note_id(self, insert_id: int) -> None:
        """Take the AUTO_INCREMENT value of a reply, if there is one."""
        if insert_id:
            self._has_id, self.has_others_id = True, False

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return bool(self.status & _IN_TRANSACTION)

    @property
    def no_backslash_escapes(self) -> bool:
        """Whether a backslash in a string is an ordinary character.

        The flag is right at a session's beginning. It stays as it was set by a routine that sets sql_mode,
        though the server takes that back at the routine's end, so that afterwards the mode itself counts.
        """
        if self.sql_mode is None:
            return bool(self.status & _NO_BACKSLASH_ESCAPES)
        return "NO_BACKSLASH_ESCAPES" in self.sql_mode

    @property
    def ansi_quotes(self) -> bool:
        """Whether double quotes hold identifiers; to be asked only where ``sql_mode`` is known."""
        return self.sql_mode is not None and "ANSI_QUOTES" in self.sql_mode

    @property
    def is_at_rest(self) -> bool:
        """Whether no transaction is open or would begin by itself."""
        flags = self.status & (_IN_TRANSACTION | _AUTOCOMMIT)
        return flags == _AUTOCOMMIT or (flags == 0 and not self.tells_autocommit)

    def send(self, effects: Effects) -> None:
        """A statement with these *effects* is about to be sent."""
        self._running = effects
        self.gtid = None
        self.is_used = True
        self.is_lent_afresh = False
        if effects.changes:
            self.is_changed = self.is_unsure = True
            self.is_beyond_reset = self.is_beyond_reset or effects.is_beyond_reset

    def move(self) -> None:
        """The client itself chooses another schema."""
        self.is_changed = self.has_moved = True

    def hear(self, status: int, changes: bytes = b"") -> None:
        """Take the status and the state changes of an OK or EOF packet."""
        if self._running.sets_own_mode:  # the flag may be that statement's, and not the session's
            status = status & ~_NO_BACKSLASH_ESCAPES | self.status & _NO_BACKSLASH_ESCAPES
        self.status = status
        if changes:
            self._hear_changes(changes)

    def hear_error(self) -> None:
        """An error packet came: it has no status, and the transaction may be over or another one open."""
        self.is_unsure = True

    def seen(self, row: Mapping[str, str | None]) -> None:
        """Take the answer to ``LOOK``."""
        self.sql_mode = frozenset((row["sql_mode"] or "").upper().split(","))
        narrow = (f"{name}={row[name]}" for name in _CHARACTER_SETS if row[name] != "utf8mb4")
        self.narrow = next(narrow, "")
        self.is_unsure = False

    def _hear_changes(self, changes: bytes) -> None:
        position = 0
        while position < len(changes):
            kind = changes[position]
            data, position = lenenc_bytes(changes, position + 1)
            if kind in {_SCHEMA, _STATE}:
                self.is_changed = self.is_unsure = True
                self.has_moved = self.has_moved or kind == _SCHEMA
            elif kind in {_VARIABLE, _GTIDS}:
                self._hear_gtid(kind, data)

    def _hear_gtid(self, kind: int, data: bytes) -> None:
        """Take what was committed: MySQL tells it behind a byte for the form, MariaDB as a variable."""
        name, start = (b"last_gtid", 1) if kind == _GTIDS else lenenc_bytes(data, 0)
        if name == b"last_gtid":
            self.gtid = lenenc_bytes(data, start)[0].decode("ascii", "replace")
