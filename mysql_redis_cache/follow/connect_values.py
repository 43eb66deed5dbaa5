"""Values of change events, which Debezium writes as JSON by Kafka Connect's types, as the log has them.

What a value means its schema says, which comes with the event unless that is switched off.

Types: https://debezium.io/documentation/reference/stable/connectors/mysql.html#mysql-data-types
"""

from __future__ import annotations

import base64
import struct
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from mysql_redis_cache.binlog import Undecodable
from mysql_redis_cache.binlog.spellings import Bits, JsonText, Moment, Single

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import tzinfo

    from mysql_redis_cache.binlog import Declared
    from mysql_redis_cache.binlog.spellings import Value

__all__ = ["value_of"]

_TEXTS = frozenset(
    ["char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set", "uuid", "inet4", "inet6"]
)
_WHOLE = frozenset(["tinyint", "smallint", "mediumint", "int", "bigint", "year"])
_BYTES = frozenset(["binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"])
_MOMENTS = frozenset(["date", "datetime", "timestamp", "time"])
_EPOCH = datetime(1970, 1, 1)
_ZEROS = "a date of zeros comes as NULL or as 1970-01-01"


class _Field(NamedTuple):
    schema: Mapping[str, Any]
    declared: Declared
    zone: tzinfo


def value_of(value: Any, schema: Mapping[str, Any] | None, declared: Declared, zone: tzinfo) -> Value:
    """Make a column's value of that in an event.

    Args:
        value: as JSON has it.
        schema: what the event says of the field; ``None`` if it says nothing.
        declared: what the server says of the column.
        zone: in which sessions are told TIMESTAMPs.

    Returns:
        The value, or that it cannot be told.
    """
    if value is None:
        return Undecodable(_ZEROS) if declared.word in _MOMENTS else None
    if schema is None:
        return _unsaid(value, declared)
    kind = schema.get("name") or schema.get("type")
    make = _MAKERS.get(str(kind))
    if make is None:
        return Undecodable(f"a value of the type {kind}")
    try:
        return make(value, _Field(schema, declared, zone))
    except (TypeError, ValueError, ArithmeticError, LookupError):
        return Undecodable(f"a value that is no {kind}")


def _unsaid(value: Any, declared: Declared) -> Value:
    """Without a schema a number may be a date, and a text may be bytes."""
    if type(value) is int and declared.word in _WHOLE:
        return _unsigned(value, declared)
    if isinstance(value, str) and declared.word in _TEXTS:
        return value
    return Undecodable("an event without schema: set debezium.format.value.schemas.enable=true")


def _whole(value: Any, field: _Field) -> Value:
    if type(value) is not int or field.declared.word not in _WHOLE:
        raise TypeError
    return _unsigned(value, field.declared)


def _unsigned(value: int, declared: Declared) -> int:
    """Undo the sign that a BIGINT UNSIGNED gets in 64 bits."""
    return value + 2**64 if value < 0 and declared.is_unsigned and declared.word == "bigint" else value


def _boolean(value: Any, field: _Field) -> Value:
    if type(value) is not bool:
        raise TypeError
    return Bits(bytes([value])) if field.declared.word == "bit" else int(value)


def _float(value: Any, field: _Field) -> Value:
    if field.declared.word == "float":
        return Single(*struct.unpack("<f", struct.pack("<f", value)))
    if field.declared.word != "double":  # digits of a DECIMAL are lost
        raise TypeError
    return float(value)


def _string(value: Any, field: _Field) -> Value:
    word = field.declared.word
    if word == "decimal":
        return Decimal(value)
    if not isinstance(value, str) or word not in _TEXTS:
        raise TypeError
    return value


def _bytes(value: Any, field: _Field) -> Value:
    data, declared = base64.b64decode(value, validate=True), field.declared
    if declared.word not in _BYTES:
        raise TypeError
    return data.ljust(int(declared.arguments or 1), b"\0") if declared.word == "binary" else data


def _bits(value: Any, _field: _Field) -> Value:
    return Bits(base64.b64decode(value, validate=True)[::-1])


def _decimal(value: Any, field: _Field) -> Value:
    unscaled = int.from_bytes(base64.b64decode(value, validate=True), "big", signed=True)
    return Decimal(unscaled).scaleb(-int(field.schema["parameters"]["scale"]), _EXACT)


def _text(value: Any, _field: _Field) -> Value:
    if not isinstance(value, str):
        raise TypeError
    return value


def _json(value: Any, field: _Field) -> Value:
    return JsonText(_text(value, field))


def _days(value: Any, _field: _Field) -> Value:
    if not value:
        return Undecodable(_ZEROS)
    return Moment((date(1970, 1, 1) + timedelta(days=value)).isoformat())


def _since_epoch(per_second: int) -> Callable[[Any, _Field], Value]:
    def make(value: Any, _field: _Field) -> Value:
        if not value:
            return Undecodable(_ZEROS)
        return Moment((_EPOCH + timedelta(microseconds=value * 1_000_000 // per_second)).isoformat())

    return make


def _of_day(per_second: int) -> Callable[[Any, _Field], Value]:
    """Make a TIME, which may be negative and longer than a day."""

    def make(value: Any, _field: _Field) -> Value:
        whole, rest = divmod(abs(value) * 1_000_000 // per_second, 1_000_000)
        text = f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}" + (f".{rest:06}" if rest else "")
        return Moment(f"-{text}" if value < 0 else text)

    return make


def _zoned(value: Any, field: _Field) -> Value:
    moment = datetime.fromisoformat(value)
    if moment == _EPOCH.replace(tzinfo=UTC):
        return Undecodable(_ZEROS)
    return Moment(moment.astimezone(field.zone).replace(tzinfo=None).isoformat())


_EXACT = Context(prec=100)  # a DECIMAL has at most 65 digits
_MAKERS: dict[str, Callable[[Any, _Field], Value]] = {
    **dict.fromkeys(["int8", "int16", "int32", "int64", "io.debezium.time.Year"], _whole),
    "boolean": _boolean,
    **dict.fromkeys(["float", "float32", "double", "float64"], _float),
    "string": _string,
    "bytes": _bytes,
    "org.apache.kafka.connect.data.Decimal": _decimal,
    "io.debezium.data.Bits": _bits,
    "io.debezium.data.Json": _json,
    **dict.fromkeys(["io.debezium.data.Enum", "io.debezium.data.EnumSet"], _text),
    **dict.fromkeys(["io.debezium.time.Date", "org.apache.kafka.connect.data.Date"], _days),
    **dict.fromkeys(
        ["io.debezium.time.Timestamp", "org.apache.kafka.connect.data.Timestamp"], _since_epoch(1000)
    ),
    "io.debezium.time.MicroTimestamp": _since_epoch(1_000_000),
    "io.debezium.time.NanoTimestamp": _since_epoch(1_000_000_000),
    **dict.fromkeys(["io.debezium.time.Time", "org.apache.kafka.connect.data.Time"], _of_day(1000)),
    "io.debezium.time.MicroTime": _of_day(1_000_000),
    "io.debezium.time.NanoTime": _of_day(1_000_000_000),
    "io.debezium.time.ZonedTimestamp": _zoned,
}
