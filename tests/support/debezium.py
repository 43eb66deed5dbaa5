"""Change events as Debezium Server writes them to Redis, of rows that a test names."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import redis

__all__ = ["Sink", "definition", "envelope"]

INT32 = {"type": "int32", "optional": True}


def envelope(
    table: tuple[str, str],
    operation: str,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
    gtid: str | None,
    *,
    fields: Mapping[str, Mapping[str, Any]] | None = None,
    has_schema: bool = True,
) -> bytes:
    """One event: its value, with the schema of its columns, 32-bit integers unless told otherwise."""
    source = {"version": "3.0.0.Final", "connector": "mysql", "name": "shopdb", "ts_ms": 1700000000000}
    source |= {"snapshot": "false", "db": table[0], "table": table[1], "server_id": 1, "gtid": gtid}
    payload = {"before": before, "after": after, "source": source, "op": operation, "ts_ms": 1700000000123}
    if not has_schema:
        return json.dumps(payload).encode()
    columns = fields or dict.fromkeys(before or after or {}, INT32)
    listed = [{**schema, "field": name} for name, schema in columns.items()]
    rows = [
        {"type": "struct", "fields": listed, "optional": True, "field": side} for side in ("before", "after")
    ]
    return json.dumps({"schema": {"type": "struct", "fields": rows}, "payload": payload}).encode()


def definition(table: tuple[str, str], ddl: str, gtid: str | None = None) -> bytes:
    """A change of a table's definition."""
    payload = {
        "source": {"db": table[0], "table": table[1], "gtid": gtid},
        "databaseName": table[0],
        "ddl": ddl,
    }
    return json.dumps({"schema": None, "payload": {**payload, "tableChanges": []}}).encode()


class Sink:
    """Writes events to the streams of a prefix, in one of the two message formats."""

    def __init__(self, client: redis.Redis, prefix: str = "shopdb", *, extended: bool = False) -> None:
        self.client, self.prefix, self.extended = client, prefix, extended

    def add(self, table: tuple[str, str] | None, value: bytes) -> bytes:
        """Write an event to the stream of a table, or to that of definitions; return its ID."""
        stream = self.prefix if table is None else f"{self.prefix}.{table[0]}.{table[1]}"
        fields = {"key": "{}", "value": value} if self.extended else {'{"id":1}': value}
        return self.client.xadd(stream, fields)
