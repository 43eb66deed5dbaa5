"""What a session had set when it ran a statement that is in the log.

Sources: ``enum Query_event_post_header`` in libs/mysql/binlog/event/statement_events.h of MySQL's source;
https://mariadb.com/kb/en/query_event/.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from .cursor import Cursor

if TYPE_CHECKING:
    from collections.abc import Callable

    Take = Callable[[Cursor], dict[str, Any]]

__all__ = ["StatusVariables", "parse_variables"]

_MANY_DATABASES = 254
_ALTER_ENDS = 0x0C


@dataclass(frozen=True, slots=True)
class StatusVariables:
    """What a session had set when it ran a statement; ``None`` if the log does not say.

    Attributes:
        flags: ``foreign_key_checks`` (2^26 is off), ``unique_checks`` (2^27), ``autocommit`` (2^19), others.
        sql_mode: as bits.
        increments: ``auto_increment_increment`` and ``auto_increment_offset``.
        charset: collation number of ``character_set_client``, in which the statement is written.
        connection_collation: number of ``collation_connection``.
        server_collation: number of ``collation_server``.
        time_zone: as it was set: ``SYSTEM``, ``+02:00``, ``Europe/Berlin``.
        databases: those that the statement changed (MySQL only); ``None`` also if they are more than 16.
        microseconds: of the statement's start.
        xid: of the commit of a DDL statement.
        is_complete: whether every variable was known, so that none was left out.
    """

    flags: int | None = None
    sql_mode: int | None = None
    increments: tuple[int, int] | None = None
    charset: int | None = None
    connection_collation: int | None = None
    server_collation: int | None = None
    time_zone: str | None = None
    databases: tuple[str, ...] | None = None
    microseconds: int | None = None
    xid: int | None = None
    is_complete: bool = True


@lru_cache(maxsize=256)
def parse_variables(block: bytes) -> StatusVariables:
    """Parse the status variables of a statement; sessions have few different ones, so they are kept.

    A variable that is not known ends them, since its size is not either; they are then not complete.
    """
    body = Cursor(block)
    found: dict[str, Any] = {}
    while body.left:
        take = _VARIABLES.get(body.uint(1))
        if take is None:
            found["is_complete"] = False
            break
        found.update(take(body))
    return StatusVariables(**found)


def _number(name: str, width: int) -> Take:
    return lambda body: {name: body.uint(width)}


def _left_out(width: int) -> Take:
    def take(body: Cursor) -> dict[str, Any]:
        body.skip(width)
        return {}

    return take


def _charsets(body: Cursor) -> dict[str, Any]:
    return {"charset": body.uint(2), "connection_collation": body.uint(2), "server_collation": body.uint(2)}


def _databases(body: Cursor) -> dict[str, Any]:
    count = body.uint(1)
    if count == _MANY_DATABASES:
        return {}
    return {"databases": tuple([body.until_nul().decode("utf-8", "surrogateescape") for _ in range(count)])}


def _texts(count: int) -> Take:
    def take(body: Cursor) -> dict[str, Any]:
        for _ in range(count):
            body.short()
        return {}

    return take


def _altered(body: Cursor) -> dict[str, Any]:
    if body.uint(1) & _ALTER_ENDS:  # the end of an ALTER that began earlier, whose number follows
        body.skip(8)
    return {}


def _catalog(body: Cursor) -> dict[str, Any]:
    body.skip(body.uint(1) + 1)
    return {}


def _collations(body: Cursor) -> dict[str, Any]:
    body.skip(4 * body.uint(1))
    return {}


# MySQL: enum Query_event_post_header in statement_events.h; from 128 on MariaDB: sql/log_event.h.
_VARIABLES: dict[int, Take] = {
    0: _number("flags", 4),
    1: _number("sql_mode", 8),
    2: _catalog,
    3: lambda body: {"increments": (body.uint(2), body.uint(2))},
    4: _charsets,
    5: lambda body: {"time_zone": body.short().decode("ascii", "backslashreplace")},
    6: _texts(1),
    7: _left_out(2),
    8: _left_out(2),
    9: _left_out(8),
    10: _left_out(4),
    11: _texts(2),
    12: _databases,
    13: _number("microseconds", 3),
    16: _left_out(1),
    17: _number("xid", 8),
    18: _left_out(2),
    19: _left_out(1),
    20: _left_out(1),
    128: _number("microseconds", 3),
    129: _number("xid", 8),
    130: _altered,
    131: _collations,
}
