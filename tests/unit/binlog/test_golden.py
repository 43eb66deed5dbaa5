"""Bytes that MySQL 9 and MariaDB 10.11 sent, read back: every event, every type of column."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from mysql_redis_cache.binlog import Declared, Event, Reader, Undecodable, Wanted, spellings
from mysql_redis_cache.binlog.files import FormatDescription, Rotate
from mysql_redis_cache.binlog.mariadb_gtids import GtidList, MariaGtid
from mysql_redis_cache.binlog.payloads import TransactionPayload
from mysql_redis_cache.binlog.rows import Rows
from mysql_redis_cache.binlog.statements import ExecuteLoadQuery, IntVar, Query, RowsQuery, UserVar
from mysql_redis_cache.binlog.transactions import Gtid, PreviousGtids, XaPrepare
from tests.support.golden_binlogs import load_golden

GOLDEN = load_golden()
EVENTS = json.loads((Path(__file__).parents[2] / "data" / "binlog_events.json").read_text())
SCENARIOS = [(server, name) for server, recorded in GOLDEN.items() for name in recorded["packets"]]
SERVERS = sorted(GOLDEN)
HEX = {"bits", "place", "bytes", "varbytes", "blob_", "vector_"}


def read(server: str, scenario: str, wanted: Any = None) -> list[Event]:
    reader = Reader(wanted)
    return [event for packet in GOLDEN[server]["packets"][scenario] for event in reader.read(packet)]


def of(kind: type[Any], events: list[Event]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


@pytest.mark.parametrize(("server", "scenario"), SCENARIOS)
def test_every_event_is_the_one_that_the_server_sent(server: str, scenario: str) -> None:
    """Nothing is left out, nothing is made up, and nothing that today's servers write is unknown."""
    assert " ".join([type(event).__name__ for event in read(server, scenario)]) == EVENTS[server][scenario]


def types_of(server: str) -> dict[str, list[Any]]:
    """The values of the table of all types, by column."""
    declared = tuple([Declared(*each) for each in GOLDEN[server]["declared"]])
    (table,) = {event.table for event in of(Rows, read(server, "types"))}
    names = tuple([each.name for each in declared])
    events = of(Rows, read(server, "types", {(table.schema, table.name): Wanted(names, declared)}))
    return {name: [event.after[place][0] for event in events] for place, name in enumerate(names)}


@pytest.mark.parametrize(
    ("server", "column"), [(server, column) for server in SERVERS for column in GOLDEN[server]["selected"]]
)
def test_a_column_holds_what_a_select_shows(server: str, column: str) -> None:
    """For every type of column, the value in the log is the one that the server itself shows."""
    values, selected = types_of(server)[column], GOLDEN[server]["selected"][column]

    assert [as_shown(column, value) for value in values] == [as_shown(column, shown) for shown in selected]
    for value, shown in zip(values, selected, strict=True):
        if value is not None and column not in {*HEX, "single_", "double_", "shown"}:
            assert shown in spellings(value)


def as_shown(column: str, value: Any) -> Any:
    """Something that is equal for a value out of the log and for the text that stands for it."""
    if value is None or isinstance(value, Undecodable):
        return value
    if column in HEX:
        return (value.hex() if isinstance(value, bytes) else value).upper().lstrip("0")
    if column in {"single_", "double_", "shown"}:
        return float(value)
    if column in {"price", "digits"}:
        return Decimal(value)
    if "moment" in column or "stamp" in column:
        day, _, clock = value.replace("T", " ").partition(" ")
        return day, clock.rstrip("0").rstrip(".") if "." in clock else clock
    return str(value)


def test_a_uuid_without_a_declaration_is_not_guessed() -> None:
    """MariaDB logs a UUID as BINARY(16): what nobody declared is undecodable, never another text."""
    (first, *_) = of(Rows, read("mariadb", "types"))
    assert isinstance(first.after[first.columns.index("uuid_")][0], Undecodable)


@pytest.mark.parametrize("server", SERVERS)
def test_rows_are_told_before_and_after(server: str) -> None:
    """An insert has values after it, a delete before it, an update both."""
    insert, update, delete = of(Rows, read(server, "rows"))

    assert (insert.kind, insert.before, insert.after[:2]) == ("insert", (), ([1, 2], ["one", None]))
    assert (update.kind, update.before[:2], update.after[:2]) == ("update", ([2], [None]), ([2], ["two"]))
    assert (delete.kind, delete.before[:2], delete.after) == ("delete", ([1], ["one"]), ())
    assert insert.columns == ("id", "name", "doc")
    assert insert.ends_statement
    assert insert.table.primary_key == (0,)


@pytest.mark.parametrize("server", SERVERS)
def test_only_wanted_columns_are_told(server: str) -> None:
    """Of tables that nobody asked for, rows are told without values; of others only what was asked for."""
    (table,) = {event.table for event in of(Rows, read(server, "rows"))}
    wanted = of(Rows, read(server, "rows", {(table.schema, "t"): ["name"]}))
    others = of(Rows, read(server, "rows", {}))

    assert [event.after for event in wanted] == [(["one", None],), (["two"],), ()]
    assert [(event.columns, event.before, event.after) for event in others] == [((), (), ())] * 3


@pytest.mark.parametrize("server", SERVERS)
def test_a_minimal_image_leaves_out_what_did_not_change(server: str) -> None:
    """A column that an update's image lacks is as before if it is there before, else undecodable."""
    (update, *_) = of(Rows, read(server, "minimal"))
    assert update.before[0] == update.after[0] == [3]
    assert isinstance(update.before[1][0], Undecodable)
    assert update.after[1] == ["min"]


@pytest.mark.parametrize("server", SERVERS)
def test_a_prepared_transaction_has_the_name_of_its_commit(server: str) -> None:
    """XA PREPARE and XA COMMIT name the same transaction in the same words."""
    events = read(server, "xa")
    (prepared,) = of(XaPrepare, events)

    assert (prepared.xid, prepared.is_one_phase) == ("X'78',X'6272616e6368',7", False)
    assert of(Query, events)[-1].text.startswith(f"XA COMMIT {prepared.xid}")


def test_mariadb_says_whether_a_group_is_prepared() -> None:
    """The flags of a GTID tell XA PREPARE, XA COMMIT and DDL apart."""
    prepared, committed = of(MariaGtid, read("mariadb", "xa"))
    assert (prepared.is_prepared_xa, prepared.is_completed_xa) == (True, False)
    assert (committed.is_prepared_xa, committed.is_completed_xa) == (False, True)
    assert committed.xid == prepared.xid == "X'78',X'6272616e6368',7"
    assert all(gtid.is_ddl and gtid.is_standalone for gtid in of(MariaGtid, read("mariadb", "ddl")))


def test_mysql_tags_a_gtid() -> None:
    """A tagged GTID is read with its tag."""
    (plain, *_), (tagged,) = of(Gtid, read("mysql", "rows")), of(Gtid, read("mysql", "tagged"))
    assert tagged.gtid == f"{plain.source}:follow:{tagged.number}"
    assert tagged.committed > plain.committed > 10**15


@pytest.mark.parametrize("server", SERVERS)
def test_a_new_file_says_what_came_before(server: str) -> None:
    """After a rotation there are a new file, its description, and the GTIDs of the files before."""
    events = read(server, "rotation")
    first, real, artificial = of(Rotate, events)

    assert real.file == artificial.file != first.file
    assert [real.header.is_artificial, artificial.header.is_artificial] == [False, True]
    assert all(each.server_version == GOLDEN[server]["version"] for each in of(FormatDescription, events))
    assert len(of(GtidList if server == "mariadb" else PreviousGtids, events)) == 1


def test_compressed_rows_are_rows() -> None:
    """MySQL's compressed transaction and MariaDB's compressed events tell what they hold."""
    (payload,), (row,) = (
        of(TransactionPayload, read("mysql", "compressed")),
        of(Rows, read("mysql", "compressed")),
    )
    assert row.header.next_position == payload.header.next_position
    assert row.after[:2] == ([50], ["k" * 20])
    insert, update, delete = of(Rows, read("mariadb", "compressed"))
    assert insert.after[1] == update.before[1] == ["k" * 20]
    assert update.after[1] == delete.before[1] == ["l" * 20]


def test_a_difference_of_json_is_no_value() -> None:
    """What the log holds as a change within a document is undecodable, and its neighbours are not."""
    insert, update = of(Rows, read("mysql", "partial_json"))
    assert "aaaa" in insert.after[2][0]
    assert update.before[2] == insert.after[2]
    assert isinstance(update.after[2][0], Undecodable)
    assert update.after[:2] == ([60], ["m"])


@pytest.mark.parametrize("server", SERVERS)
def test_statements_keep_their_text_and_what_goes_before_them(server: str) -> None:
    """A statement-based write is a text; variables and files that it needs are events."""
    events = read(server, "statements")
    texts = [query.text for query in of(Query, events)]

    assert "INSERT INTO t VALUES (20, @who, NULL)" in texts
    assert [(each.name, each.value) for each in of(UserVar, events)] == [("who", "ü".encode())]
    assert {each.kind for each in of(IntVar, events)} == {1, 2}
    assert of(ExecuteLoadQuery, events)[0].text.startswith("LOAD DATA")
    assert {query.database for query in of(Query, events)} == {of(Query, events)[0].database}


def test_the_statement_behind_rows_is_told_where_it_is_logged() -> None:
    """Both servers can log the statement whose rows follow."""
    assert [each.text for each in of(RowsQuery, read("mysql", "queries"))] == [
        "INSERT INTO t VALUES (70, 'n', NULL)"
    ]
    assert of(RowsQuery, read("mariadb", "rows"))[-1].text == "DELETE FROM t WHERE id = 1"


@pytest.mark.parametrize("server", SERVERS)
def test_the_columns_of_a_declaration_that_does_not_fit_stay_as_they_are(server: str) -> None:
    """The schema is of now, the log of then: a declaration that differs anywhere counts for nothing."""
    (table,) = {event.table for event in of(Rows, read(server, "rows"))}
    declared = (
        Declared("id", "bigint"),
        Declared("label", "varchar(20)", "utf8mb4"),
        Declared("doc", "json"),
    )
    wanted = {(table.schema, "t"): Wanted(("id", "name"), declared)}
    assert of(Rows, read(server, "rows", wanted))[0].after == ([1, 2], ["one", None])
