"""Change events as Debezium writes them to a stream, as events of a log. Pure.

What is not understood is ``Unknown`` or ``OpaqueRows``, as in the log itself.

Format: https://debezium.io/documentation/reference/stable/connectors/mysql.html#mysql-events, and the message
formats of https://debezium.io/documentation/reference/stable/operations/debezium-server.html#_redis_stream
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from mysql_redis_cache.binlog import Unknown
from mysql_redis_cache.binlog.events import Header
from mysql_redis_cache.binlog.rows import OpaqueRows, Rows
from mysql_redis_cache.binlog.statements import Query
from mysql_redis_cache.binlog.tables import Table
from mysql_redis_cache.binlog.transactions import Xid
from mysql_redis_cache.binlog.variables import StatusVariables
from mysql_redis_cache.gtids import is_gtids

from .connect_values import value_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import tzinfo

    from mysql_redis_cache.binlog import Declared, Event
    from mysql_redis_cache.binlog.rows import Kind
    from mysql_redis_cache.binlog.spellings import Value

    from .effects import Effect
    from .rules import TableName

__all__ = ["Change", "Envelopes"]

_NOWHERE = Header(0, 0, 0, 0, 0, 0)
_UTF8MB4 = StatusVariables(charset=45)
_COMMIT = Xid(_NOWHERE, 0)
_KINDS: dict[str, Kind] = {"c": "insert", "u": "update", "d": "delete"}
_SIDES: dict[Kind, tuple[str, ...]] = {
    "insert": ("after",),
    "update": ("before", "after"),
    "delete": ("before",),
}
_NOTHING = b"default"
"""What the sink writes for a value that there is none of, behind the event of a deletion."""


class Change(NamedTuple):
    """What one entry of a stream says.

    Attributes:
        events: the same as events of a log, a whole transaction.
        gtid: that of the transaction that it was a part of; ``None`` if it changes nothing, or is not told.
    """

    events: tuple[Event, ...] = ()
    gtid: str | None = None


class Envelopes:
    """Reads change events.

    Args:
        effects: what a change of each table comes to, whose columns are wanted.
        declared: the columns of these tables.
        zone: in which sessions are told TIMESTAMPs.
    """

    def __init__(
        self,
        effects: Mapping[TableName, Effect],
        declared: Mapping[TableName, tuple[Declared, ...]],
        zone: tzinfo,
    ) -> None:
        self._effects, self._zone = effects, zone
        self._declared = {table: {each.name: each for each in columns} for table, columns in declared.items()}

    def read(self, fields: Sequence[bytes] | None) -> Change:
        """Read an entry of a stream: names and values in turn; ``None`` is one that was trimmed."""
        try:
            payload, schema = _opened(fields)
            return Change() if payload is None else self._change(payload, schema)
        except _Odd as error:
            return _unknown(str(error))
        except (TypeError, LookupError, AttributeError) as error:
            return _unknown(f"an event that is not as it should be ({type(error).__name__})")

    def _change(self, payload: Mapping[str, Any], schema: Any) -> Change:
        if "ddl" in payload:
            return _definition(payload)
        if "op" not in payload:
            return _about_others(payload)
        if payload["op"] == "r":  # a snapshot reads, and changes nothing
            return Change()
        source = payload["source"]
        if not _is_gtid(source.get("gtid")):
            raise _Odd("a change without a GTID")
        return Change(
            (self._event((source["db"], source["table"]), payload, schema), _COMMIT), source["gtid"]
        )

    def _event(self, table: TableName, payload: Mapping[str, Any], schema: Any) -> Event:
        operation = payload["op"]
        if operation == "t":
            return _opaque(table, "delete", "TRUNCATE")
        kind = _KINDS.get(operation)
        if kind is None:
            raise _Odd(f"an event with op {operation!r}")
        columns = self._effects[table].columns if table in self._effects else ()
        sides = {side: payload[side] for side in _SIDES[kind]}
        for side, row in sides.items():
            missing = [column for column in columns if row is None or column not in row]
            if missing:
                return _opaque(table, kind, f"an event without {', '.join(missing)} {side} the {kind}")
        schemas = _schemas(schema)
        before, after = [
            tuple([[self._cell(table, column, sides[side][column], schemas)] for column in columns])
            if side in sides
            else ()
            for side in ("before", "after")
        ]
        return Rows(_NOWHERE, Table(*table), kind, columns, before, after)

    def _cell(self, table: TableName, column: str, value: Any, schemas: Mapping[str, Any]) -> Value:
        declared = self._declared[table][column]
        return value_of(value, schemas.get(column), declared, self._zone)


class _Odd(Exception):
    """An entry that is not understood."""


def _opened(fields: Sequence[bytes] | None) -> tuple[Any, Any]:
    """Return payload and schema of an entry; no payload of one that stands for nothing."""
    if fields is None:
        raise _Odd("an entry of the stream was trimmed before it was read")
    text = _value(fields)
    if text == _NOTHING:
        return None, None
    try:
        data = orjson.loads(text or b"")
    except ValueError:
        raise _Odd("an entry of the stream whose value is no JSON") from None
    return (None, None) if data is None else (data.get("payload", data), data.get("schema"))


def _value(fields: Sequence[bytes]) -> bytes | None:
    """Return the value of either message format: key and value as one field, or as two with headers."""
    if len(fields) == 2:
        return fields[1]
    return dict(zip(fields[::2], fields[1::2], strict=False)).get(b"value")


def _schemas(schema: Any) -> dict[str, Any]:
    """Return what an event says of its columns, by name."""
    if schema is None:
        return {}
    rows = [field for field in schema["fields"] if field["field"] in {"before", "after"}]
    return {field["field"]: field for row in rows for field in row["fields"]}


def _definition(payload: Mapping[str, Any]) -> Change:
    ddl, database = payload["ddl"], payload.get("databaseName") or ""
    if not ddl:
        return Change()
    gtid = payload["source"].get("gtid")
    query = Query(_NOWHERE, 0, 0, database, 0, _UTF8MB4, ddl.encode())
    return Change((query,), gtid if _is_gtid(gtid) else None)


def _about_others(payload: Mapping[str, Any]) -> Change:
    """Let heartbeats pass, and where transactions begin and end."""
    if payload.keys() == {"ts_ms"} or {"status", "id"} <= payload.keys():
        return Change()
    raise _Odd("an event without op")


def _is_gtid(gtid: Any) -> bool:
    return isinstance(gtid, str) and is_gtids(gtid)


def _opaque(table: TableName, kind: Kind, reason: str) -> Event:
    return OpaqueRows(_NOWHERE, Table(*table), kind, reason)


def _unknown(reason: str) -> Change:
    return Change((Unknown(_NOWHERE, reason),))
