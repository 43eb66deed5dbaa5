"""Debezium's change events, read as events of the log."""

from __future__ import annotations

import base64
import json
from datetime import UTC, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mysql_redis_cache.binlog import Declared, Undecodable, Unknown, spellings
from mysql_redis_cache.binlog.rows import OpaqueRows, Rows
from mysql_redis_cache.binlog.spellings import Bits, Single
from mysql_redis_cache.follow.connect_values import value_of
from mysql_redis_cache.follow.effects import effects
from mysql_redis_cache.follow.envelopes import Change, Envelopes
from mysql_redis_cache.follow.planning import Planner
from mysql_redis_cache.follow.rules import parse_rules
from tests.support.debezium import definition, envelope

GTID = "0-1-7"
TABLE = ("shop", "orders")
RULES = parse_rules({"shop.orders": {"UserId": "user_id", "UserId StoreId": ["user_id", "store_id"]}})
DECLARED = {TABLE: tuple(Declared(name, "int(11)") for name in ("id", "user_id", "store_id"))}
EFFECTS = effects(RULES, [], DECLARED)


def read(value: bytes | None, *, key: bytes = b'{"id":1}') -> Change:
    return Envelopes(EFFECTS, DECLARED, UTC).read(None if value is None else [key, value])


def outdated(value: bytes | None) -> tuple[dict[str, Any], set[str]]:
    """What comes of an event: pairs and combinations, and names that are dropped whole."""
    planner = Planner(RULES, EFFECTS)
    found: dict[str, Any] = {}
    names: set[str] = set()
    for event in read(value).events:
        transaction = planner.feed(event)
        if transaction is not None:
            about = transaction.outdated.as_json()
            found, names = about, set(about["names"])
    assert not planner.is_within
    return found, names


def row(user: int, store: int = 6) -> dict[str, int]:
    return {"id": 1, "user_id": user, "store_id": store}


@pytest.mark.parametrize("has_schema", [True, False])
@pytest.mark.parametrize(
    ("operation", "before", "after", "users"),
    [("c", None, row(5), ["5"]), ("u", row(5), row(6), ["5", "6"]), ("d", row(5), None, ["5"])],
)
def test_rows_have_the_values_before_and_after(
    operation: str, before: Any, after: Any, users: list[str], has_schema: bool
) -> None:
    """With the event's own schema or, of integers and texts, without."""
    found, names = outdated(envelope(TABLE, operation, before, after, GTID, has_schema=has_schema))
    assert found["values"] == {"UserId": users}
    assert found["combined"] == [[["UserId", "StoreId"], [[user, "6"] for user in users]]]
    assert names == set()
    assert read(envelope(TABLE, operation, before, after, GTID)).gtid == GTID


def test_both_message_formats_are_read() -> None:
    """One field, or key and value with headers."""
    value = envelope(TABLE, "d", row(5), None, GTID)
    reader = Envelopes(EFFECTS, DECLARED, UTC)
    expected = reader.read([b"{}", value])
    assert isinstance(expected.events[0], Rows)
    assert reader.read([b"key", b"{}", b"value", value, b"ID", b"7"]) == expected


@pytest.mark.parametrize(
    "value",
    [
        b"default",
        b"null",
        b'{"schema":null,"payload":null}',
        b'{"ts_ms":1700000000000}',
        b'{"status":"BEGIN","id":"x:1","event_count":null}',
        envelope(TABLE, "r", None, row(5), None),
        definition(TABLE, ""),
    ],
)
def test_what_changes_nothing_drops_nothing(value: bytes) -> None:
    """Tombstones, heartbeats, the marks of transactions, what a snapshot read."""
    assert read(value) == Change()


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"{",
        b"[]",
        b"7",
        b"{}",
        b'{"payload":{"op":"u"}}',
        b'{"payload":{"op":"?","source":{"db":"a","table":"b","gtid":"0-1-7"}}}',
        b'{"id":1,"user_id":5}',
        envelope(TABLE, "u", row(5), row(6), None),
        envelope(TABLE, "u", row(5), row(6), "nonsense"),
        b'{"schema":[],"payload":{"op":"c","after":{},"source":{"db":"shop","table":"orders","gtid":"0-1-7"}}}',
    ],
)
def test_what_is_not_understood_drops_all_names(value: bytes | None) -> None:
    """An entry that is gone, no JSON, another form, a change of which nobody knows when it is visible."""
    assert outdated(value)[1] == {"UserId", "StoreId"}


@pytest.mark.parametrize(
    ("operation", "before", "after"),
    [
        ("t", None, None),
        ("u", None, row(5)),
        ("u", {"id": 1}, row(5)),
        ("d", None, None),
        ("c", None, {"id": 1}),
    ],
)
def test_rows_that_cannot_be_told_drop_the_names_of_their_table(
    operation: str, before: Any, after: Any
) -> None:
    """TRUNCATE, a row that is not there, a column that is not."""
    (event, _) = read(envelope(TABLE, operation, before, after, GTID)).events
    assert isinstance(event, OpaqueRows)
    assert outdated(envelope(TABLE, operation, before, after, GTID))[1] == {"UserId", "StoreId"}


def test_tables_without_rules_are_passed_over() -> None:
    """Their rows need not even be as they should be."""
    assert outdated(envelope(("shop", "others"), "d", {"x": "y"}, None, GTID)) == (
        {"names": {}, "values": {}, "combined": []},
        set(),
    )


def test_a_definition_drops_the_names_of_its_table() -> None:
    """And has the schema read anew."""
    for ddl, names in (
        ("ALTER TABLE `orders` ADD COLUMN x INT", {"UserId", "StoreId"}),
        ("CREATE TABLE others (id INT)", set()),
    ):
        planner = Planner(RULES, EFFECTS)
        (event,) = read(definition(TABLE, ddl, GTID)).events
        transaction = planner.feed(event)
        assert transaction is not None
        assert set(transaction.outdated.names) == names
        assert transaction.changes_schema is bool(names)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "schema",
                        "payload",
                        "op",
                        "source",
                        "before",
                        "after",
                        "ddl",
                        "fields",
                        "db",
                        "table",
                        "gtid",
                    ]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=20,
    )
)
def test_whatever_comes_is_read(value: Any) -> None:
    """As something, and never with an exception."""
    outdated(json.dumps(value).encode())


# --- values ------------------------------------------------------------------------------------------------


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def named(name: str, kind: str = "int64", **more: Any) -> dict[str, Any]:
    return {"type": kind, "name": name, **more}


@pytest.mark.parametrize(
    ("declared", "schema", "value", "expected"),
    [
        ("int(11)", {"type": "int32"}, 5, "5"),
        ("tinyint(1)", {"type": "int16"}, 1, "true"),
        ("bigint(20) unsigned", {"type": "int64"}, -1, str(2**64 - 1)),
        ("bigint(20) unsigned", None, 7, "7"),
        ("varchar(9)", {"type": "string"}, "Ann", "Ann"),
        ("varchar(9)", None, "Ann", "Ann"),
        ("enum('a')", named("io.debezium.data.Enum", "string"), "a", "a"),
        ("set('a','b')", named("io.debezium.data.EnumSet", "string"), "a,b", "a,b"),
        ("year(4)", named("io.debezium.time.Year", "int32"), 2025, "2025"),
        ("double", {"type": "double"}, 12.5, "12.5"),
        ("float", {"type": "float"}, 1.1, "1.1"),
        (
            "decimal(6,2)",
            named("org.apache.kafka.connect.data.Decimal", "bytes", parameters={"scale": "2"}),
            encoded((1250).to_bytes(2, "big")),
            "12.5",
        ),
        (
            "decimal(6,2)",
            named("org.apache.kafka.connect.data.Decimal", "bytes", parameters={"scale": "2"}),
            encoded(b"\xff"),
            "-0.01",
        ),
        ("decimal(6,2)", {"type": "string"}, "12.50", "12.50"),
        ("date", named("io.debezium.time.Date", "int32"), 20445, "2025-12-23"),
        ("datetime", named("io.debezium.time.Timestamp"), 1766485800000, "2025-12-23 10:30:00"),
        (
            "datetime(6)",
            named("io.debezium.time.MicroTimestamp"),
            1766485800123456,
            "2025-12-23T10:30:00.123456",
        ),
        ("datetime", named("org.apache.kafka.connect.data.Timestamp"), -1000, "1969-12-31T23:59:59"),
        (
            "timestamp",
            named("io.debezium.time.ZonedTimestamp", "string"),
            "2025-12-23T10:30:00Z",
            "2025-12-23T12:30:00",
        ),
        ("time", named("io.debezium.time.MicroTime"), -45296500000, "-12:34:56.5"),
        ("time", named("io.debezium.time.Time", "int32"), 3020399000, "838:59:59"),
        ("binary(4)", {"type": "bytes"}, encoded(b"ab"), None),
        ("bit(9)", named("io.debezium.data.Bits", "bytes"), encoded(b"\x01\x01"), "257"),
        ("bit(1)", {"type": "boolean"}, True, "true"),
    ],
)
def test_values_are_spelled_as_callers_do(
    declared: str, schema: Any, value: Any, expected: str | None
) -> None:
    """Whatever type the event has given them."""
    found = value_of(value, schema, Declared("c", declared), timezone(timedelta(hours=2)))
    assert type(found) is not Undecodable
    if expected is None:
        assert found == b"ab\0\0"
    else:
        assert expected in spellings(found)  # type: ignore[arg-type]


def test_types_are_those_of_the_log() -> None:
    """So that they are spelled in the same ways."""
    zone = UTC
    assert type(value_of(1.5, {"type": "float"}, Declared("c", "float"), zone)) is Single
    assert type(value_of(True, {"type": "boolean"}, Declared("c", "bit(1)"), zone)) is Bits
    assert value_of(True, {"type": "boolean"}, Declared("c", "tinyint(1)"), zone) == 1
    scaled = named("org.apache.kafka.connect.data.Decimal", "bytes", parameters={"scale": "30"})
    digits = int("9" * 65)
    found = value_of(encoded(digits.to_bytes(28, "big")), scaled, Declared("c", "decimal(65,30)"), zone)
    assert found == Decimal("9" * 35 + "." + "9" * 30)


@pytest.mark.parametrize(
    ("declared", "schema", "value"),
    [
        ("date", {"type": "int32"}, 20445),
        ("date", None, 20445),
        ("datetime", None, 1),
        ("decimal(6,2)", None, "12.50"),
        ("decimal(6,2)", {"type": "double"}, 12.5),
        ("varbinary(4)", None, "YWI="),
        ("varbinary(4)", {"type": "string"}, "6162"),
        ("varbinary(4)", {"type": "bytes"}, "?"),
        ("int", {"type": "int32"}, "5"),
        ("int", {"type": "int32"}, True),
        ("int", {"type": "struct"}, {}),
        ("date", named("io.debezium.time.Date", "int32"), 0),
        ("date", named("io.debezium.time.Date", "int32"), None),
        ("datetime", named("io.debezium.time.Timestamp"), 0),
        ("datetime", named("io.debezium.time.Timestamp"), 10**30),
        ("datetime", named("io.debezium.time.IsoTimestamp", "string"), "2025-12-23T10:30:00Z"),
        ("timestamp", named("io.debezium.time.ZonedTimestamp", "string"), "1970-01-01T00:00:00Z"),
    ],
)
def test_values_that_cannot_be_told_are_told_apart(declared: str, schema: Any, value: Any) -> None:
    """A number that may be a date, digits that are lost, dates of zeros, types that are not known."""
    assert type(value_of(value, schema, Declared("c", declared), UTC)) is Undecodable


def test_an_undecodable_value_drops_the_names_of_its_rule() -> None:
    """Not those of everything."""
    value = envelope(TABLE, "d", {"id": 1, "user_id": 5, "store_id": "?"}, None, GTID)
    assert outdated(value)[1] == {"UserId", "StoreId"}
    assert type(read(value).events[0]) is not Unknown
