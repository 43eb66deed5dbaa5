"""What recorded logs of both servers come to: exact where it can be, wide where not, at the right moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mysql_redis_cache.binlog import Declared, Event, Reader, Unknown
from mysql_redis_cache.binlog.events import Header
from mysql_redis_cache.binlog.files import Heartbeat, Incident
from mysql_redis_cache.binlog.rows import Rows
from mysql_redis_cache.follow.effects import ForeignKey, effects
from mysql_redis_cache.follow.planning import Planner, Transaction
from mysql_redis_cache.follow.rules import Rules, parse_rules
from tests.support.golden_binlogs import load_golden

if TYPE_CHECKING:
    from mysql_redis_cache.follow.outdated import Outdated

GOLDEN = load_golden()
SERVERS = sorted(GOLDEN)


def schema_of(server: str) -> str:
    (schema,) = {event.table.schema for event in events(server, "types", None) if isinstance(event, Rows)}
    return schema


def events(server: str, scenario: str, wanted: Any) -> list[Event]:
    reader = Reader(wanted)
    return [event for packet in GOLDEN[server]["packets"][scenario] for event in reader.read(packet)]


def rules_of(server: str, **more: Any) -> Rules:
    return parse_rules({f"{schema_of(server)}.t": {"Id": "id", "Id Name": ["id", "name"]}, **more})


def planner_of(rules: Rules) -> Planner:
    return Planner(rules, effects(rules, (), {}))


def plan(
    server: str, scenario: str, rules: Rules | None = None, planner: Planner | None = None
) -> list[Transaction]:
    rules = rules or rules_of(server)
    planner = planner or planner_of(rules)
    wanted = {table: effect.columns for table, effect in planner.effects.items()}
    ended = [planner.feed(event) for event in events(server, scenario, wanted)]
    assert not planner.is_within
    return [transaction for transaction in ended if transaction is not None]


def shown(outdated: Outdated) -> Any:
    data = outdated.as_json()
    return sorted(data["names"]), data["values"], data["combined"]


@pytest.mark.parametrize("server", SERVERS)
def test_rows_come_to_their_pairs(server: str) -> None:
    """Each transaction has the old and the new values of its rows, and its GTID."""
    created, insert, update, delete = plan(server, "rows")

    assert shown(created.outdated) == (["Id", "Name"], {}, [])
    assert created.changes_schema
    ids, names = ["1", "2", "true"], [["1", "one"], ["2", "null"], ["true", "one"]]
    assert shown(insert.outdated) == ([], {"Id": ids}, [[["Id", "Name"], names]])
    assert shown(update.outdated) == ([], {"Id": ["2"]}, [[["Id", "Name"], [["2", "null"], ["2", "two"]]]])
    assert shown(delete.outdated)[1] == {"Id": ["1", "true"]}
    assert len({each.gtid for each in (created, insert, update, delete)} - {None}) == 4


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("scenario", ["transaction", "xa_one_phase", "partitions", "rotation", "compressed"])
def test_a_transaction_is_one(server: str, scenario: str) -> None:
    """However a transaction stands in the log, it ends once, with the values of its rows and nothing wide."""
    found = plan(server, scenario)
    expected = {"transaction": ["3", "5"], "xa_one_phase": ["7"], "rotation": ["40"], "compressed": ["50"]}
    ids = {text for each in found for text in each.outdated.as_json()["values"].get("Id", [])}
    assert sorted(ids) == expected.get(scenario, [])
    assert not any(each.outdated.names for each in found)


@pytest.mark.parametrize("server", SERVERS)
def test_a_prepared_transaction_counts_when_it_is_committed(server: str) -> None:
    """What XA PREPARE left is outdated with XA COMMIT, also in another process, which read it from Redis."""
    planner = planner_of(rules_of(server))
    prepared, committed = plan(server, "xa", planner=planner)
    assert prepared.gtid is not None
    assert shown(committed.outdated)[1] == {"Id": ["6"]}
    assert planner.prepared == {}

    later = planner_of(planner.rules)
    reader = Reader({table: effect.columns for table, effect in later.effects.items()})
    packets = GOLDEN[server]["packets"]["xa"]
    ended = [later.feed(event) for packet in [packets[1], *packets[-2:]] for event in reader.read(packet)]
    assert [each.outdated.names.keys() for each in ended if each] == [{"Id", "Name"}]


@pytest.mark.parametrize("server", SERVERS)
def test_a_statement_in_place_of_rows_drops_everything(server: str) -> None:
    """Nobody knows what a statement changed; its text shows no values."""
    wide = [each for each in plan(server, "statements") if each.outdated]
    assert {tuple(sorted(each.outdated.names)) for each in wide} == {("Id", "Name")}
    assert {reason for each in wide for reason in each.outdated.names.values()} == {
        "a statement in place of rows: INSERT INTO t",
        "a statement in place of rows: INSERT INTO auto_",
        "a statement in place of rows: INSERT IGNORE INTO",
        "a statement in place of rows: LOAD DATA LOCAL",
    }


@pytest.mark.parametrize("server", SERVERS)
def test_a_minimal_image_drops_what_it_does_not_tell(server: str) -> None:
    """A column that an image lacks may have had any value; one that it has is still exact."""
    (update,) = plan(server, "minimal")
    assert sorted(update.outdated.names) == ["Id", "Name"]
    exact = parse_rules({f"{schema_of(server)}.t": {"Id": "id"}})
    assert shown(plan(server, "minimal", exact)[0].outdated) == ([], {"Id": ["3"]}, [])


@pytest.mark.parametrize("server", SERVERS)
def test_definitions_concern_the_tables_that_they_name(server: str) -> None:
    """DDL on another table drops nothing, on a table with rules its names, and is a reason to look again."""
    rules = parse_rules({f"{schema_of(server)}.d": {"Id": "a"}})
    assert [sorted(each.outdated.names) for each in plan(server, "ddl", rules)] == [["Id"]] * 4
    assert all(each.changes_schema for each in plan(server, "ddl", rules))
    assert not any(each.outdated or each.changes_schema for each in plan(server, "ddl"))


@pytest.mark.parametrize("server", SERVERS)
def test_tags_follow_every_table(server: str) -> None:
    """With table_tags, a change of any table drops its tag: by rows and by definition."""
    rules = parse_rules({"table_tags": True})
    tags = [each.outdated.as_json()["values"].get("Table", []) for each in plan(server, "rows", rules)]
    assert "t" in tags[0]
    assert tags[1:] == [["t"]] * 3
    assert all("d" in each.outdated.as_json()["values"]["Table"] for each in plan(server, "ddl", rules))


@pytest.mark.parametrize("server", SERVERS)
def test_a_column_that_is_gone_is_dropped_by_name(server: str) -> None:
    """A rule's column that the log's table does not have makes the rows unknown, not silent."""
    rules = parse_rules({f"{schema_of(server)}.t": {"Id": "id", "Owner": "owner"}})
    _, insert, *_ = plan(server, "rows", rules)
    assert "no column owner" in insert.outdated.names["Owner"]
    assert insert.is_misfit


@pytest.mark.parametrize("server", SERVERS)
def test_what_is_not_understood_drops_everything(server: str) -> None:
    """An unknown event counts at once, or with the end of its transaction, or when that was missed."""
    planner = planner_of(rules_of(server))
    unknown = Unknown(Header(0, 99, 0, 0, 0, 0), "because")
    (alone,) = filter(None, [planner.feed(unknown)])
    assert alone.outdated.names["Id"] == "an event that is not understood: because"
    assert planner.feed(Incident(unknown.header, 1, "lost")) is not None

    for event in events(server, "rows", {}):
        if isinstance(event, Rows):
            break
        planner.feed(event)
    assert planner.feed(unknown) is None
    missed = planner.feed(Heartbeat(unknown.header, "bin.000001", 4))
    assert missed is not None
    assert missed.outdated.names
    assert planner.feed(Heartbeat(unknown.header, "bin.000001", 4)) is None


SHOP, ORDERS, LINES = ("s", "shop"), ("s", "orders"), ("s", "lines")
DECLARED = {
    ORDERS: (Declared("id", "int"), Declared("shop_id", "int"), Declared("name", "varchar(9)", "utf8mb4"))
}


def cascaded(rules: dict[str, Any], *keys: ForeignKey) -> Any:
    found = effects(parse_rules(rules), keys, DECLARED)[SHOP]
    return {each.names: each.columns for each in found.children}, found.names, found.tags


KEY = ForeignKey(ORDERS, SHOP, (("shop_id", "id"),))
DEEPER = ForeignKey(LINES, ORDERS, (("order_id", "id"),))


def test_children_are_told_by_the_key_or_dropped_by_name() -> None:
    """What hangs on a parent's row is exact where the rule's column is the key, else wide."""
    assert cascaded({"s.orders": {"Shop": "shop_id"}}, KEY) == ({("Shop",): ("id",)}, set(), set())
    assert cascaded({"s.orders": {"Shop": "shop_id", "Id": "id"}}, KEY) == (
        {("Shop",): ("id",)},
        {"Id"},
        set(),
    )
    assert cascaded({"s.orders": {"drop": ["Orders"]}}, KEY) == ({}, {"Orders"}, set())
    both = {"s.orders": {"Shop Id": ["shop_id", "id"]}}
    assert cascaded(both, KEY) == ({("Shop",): ("id",)}, set(), set())
    by_name = ForeignKey(ORDERS, SHOP, (("name", "name"),))
    assert cascaded({"s.orders": {"Name": "name"}}, by_name) == ({}, {"Name"}, set())


def test_what_hangs_deeper_is_dropped_by_name() -> None:
    """A grandchild's rows cannot be told from the grandparent's."""
    assert cascaded({"s.lines": {"Id": "id"}}, KEY, DEEPER) == ({}, {"Id"}, set())
    assert cascaded({"table_tags": True}, KEY, DEEPER) == ({}, set(), {"orders", "lines"})
    circle = ForeignKey(SHOP, ORDERS, (("order_id", "id"),))
    assert cascaded({"s.orders": {"Shop": "shop_id"}}, KEY, circle)[1] == {"Shop"}
